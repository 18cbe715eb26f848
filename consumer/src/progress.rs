//! Acknowledgements in any order → the highest position up to which nothing is missing. Pure.

use alluvial_record::Position;
use std::collections::BTreeMap;

/// Records of one shard that are done: delivered, filtered out, or in the dead-letter store.
///
/// Records are counted from 0 in the order in which this consumer handed them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// Ordinal of the first record that is done.
    pub first: u64,
    /// Ordinal of the last one; all between are done too.
    pub last: u64,
    /// Where the last one stands in the shard.
    pub position: Position,
}

/// How far a shard is done without a hole. Holds one entry for each separate range beyond the first hole.
#[derive(Debug, Default)]
pub struct Progress {
    /// Records done from the start without a hole.
    done: u64,
    position: Option<Position>,
    /// Ranges beyond the hole: first ordinal → (ordinal after the last, position of the last).
    beyond: BTreeMap<u64, (u64, Position)>,
}

impl Progress {
    /// Takes an acknowledgement. Ranges that were acknowledged before change nothing.
    pub fn acknowledge(&mut self, ack: Ack) {
        if ack.last < ack.first || ack.last < self.done {
            return;
        }
        let end = ack.last.saturating_add(1);
        match self.beyond.get(&ack.first) {
            Some((known, _)) if *known >= end => {}
            _ => {
                self.beyond.insert(ack.first, (end, ack.position));
            }
        }
        while let Some(range) = self.beyond.first_entry().filter(|range| *range.key() <= self.done) {
            let (end, position) = range.remove();
            if end > self.done {
                self.done = end;
                self.position = Some(position);
            }
        }
    }

    /// The position of the last record before the first hole; `None` before the first acknowledgement.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// Records done before the first hole.
    pub fn done(&self) -> u64 {
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ordinal: u64) -> Position {
        Position::of((ordinal + 1_000).to_string().parse().unwrap())
    }

    fn ack(first: u64, last: u64) -> Ack {
        Ack { first, last, position: at(last) }
    }

    #[test]
    fn a_hole_holds_the_position_back_until_it_is_filled() {
        let mut progress = Progress::default();
        progress.acknowledge(ack(3, 5));
        assert_eq!((progress.done(), progress.position()), (0, None));
        progress.acknowledge(ack(0, 1));
        assert_eq!(progress.position(), Some(at(1)));
        progress.acknowledge(ack(2, 2));
        assert_eq!((progress.done(), progress.position()), (6, Some(at(5))));
    }

    #[test]
    fn a_repeated_acknowledgement_never_moves_the_position_back() {
        let mut progress = Progress::default();
        progress.acknowledge(ack(0, 9));
        progress.acknowledge(ack(2, 4));
        assert_eq!(progress.position(), Some(at(9)));
        progress.acknowledge(ack(5, 12));
        assert_eq!(progress.position(), Some(at(12)), "an overlap counts for its new part");
    }

    proptest! {
        /// Model: a bit per record. The position is that of the last record before the first unset bit.
        #[test]
        fn position_is_that_of_the_longest_acknowledged_prefix(
            ranges in proptest::collection::vec((0_u64..60, 0_u64..8), 0..60),
        ) {
            let mut progress = Progress::default();
            let mut model = [false; 70];
            for (first, more) in ranges {
                progress.acknowledge(ack(first, first + more));
                (first..=first + more).for_each(|ordinal| model[usize::try_from(ordinal).unwrap()] = true);
                let prefix = model.iter().take_while(|done| **done).count() as u64;
                prop_assert_eq!(progress.done(), prefix);
                prop_assert_eq!(progress.position(), prefix.checked_sub(1).map(at));
            }
        }
    }
}
