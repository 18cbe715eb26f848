//! The conservation ledger: in = delivered + filtered + dead-lettered + abandoned + in flight, for every shard. A difference is a bug.

use alluvial_record::ShardId;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The longest latency that is told apart: an hour.
const LONGEST_MILLIS: u64 = 3_600_000;

/// Counts of records of one shard.
#[derive(Debug)]
pub struct ShardLedger {
    /// Records of all shards that are done; says so to those who wait.
    settled: watch::Sender<u64>,
    received: AtomicU64,
    delivered: AtomicU64,
    filtered: AtomicU64,
    dead_lettered: AtomicU64,
    abandoned: AtomicU64,
}

/// A reading of the ledger, in records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Taken from the consumer.
    pub received: u64,
    /// Accepted by the sink.
    pub delivered: u64,
    /// Dropped by a filter.
    pub filtered: u64,
    /// In the dead-letter store.
    pub dead_lettered: u64,
    /// Given up without any of these, because the lease was lost or draining took too long. Not checkpointed: the next
    /// owner of the shard reads them again.
    pub abandoned: u64,
}

impl Counts {
    /// Records that are none of delivered, filtered, dead-lettered and abandoned yet. After a drain it is 0.
    pub fn in_flight(&self) -> u64 {
        self.received.saturating_sub(self.delivered + self.filtered + self.dead_lettered + self.abandoned)
    }
}

impl ShardLedger {
    fn new(settled: watch::Sender<u64>) -> Self {
        let zero = AtomicU64::default;
        Self {
            settled,
            received: zero(),
            delivered: zero(),
            filtered: zero(),
            dead_lettered: zero(),
            abandoned: zero(),
        }
    }

    fn settle(&self, counter: &AtomicU64, records: u64) {
        counter.fetch_add(records, Ordering::Relaxed);
        self.settled.send_modify(|settled| *settled += records);
    }

    pub(crate) fn receive(&self, records: u64) {
        self.received.fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn deliver(&self, records: u64) {
        self.settle(&self.delivered, records);
    }

    pub(crate) fn filter(&self, records: u64) {
        self.settle(&self.filtered, records);
    }

    pub(crate) fn dead_letter(&self, records: u64) {
        self.settle(&self.dead_lettered, records);
    }

    /// Gives up what is in flight; returns how many records that were. Called once nothing of the shard is counted any more.
    pub(crate) fn abandon(&self) -> u64 {
        let rest = self.counts().in_flight();
        self.abandoned.fetch_add(rest, Ordering::Relaxed);
        rest
    }

    /// The counts now. What is done is read before what came in, so that no more is done than came.
    pub fn counts(&self) -> Counts {
        let (delivered, filtered, dead_lettered) = (
            self.delivered.load(Ordering::Relaxed),
            self.filtered.load(Ordering::Relaxed),
            self.dead_lettered.load(Ordering::Relaxed),
        );
        let abandoned = self.abandoned.load(Ordering::Relaxed);
        Counts { received: self.received.load(Ordering::Relaxed), delivered, filtered, dead_lettered, abandoned }
    }
}

/// Time from the arrival of a record in Kinesis to its acceptance by the sink, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Latency {
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

/// What was sent to the sink.
#[derive(Debug, Default)]
struct Sent {
    records: AtomicU64,
    bytes: AtomicU64,
    billed_bytes: AtomicU64,
    billed_bytes_unpacked: AtomicU64,
    row_bytes: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    shards: Mutex<BTreeMap<ShardId, Arc<ShardLedger>>>,
    latency: Mutex<Histogram<u64>>,
    sent: Sent,
    settled: watch::Sender<u64>,
}

/// The ledger of a pipeline. Clones share it.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<Inner>);

impl Default for Ledger {
    fn default() -> Self {
        let latency = Histogram::new_with_max(LONGEST_MILLIS, 3)
            .unwrap_or_else(|error| unreachable!("three digits up to an hour are a valid range: {error}"));
        Self(Arc::new(Inner {
            shards: Mutex::default(),
            latency: Mutex::new(latency),
            sent: Sent::default(),
            settled: watch::Sender::new(0),
        }))
    }
}

impl Ledger {
    pub(crate) fn shard(&self, shard: &ShardId) -> Arc<ShardLedger> {
        let mut shards = self.0.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let ledger = || Arc::new(ShardLedger::new(self.0.settled.clone()));
        Arc::clone(shards.entry(shard.clone()).or_insert_with(ledger))
    }

