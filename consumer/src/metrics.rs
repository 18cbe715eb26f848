//! Metrics, by the `metrics` facade: the list of them, and what writes them.
//!
//! Counters and gauges are copied from the status of the shards now and then, so that the hot path knows nothing of them.

use crate::application::Status;
use crate::feed::ShardName;
use crate::lag::ShardLag;
use crate::status::{ShardState, ShardStatus};
use alluvial_record::ShardId;
use metrics::{Label, Unit};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Time between two looks at the status; scrapers look every 10 to 60 s.
pub(crate) const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows, from the start of the process on.
    Counter,
    /// The value now.
    Gauge,
    /// A distribution.
    Histogram,
}

/// One metric of the list.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The name.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// What its values are.
    pub unit: Unit,
    /// Names of its labels. The label `shard` is there unless it was switched off, see [`crate::ConsumerBuilder::shard_label`].
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

const SHARD: &[&str] = &["application", "stream", "shard"];
const STREAM: &[&str] = &["application", "stream"];
const APPLICATION: &[&str] = &["application"];

macro_rules! metric_list {
    ($($id:ident = $name:literal, $kind:ident, $unit:ident, $labels:ident, $help:literal;)*) => {
        $(const $id: Metric = Metric {
            name: $name, kind: MetricKind::$kind, unit: Unit::$unit, labels: $labels, help: $help,
        };)*
        /// Every metric of this crate; `docs/metrics.md` is the same list.
        pub const METRICS: &[Metric] = &[$($id),*];
    };
}

metric_list! {
    RECORDS = "alluvial_consumer_records_total", Counter, Count, SHARD, "Records handed out.";
    BYTES = "alluvial_consumer_bytes_total", Counter, Bytes, SHARD, "Payload and keys handed out.";
    ACKNOWLEDGED = "alluvial_consumer_acknowledged_records_total", Counter, Count, SHARD, "Records done without a hole before them.";
    MISPLACED = "alluvial_consumer_misplaced_records_total", Counter, Count, SHARD, "User records left out of aggregates because they belong to another shard.";
    LOSSES = "alluvial_consumer_losses_total", Counter, Count, STREAM, "Ranges of records that passed out of retention before they were read.";
    SUBSCRIPTIONS = "alluvial_consumer_subscriptions_total", Counter, Count, SHARD, "Subscriptions opened.";
    SUBSCRIPTION_ENDS = "alluvial_consumer_subscription_ends_total", Counter, Count, REASON, "Subscriptions and attempts at them that ended, by reason.";
    PROCESSED = "alluvial_consumer_processed_records_total", Counter, Count, SHARD, "Records that the processor took.";
    ERRORS = "alluvial_consumer_process_errors_total", Counter, Count, SHARD, "Calls of the processor that failed.";
    DEAD_LETTERED = "alluvial_consumer_dead_lettered_records_total", Counter, Count, SHARD, "Records stored as dead letters.";
    SKIPPED = "alluvial_consumer_skipped_records_total", Counter, Count, SHARD, "Records passed over because the policy says so.";
    TIP_LAG = "alluvial_consumer_tip_lag_seconds", Gauge, Seconds, SHARD, "How far the reading is behind the tip; 0 for a shard that is not read.";
    OLDEST = "alluvial_consumer_oldest_unacknowledged_age_seconds", Gauge, Seconds, SHARD, "Age of the oldest record that is handed out and not acknowledged; 0 when there is none.";
    STATES = "alluvial_consumer_shards", Gauge, Count, STATE, "Shards in each state.";
    MAX_TIP_LAG = "alluvial_consumer_max_tip_lag_seconds", Gauge, Seconds, APPLICATION, "The highest tip lag of the shards of this worker.";
    MAX_OLDEST = "alluvial_consumer_max_oldest_unacknowledged_age_seconds", Gauge, Seconds, APPLICATION, "The highest age of the shards of this worker.";
    BUDGET_USED = "alluvial_consumer_budget_used_bytes", Gauge, Bytes, APPLICATION, "Bytes of the budget in use.";
    BUDGET_LIMIT = "alluvial_consumer_budget_limit_bytes", Gauge, Bytes, APPLICATION, "The byte budget.";
    PROCESS_TIME = "alluvial_consumer_process_duration_seconds", Histogram, Seconds, STREAM, "Time of one call of the processor.";
    PROCESS_RECORDS = "alluvial_consumer_process_records", Histogram, Count, STREAM, "Records of one call of the processor.";
}

const STATE: &[&str] = &["application", "stream", "state"];
const REASON: &[&str] = &["application", "stream", "reason"];

/// Tells the recorder what each metric is.
pub(crate) fn describe() {
    for metric in METRICS {
        match metric.kind {
            MetricKind::Counter => metrics::describe_counter!(metric.name, metric.unit, metric.help),
            MetricKind::Gauge => metrics::describe_gauge!(metric.name, metric.unit, metric.help),
            MetricKind::Histogram => metrics::describe_histogram!(metric.name, metric.unit, metric.help),
        }
    }
}

/// The two distributions, which only the caller of a processor can see.
#[derive(Debug, Clone)]
pub(crate) struct Timings {
    pub(crate) application: Arc<str>,
}

