//! Which records the next PutRecords call of a lane carries, and what becomes of them. Pure.
//!
//! The rules: a call keeps Kinesis's limits; records of one key are sent in the order they were offered; a record
//! that was refused goes first in the next call, and while one of a key is being repeated, newer records of that
//! key wait. What this cannot prevent is Kinesis accepting a record and refusing an earlier one of the same key
//! *within* one call ("PutRecords doesn't guarantee the ordering of records"): those are counted as reordered.
//! An aggregate goes as one record does, in order with all others of its shard, and counts for all of its records.

use crate::entry::Entry;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// What one PutRecords call may carry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Records in a call.
    pub(crate) records: usize,
    /// Data and keys of a call, before base64. One record that is larger travels alone.
    pub(crate) bytes: usize,
}

impl Limits {
    /// 500 records and 5 MiB, which every stream takes. A stream that allows records above 5 MiB takes such a one
    /// in a call of its own.
    ///
    /// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html>.
    pub(crate) const KINESIS: Self = Self { records: 500, bytes: 5 * 1_024 * 1_024 };
}

/// What a call did with one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is in the stream.
    Accepted { shard: String, sequence_number: String },
    /// Refused for want of throughput; it is not in the stream.
    Throttled,
    /// Refused for another reason that may pass; it is not in the stream.
    Failed,
    /// No answer came: it may be in the stream.
    Unknown,
}

/// An accepted record and its place.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) entry: Entry,
    pub(crate) shard: String,
    pub(crate) sequence_number: String,
}

/// The outcome of a call.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// In the order of the call.
    pub(crate) accepted: Vec<Placed>,
    /// Out of attempts.
    pub(crate) lost: Vec<Entry>,
    /// Go again with the next call.
    pub(crate) retried: u64,
    /// Of all refused, those for want of throughput.
    pub(crate) throttled: u64,
    /// Of the retried, those that may be in the stream already.
    pub(crate) unknown: u64,
    /// Accepted while an earlier record of the same key was refused and goes again.
    pub(crate) reordered: u64,
}

/// When a call is worth making.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Nothing waits.
    Empty,
    /// Now.
    Ready,
    /// At this time, unless it fills up before.
    At(Instant),
}

/// The records of one lane that wait for a call, oldest first.
#[derive(Debug)]
pub(crate) struct Batcher {
    limits: Limits,
    linger: Duration,
    queue: VecDeque<Entry>,
    queued_bytes: usize,
    /// So many at the front were refused by the last call; at most what fits one call.
    refused: usize,
}

impl Batcher {
    pub(crate) fn new(limits: Limits, linger: Duration) -> Self {
        Self { limits, linger, queue: VecDeque::new(), queued_bytes: 0, refused: 0 }
    }

    /// Adds newly offered records at the end.
    pub(crate) fn extend(&mut self, entries: Vec<Entry>) {
        self.queued_bytes += entries.iter().map(Entry::wire_bytes).sum::<usize>();
        self.queue.extend(entries);
    }

    /// A call is made when it is full, when records must be repeated, or when the oldest is `linger` past due.
    pub(crate) fn readiness(&self, now: Instant) -> Readiness {
        let Some(oldest) = self.queue.front() else { return Readiness::Empty };
        let full = self.queue.len() >= self.limits.records || self.queued_bytes >= self.limits.bytes;
        let at = oldest.due + self.linger;
        if full || self.refused > 0 || at <= now { Readiness::Ready } else { Readiness::At(at) }
    }

    /// Takes the records of the next call; empty only when nothing waits.
    pub(crate) fn take(&mut self) -> Vec<Entry> {
        let mut batch: Vec<Entry> = self.queue.drain(..self.refused.min(self.queue.len())).collect();
        self.refused = 0;
        let held: HashSet<u64> = batch.iter().map(|entry| entry.order).collect();
        let mut bytes: usize = batch.iter().map(Entry::wire_bytes).sum();
        let mut kept = Vec::new();
        while batch.len() < self.limits.records {
            let Some(next) = self.queue.pop_front() else { break };
            if held.contains(&next.order) {
                kept.push(next);
            } else if batch.is_empty() || bytes + next.wire_bytes() <= self.limits.bytes {
                bytes += next.wire_bytes();
                batch.push(next);
            } else {
                kept.push(next);
                break;
            }
        }
        for entry in kept.into_iter().rev() {
            self.queue.push_front(entry);
        }
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
        batch
    }

    /// Sorts the records of a call by what became of them; the refused go to the front again, in their order.
    /// A record without a verdict counts as [`Verdict::Unknown`].
    pub(crate) fn settle(&mut self, batch: Vec<Entry>, verdicts: Vec<Verdict>, max_attempts: u32) -> Settled {
        let mut settled = Settled::default();
        let mut again: Vec<Entry> = Vec::new();
        let mut overtaken: HashSet<u64> = HashSet::new();
        let verdicts = verdicts.into_iter().chain(std::iter::repeat(Verdict::Unknown));
        for (mut entry, verdict) in batch.into_iter().zip(verdicts) {
            entry.attempts += 1;
            let unknown = verdict == Verdict::Unknown;
            let records = entry.records();
            settled.throttled += if verdict == Verdict::Throttled { records } else { 0 };
            if let Verdict::Accepted { shard, sequence_number } = verdict {
                let reordered = !overtaken.is_empty() && overtaken.contains(&entry.order);
                settled.reordered += if reordered { records } else { 0 };
                settled.accepted.push(Placed { entry, shard, sequence_number });
            } else if entry.attempts >= max_attempts {
                settled.lost.push(entry);
            } else {
                settled.retried += records;
                settled.unknown += if unknown { records } else { 0 };
                overtaken.insert(entry.order);
                again.push(entry);
            }
        }
        self.refused = again.len();
        self.queued_bytes += again.iter().map(Entry::wire_bytes).sum::<usize>();
        for entry in again.into_iter().rev() {
            self.queue.push_front(entry);
        }
        settled
    }

    /// Gives up on all that waits.
    pub(crate) fn abandon(&mut self) -> Vec<Entry> {
        self.refused = 0;
        self.queued_bytes = 0;
        std::mem::take(&mut self.queue).into()
    }
}

#[cfg(test)]
mod tests;
