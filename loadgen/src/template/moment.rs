//! Dates in the format language of moment.js, which the Kinesis Data Generator uses; always in UTC.
//!
//! Source: <https://momentjs.com/docs/#/displaying/format/>.

use super::decimal::push_number;
use bytes::BytesMut;
use jiff::Timestamp;
use jiff::civil::{DateTime, Weekday};
use jiff::tz::Offset;
use std::time::SystemTime;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// ISO 8601 with milliseconds, such as `2026-11-23T07:39:00.125Z`: what a date token without a format writes.
pub(crate) const ISO_MILLIS: &str = "YYYY-MM-DDTHH:mm:ss.SSS[Z]";

/// A point in time, and its calendar date once someone asks for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instantaneous {
    timestamp: Timestamp,
    civil: Option<DateTime>,
}

impl Instantaneous {
    /// A time outside of the years -9999 to 9999 counts as 1970-01-01.
    pub(crate) fn new(time: SystemTime) -> Self {
        Self { timestamp: Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH), civil: None }
    }

    fn civil(&mut self) -> DateTime {
        let timestamp = self.timestamp;
        *self.civil.get_or_insert_with(|| Offset::UTC.to_datetime(timestamp))
    }
}

/// One piece of a compiled format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    Field(Field),
}

/// What of a date is written, and with how many digits at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Year,
    YearOfCentury,
    Month(usize),
    MonthName {
        short: bool,
    },
    DayOfYear(usize),
    Day(usize),
    Weekday {
        short: bool,
    },
    Hour(usize),
    HourOfHalfDay(usize),
    Minute(usize),
    Second(usize),
    /// The first so many digits of the second's fraction.
    Fraction(u32),
    HalfDay {
        lower: bool,
    },
    Offset {
        colon: bool,
    },
    UnixSeconds,
    UnixMillis,
}

/// Longest first, so that `MMMM` is not read as four months.
const FIELDS: [(&str, Field); 35] = [
    ("YYYY", Field::Year),
    ("YY", Field::YearOfCentury),
    ("MMMM", Field::MonthName { short: false }),
    ("MMM", Field::MonthName { short: true }),
    ("MM", Field::Month(2)),
    ("M", Field::Month(1)),
    ("DDDD", Field::DayOfYear(3)),
    ("DDD", Field::DayOfYear(1)),
    ("DD", Field::Day(2)),
    ("D", Field::Day(1)),
    ("dddd", Field::Weekday { short: false }),
    ("ddd", Field::Weekday { short: true }),
    ("HH", Field::Hour(2)),
    ("H", Field::Hour(1)),
    ("hh", Field::HourOfHalfDay(2)),
    ("h", Field::HourOfHalfDay(1)),
    ("mm", Field::Minute(2)),
    ("m", Field::Minute(1)),
    ("ss", Field::Second(2)),
    ("s", Field::Second(1)),
    ("SSSSSSSSS", Field::Fraction(9)),
    ("SSSSSSSS", Field::Fraction(8)),
    ("SSSSSSS", Field::Fraction(7)),
    ("SSSSSS", Field::Fraction(6)),
    ("SSSSS", Field::Fraction(5)),
    ("SSSS", Field::Fraction(4)),
    ("SSS", Field::Fraction(3)),
    ("SS", Field::Fraction(2)),
    ("S", Field::Fraction(1)),
    ("A", Field::HalfDay { lower: false }),
    ("a", Field::HalfDay { lower: true }),
    ("ZZ", Field::Offset { colon: false }),
    ("Z", Field::Offset { colon: true }),
    ("X", Field::UnixSeconds),
    ("x", Field::UnixMillis),
];

/// Letters that moment.js formats and this does not: weeks, quarters, eras, ordinals, zones, locales.
const UNSUPPORTED: &str = "QdeEwWgGkzNyLlo";

/// Compiles a format. Text in `[brackets]` and letters that mean nothing to moment.js stay as they are.
///
/// # Errors
/// Names the first letter that moment.js would format and this does not.
pub(crate) fn compile(format: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        let bracket = rest.strip_prefix('[').and_then(|inner| inner.split_once(']'));
        if let Some((literal, after)) = bracket {
            text.push_str(literal);
            rest = after;
        } else if let Some((name, field)) = FIELDS.iter().find(|(name, _)| rest.starts_with(name)) {
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(Piece::Field(*field));
            rest = rest.strip_prefix(name).unwrap_or_default();
        } else if UNSUPPORTED.contains(first) {
            return Err(format!(
                "the date format `{format}` has `{first}`, which is not supported; put plain text in [brackets]"
            ));
        } else {
            text.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// Appends `time` in a compiled format.
pub(crate) fn write(pieces: &[Piece], time: &mut Instantaneous, out: &mut BytesMut) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Field(field) => write_field(*field, time, out),
        }
    }
}

