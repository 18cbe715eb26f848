//! In which order shards are read: one that took over from others is read when all of these are read to their end.

use std::collections::BTreeSet;

/// The shards of one stream that are being read, or were.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    reading: BTreeSet<u32>,
    begun: BTreeSet<u32>,
}

impl Lineage {
    /// `shard` is being read from now on.
    pub(super) fn begin(&mut self, shard: u32) {
        self.reading.insert(shard);
        self.begun.insert(shard);
    }

    /// `shard` is read to its end.
    pub(super) fn end(&mut self, shard: u32) {
        self.reading.remove(&shard);
    }

    /// Whether `child` of these `parents` is to be read now: it has not begun, and none of them is still being read. Parents
    /// that were never read hold nothing up.
    pub(super) fn is_next(&self, child: u32, parents: &[u32]) -> bool {
        !self.begun.contains(&child) && parents.iter().all(|parent| !self.reading.contains(parent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merged_child_waits_for_both_parents_and_begins_once() {
        let mut lineage = Lineage::default();
        lineage.begin(0);
        lineage.begin(1);
        assert!(!lineage.is_next(2, &[0, 1]));
        lineage.end(0);
        assert!(!lineage.is_next(2, &[0, 1]), "the other parent is still being read");
        lineage.end(1);
        assert!(lineage.is_next(2, &[0, 1]));
        lineage.begin(2);
        assert!(!lineage.is_next(2, &[0, 1]));
    }

    #[test]
    fn children_of_a_split_follow_at_once_and_foreign_parents_hold_nothing_up() {
        let mut lineage = Lineage::default();
        lineage.begin(0);
        lineage.end(0);
        assert!(lineage.is_next(1, &[0]) && lineage.is_next(2, &[0]));
        assert!(lineage.is_next(4, &[0, 3]), "3 ended before reading began");
    }
}
