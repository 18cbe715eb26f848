//! Which Hive partition an object's rows belong to.

use crate::columns::Schema;
use jiff::civil::Date;

/// Hive's name for "not known".
const DEFAULT: &str = "__HIVE_DEFAULT_PARTITION__";

/// The hour in which Firehose received the object's first record, in the time zone of its delivery stream, as the key
/// gives it. `None` where the key gives none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hour(Option<(Date, i8)>);

/// The names of the partition columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    date: String,
    hour: String,
}

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

    /// The folder of the partition.
    pub(crate) fn folder(self, names: &Names) -> String {
        let Names { date, hour } = names;
        match self.0 {
            Some((day, number)) => format!("{date}={day}/{hour}={number:02}"),
            None => format!("{date}={DEFAULT}/{hour}={DEFAULT}"),
        }
    }
}

impl Names {
    /// `dt` and `hour`, with `partition_` before a name that is a column of the data: engines that find one name in
    /// both places take either value, or refuse the table.
    pub(crate) fn beside(schema: &Schema) -> Self {
        let free = |name: &str| {
            let mut name = name.to_owned();
            while schema.has(&name) {
                name.insert_str(0, "partition_");
            }
            name
        };
        Self { date: free("dt"), hour: free("hour") }
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
    use crate::columns::{Bounds, Builder};

    fn folder(key: &str) -> String {
        Hour::of_key(key).folder(&Names { date: "dt".into(), hour: "hour".into() })
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
            assert_eq!(folder(key), "dt=2026-11-23/hour=05", "{key}");
        }
    }

    #[test]
    fn what_is_no_hour_is_the_default_partition() {
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
            assert_eq!(folder(key), format!("dt={DEFAULT}/hour={DEFAULT}"), "{key}");
        }
    }

    #[test]
    fn a_column_of_the_same_name_moves_the_partition_aside() {
        let bounds = Bounds { max_columns: 10, max_nesting: 8 };
        let mut builder = Builder::new(bounds, 8, 100);
        builder.append(r#"{"DT":1,"partition_dt":2}"#).expect("a row");
        let names = Names::beside(&Schema::of(builder.finish().expect("a batch").table, bounds));
        assert_eq!(names, Names { date: "partition_partition_dt".into(), hour: "hour".into() });
    }
}
