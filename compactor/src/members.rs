//! Which gzip members repeat what others have, by the labels that `alluvial` gives them.
//!
//! A label says which records of a shard a member covers. A delivery stream may deliver a member twice; and a reader that
//! was cut off before its last member was acknowledged has a successor, which reads on from where that member begins and
//! may cut otherwise. So of members that cover a stretch of a shard, those are kept that follow each other without a gap
//! or an overlap; where none do, all that are not within a single other one.

use crate::job::UnitRead;
use alluvial_record::{MemberLabel, Position};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Ranges of a shard that plans remember, the newest ones: each start of a reader makes one, and a delivery stream tries
/// again for a day.
const REMEMBERED: usize = 100;

/// A member as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenMember {
    pub(crate) label: MemberLabel,
    /// It was read to its end, and no row of it began or ended in another member.
    pub(crate) whole: bool,
}

/// Rows of a row group that follow each other and are of one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemberRows {
    /// Its number among the members of the unit; none, where it has no label.
    pub(crate) member: Option<u32>,
    pub(crate) rows: u32,
}

/// Appends rows to runs of them.
pub(crate) fn add_rows(all: &mut Vec<MemberRows>, more: MemberRows) {
    match all.last_mut() {
        Some(last) if last.member == more.member => last.rows += more.rows,
        _ => all.push(more),
    }
}

/// What becomes of a member's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Kept,
    /// Others have them.
    Dropped,
    /// Others have some of them, and it is not known which.
    Overlaps,
}

/// What was found of labelled members.
#[derive(Debug, Default)]
pub(crate) struct Marked {
    /// What those that are whole cover.
    pub(crate) covered: Covered,
    pub(crate) dropped: u64,
    pub(crate) overlapping: u64,
}

/// Marks the rows of members that are left out, in all units of a plan.
pub(crate) fn mark(units: &mut [UnitRead], before: &Covered) -> Marked {
    let members: Vec<&SeenMember> = units.iter().flat_map(|unit| &unit.members).collect();
    let fates = choose(&members, before);
    let whole = members.iter().filter(|member| member.whole).map(|member| &member.label);
    let count = |wanted| fates.iter().filter(|fate| **fate == wanted).count() as u64;
    let marked =
        Marked { covered: Covered::of(whole), dropped: count(Fate::Dropped), overlapping: count(Fate::Overlaps) };
    let mut first = 0;
    for unit in units {
        let fates = fates.get(first..first + unit.members.len()).unwrap_or_default();
        first += unit.members.len();
        for fragment in &mut unit.fragments {
            let (mut dropped, mut row) = (Vec::new(), 0);
            for run in &fragment.members {
                let fate = run.member.and_then(|member| fates.get(member as usize));
                if fate == Some(&Fate::Dropped) {
                    dropped.extend(row..row + run.rows);
                }
                row += run.rows;
            }
            fragment.dropped = dropped.into();
        }
    }
    marked
}

/// The members of one application, stream and shard may repeat each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Source {
    application: String,
    stream: String,
    shard: String,
}

impl Source {
    fn of(label: &MemberLabel) -> Self {
        let MemberLabel { application, stream, shard, .. } = label;
        Self { application: application.clone(), stream: stream.clone(), shard: shard.clone() }
    }
}

/// Records that follow each other, all of which are covered.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Range {
    /// The last record before them, if it is known.
    after: Option<Position>,
    first: Position,
    last: Position,
}

impl Range {
    fn of(label: &MemberLabel) -> Self {
        Self { after: label.after, first: label.first, last: label.last }
    }

