//! The result of a run, for people and for machines.

use crate::measure::{Measured, Times};
use crate::observe::{Progress, Rejection};
use alluvial_runtime::exit::Exit;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// Rejections that a report lists; more are only counted.
pub(crate) const LISTED_REJECTIONS: usize = 20;

/// What a run did. As JSON, its keys are a contract: they are added to, never renamed.
///
/// `records = accepted + lost`. Rejected records were never offered and are counted apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The stream.
    pub stream: String,
    /// The seed; with it and the same options the same records are made again.
    pub seed: u64,
    /// Records offered to the stream.
    pub records: u64,
    /// Records in the stream, by its own answers.
    pub accepted: u64,
    /// Data of the accepted records, keys not counted.
    pub bytes: u64,
    /// From when the first record was due until the last answer.
    pub seconds: f64,
    /// Accepted records in a second.
    pub records_per_second: f64,
    /// Accepted megabytes (10^6 bytes) in a second.
    pub mb_per_second: f64,
    /// Kinesis records that hold them. Fewer than `accepted` with aggregates; more, where an aggregate was put again.
    pub kinesis_records: u64,
    /// PutRecords calls.
    pub calls: u64,
    /// Records put into a further call, once for each.
    pub retried_entries: u64,
    /// Refusals for want of throughput, one for each record and call.
    pub throttled_entries: u64,
    /// Of the retried, those whose call got no answer: they may be in the stream twice.
    pub unknown_outcome_retries: u64,
    /// Records that overtook an earlier one of their partition key: Kinesis accepted them in a call in which it
    /// refused the earlier one. 0 means that each key's records are in the stream in the order of the run, unless
    /// calls without an answer repeated some.
    pub reordered_by_retry: u64,
    /// Records given up after all attempts. One whose last call got no answer may be in the stream all the same.
    pub lost: u64,
    /// Records that cannot be put: too large, or without a partition key.
    pub rejected: u64,
    /// Records offered more than 10 ms after they were due: the generator or a full buffer held them back.
    pub late_starts: u64,
    /// Records due before the end of a timed run and never offered.
    pub missed_starts: u64,
    /// From when a record was due until its acceptance was known: what a producer of this rate would have seen.
    /// Without a rate it is mostly the wait in our own buffer; the service time says more then.
    pub latency_ms: Percentiles,
    /// Of the call that was accepted alone: what Kinesis and the network took.
    pub service_ms: Percentiles,
    /// Accepted records by shard.
    pub shards: BTreeMap<String, u64>,
    /// The first of the rejected records.
    pub rejections: Vec<Rejection>,
    /// Stopped before its end, by a signal or the caller.
    pub interrupted: bool,
    /// What broke the run, if something did.
    pub stopped_by: Option<Stopped>,
}

/// Times in milliseconds that a share of the accepted records did not exceed; 0 without records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half of them.
    pub p50: f64,
    /// 90 %.
    pub p90: f64,
    /// 99 %.
    pub p99: f64,
    /// 99.9 %.
    pub p999: f64,
    /// All of them.
    pub max: f64,
}

/// Why a run broke after it had started. As JSON, its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// Kinesis refused in a way that repeating does not change, such as a deleted stream.
    Remote(String),
    /// The input could not be read on.
    Input(String),
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote(text) => f.write_str(text),
            Self::Input(text) => write!(f, "reading the input: {text}"),
        }
    }
}

impl Serialize for Stopped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Percentiles {
    fn of(times: &Times) -> Self {
        Self {
            p50: times.millis(0.5),
            p90: times.millis(0.9),
            p99: times.millis(0.99),
            p999: times.millis(0.999),
            max: times.max_millis(),
        }
    }
}

/// What a report is made of, beside counts and times.
pub(crate) struct Ending {
    pub(crate) stream: String,
    pub(crate) seed: u64,
    pub(crate) missed_starts: u64,
    pub(crate) rejections: Vec<Rejection>,
    pub(crate) interrupted: bool,
    pub(crate) stopped_by: Option<Stopped>,
}

impl Report {
    pub(crate) fn new(progress: &Progress, measured: Measured, ending: Ending) -> Self {
        let seconds = progress.elapsed.as_secs_f64();
        let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        Self {
            stream: ending.stream,
            seed: ending.seed,
            records: progress.offered,
            accepted: progress.accepted,
            bytes: progress.bytes,
            seconds,
            records_per_second: per_second(progress.accepted),
            mb_per_second: per_second(progress.bytes) / 1e6,
            kinesis_records: progress.kinesis_records,
            calls: progress.calls,
            retried_entries: progress.retried_entries,
            throttled_entries: progress.throttled_entries,
            unknown_outcome_retries: progress.unknown_outcome_retries,
            reordered_by_retry: progress.reordered_by_retry,
            lost: progress.lost,
            rejected: progress.rejected,
            late_starts: progress.late_starts,
            missed_starts: ending.missed_starts,
            latency_ms: Percentiles::of(&measured.latency),
            service_ms: Percentiles::of(&measured.service),
            shards: measured.shards,
            rejections: ending.rejections,
            interrupted: ending.interrupted,
            stopped_by: ending.stopped_by,
        }
    }

