//! What the worker says on stdout.

use alluvial_benches::Result;
use alluvial_consumer::Record;
use alluvial_runtime::clock::Clock;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

/// Time between two counts.
const COUNT_INTERVAL: Duration = Duration::from_millis(50);

/// What is said.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mode {
    /// A line for each record.
    Log,
    /// Counts now and then, and at once when so many records came.
    Count(Option<u64>),
}

pub(crate) struct Says {
    clock: Clock,
    mode: Mode,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    records: u64,
    bytes: u64,
    checksum: u64,
    said_nanos: u64,
}

impl Says {
    pub(crate) fn new(clock: Clock, mode: Mode) -> Self {
        Self { clock, mode, counted: Mutex::default() }
    }

    fn nanos(&self) -> Result<u64> {
        Ok(u64::try_from(self.clock.now().duration_since(UNIX_EPOCH)?.as_nanos())?)
    }

    /// Records of `shard` that the handler has.
    pub(crate) fn handled(&self, shard: &str, records: &[Record]) -> Result<()> {
        match self.mode {
            Mode::Log => self.log(shard, records),
            Mode::Count(wanted) => self.count(records, wanted),
        }
    }

    fn log(&self, shard: &str, records: &[Record]) -> Result<()> {
        let (nanos, mut lines) = (self.nanos()?, String::with_capacity(records.len() * 128));
        for record in records {
            writeln!(lines, "record {nanos} {shard} {} {}", record.position.sequence, record.partition_key)?;
        }
        // In one piece: lines of two shards must not mix.
        let mut out = std::io::stdout().lock();
        out.write_all(lines.as_bytes())?;
        Ok(out.flush()?)
    }

    fn count(&self, records: &[Record], wanted: Option<u64>) -> Result<()> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            counted.records += 1;
            counted.bytes += u64::try_from(record.data.len())?;
            // The data is touched, as every application touches it.
            counted.checksum ^= record.data.iter().step_by(64).fold(0, |sum, byte| sum ^ u64::from(*byte));
        }
        let nanos = self.nanos()?;
        let due = nanos.saturating_sub(counted.said_nanos) >= u64::try_from(COUNT_INTERVAL.as_nanos())?;
        if due || wanted.is_some_and(|wanted| counted.records >= wanted) {
            counted.said_nanos = nanos;
            writeln!(std::io::stdout(), "count {nanos} {} {}", counted.records, counted.bytes)?;
        }
        Ok(())
    }
}
