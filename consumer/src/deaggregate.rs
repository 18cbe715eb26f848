//! The records of an event → the records that are handed out: aggregates split up, what was passed before left out. Pure.

use crate::feed::{Kind, Record};
use alluvial_record::aggregate::{Aggregate, Decoded, MAGIC, decode_all};
use alluvial_record::{HashKeyRange, Position};

/// How the records of a shard are treated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// [`crate::Settings::deaggregate`].
    pub(crate) split: bool,
    /// The hash keys of the shard, where its lease says them. User records with others were put again by the Kinesis
    /// Producer Library, to the shard where they belong. Without, all are handed out.
    pub(crate) hash_keys: Option<HashKeyRange>,
}

/// What is handed out of an event.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    /// In order.
    pub(crate) records: Vec<Record>,
    /// Bytes of their payload and keys.
    pub(crate) payload_bytes: usize,
    /// Memory that they keep: an aggregate counts once and whole as long as one of its user records is handed out, and
    /// each record, which may be smaller than its own place in the list, counts for that place too.
    pub(crate) held_bytes: usize,
    /// User records left out because their hash keys are not those of the shard.
    pub(crate) misplaced: u64,
    /// The last place in the event beyond what was passed before, handed out or not.
    pub(crate) last: Option<Position>,
}

/// Takes the `records` of an event, in order. Nothing at `passed` or before is handed out.
///
/// A position within an aggregate is that of a user record, as the Kinesis Client Library counts: a checkpoint there is
/// resumed right after it. An aggregate that is handed out whole has the position of its last user record, so that the
/// checkpoint after it is the same whether it was split or not.
pub(crate) fn admit(mut records: Vec<Record>, rules: Rules, passed: Option<Position>) -> Admitted {
    // Before anything is read: a subscription from a checkpoint begins with what was passed.
    records.retain(|record| passed.is_none_or(|passed| record.position.sequence >= passed.sequence));
    let mut admitted = Admitted::default();
    let packed = |record: &&Record| record.data.starts_with(&MAGIC);
    let mut decoded = decode_all(records.iter().filter(packed).map(|record| &record.data)).into_iter();
    admitted.records.reserve(records.len());
    for mut record in records {
        let decoded = if packed(&&record) { decoded.next() } else { None };
        match decoded.unwrap_or(Decoded::NotAggregated) {
            Decoded::Aggregate(aggregate) if rules.split => {
                admitted.split(&record, &aggregate, rules.hash_keys, passed)
            }
            Decoded::Aggregate(aggregate) => {
                record.kind = Kind::Aggregate;
                record.position.sub_sequence = last_index(&aggregate);
                admitted.push(record, passed);
            }
            Decoded::Corrupt(corruption) => {
                record.kind = Kind::Corrupt(corruption);
                admitted.push(record, passed);
            }
            Decoded::NotAggregated => admitted.push(record, passed),
        }
    }
    admitted
}

fn last_index(aggregate: &Aggregate) -> u64 {
    u64::try_from(aggregate.len()).unwrap_or(u64::MAX).saturating_sub(1)
}

impl Admitted {
    fn push(&mut self, record: Record, passed: Option<Position>) {
        if passed.is_none_or(|passed| record.position > passed) {
            let bytes = record.data.len() + record.partition_key.len();
            self.payload_bytes += bytes;
            self.held_bytes += bytes + size_of::<Record>();
            self.last = Some(record.position);
            self.records.push(record);
        }
    }

    fn split(&mut self, whole: &Record, aggregate: &Aggregate, range: Option<HashKeyRange>, passed: Option<Position>) {
        let at = |sub_sequence| Position { sequence: whole.position.sequence, sub_sequence };
        let fresh = |index| passed.is_none_or(|passed| at(index) > passed);
        let last = last_index(aggregate);
        if !fresh(last) {
            return;
        }
        let before = self.records.len();
        let users = aggregate.records_within(range.unwrap_or(HashKeyRange::ALL)).filter(|user| fresh(user.index));
        for user in users {
            self.payload_bytes += user.data.len() + user.partition_key.len();
            self.records.push(Record {
                position: at(user.index),
                partition_key: user.partition_key,
                data: user.data,
                arrived_millis: whole.arrived_millis,
                kind: Kind::User,
            });
        }
        let kept = self.records.len() - before;
        if kept > 0 {
            self.held_bytes += whole.data.len() + kept * size_of::<Record>();
        }
        let done = passed.filter(|passed| passed.sequence == whole.position.sequence);
        let first = done.map_or(0, |passed| passed.sub_sequence.saturating_add(1));
        let all = if aggregate.is_empty() { 0 } else { (last + 1).saturating_sub(first) };
        self.misplaced += all.saturating_sub(u64::try_from(kept).unwrap_or(u64::MAX));
        self.last = Some(at(last));
    }
}

#[cfg(test)]
mod tests;
