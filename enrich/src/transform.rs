//! Transforms: what happens to a row between the stream and the sink. Pure.

mod filter;
mod lookup;

use crate::row::{Reason, Row, quoted};
use crate::settings::InvalidSetting;
use filter::Filter;
pub use filter::FilterSettings;
use lookup::Lookup;
pub use lookup::LookupSettings;
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;

/// A transform as it is written in the settings file.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TransformSettings {
    /// Gives a field a fixed value.
    Append(AppendSettings),
    /// Adds the row of a table that has the record's key.
    Lookup(LookupSettings),
    /// Keeps the records that match, and counts the others.
    Filter(FilterSettings),
    /// Takes fields out.
    Remove(RemoveSettings),
}

/// An append as it is written in the settings file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppendSettings {
    /// Name of the field. A field that the record has already is replaced.
    pub field: String,
    /// Its value: any TOML value.
    pub value: serde_json::Value,
}

/// A removal as it is written in the settings file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveSettings {
    /// Names of the fields, at the top of the object.
    pub fields: Vec<String>,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on.
    Keep,
    /// A filter dropped it; counted, and not an error.
    Drop,
    /// It cannot be enriched: to the dead-letter store.
    Reject(Reason),
}

#[derive(Debug)]
enum Transform {
    Append { field: Arc<str>, value: Arc<str> },
    Lookup(Lookup),
    Filter(Filter),
    Remove(Vec<String>),
}

/// The transforms of a pipeline, in the order of the settings.
#[derive(Debug, Default)]
pub struct Transforms(Vec<Transform>);

impl Transforms {
    /// Checks settings and reads the tables; their paths are relative to `base`.
    pub(crate) fn check(settings: &[TransformSettings], base: &Path) -> Result<Self, InvalidSetting> {
        let check = |(index, settings): (usize, &TransformSettings)| {
            let place = |field: &str| format!("transform[{index}].{field}");
            Ok(match settings {
                TransformSettings::Append(append) => {
                    if append.field.is_empty() {
                        return Err(InvalidSetting::new(place("field"), "is empty; name the field to add"));
                    }
                    plain(&append.value).map_err(|why| InvalidSetting::new(place("value"), why))?;
                    Transform::Append { field: append.field.as_str().into(), value: append.value.to_string().into() }
                }
                TransformSettings::Lookup(lookup) => Transform::Lookup(Lookup::read(lookup, base, &place)?),
                TransformSettings::Filter(filter) => Transform::Filter(Filter::check(filter, &place)?),
                TransformSettings::Remove(remove) => {
                    if remove.fields.is_empty() {
                        return Err(InvalidSetting::new(place("fields"), "is empty; name the fields to take out"));
                    }
                    Transform::Remove(remove.fields.clone())
                }
            })
        };
        settings.iter().enumerate().map(check).collect::<Result<_, _>>().map(Self)
    }

    /// Applies all transforms to a row, up to the first that drops or rejects it.
    pub fn apply(&self, row: &mut Row<'_>) -> Outcome {
        for transform in &self.0 {
            match transform {
                Transform::Append { field, value } => row.set(field, Arc::clone(value)),
                Transform::Remove(fields) => fields.iter().for_each(|field| row.remove(field)),
                Transform::Filter(filter) if filter.keeps(row) => {}
                Transform::Filter(_) => return Outcome::Drop,
                Transform::Lookup(lookup) => match lookup.apply(row) {
                    Outcome::Keep => {}
                    other => return other,
                },
            }
        }
        Outcome::Keep
    }
}

/// Refuses TOML values that have no JSON form.
fn plain(value: &serde_json::Value) -> Result<(), &'static str> {
    match value {
        // TOML has no null: this is what nan and inf become.
        serde_json::Value::Null => Err("nan and inf have no JSON form"),
        serde_json::Value::Object(map) if map.contains_key("$__toml_private_datetime") => {
            Err("a TOML time has no JSON form; write it as a string")
        }
        serde_json::Value::Object(map) => map.values().try_for_each(plain),
        serde_json::Value::Array(list) => list.iter().try_for_each(plain),
        _ => Ok(()),
    }
}

/// A dotted path as the names in it.
fn path(text: &str, place: String) -> Result<Vec<String>, InvalidSetting> {
    let names: Vec<String> = text.split('.').map(str::to_owned).collect();
    if names.iter().any(String::is_empty) {
        return Err(InvalidSetting::new(
            place,
            format!("{text:?} is no path; write a field name, or names with dots between"),
        ));
    }
    Ok(names)
}

/// Columns that name where a row comes from.
#[derive(Debug)]
pub(crate) struct PositionColumns {
    shard: Arc<str>,
    sequence: Arc<str>,
    sub_sequence: Arc<str>,
    /// The shard's name as JSON.
    shard_value: Arc<str>,
}

impl PositionColumns {
    pub(crate) fn of(shard: &str) -> Self {
        Self {
            shard: "_shard".into(),
            sequence: "_sequence".into(),
            sub_sequence: "_sub_sequence".into(),
            shard_value: quoted(shard).into(),
        }
    }

