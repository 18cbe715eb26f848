//! Times as they stand in strings: ISO 8601 in UTC, in one of three widths, so that a time's text is known from its
//! value and its width.

use std::fmt::Write as _;

const MICROS_A_SECOND: i64 = 1_000_000;
const SECONDS_A_DAY: i64 = 86_400;

/// Microseconds since 1970 and the digits of the fraction, of `2026-11-23T05:00:00Z`, `….000Z` or `….000000Z`.
///
/// Nothing else is a time: what has another width, a zone, or a second 60 could not be written back as it stood.
#[inline]
pub(super) fn parse(text: &[u8]) -> Option<(i64, u8)> {
    let digits: u8 = match text.len() {
        20 => 0,
        24 => 3,
        27 => 6,
        _ => return None,
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (text.len() - 1, b'Z')];
    if marks.iter().any(|(at, mark)| text.get(*at) != Some(mark)) || (digits > 0 && text.get(19) != Some(&b'.')) {
        return None;
    }
    let [year, month, day] = [number(text, 0, 4)?, number(text, 5, 2)?, number(text, 8, 2)?];
    let [hour, minute, second] = [number(text, 11, 2)?, number(text, 14, 2)?, number(text, 17, 2)?];
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let micros = match digits {
        0 => 0,
        3 => number(text, 20, 3)? * 1000,
        _ => number(text, 20, 6)?,
    };
    let seconds = days(year, month, day) * SECONDS_A_DAY + hour * 3600 + minute * 60 + second;
    Some((seconds * MICROS_A_SECOND + micros, digits))
}

/// Appends the text that [`parse`] read as this time.
pub(super) fn write(micros: i64, digits: u8, out: &mut String) {
    let (seconds, fraction) = (micros.div_euclid(MICROS_A_SECOND), micros.rem_euclid(MICROS_A_SECOND));
    let (days, second) = (seconds.div_euclid(SECONDS_A_DAY), seconds.rem_euclid(SECONDS_A_DAY));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    // Writing to a string cannot fail.
    write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}").unwrap_or(());
    match digits {
        0 => Ok(()),
        3 => write!(out, ".{:03}", fraction / 1000),
        _ => write!(out, ".{fraction:06}"),
    }
    .unwrap_or(());
    out.push('Z');
}

fn number(text: &[u8], from: usize, digits: usize) -> Option<i64> {
    let digits = text.get(from..from + digits)?;
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar: years begin in March, so that the leap day is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * shifted + 2) / 5 + 1, (shifted + 2) % 12 + 1);
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_microseconds_since_1970() {
        assert_eq!(parse(b"1970-01-01T00:00:00Z"), Some((0, 0)));
        assert_eq!(parse(b"2026-11-23T05:00:00.123Z"), Some((1_795_410_000_123_000, 3)));
        assert_eq!(parse(b"1969-12-31T23:59:59.999999Z"), Some((-1, 6)));
        assert_eq!(parse(b"2000-02-29T00:00:00Z"), Some((951_782_400_000_000, 0)));
    }

    #[test]
    fn what_could_not_be_written_back_is_no_time() {
        for text in [
            "2026-11-23",
            "2026-11-23T05:00:00",
            "2026-11-23T05:00:00+00:00",
            "2026-11-23 05:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T05:00:60Z",
            "2026-11-23T05:00:00.1Z",
            "2026-11-23T05:00:0xZ",
            "2100-02-29T00:00:00Z",
            "",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_time_is_written_as_it_stood(seconds in -62_167_219_200i64..253_402_300_800, micros in 0i64..1_000_000) {
            for (digits, unit) in [(0, 1_000_000), (3, 1000), (6, 1)] {
                let time = seconds * MICROS_A_SECOND + micros / unit * unit;
                let mut text = String::new();
                write(time, digits, &mut text);
                prop_assert_eq!(parse(text.as_bytes()), Some((time, digits)), "{}", text);
                let stamp = jiff::Timestamp::from_microsecond(time).expect("in range");
                prop_assert_eq!(&stamp.to_string()[..19], &text[..19]);
            }
        }
    }
}
