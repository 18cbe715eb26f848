//! Counts that every task adds to, and histograms that each lane keeps for itself until the end.

use crate::observe::Progress;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A count that tasks share. Relaxed: nothing is ordered by it.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        if more > 0 {
            self.0.fetch_add(more, Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counts of [`Progress`] while they grow.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) offered: Count,
    pub(crate) accepted: Count,
    pub(crate) bytes: Count,
    pub(crate) kinesis_records: Count,
    pub(crate) calls: Count,
    pub(crate) retried: Count,
    pub(crate) throttled: Count,
    pub(crate) unknown: Count,
    pub(crate) reordered: Count,
    pub(crate) lost: Count,
    pub(crate) rejected: Count,
    pub(crate) late: Count,
}

impl Counts {
    pub(crate) fn progress(&self, elapsed: Duration) -> Progress {
        Progress {
            elapsed,
            offered: self.offered.get(),
            accepted: self.accepted.get(),
            bytes: self.bytes.get(),
            kinesis_records: self.kinesis_records.get(),
            calls: self.calls.get(),
            retried_entries: self.retried.get(),
            throttled_entries: self.throttled.get(),
            unknown_outcome_retries: self.unknown.get(),
            reordered_by_retry: self.reordered.get(),
            lost: self.lost.get(),
            rejected: self.rejected.get(),
            late_starts: self.late.get(),
        }
    }
}

/// Times in microseconds, with 3 significant digits.
#[derive(Debug, Clone)]
pub(crate) struct Times(Histogram<u64>);

impl Times {
    /// Longer times count as this one: 1 hour.
    const MAX_MICROS: u64 = 3_600_000_000;

    pub(crate) fn new() -> Self {
        // Fails only for bounds out of order or digits above 5; these are constants.
        Self(Histogram::new_with_bounds(1, Self::MAX_MICROS, 3).expect("constant bounds"))
    }

    /// Adds `time` for each of `count` records.
    pub(crate) fn record(&mut self, time: Duration, count: u64) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record_n(micros.max(1), count);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        // Fails only for histograms of other bounds; all have the same.
        self.0.add(&other.0).expect("equal bounds");
    }

    /// The time that a share `quantile` of the records did not exceed, in milliseconds; 0 without records.
    pub(crate) fn millis(&self, quantile: f64) -> f64 {
        millis(self.0.value_at_quantile(quantile))
    }

    /// The longest time, in milliseconds.
    pub(crate) fn max_millis(&self) -> f64 {
        millis(self.0.max())
    }
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

/// What one lane measured.
#[derive(Debug)]
pub(crate) struct Measured {
    /// From when a record was due until its acceptance was known.
    pub(crate) latency: Times,
    /// From the start of the call that was accepted until its answer.
    pub(crate) service: Times,
    /// Accepted records by shard.
    pub(crate) shards: BTreeMap<String, u64>,
}

impl Measured {
    pub(crate) fn new() -> Self {
        Self { latency: Times::new(), service: Times::new(), shards: BTreeMap::new() }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.latency.merge(&other.latency);
        self.service.merge(&other.service);
        for (shard, count) in &other.shards {
            *self.shards.entry(shard.clone()).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_merge_into_one_measure() {
        let lane = |millis, shard: &str| {
            let mut lane = Measured::new();
            lane.latency.record(Duration::from_millis(millis), 50);
            lane.shards.insert(shard.to_owned(), 50);
            lane
        };
        let mut all = lane(10, "a");
        all.merge(&lane(90, "b"));
        all.merge(&lane(90, "a"));
        assert_eq!(all.shards, BTreeMap::from([("a".to_owned(), 100), ("b".to_owned(), 50)]));
        assert!((all.latency.millis(0.3) - 10.0).abs() < 0.1);
        assert!((all.latency.millis(0.5) - 90.0).abs() < 0.1);
    }

    #[test]
    fn a_time_out_of_range_counts_as_the_longest() {
        let mut times = Times::new();
        assert!(times.max_millis() < 0.001);
        times.record(Duration::from_secs(36_000), 1);
        assert!((times.max_millis() - 3_600_000.0).abs() < 3_600.0);
    }
}
