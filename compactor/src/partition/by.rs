//! What rows are partitioned by, as it is asked for.

use super::time::{Unit, unit_of};
use crate::error::Error;
use crate::field_path::FieldPath;
use std::fmt;
use std::str::FromStr;

/// One thing that rows are partitioned by.
///
/// Written `key` or `key:UNIT`, `FIELD`, or `FIELD:UNIT`, with UNIT one of `year`, `month`, `day` and `hour`. A field
/// that is itself called `key` is written `\key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionBy {
    /// The time in the object's key.
    Key(Unit),
    /// A field's value.
    Field(FieldPath),
    /// The time in a field.
    Time(FieldPath, Unit),
}

impl PartitionBy {
    /// The names of the folders' levels, before it is known whether a column has one of them.
    pub(crate) fn levels(&self) -> Vec<&str> {
        match self {
            Self::Key(unit) | Self::Time(_, unit) => unit.levels().to_vec(),
            Self::Field(path) => vec![path.last()],
        }
    }

    /// The column that the files need not have, as its value is the folder's.
    pub(crate) fn column(&self) -> Option<&str> {
        match self {
            Self::Field(path) => path.top_level(),
            Self::Key(_) | Self::Time(..) => None,
        }
    }
}

impl FromStr for PartitionBy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "key" {
            return Ok(Self::Key(Unit::Hour));
        }
        let escaped = |field: &str| field.ends_with('\\');
        match text.rsplit_once(':').filter(|(field, _)| !escaped(field)) {
            None => Ok(Self::Field(text.parse()?)),
            Some((field, unit)) => {
                let unit = unit_of(unit).ok_or_else(|| {
                    Error::Usage(format!(
                        "{text}: {unit:?} is no unit; write FIELD:year, FIELD:month, FIELD:day or FIELD:hour, and a colon \
                         in a name as \\:"
                    ))
                })?;
                Ok(if field == "key" { Self::Key(unit) } else { Self::Time(field.parse()?, unit) })
            }
        }
    }
}

impl fmt::Display for PartitionBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = |path: &FieldPath| {
            let text = path.to_string().replace(':', "\\:");
            if text == "key" { format!("\\{text}") } else { text }
        };
        match self {
            Self::Key(unit) => write!(f, "key:{unit}"),
            Self::Field(path) => f.write_str(&escaped(path)),
            Self::Time(path, unit) => write!(f, "{}:{unit}", escaped(path)),
        }
    }
}

/// Refuses two levels of one name: no reader would know which of them counts.
pub(crate) fn check(by: &[PartitionBy]) -> Result<(), Error> {
    let mut seen: Vec<String> = Vec::new();
    for level in by.iter().flat_map(PartitionBy::levels) {
        let level = level.to_lowercase();
        if seen.contains(&level) {
            return Err(Error::Usage(format!("two levels of the partitions would both be called {level}=")));
        }
        seen.push(level);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_reads_back() {
        for (text, levels) in [
            ("key:hour", vec!["dt", "hour"]),
            ("key:month", vec!["month"]),
            ("site", vec!["site"]),
            ("user.country", vec!["country"]),
            ("at:day", vec!["dt"]),
            ("meta.at:year", vec!["year"]),
            (r"\key", vec!["key"]),
            (r"a\:hour", vec!["a:hour"]),
        ] {
            let by: PartitionBy = text.parse().expect(text);
            assert_eq!(by.levels(), levels, "{text}");
            assert_eq!(by.to_string().parse::<PartitionBy>().expect(text), by, "{text}");
        }
        assert_eq!("key".parse::<PartitionBy>().expect("hours"), PartitionBy::Key(Unit::Hour));
        for bad in ["", "at:minute", "a..b", ":hour"] {
            assert!(bad.parse::<PartitionBy>().is_err(), "{bad}");
        }
    }

    #[test]
    fn levels_of_one_name_are_refused() {
        let all =
            |texts: &[&str]| -> Vec<PartitionBy> { texts.iter().map(|text| text.parse().expect("one")).collect() };
        assert!(check(&all(&["key:day", "site"])).is_ok());
        let error = check(&all(&["key:day", "at:hour"])).expect_err("refused");
        assert!(error.to_string().contains("dt="), "{error}");
        assert!(check(&all(&["a.Site", "site"])).is_err());
    }
}
