//! Records of one shard into aggregates, as the Kinesis Producer Library packs them. Pure.
//!
//! An aggregate closes when the next record does not fit, or when its first is `linger` past due. It is put under the
//! partition key `a` and the hash key of its first record; a record that is alone is put as it is.
//!
//! Source: `KinesisRecord` of the Kinesis Producer Library (`kinesis_record.cc`).

use crate::entry::Entry;
use crate::shards::ShardMap;
use alluvial_record::HashKeyRange;
use alluvial_record::aggregate::Aggregator;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// The partition key of every aggregate.
pub(crate) const PARTITION_KEY: &str = "a";

/// The open aggregates of one lane, one a shard.
#[derive(Debug)]
pub(crate) struct Packer {
    shards: ShardMap,
    limit_bytes: usize,
    linger: Duration,
    open: BTreeMap<u128, Open>,
}

#[derive(Debug)]
struct Open {
    range: HashKeyRange,
    /// The hash key of the first record.
    first: u128,
    aggregator: Aggregator,
    members: Vec<Entry>,
}

impl Packer {
    /// Makes aggregates of at most `limit_bytes`.
    pub(crate) fn new(shards: ShardMap, limit_bytes: usize, linger: Duration) -> Self {
        Self { shards, limit_bytes, linger, open: BTreeMap::new() }
    }

    /// The shards as they were last listed.
    pub(crate) fn shards(&self) -> &ShardMap {
        &self.shards
    }

    /// Takes records, in order, and adds what is full to `out`.
    pub(crate) fn add(&mut self, entries: Vec<Entry>, out: &mut Vec<Entry>) {
        for entry in entries {
            let (range, hash_key) = self.shards.place(&entry.key);
            let limit_bytes = self.limit_bytes;
            self.open.entry(range.start).or_insert_with(|| Open::new(range, limit_bytes)).add(entry, hash_key, out);
        }
    }

    /// When the oldest open aggregate is due; `None` when there is none.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.open.values().filter_map(|open| open.members.first()).map(|first| first.due + self.linger).min()
    }

    /// Closes what is due.
    pub(crate) fn close_due(&mut self, now: Instant) -> Vec<Entry> {
        let linger = self.linger;
        let due = |open: &&mut Open| open.members.first().is_some_and(|first| first.due + linger <= now);
        self.open.values_mut().filter(due).filter_map(Open::close).collect()
    }

    /// Closes all.
    pub(crate) fn close_all(&mut self) -> Vec<Entry> {
        self.open.values_mut().filter_map(Open::close).collect()
    }

    /// Packs anew after the shards have changed: `waiting`, which may be aggregates, and what is open, in the order in
    /// which they were offered.
    pub(crate) fn repack(&mut self, shards: ShardMap, waiting: Vec<Entry>, out: &mut Vec<Entry>) {
        let open = std::mem::take(&mut self.open).into_values().flat_map(|open| open.members);
        let mut all: Vec<Entry> = waiting.into_iter().flat_map(Entry::unpack).chain(open).collect();
        all.sort_by_key(|entry| entry.number);
        self.shards = shards;
        self.add(all, out);
    }
}

impl Open {
    fn new(range: HashKeyRange, limit_bytes: usize) -> Self {
        Self { range, first: 0, aggregator: Aggregator::new(limit_bytes), members: Vec::new() }
    }

    fn add(&mut self, mut entry: Entry, hash_key: u128, out: &mut Vec<Entry>) {
        // What goes to one shard stays in order, in aggregates or not.
        entry.order = order(self.range);
        if !self.aggregator.try_add(&entry.key, None, &entry.data) {
            out.extend(self.close());
            if !self.aggregator.try_add(&entry.key, None, &entry.data) {
                out.push(entry);
                return;
            }
        }
        if self.members.is_empty() {
            self.first = hash_key;
        }
        self.members.push(entry);
    }

    fn close(&mut self) -> Option<Entry> {
        let data = self.aggregator.finish()?;
        let mut members = std::mem::take(&mut self.members);
        if members.len() == 1 {
            return members.pop();
        }
        let first = members.first()?;
        Some(
            Entry {
                data,
                key: PARTITION_KEY.into(),
                explicit_hash_key: Some(self.first),
                attempts: members.iter().map(|member| member.attempts).max().unwrap_or(0),
                range: Some(self.range),
                ..first.clone()
            }
            .packing(members),
        )
    }
}

