//! What a run tells about itself while it goes on.

use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A record that Kinesis accepted, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The shard that took it, such as `shardId-000000000000`.
    pub shard: Arc<str>,
    /// Its sequence number there, in decimal.
    pub sequence_number: String,
    /// Its place within an aggregate, from 0; 0 for a plain record.
    pub sub_sequence: u64,
    /// The [`crate::partition_key_hash`] of its partition key.
    pub partition_key_hash: u64,
    /// The number of the record in the run, from 0; for an input, the number of its line, from 1. Of two records
    /// with one partition key, the one with the smaller number was offered first.
    pub number: u64,
    /// Bytes of data, without the key.
    pub bytes: u32,
    /// Calls that carried it; above 1, it was refused or unanswered before.
    pub attempts: u32,
    /// The wall clock when the record was made.
    pub offered_at: SystemTime,
    /// The wall clock when the answer to its call arrived.
    pub accepted_at: SystemTime,
}

/// A record that was not offered to the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejection {
    /// The number of its line, from 1; for a template, the number of the record, from 0.
    pub line: u64,
    /// Its size.
    pub bytes: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// Counts since the start. They only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Time since the first record was due.
    pub elapsed: Duration,
    /// Records handed to the lanes.
    pub offered: u64,
    /// Records in the stream.
    pub accepted: u64,
    /// Their data, without keys.
    pub bytes: u64,
    /// Kinesis records that hold them: fewer, with aggregates.
    pub kinesis_records: u64,
    /// PutRecords calls that were answered or given up.
    pub calls: u64,
    /// Records that were put into a further call.
    pub retried_entries: u64,
    /// Refusals for want of throughput, one for each record and call.
    pub throttled_entries: u64,
    /// Of the retried, those whose call got no answer: they may be in the stream twice.
    pub unknown_outcome_retries: u64,
    /// Records that overtook an earlier one of their key, because Kinesis refused that one in the same call.
    pub reordered_by_retry: u64,
    /// Records given up.
    pub lost: u64,
    /// Records that cannot be put at all: too large, or without a key.
    pub rejected: u64,
    /// Records offered more than 10 ms after they were due.
    pub late_starts: u64,
}

/// Receives what happens in a run. Called from the tasks that put records: implementations return at once.
pub trait Observer: Send + Sync + 'static {
    /// The records of one call that were accepted, in the order of the call. Calls with records of one partition
    /// key are reported in the order in which they were made.
    fn accepted(&self, _batch: Vec<Accepted>) {}

    /// A record that cannot be put.
    fn rejected(&self, _rejection: &Rejection) {}

    /// Once a second.
    fn progress(&self, _progress: &Progress) {}
}

/// Observes nothing.
impl Observer for () {}

impl<O: Observer> Observer for Arc<O> {
    fn accepted(&self, batch: Vec<Accepted>) {
        O::accepted(self, batch);
    }

    fn rejected(&self, rejection: &Rejection) {
        O::rejected(self, rejection);
    }

    fn progress(&self, progress: &Progress) {
        O::progress(self, progress);
    }
}