impl Timings {
    pub(crate) fn record(&self, shard: &ShardName, time: Duration, records: usize) {
        let labels = vec![label("application", &self.application), label("stream", &shard.stream)];
        metrics::histogram!(PROCESS_TIME.name, labels.clone()).record(time);
        // Far below the 2^53 that a float counts exactly.
        metrics::histogram!(PROCESS_RECORDS.name, labels).record(u32::try_from(records).unwrap_or(u32::MAX));
    }
}

fn label(name: &'static str, value: &Arc<str>) -> Label {
    Label::new(name, Arc::clone(value))
}

/// Counters of a shard, or of all shards of a stream.
#[derive(Debug, Default)]
struct Counts([u64; 9]);

impl Counts {
    const METRICS: [Metric; 9] =
        [RECORDS, BYTES, ACKNOWLEDGED, MISPLACED, SUBSCRIPTIONS, PROCESSED, ERRORS, DEAD_LETTERED, SKIPPED];

    fn of(status: &ShardStatus) -> Self {
        let made = &status.processing;
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Self([
            status.received(),
            status.received_bytes(),
            status.acknowledged_ever(),
            status.misplaced(),
            status.subscriptions(),
            read(&made.processed),
            read(&made.errors),
            read(&made.dead_lettered),
            read(&made.skipped),
        ])
    }

    fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum = sum.saturating_add(more));
    }

    fn write(&self, labels: &[Label]) {
        for (metric, value) in Self::METRICS.iter().zip(self.0) {
            metrics::counter!(metric.name, labels.to_vec()).absolute(value);
        }
    }
}

/// Writes counters and gauges as the status has them now.
pub(crate) fn report(status: &Status, shard_label: bool) {
    let lag = status.lag();
    let application = label("application", status.application());
    for (stream, board) in status.boards() {
        let labels = vec![application.clone(), label("stream", stream)];
        let shards = board.snapshot();
        let lags = lag.shards.iter().filter(|lag| lag.stream == *stream);
        let lags: BTreeMap<&ShardId, &ShardLag> = lags.map(|lag| (&lag.shard, lag)).collect();
        if shard_label {
            for (shard, status) in &shards {
                let mut labels = labels.clone();
                labels.push(Label::new("shard", shard.as_str().to_owned()));
                Counts::of(status).write(&labels);
                write_lag(lags.get(shard).into_iter().copied(), &labels);
            }
        } else {
            let mut sum = Counts::default();
            shards.iter().for_each(|(_, status)| sum.add(&Counts::of(status)));
            sum.write(&labels);
            write_lag(lags.values().copied(), &labels);
        }
        metrics::counter!(LOSSES.name, labels.clone()).absolute(board.losses().count());
        write_ends(&shards, &labels);
        write_states(shards.iter().map(|(_, status)| status.state()), &labels);
    }
    let labels = vec![application];
    gauge(&MAX_TIP_LAG, &labels, lag.tip.unwrap_or_default().as_secs_f64());
    gauge(&MAX_OLDEST, &labels, lag.oldest_unacknowledged.unwrap_or_default().as_secs_f64());
    gauge(&BUDGET_USED, &labels, bytes(status.budget().used_bytes()));
    gauge(&BUDGET_LIMIT, &labels, bytes(status.budget().limit_bytes()));
}

/// A budget is at most 4 GiB.
fn bytes(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX))
}

fn gauge(metric: &Metric, labels: &[Label], value: f64) {
    metrics::gauge!(metric.name, labels.to_vec()).set(value);
}

fn write_lag<'a>(lags: impl Iterator<Item = &'a ShardLag>, labels: &[Label]) {
    let (mut tip, mut oldest) = (Duration::ZERO, Duration::ZERO);
    for lag in lags {
        tip = tip.max(lag.tip.unwrap_or_default());
        oldest = oldest.max(lag.oldest_unacknowledged.unwrap_or_default());
    }
    gauge(&TIP_LAG, labels, tip.as_secs_f64());
    gauge(&OLDEST, labels, oldest.as_secs_f64());
}

/// Of all shards of the stream together: which one it was, the log says.
fn write_ends(shards: &[(ShardId, Arc<ShardStatus>)], labels: &[Label]) {
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    for (reason, ends) in shards.iter().flat_map(|(_, status)| status.resubscriptions()) {
        *counts.entry(reason).or_default() += ends;
    }
    for (reason, ends) in counts {
        let mut labels = labels.to_vec();
        labels.push(Label::new("reason", reason));
        metrics::counter!(SUBSCRIPTION_ENDS.name, labels).absolute(ends);
    }
}

/// Every state has a value, 0 too: a state that no shard is in any more must not keep its last one.
fn write_states(states: impl Iterator<Item = ShardState>, labels: &[Label]) {
    let mut counts: BTreeMap<&str, u32> = ShardState::ALL.iter().map(|state| (state.name(), 0)).collect();
    states.for_each(|state| *counts.entry(state.name()).or_default() += 1);
    for (state, shards) in counts {
        let mut labels = labels.to_vec();
        labels.push(Label::new("state", state));
        gauge(&STATES, &labels, f64::from(shards));
    }
}

#[cfg(test)]
mod tests;
