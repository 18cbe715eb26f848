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
/// On the very first start: every shard for [`StartPosition::TrimHorizon`] and [`StartPosition::AtTimestamp`], the open
/// ones for [`StartPosition::Latest`], anchored at `now_millis`. Later: every shard of which no descendant has a lease
/// yet, from its oldest record on, since it is the child of a shard that is being read, or was missed.
pub fn missing_leases(shards: &[Shard], leases: &[Lease], start: StartPosition, now_millis: u64) -> Vec<Lease> {
    let known: BTreeSet<&ShardId> = leases.iter().map(|lease| &lease.shard).collect();
    let first_start = known.is_empty();
    let passed = ancestors(shards, &known);
    shards
        .iter()
        .filter(|shard| !known.contains(&shard.id) && !passed.contains(&shard.id))
        .filter(|shard| !first_start || shard.open || start != StartPosition::Latest)
        .map(|shard| {
            let checkpoint = match start {
                StartPosition::Latest if first_start => Checkpoint::AtTimestamp(now_millis),
                StartPosition::AtTimestamp(millis) if first_start => Checkpoint::AtTimestamp(millis),
                _ => Checkpoint::TrimHorizon,
            };
            Lease::new(shard, checkpoint)
        })
        .collect()
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
    fn a_finished_shard_never_starts_again() {
        let done = lease(&shard("a", &[], false), Checkpoint::ShardEnd);
        assert!(!may_start(&done, std::slice::from_ref(&done)));
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