    fn covers(&self, other: &Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// Takes in `next`, which begins no earlier, if nothing lies between.
    fn join(&mut self, next: &Self) -> bool {
        let joins = next.first <= self.last || next.after == Some(self.last);
        if joins {
            self.last = self.last.max(next.last);
        }
        joins
    }
}

/// The records that members cover which were read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<CoveredShard>", into = "Vec<CoveredShard>")]
pub(crate) struct Covered(BTreeMap<Source, Vec<Range>>);

/// As it is written.
#[derive(Debug, Serialize, Deserialize)]
struct CoveredShard {
    #[serde(flatten)]
    source: Source,
    /// After (or nothing), first and last.
    ranges: Vec<[String; 3]>,
}

impl From<Vec<CoveredShard>> for Covered {
    /// Ranges that do not read cover nothing.
    fn from(shards: Vec<CoveredShard>) -> Self {
        let range = |[after, first, last]: &[String; 3]| {
            let (after, first) = (Position::from_text(after), Position::from_text(first)?);
            Some(Range { after, first, last: Position::from_text(last)? })
        };
        let shard = |CoveredShard { source, ranges }| (source, ranges.iter().filter_map(range).collect());
        Self(shards.into_iter().map(shard).collect())
    }
}

impl From<Covered> for Vec<CoveredShard> {
    fn from(covered: Covered) -> Self {
        let range = |Range { after, first, last }: Range| {
            [after.map(|after| after.to_string()).unwrap_or_default(), first.to_string(), last.to_string()]
        };
        let shard = |(source, ranges): (Source, Vec<Range>)| CoveredShard {
            source,
            ranges: ranges.into_iter().map(range).collect(),
        };
        covered.0.into_iter().map(shard).collect()
    }
}

impl Covered {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What either covers, as far as it is remembered: what is forgotten is kept when it comes again.
    pub(crate) fn with(mut self, other: &Self) -> Self {
        for (source, ranges) in &other.0 {
            let all = self.0.entry(source.clone()).or_default();
            all.extend(ranges.iter().cloned());
            tidy(all);
            all.drain(..all.len().saturating_sub(REMEMBERED));
        }
        self
    }

    /// What these members cover.
    pub(crate) fn of<'a>(labels: impl Iterator<Item = &'a MemberLabel>) -> Self {
        let mut covered: BTreeMap<Source, Vec<Range>> = BTreeMap::new();
        for label in labels {
            covered.entry(Source::of(label)).or_default().push(Range::of(label));
        }
        covered.values_mut().for_each(tidy);
        Self(covered)
    }

    /// Whether some of a range, or all of it, is covered.
    fn overlaps(&self, source: &Source, range: &Range) -> bool {
        let overlaps = |known: &Range| known.first <= range.last && range.first <= known.last;
        self.0.get(source).is_some_and(|ranges| ranges.iter().any(overlaps))
    }

    fn covers(&self, source: &Source, range: &Range) -> bool {
        // The ranges are in order and apart: only the last that begins before it can.
        self.0.get(source).is_some_and(|ranges| {
            let after = ranges.partition_point(|known| known.first <= range.first);
            after.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|known| known.covers(range))
        })
    }
}

/// Puts ranges in order, and joins those that nothing lies between.
fn tidy(ranges: &mut Vec<Range>) {
    // Of those that begin with one record, what lies before may be known of one.
    ranges.sort_by(|a, b| (a.first, b.after, a.last).cmp(&(b.first, a.after, b.last)));
    ranges.dedup_by(|next, range| range.join(next));
}

/// What becomes of each member, in their order: a function of that and of what was covered `before`.
pub(crate) fn choose(members: &[&SeenMember], before: &Covered) -> Vec<Fate> {
    let mut fates = vec![Fate::Kept; members.len()];
    let mut sources: HashMap<Source, Vec<usize>> = HashMap::new();
    for (at, member) in members.iter().enumerate() {
        let source = Source::of(&member.label);
        if before.covers(&source, &Range::of(&member.label)) {
            fates[at] = Fate::Dropped;
        } else {
            sources.entry(source).or_default().push(at);
        }
    }
    for of_source in sources.into_values() {
        let (mut whole, cut): (Vec<usize>, Vec<usize>) = of_source.into_iter().partition(|at| members[*at].whole);
        let label = |at: usize| &members[at].label;
        whole.sort_by_key(|at| (label(*at).first, label(*at).last, *at));
        // Stretches that overlap in themselves, and not with each other.
        let mut left = whole.as_slice();
        while let Some((first, rest)) = left.split_first() {
            let mut last = label(*first).last;
            let overlaps = |at: &&usize| {
                let overlaps = label(**at).first <= last;
                last = last.max(label(**at).last);
                overlaps
            };
            let (stretch, next) = left.split_at(1 + rest.iter().take_while(overlaps).count());
            choose_of_stretch(stretch, members, &mut fates);
            left = next;
        }
        for at in whole.iter().copied() {
            if fates[at] == Fate::Kept && before.overlaps(&Source::of(label(at)), &Range::of(label(at))) {
                fates[at] = Fate::Overlaps;
            }
        }
        // What the end of an object cuts covers nothing, but may be covered.
        let covered = Covered::of(whole.iter().map(|at| label(*at)));
        for at in cut.into_iter().filter(|at| covered.covers(&Source::of(label(*at)), &Range::of(label(*at)))) {
            fates[at] = Fate::Dropped;
        }
    }
    fates
}