    /// The counts of each shard.
    pub fn shards(&self) -> Vec<(ShardId, Counts)> {
        let shards = self.0.shards.lock().unwrap_or_else(PoisonError::into_inner);
        shards.iter().map(|(shard, ledger)| (shard.clone(), ledger.counts())).collect()
    }

    /// The counts of all shards together.
    pub fn total(&self) -> Counts {
        self.shards().iter().fold(Counts::default(), |sum, (_, counts)| Counts {
            received: sum.received + counts.received,
            delivered: sum.delivered + counts.delivered,
            filtered: sum.filtered + counts.filtered,
            dead_lettered: sum.dead_lettered + counts.dead_lettered,
            abandoned: sum.abandoned + counts.abandoned,
        })
    }

    /// Records that are delivered, filtered or dead-lettered, over all shards; the receiver wakes at every change.
    pub fn settled(&self) -> watch::Receiver<u64> {
        self.0.settled.subscribe()
    }

    /// Latency of the records delivered so far.
    pub fn latency(&self) -> Latency {
        let latency = self.0.latency.lock().unwrap_or_else(PoisonError::into_inner);
        Latency { p50: latency.value_at_quantile(0.5), p99: latency.value_at_quantile(0.99), max: latency.max() }
    }

    pub(crate) fn record_latency(&self, millis: u64, records: u64) {
        let mut latency = self.0.latency.lock().unwrap_or_else(PoisonError::into_inner);
        latency.saturating_record_n(millis, records);
    }

    /// Counts one record that the sink accepted; `billed_bytes_unpacked` is what its rows would have cost one by one.
    pub(crate) fn count_sent(&self, bytes: u64, billed_bytes: u64, row_bytes: u64, billed_bytes_unpacked: u64) {
        let sent = &self.0.sent;
        sent.records.fetch_add(1, Ordering::Relaxed);
        sent.bytes.fetch_add(bytes, Ordering::Relaxed);
        sent.billed_bytes.fetch_add(billed_bytes, Ordering::Relaxed);
        sent.row_bytes.fetch_add(row_bytes, Ordering::Relaxed);
        sent.billed_bytes_unpacked.fetch_add(billed_bytes_unpacked, Ordering::Relaxed);
    }

    /// Records (gzip members) that the sink accepted.
    pub fn sink_records(&self) -> u64 {
        self.0.sent.records.load(Ordering::Relaxed)
    }

    /// Their bytes.
    pub fn sink_bytes(&self) -> u64 {
        self.0.sent.bytes.load(Ordering::Relaxed)
    }

    /// Bytes of the rows in them, before compression.
    pub fn row_bytes(&self) -> u64 {
        self.0.sent.row_bytes.load(Ordering::Relaxed)
    }

    /// Bytes that Firehose bills for them.
    pub fn billed_bytes(&self) -> u64 {
        self.0.sent.billed_bytes.load(Ordering::Relaxed)
    }

    /// Bytes that Firehose would bill for one uncompressed record per row.
    pub fn billed_bytes_unpacked(&self) -> u64 {
        self.0.sent.billed_bytes_unpacked.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_in_is_delivered_filtered_dead_lettered_or_in_flight() {
        let ledger = Ledger::default();
        let (a, b) = (ledger.shard(&"a".into()), ledger.shard(&"b".into()));
        a.receive(10);
        a.deliver(4);
        a.filter(3);
        b.receive(5);
        b.dead_letter(1);
        let total = ledger.total();
        assert_eq!((total.received, total.in_flight()), (15, 7));
        assert_eq!((a.abandon(), ledger.total().in_flight()), (3, 4));
        assert_eq!(total.received, total.delivered + total.filtered + total.dead_lettered + total.in_flight());
    }

    #[test]
    fn latency_is_weighted_by_records() {
        let ledger = Ledger::default();
        ledger.record_latency(10, 98);
        ledger.record_latency(500, 2);
        let latency = ledger.latency();
        assert_eq!((latency.p50, latency.p99, latency.max), (10, 500, 500));
    }
}
