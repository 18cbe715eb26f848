//! The timestamp patterns of Java's `DateTimeFormatter`, in English, without what is of no use in an object's name
//! (<https://docs.oracle.com/javase/8/docs/api/java/time/format/DateTimeFormatter.html>).

use jiff::civil::DateTime;
use std::iter::Peekable;
use std::str::Chars;

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

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A pattern such as `yyyy/MM/dd/HH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Item>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Literal(String),
    /// At least `width` digits, with leading zeros.
    Number {
        unit: Unit,
        width: usize,
    },
    TwoDigitYear,
    /// The first `digits` digits of the fraction of the second, cut off and not rounded.
    Fraction {
        digits: usize,
    },
    /// As many letters of the name as this.
    MonthName(usize),
    WeekdayName(usize),
    HalfOfDay,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Year,
    Month,
    DayOfMonth,
    DayOfYear,
    /// 0 to 23.
    Hour,
    /// 1 to 24.
    ClockHour,
    /// 0 to 11.
    HourOfHalf,
    /// 1 to 12.
    ClockHourOfHalf,
    Minute,
    Second,
}

impl Pattern {
    /// Reads a pattern. Letters are fields, unless they stand in single quotes; all else is literal.
    ///
    /// # Errors
    /// A sentence with the letter that is unknown or repeated too often, or the sign that is out of place.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (mut items, mut chars) = (Vec::new(), text.chars().peekable());
        while let Some(first) = chars.next() {
            items.push(match first {
                '\'' => Item::Literal(quoted(&mut chars)?),
                letter if letter.is_ascii_alphabetic() => {
                    let mut count = 1;
                    while chars.next_if_eq(&letter).is_some() {
                        count += 1;
                    }
                    field(letter, count)?
                }
                '[' | ']' | '{' | '}' | '#' => {
                    return Err(format!("{first:?} is reserved in a timestamp pattern: put it in single quotes"));
                }
                other => Item::Literal(other.to_string()),
            });
        }
        if items.is_empty() {
            return Err("a timestamp needs a pattern, such as yyyy/MM/dd".to_owned());
        }
        Ok(Self(items))
    }

    /// The pattern with the fields of `at` in it.
    pub(super) fn format(&self, at: DateTime) -> String {
        self.0.iter().map(|item| item.text(at)).collect()
    }
}

/// What stands before the closing quote; two quotes in a row are one quote of the text.
fn quoted(chars: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    let mut literal = String::new();
    loop {
        match chars.next() {
            Some('\'') if chars.next_if_eq(&'\'').is_some() => literal.push('\''),
            Some('\'') if literal.is_empty() => return Ok("'".to_owned()),
            Some('\'') => return Ok(literal),
            Some(other) => literal.push(other),
            None => return Err("a single quote in a timestamp pattern has no closing one".to_owned()),
        }
    }
}

fn field(letter: char, count: usize) -> Result<Item, String> {
    let number = |unit| Item::Number { unit, width: count };
    let (item, most) = match letter {
        'y' | 'u' if count == 2 => (Item::TwoDigitYear, 2),
        'y' | 'u' => (number(Unit::Year), 19),
        'M' | 'L' if count <= 2 => (number(Unit::Month), 2),
        'M' | 'L' => (Item::MonthName(letters_of_name(count)), 5),
        'd' => (number(Unit::DayOfMonth), 2),
        'D' => (number(Unit::DayOfYear), 3),
        'H' => (number(Unit::Hour), 2),
        'k' => (number(Unit::ClockHour), 2),
        'K' => (number(Unit::HourOfHalf), 2),
        'h' => (number(Unit::ClockHourOfHalf), 2),
        'm' => (number(Unit::Minute), 2),
        's' => (number(Unit::Second), 2),
        'S' => (Item::Fraction { digits: count }, 9),
        'E' => (Item::WeekdayName(letters_of_name(count)), 5),
        'a' => (Item::HalfOfDay, 1),
        'Y' => return Err("the emulator lacks Y, the week-based year, in a timestamp pattern: write y".to_owned()),
        _ => {
            return Err(format!(
                "the emulator lacks the letter {letter} in a timestamp pattern: use y M d H m s, or put it in single quotes"
            ));
        }
    };
    if count > most {
        return Err(format!(
            "the letter {letter} stands {count} times in a row in a timestamp pattern; {most} is most"
        ));
    }
    Ok(item)
}

/// Up to three letters of a pattern are the short name, four are the full one, five its first letter.
fn letters_of_name(count: usize) -> usize {
    match count {
        ..=3 => 3,
        4 => usize::MAX,
        _ => 1,
    }
}

impl Item {
    fn text(&self, at: DateTime) -> String {
        match self {
            Self::Literal(text) => text.clone(),
            Self::Number { unit, width } => format!("{:0width$}", unit.of(at)),
            Self::TwoDigitYear => format!("{:02}", at.year() % 100),
            Self::Fraction { digits } => format!("{:09}", at.subsec_nanosecond()).chars().take(*digits).collect(),
            Self::MonthName(letters) => letters_of(&MONTHS, at.month() - 1, *letters),
            Self::WeekdayName(letters) => letters_of(&WEEKDAYS, at.weekday().to_monday_zero_offset(), *letters),
            Self::HalfOfDay => if at.hour() < 12 { "AM" } else { "PM" }.to_owned(),
        }
    }
}

fn letters_of(names: &[&str], index: i8, letters: usize) -> String {
    let name = usize::try_from(index).ok().and_then(|index| names.get(index));
    name.map_or("", |name| *name).chars().take(letters).collect()
}

impl Unit {
    fn of(self, at: DateTime) -> i16 {
        let hour = i16::from(at.hour());
        let clock = |hour: i16, hours: i16| if hour == 0 { hours } else { hour };
        match self {
            Self::Year => at.year(),
            Self::Month => at.month().into(),
            Self::DayOfMonth => at.day().into(),
            Self::DayOfYear => at.day_of_year(),
            Self::Hour => hour,
            Self::ClockHour => clock(hour, 24),
            Self::HourOfHalf => hour % 12,
            Self::ClockHourOfHalf => clock(hour % 12, 12),
            Self::Minute => at.minute().into(),
            Self::Second => at.second().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::datetime;

    #[test]
    fn fields_are_written_as_java_writes_them() {
        let at = datetime(2026, 3, 5, 7, 8, 9, 123_456_789);
        for (pattern, expected) in [
            ("yyyy/MM/dd/HH", "2026/03/05/07"),
            ("y-M-d H:m:s", "2026-3-5 7:8:9"),
            ("yy uuuu yyyyy", "26 2026 02026"),
            ("yyyyMMddHHmmssSSS", "20260305070809123"),
            ("S SSSSSS SSSSSSSSS", "1 123456 123456789"),
            ("D DDD", "64 064"),
            ("MMM MMMM MMMMM L", "Mar March M 3"),
            ("E EEE EEEE EEEEE", "Thu Thu Thursday T"),
            ("hh a", "07 AM"),
            ("'year='yyyy'/month='MM", "year=2026/month=03"),
            ("'o''clock' ''HH''", "o'clock '07'"),
            ("yyyy_MM=dd+é", "2026_03=05+é"),
        ] {
            let parsed = Pattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert_eq!(parsed.format(at), expected, "{pattern}");
        }
    }

    #[test]
    fn midnight_and_noon_have_four_hours() {
        let pattern = Pattern::parse("H k K h a").expect("a pattern");
        assert_eq!(pattern.format(datetime(2026, 1, 1, 0, 0, 0, 0)), "0 24 0 12 AM");
        assert_eq!(pattern.format(datetime(2026, 1, 1, 12, 0, 0, 0)), "12 12 0 12 PM");
        assert_eq!(pattern.format(datetime(2026, 1, 1, 23, 0, 0, 0)), "23 23 11 11 PM");
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        for (pattern, expected) in [
            ("", "needs a pattern"),
            ("YYYY", "lacks Y, the week-based year"),
            ("yyyy-MM-ddTHH", "the letter T "),
            ("yyyy z", "the letter z "),
            ("ddd", "the letter d stands 3 times"),
            ("MMMMMM", "the letter M stands 6 times"),
            ("SSSSSSSSSS", "the letter S stands 10 times"),
            ("yyyy'year", "no closing one"),
            ("yyyy[MM]", "'[' is reserved"),
        ] {
            let error = Pattern::parse(pattern).expect_err(pattern);
            assert!(error.contains(expected), "{pattern}: {error}");
        }
    }
}