    /// Adds `_shard`, `_sequence` (a string: it has more digits than any number type) and `_sub_sequence`.
    pub(crate) fn add(&self, row: &mut Row<'_>, position: alluvial_record::Position) {
        row.set(&self.shard, Arc::clone(&self.shard_value));
        row.set(&self.sequence, format!("\"{}\"", position.sequence).into());
        row.set(&self.sub_sequence, position.sub_sequence.to_string().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn transforms(toml_like: serde_json::Value, base: &Path) -> Result<Transforms, InvalidSetting> {
        let settings: Vec<TransformSettings> = serde_json::from_value(toml_like).unwrap();
        Transforms::check(&settings, base)
    }

    fn apply(transforms: &Transforms, text: &str) -> (Outcome, String) {
        let mut row = Row::parse(text.as_bytes()).unwrap();
        let outcome = transforms.apply(&mut row);
        let mut line = Vec::new();
        row.render(&mut line);
        (outcome, String::from_utf8(line).unwrap())
    }

    #[test]
    fn transforms_apply_in_order() {
        let all = transforms(
            serde_json::json!([
                {"type": "append", "field": "site", "value": {"country": "NO"}},
                {"type": "remove", "fields": ["secret", "none"]},
                {"type": "filter", "field": "status", "one_of": ["OK", "WARN"]},
            ]),
            Path::new("."),
        )
        .unwrap();
        let (outcome, line) = apply(&all, r#"{"status":"OK","secret":1}"#);
        assert_eq!((outcome, line.as_str()), (Outcome::Keep, "{\"status\":\"OK\",\"site\":{\"country\":\"NO\"}}\n"));
        assert_eq!(apply(&all, r#"{"status":"FAIL"}"#).0, Outcome::Drop);
        assert_eq!(apply(&all, "{}").0, Outcome::Drop, "a field that is not there matches nothing");
    }

    #[test]
    fn a_lookup_adds_the_row_with_the_records_key() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("sensors.csv"), "sensorId,site,floor\n1,Oslo,2\n2,\"Ber\"\"gen\",0\n").unwrap();
        let lookup = |on_missing: &str| serde_json::json!([{"type": "lookup", "field": "sensorId", "table": "sensors.csv", "into": "sensor", "on_missing": on_missing}]);
        let keep = transforms(lookup("keep"), dir.path()).unwrap();
        assert_eq!(
            apply(&keep, r#"{"sensorId":2}"#).1,
            "{\"sensorId\":2,\"sensor\":{\"site\":\"Ber\\\"gen\",\"floor\":\"0\"}}\n"
        );
        assert_eq!(
            apply(&keep, r#"{"sensorId":"1"}"#).1,
            "{\"sensorId\":\"1\",\"sensor\":{\"site\":\"Oslo\",\"floor\":\"2\"}}\n"
        );
        assert_eq!(apply(&keep, r#"{"sensorId":9}"#), (Outcome::Keep, "{\"sensorId\":9}\n".into()));
        assert_eq!(apply(&transforms(lookup("drop"), dir.path()).unwrap(), r#"{"sensorId":9}"#).0, Outcome::Drop);
        let refuse = transforms(lookup("dead_letter"), dir.path()).unwrap();
        assert!(matches!(apply(&refuse, r#"{"sensorId":9}"#).0, Outcome::Reject(Reason::NoMatch { .. })));
    }

    #[test]
    fn an_ndjson_table_keeps_its_types() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("t.ndjson"), "{\"id\":\"a\",\"w\":1.50}\n\n{\"id\":\"b\",\"w\":null}\n")
            .unwrap();
        let table = serde_json::json!([{"type": "lookup", "field": "k.id", "table": "t.ndjson", "table_key": "id", "into": "x"}]);
        let all = transforms(table, dir.path()).unwrap();
        assert_eq!(apply(&all, r#"{"k":{"id":"a"}}"#).1, "{\"k\":{\"id\":\"a\"},\"x\":{\"w\":1.50}}\n");
    }

    #[test]
    fn a_bad_table_names_file_line_and_fix() {
        let dir = tempfile::tempdir().unwrap();
        let table = |name: &str| serde_json::json!([{"type": "lookup", "field": "id", "table": name, "into": "x"}]);
        for (name, content, wanted) in [
            ("a.csv", "other,b\n1,2\n", "no column \"id\""),
            ("b.csv", "id,b\n1,2\n1,3\n", "line 3"),
            ("c.csv", "id,b\n1\n", "line 2"),
            ("d.ndjson", "{\"id\":1}\n[]\n", "line 2"),
            ("e.ndjson", "{\"b\":1}\n", "line 1"),
            ("f.parquet", "", "CSV"),
        ] {
            std::fs::write(dir.path().join(name), content).unwrap();
            let error = transforms(table(name), dir.path()).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(wanted), "{name}: {error}");
        }
        let error = transforms(table("none.csv"), dir.path()).unwrap_err().to_string();
        assert!(error.contains("none.csv"), "{error}");
    }

    #[test]
    fn a_filter_needs_exactly_one_condition() {
        let bad = serde_json::json!([{"type": "filter", "field": "a"}]);
        assert!(transforms(bad, Path::new(".")).unwrap_err().to_string().contains("transform[0]"));
        let bad = serde_json::json!([{"type": "filter", "field": "a", "equals": 1, "exists": true}]);
        assert!(transforms(bad, Path::new(".")).is_err());
    }
}
