//! Times in fields, and the partitions that they lie in.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use std::fmt;

/// How long the time is that a partition by time holds. Days are UTC's, or of the key's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `year=2026`
    Year,
    /// `month=2026-11`
    Month,
    /// `dt=2026-11-23`
    Day,
    /// `dt=2026-11-23/hour=05`
    Hour,
}

impl Unit {
    /// The names of the folders' levels.
    pub(crate) fn levels(self) -> &'static [&'static str] {
        match self {
            Self::Year => &["year"],
            Self::Month => &["month"],
            Self::Day => &["dt"],
            Self::Hour => &["dt", "hour"],
        }
    }

    /// The values of the levels, for this hour of this day.
    pub(crate) fn values(self, day: Date, hour: i8) -> Vec<String> {
        match self {
            Self::Year => vec![format!("{:04}", day.year())],
            Self::Month => vec![format!("{:04}-{:02}", day.year(), day.month())],
            Self::Day => vec![day.to_string()],
            Self::Hour => vec![day.to_string(), format!("{hour:02}")],
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Hour => "hour",
        })
    }
}

pub(super) fn unit_of(text: &str) -> Option<Unit> {
    [Unit::Year, Unit::Month, Unit::Day, Unit::Hour].into_iter().find(|unit| unit.to_string() == text)
}

/// The day and hour, in UTC, of a value that is a time.
///
/// A time is ISO 8601 text, `2026-11-23T05:00:00Z`, with an offset or without one (then it is UTC's), a date alone, or a
/// number of seconds, milliseconds, microseconds or nanoseconds since 1970. Which of them a number is, its size tells:
/// up to 10^11 (the year 5138) it is seconds, and each unit ends at a thousand times the last one's end.
pub(crate) fn hour_of(text: &str) -> Option<(Date, i8)> {
    let time = TimeZone::UTC.to_datetime(instant_of(text)?);
    (0..=9999).contains(&time.year()).then(|| (time.date(), time.hour()))
}

/// The time that a value is, as for [`hour_of`].
pub(crate) fn instant_of(text: &str) -> Option<Timestamp> {
    match text.bytes().next()? {
        b'-' | b'0'..=b'9' => epoch(text).or_else(|| iso(text)),
        _ => None,
    }
}

fn epoch(text: &str) -> Option<Timestamp> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    // A year alone would be taken for seconds: no time of a real clock is so small.
    if whole.len() < 6 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let number: i128 = text.split_once('.').map_or(text, |(whole, _)| whole).parse().ok()?;
    const END_OF_SECONDS: u128 = 100_000_000_000;
    let nanoseconds = match number.unsigned_abs() {
        seconds if seconds <= END_OF_SECONDS => 1_000_000_000,
        millis if millis <= END_OF_SECONDS * 1_000 => 1_000_000,
        micros if micros <= END_OF_SECONDS * 1_000_000 => 1_000,
        _ => 1,
    };
    Timestamp::from_nanosecond(number.checked_mul(nanoseconds)?).ok()
}

fn iso(text: &str) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(text: &str) -> Option<String> {
        hour_of(text).map(|(day, hour)| Unit::Hour.values(day, hour).join(" "))
    }

    #[test]
    fn times_of_every_kind_have_an_hour() {
        for text in [
            "2026-11-23T05:06:07Z",
            "2026-11-23T05:06:07.123456789Z",
            "2026-11-23T06:06:07+01:00",
            "2026-11-23T05:06:07",
            "2026-11-23 05:06:07",
            "1795410367",
            "1795410367.25",
            "1795410367123",
            "1795410367123456",
            "1795410367123456789",
        ] {
            assert_eq!(hour(text).as_deref(), Some("2026-11-23 05"), "{text}");
        }
        assert_eq!(hour("2026-11-23").as_deref(), Some("2026-11-23 00"));
        assert_eq!(hour("-86400000").as_deref(), Some("1967-04-07 00"));
    }

    #[test]
    fn what_is_no_time_has_none() {
        for text in [
            "",
            "2026",
            "12345",
            "yesterday",
            "2026-13-01",
            "true",
            "{}",
            "-",
            "99999999999999999999999999999999",
            "\u{20ac}",
        ] {
            assert_eq!(hour(text), None, "{text}");
        }
    }

    #[test]
    fn each_unit_has_its_values() {
        let (day, at) = hour_of("2026-01-02T03:00:00Z").expect("a time");
        assert_eq!(Unit::Year.values(day, at), ["2026"]);
        assert_eq!(Unit::Month.values(day, at), ["2026-01"]);
        assert_eq!(Unit::Day.values(day, at), ["2026-01-02"]);
        assert_eq!(Unit::Hour.values(day, at), ["2026-01-02", "03"]);
        assert_eq!(unit_of("minute"), None);
    }
}
