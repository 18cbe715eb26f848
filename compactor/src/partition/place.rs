//! Where rows go: values of the partitions' levels, and the folder that they make.

use super::Hour;
use super::by::PartitionBy;
use super::escape::{folder, is_shown};
use super::time::hour_of;
use crate::columns::Schema;
use crate::field_path::FieldPath;
use std::sync::Arc;

/// The values of the levels that rows decide; none of those that their object's key decides. `None` is null, or a value
/// that is no time where one is asked for.
pub(crate) type Place = Arc<[Option<Box<str>>]>;

/// Finds the place of rows.
#[derive(Debug, Clone)]
pub(crate) struct Placer(Vec<PartitionBy>);

/// The names of the levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Levels {
    by: Vec<PartitionBy>,
    /// One for each level, in the order of `by`.
    names: Vec<String>,
}

impl Placer {
    /// By what rows themselves decide.
    pub(crate) fn new(by: &[PartitionBy]) -> Self {
        Self(by.iter().filter(|by| !matches!(by, PartitionBy::Key(_))).cloned().collect())
    }

    /// The fields that decide.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &FieldPath> {
        self.0.iter().filter_map(|by| match by {
            PartitionBy::Field(path) | PartitionBy::Time(path, _) => Some(path),
            PartitionBy::Key(_) => None,
        })
    }

    /// The place of a row with these values of [`Placer::fields`], as text.
    pub(crate) fn place(&self, values: &[Option<&str>]) -> Place {
        let mut place: Vec<Option<Box<str>>> = Vec::with_capacity(values.len() + 1);
        for (by, value) in self.0.iter().zip(values) {
            match by {
                PartitionBy::Time(_, unit) => match value.and_then(hour_of) {
                    Some((day, hour)) => {
                        place.extend(unit.values(day, hour).into_iter().map(|value| Some(value.into_boxed_str())));
                    }
                    None => place.extend(unit.levels().iter().map(|_| None)),
                },
                _ => place.push(value.map(Into::into)),
            }
        }
        place.into()
    }

    /// Whether all that rows of this place have in the fields that decide can be told from their folder.
    pub(crate) fn is_told(place: &Place) -> bool {
        place.iter().flatten().all(|value| is_shown(value))
    }
}

impl Levels {
    /// The names that are asked for, with `partition_` before one that is a column's: engines that find one name in both
    /// places take either value, or refuse the table. Not where the column is the one that rows are partitioned by, as
    /// both values are the same, and the folders' name must not depend on whether the files have the column. Also before
    /// a name that begins with `_` or `.`, which hides a folder from readers.
    pub(crate) fn beside(by: &[PartitionBy], schema: &Schema) -> Self {
        let free = |name: &str, own: Option<&str>| {
            let mut name = name.to_owned();
            while schema.has_besides(&name, own) || name.starts_with(['_', '.']) {
                name.insert_str(0, "partition_");
            }
            name
        };
        let names = by.iter().flat_map(|by| by.levels().into_iter().map(move |name| free(name, by.column()))).collect();
        Self { by: by.to_vec(), names }
    }

    /// The names of the levels.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The folder of rows of an object with this hour in its key. Empty where there are no levels.
    pub(crate) fn folder(&self, hour: Hour, place: &Place) -> String {
        let mut names = self.names.iter();
        let mut values = place.iter().map(Option::as_deref);
        let mut parts: Vec<String> = Vec::with_capacity(self.names.len());
        for by in &self.by {
            if let PartitionBy::Key(unit) = by {
                let known = hour.known().map(|(day, hour)| unit.values(day, hour)).unwrap_or_default();
                let levels = names.by_ref().take(unit.levels().len());
                parts.extend(levels.enumerate().map(|(at, name)| folder(name, known.get(at).map(String::as_str))));
            } else {
                let levels = names.by_ref().take(by.levels().len());
                parts.extend(levels.zip(values.by_ref()).map(|(name, value)| folder(name, value)));
            }
        }
        parts.join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::{Bounds, Builder};

    fn by(texts: &[&str]) -> Vec<PartitionBy> {
        texts.iter().map(|text| text.parse().expect("what to partition by")).collect()
    }

    fn schema(row: &str) -> Schema {
        let bounds = Bounds { max_columns: 10, max_nesting: 8 };
        let mut builder = Builder::new(bounds, 8, 100);
        builder.append(row).expect("a row");
        Schema::of(builder.finish().expect("a batch").table, bounds)
    }

    #[test]
    fn levels_come_from_the_key_and_from_the_row() {
        let by = by(&["site", "key:day", "meta.at:hour"]);
        let placer = Placer::new(&by);
        let fields: Vec<String> = placer.fields().map(ToString::to_string).collect();
        assert_eq!(fields, ["site", "meta.at"]);
        let place = placer.place(&[Some("a/b"), Some("2026-11-23T07:30:00Z")]);
        let levels = Levels { names: ["site", "dt", "event_dt", "hour"].map(Into::into).into(), by };
        let hour = Hour::of_key("raw/2026/11/24/00/x");
        assert_eq!(levels.folder(hour, &place), "site=a%2Fb/dt=2026-11-24/event_dt=2026-11-23/hour=07");
        let nothing = placer.place(&[None, Some("soon")]);
        let default = "__HIVE_DEFAULT_PARTITION__";
        assert_eq!(
            levels.folder(Hour::of_key("x"), &nothing),
            format!("site={default}/dt={default}/event_dt={default}/hour={default}")
        );
    }

    #[test]
    fn a_column_of_the_same_name_moves_the_partition_aside() {
        let levels = Levels::beside(&by(&["key"]), &schema(r#"{"DT":1,"partition_dt":2}"#));
        assert_eq!(levels.names(), ["partition_partition_dt", "hour"]);
        let levels = Levels::beside(&by(&["_type", "a"]), &schema(r#"{"b":1}"#));
        assert_eq!(levels.names(), ["partition__type", "a"]);
        let levels = Levels::beside(&by(&["a", "x.b", "C"]), &schema(r#"{"a":1,"b":1,"c":1}"#));
        assert_eq!(levels.names(), ["a", "partition_b", "partition_C"]);
    }

    #[test]
    fn what_a_folder_cannot_show_is_known() {
        let placer = Placer::new(&by(&["site"]));
        assert!(Placer::is_told(&placer.place(&[Some("NO")])));
        assert!(Placer::is_told(&placer.place(&[None])));
        assert!(!Placer::is_told(&placer.place(&[Some("")])));
    }
}