fn write_field(field: Field, time: &mut Instantaneous, out: &mut BytesMut) {
    let civil = time.civil();
    let hour = civil.hour();
    match field {
        Field::Year => push(out, civil.year(), 4),
        Field::YearOfCentury => push(out, civil.year().rem_euclid(100), 2),
        Field::Month(width) => push(out, civil.month(), width),
        Field::MonthName { short } => push_name(out, &MONTHS, usize::from(civil.month().unsigned_abs()) - 1, short),
        Field::DayOfYear(width) => push(out, civil.day_of_year(), width),
        Field::Day(width) => push(out, civil.day(), width),
        Field::Weekday { short } => push_name(out, &DAYS, day_index(civil.weekday()), short),
        Field::Hour(width) => push(out, hour, width),
        Field::HourOfHalfDay(width) => push(out, (hour + 11) % 12 + 1, width),
        Field::Minute(width) => push(out, civil.minute(), width),
        Field::Second(width) => push(out, civil.second(), width),
        Field::Fraction(digits) => {
            let nanos = civil.subsec_nanosecond().unsigned_abs();
            push_number(out, u64::from(nanos / 10_u32.pow(9 - digits)), digits as usize);
        }
        Field::HalfDay { lower } => out.extend_from_slice(match (hour < 12, lower) {
            (true, false) => b"AM",
            (true, true) => b"am",
            (false, false) => b"PM",
            (false, true) => b"pm",
        }),
        Field::Offset { colon } => out.extend_from_slice(if colon { b"+00:00" } else { b"+0000" }),
        Field::UnixSeconds => push(out, time.timestamp.as_second(), 1),
        Field::UnixMillis => push(out, time.timestamp.as_millisecond(), 1),
    }
}

fn push(out: &mut BytesMut, value: impl Into<i64>, width: usize) {
    let value: i64 = value.into();
    if value < 0 {
        out.extend_from_slice(b"-");
    }
    push_number(out, value.unsigned_abs(), width);
}

fn push_name(out: &mut BytesMut, names: &[&str], index: usize, short: bool) {
    let name = names.get(index).copied().unwrap_or_default();
    out.extend_from_slice(if short { name.get(..3).unwrap_or(name) } else { name }.as_bytes());
}

fn day_index(day: Weekday) -> usize {
    usize::from(day.to_sunday_zero_offset().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(format: &str, nanos: u64) -> String {
        let mut out = BytesMut::new();
        let mut time = Instantaneous::new(SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos));
        write(&compile(format).unwrap(), &mut time, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    /// 2018-10-30T19:05:09.012345678Z, a Tuesday.
    const TUESDAY: u64 = 1_540_926_309_012_345_678;

    #[test]
    fn the_formats_of_the_two_seed_systems() {
        assert_eq!(at("YYYY/MM/DD HH:mm:ss", TUESDAY), "2018/10/30 19:05:09");
        assert_eq!(at(ISO_MILLIS, TUESDAY), "2018-10-30T19:05:09.012Z");
    }

    #[test]
    fn every_field_is_written_as_moment_does() {
        assert_eq!(at("YY-M-D H:m:s", TUESDAY), "18-10-30 19:5:9");
        assert_eq!(at("dddd ddd MMMM MMM", TUESDAY), "Tuesday Tue October Oct");
        assert_eq!(at("hh h A a", TUESDAY), "07 7 PM pm");
        assert_eq!(at("hh A", 0), "12 AM");
        assert_eq!(at("DDDD DDD", 0), "001 1");
        assert_eq!(at("S SS SSS SSSSSS SSSSSSSSS", TUESDAY), "0 01 012 012345 012345678");
        assert_eq!(at("X x", TUESDAY), "1540926309 1540926309012");
        assert_eq!(at("Z ZZ", TUESDAY), "+00:00 +0000");
    }

    #[test]
    fn brackets_and_meaningless_letters_stay() {
        assert_eq!(at("[at] YYYY [YYYY]", TUESDAY), "at 2018 YYYY");
        assert_eq!(at("YYYY-MM-DDTHH", TUESDAY), "2018-10-30T19");
        assert_eq!(at("日 YYYY", TUESDAY), "日 2018");
    }

    #[test]
    fn a_letter_that_moment_would_format_is_refused_by_name() {
        assert!(compile("YYYY-[Q]Q").unwrap_err().contains("`Q`"));
        assert!(compile("Do MMMM").unwrap_err().contains("`o`"));
    }
}