/// What the records of a shard are kept in order by.
fn order(range: HashKeyRange) -> u64 {
    let (high, low) = (range.start >> 64, range.start & u128::from(u64::MAX));
    u64::try_from(high ^ low).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::fixture::entry;
    use crate::shards::fixture::shards;
    use alluvial_record::aggregate::{Decoded, decode};

    const LINGER: Duration = Duration::from_millis(20);

    /// The user records of an entry: partition key and bytes.
    fn contents(entry: &Entry) -> Vec<(String, usize)> {
        match decode(&entry.data) {
            Decoded::Aggregate(all) => all.records().map(|r| (r.partition_key.to_string(), r.data.len())).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn aggregates_hold_one_shard_each_and_are_put_where_it_is() {
        let (map, now) = (shards(&[0, 1 << 126, 1 << 127]), Instant::now());
        let mut packer = Packer::new(map.clone(), 51_200, LINGER);
        let mut out = Vec::new();
        packer.add((0..200).map(|n| entry(n, &format!("key-{}", n % 50), 10, now)).collect(), &mut out);
        assert!(out.is_empty());
        assert_eq!(packer.due(), Some(now + LINGER));
        assert!(packer.close_due(now).is_empty());
        let closed = packer.close_due(now + LINGER);
        assert_eq!((closed.len(), packer.due()), (3, None));
        for aggregate in &closed {
            let range = aggregate.range.unwrap();
            assert!(range.contains(aggregate.explicit_hash_key.unwrap()));
            assert_eq!(&*aggregate.key, "a");
            let contents = contents(aggregate);
            assert!(contents.iter().all(|(key, _)| map.place(key).0 == range));
            let members: Vec<_> = aggregate.packed.iter().map(|m| (m.key.to_string(), m.data.len())).collect();
            assert_eq!(contents, members, "the sub-sequence number of a record is its place");
        }
        assert_eq!(closed.iter().map(Entry::records).sum::<u64>(), 200);
    }

    #[test]
    fn a_record_that_is_alone_or_too_large_is_put_as_it_is_and_in_its_turn() {
        let now = Instant::now();
        let mut packer = Packer::new(shards(&[0]), 1_000, LINGER);
        let mut out = Vec::new();
        packer.add(vec![entry(0, "k", 10, now), entry(1, "k", 2_000, now), entry(2, "k", 10, now)], &mut out);
        assert_eq!(out.iter().map(|entry| entry.number).collect::<Vec<_>>(), [0, 1]);
        assert!(out.iter().all(|entry| entry.packed.is_empty() && &*entry.key == "k" && entry.records() == 1));
        packer.add((3..200).map(|number| entry(number, "k", 10, now)).collect(), &mut out);
        assert!(out[2..].iter().all(|full| (980..=1_000).contains(&full.data.len())), "filled to the limit");
        assert!(out.iter().all(|entry| entry.order == out[0].order));
    }

    #[test]
    fn after_a_split_what_waits_is_packed_anew_in_the_order_it_was_offered_in() {
        let now = Instant::now();
        let mut packer = Packer::new(shards(&[0]), 51_200, LINGER);
        let mut out = Vec::new();
        packer.add((0..40).map(|n| entry(n, &format!("key-{}", n % 9), 10, now)).collect(), &mut out);
        let mut waiting = packer.close_all();
        waiting[0].attempts = 3;
        packer.add((40..60).map(|n| entry(n, &format!("key-{}", n % 9), 10, now)).collect(), &mut out);
        let map = shards(&[0, 1 << 127]);
        packer.repack(map.clone(), waiting, &mut out);
        let closed = packer.close_all();
        assert_eq!((closed.len(), out.len()), (2, 0));
        for aggregate in &closed {
            assert_eq!(aggregate.attempts, 3);
            assert!(aggregate.packed.is_sorted_by_key(|member| member.number));
            assert!(aggregate.packed.iter().all(|member| map.place(&member.key).0 == aggregate.range.unwrap()));
        }
        assert_eq!(closed.iter().map(Entry::records).sum::<u64>(), 60);
    }
}
