//! Which Hive partition rows belong to: by their object's key, by a field, or by a time in a field.

mod by;
mod escape;
mod place;
mod time;

pub use by::PartitionBy;
pub(crate) use by::check;
pub(crate) use place::{Levels, Place, Placer};
pub use time::Unit;
pub(crate) use time::instant_of;

use jiff::civil::Date;

/// The hour in which Firehose received the object's first record, in the time zone of its delivery stream, as the key
/// gives it. `None` where the key gives none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hour(Option<(Date, i8)>);

impl Hour {
    /// The last `YYYY/MM/DD/HH/` of the key, or `dt=YYYY-MM-DD/hour=HH/`.
    ///
    /// Firehose joins a prefix to the year without a slash between, so the year may end a part of the key; and a
    /// part may be named, as in `year=2026/`.
    pub(crate) fn of_key(key: &str) -> Self {
        let folders: Vec<&str> = match key.rsplit_once('/') {
            Some((folders, _)) => folders.split('/').collect(),
            None => Vec::new(),
        };
        let plain = folders.windows(4).rev().find_map(|window| match window {
            [year, month, day, hour] => time(year_of(year)?, number(month, 2)?, number(day, 2)?, number(hour, 2)?),
            _ => None,
        });
        let hive = folders.windows(2).rev().find_map(|window| match window {
            [date, hour] => {
                let mut parts = value(date).splitn(3, '-');
                let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
                time(number(year, 4)?, number(month, 2)?, number(day, 2)?, number(hour, 2)?)
            }
            _ => None,
        });
        Self(plain.or(hive))
    }

    /// The day and the hour, if the key gives them.
    pub(crate) fn known(self) -> Option<(Date, i8)> {
        self.0
    }
}

fn time(year: i16, month: i16, day: i16, hour: i16) -> Option<(Date, i8)> {
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    let hour = i8::try_from(hour).ok().filter(|hour| (0..24).contains(hour))?;
    Some((date, hour))
}

/// What a named part says, as in `month=11`.
fn value(part: &str) -> &str {
    part.split_once('=').map_or(part, |(_, value)| value)
}

fn number(part: &str, digits: usize) -> Option<i16> {
    let text = value(part);
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn year_of(part: &str) -> Option<i16> {
    let text = value(part);
    let start = text.len().checked_sub(4)?;
    let (prefix, year) = (text.get(..start)?, text.get(start..)?);
    if prefix.ends_with(|c: char| c.is_ascii_digit()) { None } else { number(year, 4) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(key: &str) -> Option<String> {
        Hour::of_key(key).known().map(|(day, hour)| format!("{day} {hour:02}"))
    }

    #[test]
    fn the_hour_comes_from_the_key() {
        for key in [
            "s3://lake/raw/2026/11/23/05/orders-1-2026-11-23-05-00-00-0a1b",
            "s3://lake/raw2026/11/23/05/orders",
            "s3://lake/raw/year=2026/month=11/day=23/hour=05/orders",
            "s3://lake/dt=2026-11-23/hour=05/orders",
            "s3://lake/2025/01/01/00/2026/11/23/05/orders",
            "2026/11/23/05/x/y",
        ] {
            assert_eq!(hour(key).as_deref(), Some("2026-11-23 05"), "{key}");
        }
    }

    #[test]
    fn what_is_no_hour_is_not_known() {
        for key in [
            "orders",
            "",
            "raw/2026/11/23/24/orders",
            "raw/2026/02/30/05/orders",
            "raw/2026/11/23/5/orders",
            "raw/2026/11/23/05",
            "raw/12026/11/23/05/orders",
            "raw/\u{20ac}2026x/11/23/05/orders",
        ] {
            assert_eq!(hour(key), None, "{key}");
        }
    }
}
