//! What to put, how fast and for how long.

use crate::key::PartitionKey;
use crate::rate::Rate;
use crate::template::Template;
use alluvial_record::quota::KINESIS_RECORD_BYTES;
use alluvial_runtime::exit::Failure;
use std::path::PathBuf;
use std::time::Duration;

/// Most calls in flight: more connections than that hide a slow stream and gain nothing.
pub(crate) const MAX_CONCURRENCY: usize = 256;

/// Largest aggregate of the Kinesis Producer Library by default. Its other limit, 4,294,967,295 records, is out of reach of
/// any record of Kinesis.
///
/// Source: `AggregationMaxSize` and `AggregationMaxCount` in its `default_config.properties`.
pub(crate) const KPL_AGGREGATE: &str = "51200";
/// How long a record waits for others to share its aggregate, as in the Kinesis Producer Library.
///
/// Source: `RecordMaxBufferedTime` in its `default_config.properties`.
pub(crate) const KPL_LINGER: Duration = Duration::from_millis(100);
/// Smaller aggregates hold hardly more than one record.
const LEAST_AGGREGATE_BYTES: usize = 512;

/// A load to put into one stream. [`Load::new`] has the defaults.
#[derive(Debug, Clone)]
pub struct Load {
    /// Name of the stream, not its ARN.
    pub stream: String,
    /// How many records are due by when.
    pub rate: Rate,
    /// When to stop offering.
    pub end: End,
    /// Where the records come from.
    pub source: Source,
    /// What decides a record's shard.
    pub partition_key: PartitionKey,
    /// Decides every random value of the records and their keys: the same seed and clock give the same records.
    pub seed: u64,
    /// Calls in flight at most, 1 to 256. Each partition key belongs to one of so many lanes, and a lane makes one
    /// call at a time, which keeps the order of its keys. With aggregates a shard belongs to one lane.
    pub concurrency: usize,
    /// How long past due the oldest record of a lane waits for others to share its call, or its aggregate. Part of the
    /// latency.
    pub linger: Duration,
    /// Pack records of one shard into aggregates of at most so many bytes, as the Kinesis Producer Library does; `None`
    /// puts each by itself. A record that does not fit is put by itself. Aggregates need their size again in memory.
    pub aggregate: Option<usize>,
    /// Calls that may carry one record before it counts as lost; 1 repeats nothing.
    pub max_attempts: u32,
    /// Longest wait for the answer to one call. The outcome of such a call is unknown, and its records are put
    /// again: they may be in the stream twice.
    pub call_timeout: Duration,
    /// Memory for records that are not yet accepted, in bytes. When it is full the schedule waits, and what
    /// comes then is late. Calls in flight need about 1.5 times their records on top.
    pub buffer_bytes: usize,
}

/// When a run stops offering records. Records already offered are still put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// After so many records.
    Records(u64),
    /// When the time is over. What was due before and could not be offered is reported as missed.
    Duration(Duration),
    /// Once so many bytes of data, keys not counted, were offered.
    Bytes(u64),
    /// At the end of the input; a template goes on until the stop.
    Open,
}

/// Where records come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Made as they come due.
    Template(Template),
    /// Read as they come due. The schedule waits for an input that is slower than the rate.
    Input(Input),
}

/// Lines, each a record as it is, without its newline. Empty lines are no records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A file.
    File(PathBuf),
    /// The standard input. A read from it cannot be interrupted: the process must not wait for its thread.
    Stdin,
}

/// Why a run could not start, or broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A setting is wrong: the same call fails again.
    #[error("{0}")]
    Setting(String),
    /// Kinesis refused or is out of reach; nothing was put.
    #[error("{0}")]
    Remote(String),
    /// A fault of this program.
    #[error("{0}")]
    Internal(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Setting(message) => Failure::usage(message),
            Error::Remote(message) => Failure::remote(message),
            Error::Internal(message) => Failure::internal(message),
        }
    }
}

impl Load {
    /// A load of 1,000 records/s: for a minute from a template, to its end from an input; 8 calls in flight.
    pub fn new(stream: impl Into<String>, source: Source, seed: u64) -> Self {
        let end = match source {
            Source::Template(_) => End::Duration(Duration::from_secs(60)),
            Source::Input(_) => End::Open,
        };
        Self {
            stream: stream.into(),
            rate: Rate::per_second(1_000),
            end,
            source,
            partition_key: PartitionKey::default(),
            seed,
            concurrency: 8,
            linger: Duration::from_millis(20),
            aggregate: None,
            max_attempts: 20,
            call_timeout: Duration::from_secs(30),
            buffer_bytes: 64 * 1_024 * 1_024,
        }
    }

    /// Refuses what cannot work, before anything is sent.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if self.stream.starts_with("arn:") {
            let name = self.stream.rsplit('/').next().unwrap_or_default();
            return Err(Error::Setting(format!("--stream takes the name of the stream, not its ARN: use `{name}`")));
        }
        // Source: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
        if self.stream.is_empty() || self.stream.len() > 128 || !self.stream.chars().all(legal) {
            let rule = "a stream name has 1 to 128 letters, digits, `_`, `.` and `-`";
            return Err(Error::Setting(format!("`{}` cannot be a stream: {rule}", self.stream)));
        }
        if !(1..=MAX_CONCURRENCY).contains(&self.concurrency) {
            let message = format!("{} calls in flight: must be 1 to {MAX_CONCURRENCY}", self.concurrency);
            return Err(Error::Setting(message));
        }
        if let Some(bytes) = self.aggregate
            && !(LEAST_AGGREGATE_BYTES..=KINESIS_RECORD_BYTES).contains(&bytes)
        {
            let message =
                format!("aggregates of {bytes} bytes: must be {LEAST_AGGREGATE_BYTES} to {KINESIS_RECORD_BYTES}");
            return Err(Error::Setting(message));
        }
        if self.max_attempts == 0 {
            return Err(Error::Setting("0 attempts put nothing: must be 1 or more".to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(stream: &str) -> Load {
        Load::new(stream, Source::Template(Template::builtin("iot").unwrap()), 1)
    }

    #[test]
    fn a_name_that_kinesis_would_refuse_is_refused_here() {
        assert_eq!(load("orders_2.raw-A").check(), Ok(()));
        for bad in ["", "a b", "orders/1", &"x".repeat(129)] {
            assert!(matches!(load(bad).check(), Err(Error::Setting(_))), "{bad}");
        }
        let arn = load("arn:aws:kinesis:eu-west-1:000000000000:stream/orders").check().unwrap_err();
        assert!(arn.to_string().ends_with("use `orders`"));
    }

    #[test]
    fn impossible_numbers_are_refused() {
        for concurrency in [0, 257] {
            assert!(Load { concurrency, ..load("a") }.check().is_err());
        }
        assert!(Load { max_attempts: 0, ..load("a") }.check().is_err());
        for bytes in [0, 511, 10_485_761] {
            assert!(Load { aggregate: Some(bytes), ..load("a") }.check().is_err(), "{bytes}");
        }
    }
}
