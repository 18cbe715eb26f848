//! How many records are due by when: a schedule, fixed before the first record is sent.

use crate::units::{MILLION, multiplier, split_number};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// The load offered: a fixed number of records over a time, or as many as the stream takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(Option<Pace>);

/// `records` over `nanos`, both above zero and without a common factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pace {
    records: u128,
    nanos: u128,
}

impl Pace {
    fn new(records: u128, nanos: u128) -> Self {
        let factor = greatest_common_divisor(records, nanos);
        Self { records: records / factor, nanos: nanos / factor }
    }
}

/// A rate that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a rate; write it as 1000/s, 5k/s, 60/min or max")]
pub struct InvalidRate(String);

impl Rate {
    /// As fast as the stream and the calls in flight allow: a record is due when there is room for it.
    pub const UNLIMITED: Self = Self(None);

    /// `records` each second, evenly spaced; 0 is read as 1.
    pub fn per_second(records: u32) -> Self {
        Self(Some(Pace::new(u128::from(records.max(1)), NANOS_PER_SECOND)))
    }

    /// When record `index` (from 0) is due, counted from the start; `None` without a limit.
    ///
    /// Computed from the index, so the error never grows: record 1,000,000 at 1000/s is due at 1,000 s exactly.
    pub fn due(&self, index: u64) -> Option<Duration> {
        self.0.map(|pace| duration(u128::from(index).saturating_mul(pace.nanos) / pace.records))
    }

    /// How many records are due before `elapsed`; `None` without a limit.
    pub fn due_before(&self, elapsed: Duration) -> Option<u64> {
        self.0.map(|pace| {
            let due = elapsed.as_nanos().saturating_mul(pace.records).div_ceil(pace.nanos);
            u64::try_from(due).unwrap_or(u64::MAX)
        })
    }

    /// Records in a second, on average; `None` without a limit.
    pub fn records_per_second(&self) -> Option<f64> {
        self.0.map(|pace| pace.records as f64 * NANOS_PER_SECOND as f64 / pace.nanos as f64)
    }
}

fn duration(nanos: u128) -> Duration {
    let seconds = u64::try_from(nanos / NANOS_PER_SECOND).unwrap_or(u64::MAX);
    let rest = u32::try_from(nanos % NANOS_PER_SECOND).unwrap_or(0);
    Duration::new(seconds, rest)
}

fn greatest_common_divisor(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        if matches!(text.trim(), "max" | "unlimited") {
            return Ok(Self::UNLIMITED);
        }
        let read = || {
            let (number, rest) = split_number(text)?;
            let (suffix, unit) = rest.split_once('/').unwrap_or((rest, "s"));
            let seconds: u128 = match unit.trim() {
                "s" | "sec" | "second" => 1,
                "m" | "min" | "minute" => 60,
                "h" | "hour" => 3_600,
                _ => return None,
            };
            let records = number.checked_mul(multiplier(suffix.trim())?)?;
            // Above this no machine can go, and the arithmetic of `due` stays exact.
            let sensible = records > 0 && records <= 1_000_000_000 * MILLION;
            sensible.then(|| {
                let nanos = seconds * NANOS_PER_SECOND * MILLION;
                Self(Some(Pace::new(records, nanos)))
            })
        };
        read().ok_or_else(|| InvalidRate(text.to_owned()))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.records_per_second() {
            None => f.write_str("max"),
            Some(rate) if rate >= 1.0 => write!(f, "{rate:.0}/s"),
            Some(rate) => write!(f, "{:.1}/min", rate * 60.0),
        }
    }
}

#[cfg(test)]
mod tests;
