//! The shard graph: which leases to make, and which shards may start. Pure.
//!
//! A child holds the records that came after those of its parents, so it starts only when every parent is done;
//! a merged shard waits for both.

use crate::lease::Lease;
use alluvial_record::{Checkpoint, HashKeyRange, ShardId};
use std::collections::{BTreeMap, BTreeSet};

/// A shard as ListShards describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Its name.
    pub id: ShardId,
    /// The shards that were split or merged into it: none, one, or two.
    pub parents: Vec<ShardId>,
    /// The hash keys that it holds.
    pub hash_keys: HashKeyRange,
    /// False once it was split or merged: its records remain readable, and no new ones come.
    pub open: bool,
}

/// Where a first start begins; later starts continue from the checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartPosition {
    /// With the oldest record that the stream keeps.
    TrimHorizon,
    /// With records that arrive from this start on. The moment is written into the leases, so that a restart before
    /// the first checkpoint does not skip what came in between.
    Latest,
    /// With the first record that arrived at this time or later, in milliseconds since 1970.
    AtTimestamp(u64),
}

/// Leases to make for shards that have none.
///
/// A shard of which a descendant has a lease is past. One below a leased shard is read from its oldest record on. Any
/// other is new to this application, and starts where [`StartPosition`] says: for [`StartPosition::Latest`] at `now_millis`,
/// or at the moment that the first leases were anchored at, since workers that start together, and a start that was
/// interrupted, must not differ. Only on an empty table are closed shards left out: later they may have been split
/// after the anchor.
pub fn missing_leases(shards: &[Shard], leases: &[Lease], start: StartPosition, now_millis: u64) -> Vec<Lease> {
    let known: BTreeSet<&ShardId> = leases.iter().map(|lease| &lease.shard).collect();
    let passed = ancestors(shards, &known);
    let anchored = |lease: &Lease| match lease.checkpoint {
        Checkpoint::AtTimestamp(millis) => Some(millis),
        _ => None,
    };
    let starting = leases.iter().all(|lease| anchored(lease).is_some());
    let anchor = leases.iter().filter_map(anchored).min().unwrap_or(now_millis);
    let missing = shards.iter().filter(|shard| !known.contains(&shard.id) && !passed.contains(&shard.id));
    missing
        .filter_map(|shard| {
            let below = ancestors(shards, &BTreeSet::from([&shard.id])).iter().any(|ancestor| known.contains(ancestor));
            let checkpoint = match start {
                _ if below => Checkpoint::TrimHorizon,
                StartPosition::TrimHorizon => Checkpoint::TrimHorizon,
                StartPosition::AtTimestamp(millis) => Checkpoint::AtTimestamp(millis),
                StartPosition::Latest if leases.is_empty() && !shard.open => return None,
                StartPosition::Latest if starting => Checkpoint::AtTimestamp(anchor),
                StartPosition::Latest => Checkpoint::TrimHorizon,
            };
            Some(Lease::new(shard, checkpoint))
        })
        .collect()
}

/// Where a shard is read from whose lease says where to begin but not at which record.
///
/// LATEST becomes a moment, so that it means the same after a restart. The Kinesis Client Library keeps the time of
/// AT_TIMESTAMP in its settings and writes 0: ours say it.
pub fn first_position(checkpoint: Checkpoint, start: StartPosition, now_millis: u64) -> Checkpoint {
    match (checkpoint, start) {
        (Checkpoint::Latest, _) => Checkpoint::AtTimestamp(now_millis),
        (Checkpoint::AtTimestamp(0), StartPosition::AtTimestamp(millis)) => Checkpoint::AtTimestamp(millis),
        (Checkpoint::AtTimestamp(0), StartPosition::Latest) => Checkpoint::AtTimestamp(now_millis),
        (Checkpoint::AtTimestamp(0), StartPosition::TrimHorizon) => Checkpoint::TrimHorizon,
        (known, _) => known,
    }
}