/// Of members that overlap, in the order of their first records.
fn choose_of_stretch(stretch: &[usize], members: &[&SeenMember], fates: &mut [Fate]) {
    if stretch.len() < 2 {
        return;
    }
    let label = |at: usize| &members[at].label;
    if let Some(path) = path(stretch, members) {
        stretch.iter().for_each(|at| fates[*at] = Fate::Dropped);
        path.into_iter().for_each(|at| fates[at] = Fate::Kept);
        return;
    }
    let mut by_length = stretch.to_vec();
    // Of those that begin with one record, the longest first.
    by_length.sort_by(|a, b| (label(*a).first, label(*b).last, a).cmp(&(label(*b).first, label(*a).last, b)));
    let mut kept: Vec<usize> = Vec::new();
    for at in by_length {
        let range = Range::of(label(at));
        fates[at] = if kept.iter().any(|kept| Range::of(label(*kept)).covers(&range)) {
            Fate::Dropped
        } else if kept.iter().any(|kept| range.first <= label(*kept).last) {
            Fate::Overlaps
        } else {
            Fate::Kept
        };
        if fates[at] != Fate::Dropped {
            kept.push(at);
        }
    }
}

/// Members that follow each other from the first record of all to the last.
fn path(stretch: &[usize], members: &[&SeenMember]) -> Option<Vec<usize>> {
    let label = |at: usize| &members[at].label;
    let first = label(*stretch.first()?).first;
    let last = stretch.iter().map(|at| label(*at).last).max()?;
    // By last record: a member up to which there is a path, and the one before it. One that begins later ends later
    // than the one before it, which was looked at by then.
    let mut reached: BTreeMap<Position, (usize, Option<Position>)> = BTreeMap::new();
    for at in stretch {
        let MemberLabel { after, first: begins, last: ends, .. } = label(*at);
        let before = after.filter(|after| reached.contains_key(after));
        if *begins == first || before.is_some() {
            let before = if *begins == first { None } else { before };
            reached.entry(*ends).or_insert((*at, before));
        }
    }
    let mut path = Vec::new();
    let mut next = Some(last);
    while let Some(end) = next {
        let (at, before) = reached.get(&end)?;
        path.push(*at);
        next = *before;
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn position(number: u64) -> Position {
        Position { sequence: number.to_string().parse().expect("a number"), sub_sequence: 0 }
    }

    /// A member that covers the records from `after + 1` to `last`.
    fn member(shard: &str, after: u64, last: u64) -> SeenMember {
        let label = MemberLabel {
            application: "a".into(),
            stream: "s".into(),
            shard: shard.into(),
            after: Some(position(after)),
            first: position(after + 1),
            last: position(last),
            rows: last - after,
        };
        SeenMember { label, whole: true }
    }

    /// What a lane makes first knows of nothing before it.
    fn first(member: SeenMember) -> SeenMember {
        SeenMember { label: MemberLabel { after: None, ..member.label }, ..member }
    }

    fn fates(members: &[SeenMember], before: &[SeenMember]) -> String {
        let before = Covered::of(before.iter().map(|member| &member.label));
        let fates = choose(&members.iter().collect::<Vec<_>>(), &before);
        let letter = |fate: &Fate| match fate {
            Fate::Kept => 'k',
            Fate::Dropped => 'd',
            Fate::Overlaps => 'o',
        };
        fates.iter().map(letter).collect()
    }

    #[test]
    fn a_member_that_comes_twice_is_kept_once() {
        let [a, b] = [member("0", 0, 10), member("0", 10, 20)];
        assert_eq!(fates(&[a.clone(), b.clone(), a.clone(), b.clone()], &[]), "kkdd");
        assert_eq!(fates(&[a.clone(), b.clone()], &[]), "kk");
        assert_eq!(fates(&[a.clone(), member("1", 0, 10), b.clone()], &[]), "kkk");
        assert_eq!(fates(&[a.clone(), b.clone()], std::slice::from_ref(&a)), "dk");
        assert_eq!(fates(&[member("0", 3, 17)], &[a.clone(), b.clone()]), "d");
        // Between these two, nobody says that there is nothing.
        assert_eq!(fates(&[member("0", 3, 17)], &[a, first(b)]), "o");
    }

    #[test]
    fn a_successor_that_cuts_otherwise_is_kept_and_what_it_covers_is_dropped() {
        // The member that was not acknowledged, and what the successor made.
        let old = [member("0", 0, 10), member("0", 10, 20)];
        let new = [first(member("0", 10, 16)), member("0", 16, 27), member("0", 27, 30)];
        assert_eq!(fates(&[old.as_slice(), &new].concat(), &[]), "kdkkk");
        assert_eq!(fates(&[new.as_slice(), &old].concat(), &[]), "kkkkd");
        // The successor's first one is longer.
        assert_eq!(fates(&[member("0", 10, 20), first(member("0", 10, 25))], &[]), "dk");
    }

    #[test]
    fn overlaps_that_cannot_be_told_apart_stay_and_are_told() {
        assert_eq!(fates(&[member("0", 0, 10), first(member("0", 5, 15)), member("0", 2, 9)], &[]), "kod");
        let mut cut = member("0", 0, 10);
        cut.whole = false;
        assert_eq!(fates(&[cut.clone(), member("0", 0, 9)], &[]), "kk");
        assert_eq!(fates(&[cut, member("0", 0, 11)], &[]), "dk");
    }

    #[test]
    fn what_is_covered_reads_back() {
        let members = [member("0", 0, 10), member("0", 10, 20), member("0", 30, 40), first(member("1", 4, 5))];
        let covered = Covered::of(members.iter().map(|member| &member.label));
        assert_eq!(covered.0.values().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        let text = serde_json::to_string(&covered).expect("JSON");
        assert!(text.contains(r#""ranges":[["0","1","20"],["30","31","40"]]"#), "{text}");
        assert_eq!(serde_json::from_str::<Covered>(&text).expect("read"), covered);
        let many: Vec<SeenMember> = (0..300).map(|n| first(member("2", n * 10, n * 10 + 5))).collect();
        let many = covered.clone().with(&Covered::of(many.iter().map(|member| &member.label)));
        assert_eq!(many.0.values().map(Vec::len).collect::<Vec<_>>(), [2, 1, REMEMBERED]);
        assert_eq!(
            many.0.values().last().and_then(|ranges| ranges.last()).map(|range| range.last),
            Some(position(2995))
        );
        let gap = Covered::of([&member("0", 20, 30).label].into_iter());
        assert_eq!(covered.with(&gap).0.values().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    }

    proptest! {
        /// Readers that each cut the shard in their own way, any of whose members may come in any order, twice or not
        /// at all: every record that any member covers is in a kept one; and in one only, where nothing overlaps.
        #[test]
        fn no_record_is_lost(
            readers in prop::collection::vec((0u64..30, prop::collection::vec(1u64..8, 1..8)), 1..4),
            drawn in prop::collection::vec(any::<prop::sample::Index>(), 1..30),
            earlier in 0usize..10,
        ) {
            let all: Vec<SeenMember> = readers.iter().flat_map(|(start, lengths)| {
                let mut after = *start;
                lengths.iter().enumerate().map(move |(at, length)| {
                    let made = member("0", after, after + length);
                    after += length;
                    if at == 0 { first(made) } else { made }
                }).collect::<Vec<_>>()
            }).collect();
            let drawn: Vec<SeenMember> = drawn.iter().map(|index| index.get(&all).clone()).collect();
            let (before, now) = drawn.split_at(earlier.min(drawn.len()));
            let covered = Covered::of(before.iter().map(|member| &member.label));
            let fates = choose(&now.iter().collect::<Vec<_>>(), &covered);
            let holds = |member: &SeenMember, record: u64| {
                (member.label.first..=member.label.last).contains(&position(record))
            };
            for record in 0..100 {
                let was = before.iter().any(|member| holds(member, record));
                let given = now.iter().any(|member| holds(member, record));
                let kept: Vec<Fate> = now.iter().zip(&fates)
                    .filter(|(member, fate)| holds(member, record) && **fate != Fate::Dropped)
                    .map(|(_, fate)| *fate).collect();
                prop_assert!(!given || was || !kept.is_empty(), "record {record} is lost");
                // What was covered before may come again with a member that holds more.
                if !was && kept.len() > 1 {
                    prop_assert!(kept.contains(&Fate::Overlaps), "record {record} is there {} times", kept.len());
                }
            }
        }
    }
}