    /// The exit code of a command that made this run.
    pub fn exit(&self) -> Exit {
        match self.stopped_by {
            Some(Stopped::Remote(_)) => Exit::Remote,
            Some(Stopped::Input(_)) => Exit::Internal,
            None if self.lost > 0 || self.rejected > 0 => Exit::Partial,
            None => Exit::Done,
        }
    }
}

/// Some lines for people, each ended with a newline.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "stream    {} · seed {}", self.stream, self.seed)?;
        write!(f, "records   {} offered · {} accepted", grouped(self.records), grouped(self.accepted))?;
        writeln!(f, " · {} lost · {} rejected", grouped(self.lost), grouped(self.rejected))?;
        if self.kinesis_records != self.accepted {
            writeln!(f, "packed    into {} Kinesis records", grouped(self.kinesis_records))?;
        }
        write!(f, "rate      {:.0} records/s · {:.2} MB/s", self.records_per_second, self.mb_per_second)?;
        writeln!(f, " · {:.1} s · {} calls", self.seconds, grouped(self.calls))?;
        write!(f, "retries   {} records", grouped(self.retried_entries))?;
        write!(f, " · {} throttled", grouped(self.throttled_entries))?;
        write!(f, " · {} of unknown outcome", grouped(self.unknown_outcome_retries))?;
        writeln!(f, " · {} reordered", grouped(self.reordered_by_retry))?;
        write!(f, "schedule  {} late starts", grouped(self.late_starts))?;
        writeln!(f, " · {} never offered", grouped(self.missed_starts))?;
        writeln!(f, "latency   {} (from when each record was due)", self.latency_ms)?;
        writeln!(f, "service   {} (of the call alone)", self.service_ms)?;
        for (shard, count) in &self.shards {
            writeln!(f, "          {shard} {}", grouped(*count))?;
        }
        if self.interrupted {
            writeln!(f, "stopped before its end")?;
        }
        match &self.stopped_by {
            Some(why) => writeln!(f, "stopped: {why}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p90, p99, p999, max } = self;
        write!(f, "p50 {p50:.1} ms · p90 {p90:.1} · p99 {p99:.1} · p99.9 {p999:.1} · max {max:.1}")
    }
}

/// A number with commas between its thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn report(stopped_by: Option<Stopped>, lost: u64) -> Report {
        let mut measured = Measured::new();
        measured.latency.record(Duration::from_millis(12), 1_900);
        measured.shards.insert("shardId-000000000000".into(), 1_900);
        let progress = Progress {
            elapsed: Duration::from_secs(2),
            offered: 1_900 + lost,
            accepted: 1_900,
            kinesis_records: 19,
            bytes: 4_000_000,
            lost,
            ..Progress::default()
        };
        let ending = Ending {
            stream: "orders".into(),
            seed: 42,
            missed_starts: 0,
            rejections: vec![],
            interrupted: false,
            stopped_by,
        };
        Report::new(&progress, measured, ending)
    }

    #[test]
    fn json_has_the_contracted_keys() {
        let json = serde_json::to_value(report(Some(Stopped::Remote("gone".into())), 3)).unwrap();
        for (key, value) in
            [("records", 1_903), ("accepted", 1_900), ("bytes", 4_000_000), ("kinesis_records", 19), ("lost", 3)]
        {
            assert_eq!(json[key], value, "{key}");
        }
        for (key, value) in [("seconds", 2.0), ("records_per_second", 950.0), ("mb_per_second", 2.0)] {
            assert_eq!(json[key], value, "{key}");
        }
        for key in ["retried_entries", "throttled_entries", "rejected", "late_starts", "reordered_by_retry"] {
            assert_eq!(json[key], 0, "{key}");
        }
        for key in ["p50", "p90", "p99", "p999", "max"] {
            assert!(json["latency_ms"][key].as_f64().unwrap() > 11.9, "{key}");
            assert_eq!(json["service_ms"][key], 0.0, "{key}");
        }
        assert_eq!(json["shards"]["shardId-000000000000"], 1_900);
        assert_eq!(json["stopped_by"], "gone");
    }

    #[test]
    fn the_exit_code_says_how_complete_the_run_was() {
        assert_eq!(report(None, 0).exit(), Exit::Done);
        assert_eq!(report(None, 1).exit(), Exit::Partial);
        assert_eq!(Report { rejected: 1, ..report(None, 0) }.exit(), Exit::Partial);
        assert_eq!(report(Some(Stopped::Remote(String::new())), 1).exit(), Exit::Remote);
        assert_eq!(report(Some(Stopped::Input(String::new())), 0).exit(), Exit::Internal);
    }

    #[test]
    fn people_read_grouped_numbers() {
        let text = report(None, 3).to_string();
        assert!(text.contains("1,903 offered · 1,900 accepted · 3 lost"), "{text}");
        assert!(text.contains("into 19 Kinesis records"), "{text}");
        assert!(text.contains("950 records/s · 2.00 MB/s · 2.0 s"), "{text}");
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