/// Which of the sources of a start decided where a shard is read from, in words for the log.
///
/// `checkpoint` is that of the lease, before [`first_position`].
pub fn start_source(checkpoint: Checkpoint, start: StartPosition) -> &'static str {
    match (checkpoint, start) {
        (Checkpoint::At(_), _) => "checkpoint in the lease",
        (Checkpoint::Latest, _) => "LATEST in the lease, anchored at this moment",
        (Checkpoint::AtTimestamp(0), _) | (Checkpoint::TrimHorizon, StartPosition::TrimHorizon) => "start position",
        (Checkpoint::AtTimestamp(millis), StartPosition::AtTimestamp(wanted)) if millis == wanted => "start position",
        (Checkpoint::AtTimestamp(_), _) => "anchor in the lease",
        (Checkpoint::TrimHorizon, _) => "beginning of the shard, as its lease says",
        (Checkpoint::ShardEnd, _) => "the shard is done",
    }
}

/// Leases that can be deleted: their shards are done, and nothing needs to know so any more.
///
/// One goes when each child has a lease that is past its beginning, and the leases of its parents are gone; or when Kinesis
/// lists the shard no more, and every child that it lists has a lease. In both cases [`missing_leases`] does not make it
/// again: a listed shard with a leased descendant is past, and one that is not listed cannot be missed.
///
/// Source: `LeaseCleanupManager.cleanupLeaseForCompletedShard` and `cleanupLeaseForGarbageShard` of the Kinesis Client
/// Library 3.5.
pub fn finished_leases<'a>(shards: &[Shard], leases: &'a [Lease]) -> Vec<&'a Lease> {
    let of = |id: &ShardId| leases.iter().find(|lease| lease.shard == *id);
    let begun = |lease: &Lease| {
        !matches!(lease.checkpoint, Checkpoint::TrimHorizon | Checkpoint::Latest | Checkpoint::AtTimestamp(_))
    };
    let done = leases.iter().filter(|lease| lease.checkpoint == Checkpoint::ShardEnd);
    done.filter(|lease| {
        let listed = shards.iter().filter(|shard| shard.parents.contains(&lease.shard)).map(|shard| &shard.id);
        let listed: BTreeSet<&ShardId> = listed.collect();
        if !shards.iter().any(|shard| shard.id == lease.shard) {
            return listed.iter().all(|child| of(child).is_some());
        }
        let children: BTreeSet<&ShardId> = listed.into_iter().chain(&lease.children).collect();
        let parents_are_gone = lease.parents.iter().all(|parent| of(parent).is_none());
        !children.is_empty() && parents_are_gone && children.iter().all(|child| of(child).is_some_and(begun))
    })
    .collect()
}

/// Those of `children` that may get their leases now that `ended` is done: each parent is done with it, or has a lease.
///
/// A merged shard with a parent that has none yet (because the shard above that one is still being read) would not
/// know whom to wait for. Its other parent makes its lease when it ends, or the next listing makes both.
pub fn ready_children<'a>(children: &'a [Shard], ended: &ShardId, leases: &[Lease]) -> Vec<&'a Shard> {
    let leased = |parent: &ShardId| parent == ended || leases.iter().any(|lease| lease.shard == *parent);
    children.iter().filter(|child| child.parents.iter().all(leased)).collect()
}

/// Every shard that came before one of `leased`.
fn ancestors(shards: &[Shard], leased: &BTreeSet<&ShardId>) -> BTreeSet<ShardId> {
    let parents: BTreeMap<&ShardId, &[ShardId]> = shards.iter().map(|shard| (&shard.id, &shard.parents[..])).collect();
    let mut found = BTreeSet::new();
    let mut frontier: Vec<&ShardId> = leased.iter().copied().collect();
    while let Some(shard) = frontier.pop() {
        for parent in parents.get(shard).copied().unwrap_or_default() {
            if found.insert(parent.clone()) {
                frontier.push(parent);
            }
        }
    }
    found
}

