//! What a shard takes and gives in a second, and what each fan-out consumer gets of it besides.
//!
//! Source of all rates: <https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html>.

use super::bucket::{Bucket, Overdraft};
use super::wire;
use crate::api::{ACCOUNT, ApiError};
use std::time::Duration;

/// The code of the error for a shard that is asked too much.
pub(crate) const EXCEEDED: &str = "ProvisionedThroughputExceededException";

/// Bytes of partition keys and data into a shard, a second: 1 MiB.
const BYTES_IN: u32 = 1 << 20;

/// Records into a shard, a second.
const RECORDS_IN: u32 = 1_000;

/// Bytes out of a shard by GetRecords, a second, for all its readers: 2 MiB.
const BYTES_OUT: u32 = 2 << 20;

/// GetRecords calls on a shard, a second, for all its readers.
const READS: u32 = 5;

/// GetShardIterator calls on a shard, a second.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetShardIterator.html>.
const ITERATORS: u32 = 5;

/// Bytes out of a shard to one fan-out consumer, a second: 2 MiB.
const FAN_OUT_BYTES: u32 = 2 << 20;

/// SubscribeToShard calls of one consumer on one shard, a second.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html>.
const SUBSCRIPTIONS: u32 = 1;

/// What is left of a shard's second.
#[derive(Debug)]
pub(crate) struct ShardMeter {
    bytes_in: Bucket,
    records_in: Bucket,
    bytes_out: Overdraft,
    reads: Bucket,
    iterators: Bucket,
}

/// What is left of one consumer's second on one shard.
#[derive(Debug)]
pub(crate) struct FanOutMeter {
    bytes: Bucket,
    subscriptions: Bucket,
}

impl ShardMeter {
    /// The meter of a shard that was left alone for a second.
    pub(crate) fn full(now_millis: u64) -> Self {
        Self {
            bytes_in: Bucket::full(BYTES_IN, now_millis),
            records_in: Bucket::full(RECORDS_IN, now_millis),
            bytes_out: Overdraft::full(BYTES_OUT, now_millis),
            reads: Bucket::full(READS, now_millis),
            iterators: Bucket::full(ITERATORS, now_millis),
        }
    }

    /// Lets a record of so many bytes in, or not.
    pub(crate) fn put(&mut self, now_millis: u64, bytes: u64) -> bool {
        self.records_in.has(now_millis, 1)
            && self.bytes_in.take(now_millis, bytes).is_ok()
            && self.records_in.take(now_millis, 1).is_ok()
    }

    /// Lets a GetRecords that found so many bytes have them, or not. One that finds 10 MiB closes the shard for five seconds.
    pub(crate) fn read(&mut self, now_millis: u64, bytes: u64) -> bool {
        let passes = self.bytes_out.is_open(now_millis) && self.reads.take(now_millis, 1).is_ok();
        if passes {
            self.bytes_out.charge(now_millis, bytes);
        }
        passes
    }

    /// Lets a GetShardIterator pass, or not.
    pub(crate) fn iterator(&mut self, now_millis: u64) -> bool {
        self.iterators.take(now_millis, 1).is_ok()
    }
}

impl FanOutMeter {
    /// The meter of a consumer that left the shard alone for a second.
    pub(crate) fn full(now_millis: u64) -> Self {
        Self { bytes: Bucket::full(FAN_OUT_BYTES, now_millis), subscriptions: Bucket::full(SUBSCRIPTIONS, now_millis) }
    }

    /// Lets a SubscribeToShard pass, or not.
    pub(crate) fn subscribe(&mut self, now_millis: u64) -> bool {
        self.subscriptions.take(now_millis, 1).is_ok()
    }

    /// Lets an event of so many bytes out.
    ///
    /// # Errors
    /// How long it has to wait.
    pub(crate) fn send(&mut self, now_millis: u64, bytes: u64) -> Result<(), Duration> {
        self.bytes.take(now_millis, bytes)
    }
}

/// The error for a shard that is asked too much.
pub(crate) fn exceeded(shard: u32, stream: &str) -> ApiError {
    let shard = wire::shard_id(shard);
    ApiError::client(EXCEEDED, format!("Rate exceeded for shard {shard} in stream {stream} under account {ACCOUNT}."))
}