/// True when the shard of `lease` may be read: it is not done, and each parent is done or no longer has a lease.
pub fn may_start(lease: &Lease, leases: &[Lease]) -> bool {
    lease.checkpoint != Checkpoint::ShardEnd
        && leases
            .iter()
            .filter(|other| lease.parents.contains(&other.shard))
            .all(|parent| parent.checkpoint == Checkpoint::ShardEnd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shard(id: &str, parents: &[&str], open: bool) -> Shard {
        let hash_keys = HashKeyRange { start: 0, end: u128::MAX };
        Shard { id: id.into(), parents: parents.iter().map(|parent| ShardId::from(*parent)).collect(), hash_keys, open }
    }

    fn lease(shard: &Shard, checkpoint: Checkpoint) -> Lease {
        Lease::new(shard, checkpoint)
    }

    fn names(leases: &[Lease]) -> Vec<(&str, Checkpoint)> {
        leases.iter().map(|lease| (lease.shard.as_str(), lease.checkpoint)).collect()
    }

    #[test]
    fn a_first_start_at_the_trim_horizon_takes_closed_shards_too() {
        let shards = [shard("a", &[], false), shard("b", &["a"], true), shard("c", &["a"], true)];
        let made = missing_leases(&shards, &[], StartPosition::TrimHorizon, 7);
        assert_eq!(
            names(&made),
            [("a", Checkpoint::TrimHorizon), ("b", Checkpoint::TrimHorizon), ("c", Checkpoint::TrimHorizon)]
        );
        let startable: Vec<_> =
            made.iter().filter(|lease| may_start(lease, &made)).map(|lease| lease.shard.as_str()).collect();
        assert_eq!(startable, ["a"]);
    }

    #[test]
    fn a_first_start_at_latest_is_anchored_in_time_and_skips_closed_shards() {
        let shards = [shard("a", &[], false), shard("b", &["a"], true)];
        let made = missing_leases(&shards, &[], StartPosition::Latest, 7);
        assert_eq!(names(&made), [("b", Checkpoint::AtTimestamp(7))]);
        let again = missing_leases(&shards, &made, StartPosition::Latest, 9);
        assert!(again.is_empty(), "the closed parent of a leased shard is past");
        assert!(may_start(&made[0], &made));
    }

    #[test]
    fn children_begin_at_their_oldest_record_whatever_the_start_was() {
        let shards = [shard("a", &[], false), shard("b", &["a"], true), shard("c", &["a"], true)];
        let leases = [lease(&shards[0], Checkpoint::ShardEnd)];
        let made = missing_leases(&shards, &leases, StartPosition::Latest, 9);
        assert_eq!(names(&made), [("b", Checkpoint::TrimHorizon), ("c", Checkpoint::TrimHorizon)]);
    }

    #[test]
    fn a_merged_shard_waits_for_both_parents() {
        let (a, b, m) = (shard("a", &[], false), shard("b", &[], false), shard("m", &["a", "b"], true));
        let merged = lease(&m, Checkpoint::TrimHorizon);
        let with = |a_at, b_at| [lease(&a, a_at), lease(&b, b_at), merged.clone()];
        assert!(!may_start(&merged, &with(Checkpoint::ShardEnd, Checkpoint::TrimHorizon)));
        assert!(!may_start(&merged, &with(Checkpoint::TrimHorizon, Checkpoint::ShardEnd)));
        assert!(may_start(&merged, &with(Checkpoint::ShardEnd, Checkpoint::ShardEnd)));
    }

    #[test]
    fn a_start_that_was_interrupted_goes_on_from_the_same_moment() {
        let shards = [shard("a", &[], true), shard("b", &[], false), shard("c", &["b"], true)];
        let first = [lease(&shards[0], Checkpoint::AtTimestamp(7))];
        let made = missing_leases(&shards, &first, StartPosition::Latest, 99);
        assert_eq!(names(&made), [("b", Checkpoint::AtTimestamp(7)), ("c", Checkpoint::AtTimestamp(7))]);
        let made = missing_leases(&shards, &first, StartPosition::AtTimestamp(7), 99);
        assert_eq!(names(&made), [("b", Checkpoint::AtTimestamp(7)), ("c", Checkpoint::AtTimestamp(7))]);
    }

    #[test]
    fn a_merged_shard_gets_its_lease_only_when_every_parent_has_one() {
        // A is split into A1 and A2, B into B1 and B2, and A2 and B1 are merged into M, while A is still being read.
        let (a, b1, m) = (shard("A", &[], false), shard("B1", &["B"], false), shard("M", &["A2", "B1"], true));
        let leases = [lease(&a, Checkpoint::TrimHorizon), lease(&b1, Checkpoint::TrimHorizon)];
        assert!(ready_children(std::slice::from_ref(&m), &b1.id, &leases).is_empty());
        let a2 = shard("A2", &["A"], false);
        let leases = [leases.as_slice(), &[lease(&a2, Checkpoint::TrimHorizon)]].concat();
        assert_eq!(ready_children(std::slice::from_ref(&m), &b1.id, &leases), [&m]);
    }

    #[test]
    fn a_merged_shard_whose_other_parent_has_passed_out_of_retention_waits_for_the_one_that_is_left() {
        let (a, m) = (shard("a", &[], false), shard("m", &["a", "b"], true));
        let reading = [lease(&a, Checkpoint::TrimHorizon)];
        // Kinesis lists b no more, and no lease tells of it.
        let made = missing_leases(&[a.clone(), m.clone()], &reading, StartPosition::Latest, 7);
        assert_eq!(names(&made), [("m", Checkpoint::TrimHorizon)]);
        let merged = &made[0];
        assert!(!may_start(merged, &[reading.as_slice(), &made].concat()));
        assert!(may_start(merged, &[lease(&a, Checkpoint::ShardEnd), merged.clone()]));
    }

    /// What a table with these leases lacks: shards and their parents, leases (`>` is at its beginning, `.` at its end), and the
    /// leases that are made for a start at the beginning, and at LATEST. One at its own beginning is marked `>`, others `@`.
    const SYNC: [(&str, &str, &str, &str); 8] = [
        ("a b", "", "a> b>", "a@ b@"),
        ("a b<a c<a", "", "a> b> c>", "b@ c@"),
        ("a b<a c<a", "a>", "b> c>", "b> c>"),
        ("a b<a c<a", "a. b>", "c>", "c>"),
        ("a b<a c<a", "b> c>", "", ""),
        ("a b m<a+b", "a. b>", "m>", "m>"),
        ("a b<a c<b d<c", "b.", "c> d>", "c> d>"),
        ("a b<a c", "b>", "c>", "c>"),
    ];

    #[test]
    fn a_table_gets_the_leases_that_it_lacks_in_every_state_of_a_reshard() {
        for (shards, leases, from_oldest, from_latest) in SYNC {
            let parse = |text: &str| {
                let (id, parents) = text.split_once('<').unwrap_or((text, ""));
                let parents: Vec<&str> = parents.split('+').filter(|parent| !parent.is_empty()).collect();
                // A shard is open when nothing came of it.
                let open = !shards.split_whitespace().any(|other| {
                    other.split_once('<').is_some_and(|(_, parents)| parents.split('+').any(|parent| parent == id))
                });
                shard(id, &parents, open)
            };
            let all: Vec<Shard> = shards.split_whitespace().map(parse).collect();
            let known: Vec<Lease> = leases
                .split_whitespace()
                .map(|text| {
                    let (id, at) = text.split_at(1);
                    let shard = all.iter().find(|shard| shard.id.as_str() == id).unwrap();
                    lease(shard, if at == "." { Checkpoint::ShardEnd } else { Checkpoint::TrimHorizon })
                })
                .collect();
            for (start, wanted) in [(StartPosition::TrimHorizon, from_oldest), (StartPosition::Latest, from_latest)] {
                let made: Vec<String> = missing_leases(&all, &known, start, 7)
                    .iter()
                    .map(|lease| {
                        format!(
                            "{}{}",
                            lease.shard,
                            if lease.checkpoint == Checkpoint::TrimHorizon { '>' } else { '@' }
                        )
                    })
                    .collect();
                assert_eq!(made.join(" "), wanted, "{shards} with {leases:?}, {start:?}");
            }
        }
    }

    #[test]
    fn latest_becomes_a_moment_and_a_moment_that_only_the_settings_know_is_taken_from_there() {
        let first = |checkpoint, start| first_position(checkpoint, start, 9);
        assert_eq!(first(Checkpoint::Latest, StartPosition::TrimHorizon), Checkpoint::AtTimestamp(9));
        assert_eq!(first(Checkpoint::AtTimestamp(0), StartPosition::AtTimestamp(5)), Checkpoint::AtTimestamp(5));
        assert_eq!(first(Checkpoint::AtTimestamp(0), StartPosition::TrimHorizon), Checkpoint::TrimHorizon);
        assert_eq!(first(Checkpoint::AtTimestamp(3), StartPosition::Latest), Checkpoint::AtTimestamp(3));
    }

    #[test]
    fn a_finished_shard_never_starts_again() {
        let done = lease(&shard("a", &[], false), Checkpoint::ShardEnd);
        assert!(!may_start(&done, std::slice::from_ref(&done)));
    }

    #[test]
    fn a_lease_is_deleted_when_its_children_have_begun_and_its_parents_are_gone() {
        let shards = [shard("a", &[], false), shard("b", &["a"], false), shard("c", &["b"], true)];
        let done = |shard| lease(shard, Checkpoint::ShardEnd);
        let at = Checkpoint::from_attributes("7", 0).unwrap();
        let finished = |leases: &[Lease]| -> Vec<String> {
            finished_leases(&shards, leases).iter().map(|lease| lease.shard.to_string()).collect()
        };
        let waiting = [done(&shards[0]), done(&shards[1]), lease(&shards[2], Checkpoint::TrimHorizon)];
        assert_eq!(finished(&waiting), ["a"]);
        assert!(finished(&waiting[1..]).is_empty(), "the child is at its beginning");
        assert!(finished(&waiting[1..2]).is_empty(), "the child has no lease");
        let begun = [done(&shards[1]), lease(&shards[2], at)];
        assert_eq!(finished(&begun), ["b"]);
        assert!(missing_leases(&shards, &begun[1..], StartPosition::Latest, 7).is_empty(), "it does not come back");
        assert!(finished(&begun[1..]).is_empty());
    }

    #[test]
    fn a_lease_whose_shard_is_listed_no_more_is_deleted_once_its_children_have_leases() {
        let (a, b) = (shard("a", &[], false), shard("b", &["a"], true));
        let leases = [lease(&a, Checkpoint::ShardEnd), lease(&b, Checkpoint::TrimHorizon)];
        assert_eq!(finished_leases(std::slice::from_ref(&b), &leases), [&leases[0]]);
        assert!(finished_leases(std::slice::from_ref(&b), &leases[..1]).is_empty(), "its child would start anywhere");
        assert_eq!(finished_leases(&[], &leases), [&leases[0]], "one that is not done stays");
    }

    #[test]
    fn the_log_says_what_decided_where_a_shard_is_read_from() {
        let at = Checkpoint::from_attributes("7", 0).unwrap();
        assert_eq!(start_source(at, StartPosition::Latest), "checkpoint in the lease");
        assert_eq!(start_source(Checkpoint::TrimHorizon, StartPosition::TrimHorizon), "start position");
        assert_eq!(start_source(Checkpoint::AtTimestamp(5), StartPosition::AtTimestamp(5)), "start position");
        assert_eq!(start_source(Checkpoint::AtTimestamp(5), StartPosition::Latest), "anchor in the lease");
    }

    proptest! {
        /// Model: any forest in which a shard's parents have lower indexes. Reading every startable shard to its end,
        /// again and again, must finish every shard that has a lease, each after its parents.
        #[test]
        fn every_leased_shard_gets_its_turn_after_its_parents(
            parents in proptest::collection::vec(proptest::collection::vec(0_usize..20, 0..=2), 1..20),
        ) {
            let shards: Vec<Shard> = parents.iter().enumerate().map(|(index, chosen)| {
                let ids: Vec<String> = chosen.iter().filter(|parent| **parent < index).map(|parent| parent.to_string()).collect();
                shard(&index.to_string(), &ids.iter().map(String::as_str).collect::<Vec<_>>(), true)
            }).collect();
            let mut leases = missing_leases(&shards, &[], StartPosition::TrimHorizon, 0);
            prop_assert_eq!(leases.len(), shards.len());
            let mut finished: Vec<ShardId> = Vec::new();
            while let Some(index) = leases.iter().position(|lease| may_start(lease, &leases)) {
                for parent in &leases[index].parents {
                    prop_assert!(finished.contains(parent));
                }
                finished.push(leases[index].shard.clone());
                leases[index].checkpoint = Checkpoint::ShardEnd;
            }
            prop_assert_eq!(finished.len(), shards.len());
        }
    }
}
