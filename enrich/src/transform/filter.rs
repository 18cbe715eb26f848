//! `filter`: keeps the records whose field meets a condition.

use super::{path, plain};
use crate::row::Row;
use crate::settings::InvalidSetting;
use serde::Deserialize;
use serde_json::Value;

/// A filter as it is written in the settings file. Exactly one condition is given.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterSettings {
    /// Field whose value decides; dots reach into nested objects.
    field: String,
    /// Keep records whose field has this value.
    equals: Option<Value>,
    /// Keep records whose field has another value, or that have no such field.
    not_equals: Option<Value>,
    /// Keep records whose field has one of these values.
    one_of: Option<Vec<Value>>,
    /// Keep records that have the field (true) or that do not (false). A null counts as a value.
    exists: Option<bool>,
}

#[derive(Debug)]
enum Condition {
    OneOf(Vec<Value>),
    Not(Value),
    Exists(bool),
}

#[derive(Debug)]
pub(super) struct Filter {
    path: Vec<String>,
    condition: Condition,
}

impl Filter {
    pub(super) fn check(settings: &FilterSettings, place: &dyn Fn(&str) -> String) -> Result<Self, InvalidSetting> {
        let conditions = [
            settings.equals.clone().map(|value| Condition::OneOf(vec![value])),
            settings.not_equals.clone().map(Condition::Not),
            settings.one_of.clone().map(Condition::OneOf),
            settings.exists.map(Condition::Exists),
        ];
        let mut given = conditions.into_iter().flatten();
        let values = settings.equals.iter().chain(&settings.not_equals).chain(settings.one_of.iter().flatten());
        for value in values {
            plain(value).map_err(|why| InvalidSetting::new(place("filter"), why))?;
        }
        if settings.one_of.as_ref().is_some_and(Vec::is_empty) {
            return Err(InvalidSetting::new(
                place("one_of"),
                "is empty, which would drop every record; name the values to keep",
            ));
        }
        match (given.next(), given.next()) {
            (Some(condition), None) => Ok(Self { path: path(&settings.field, place("field"))?, condition }),
            _ => Err(InvalidSetting::new(place("filter"), "give exactly one of equals, not_equals, one_of, exists")),
        }
    }

    pub(super) fn keeps(&self, row: &Row<'_>) -> bool {
        let found = row.get_path(&self.path);
        let is = |value: &Value| found.as_deref().is_some_and(|json| same(json, value));
        match &self.condition {
            Condition::OneOf(values) => values.iter().any(is),
            Condition::Not(value) => !is(value),
            Condition::Exists(wanted) => found.is_some() == *wanted,
        }
    }
}

/// Equal as JSON values; numbers by their value, so that 1 equals 1.0.
fn same(json: &str, value: &Value) -> bool {
    // serde_json gives this name a meaning of its own when it reads a `Value`.
    if json.contains("$serde_json::private::") {
        return false;
    }
    match (serde_json::from_str::<Value>(json), value) {
        (Ok(Value::Number(a)), Value::Number(b)) => a == *b || a.as_f64() == b.as_f64(),
        (Ok(found), value) => found == *value,
        (Err(_), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeps(settings: serde_json::Value, text: &str) -> bool {
        let settings: FilterSettings = serde_json::from_value(settings).unwrap();
        let filter = Filter::check(&settings, &str::to_owned).unwrap();
        filter.keeps(&Row::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn values_compare_as_json_values() {
        let equals = |value: Value| serde_json::json!({"field": "a", "equals": value});
        assert!(keeps(equals(1.into()), r#"{"a":1.0}"#));
        assert!(keeps(equals("é".into()), r#"{"a":"\u00e9"}"#));
        assert!(!keeps(equals("1".into()), r#"{"a":1}"#));
        assert!(keeps(serde_json::json!({"field": "a", "not_equals": 1}), "{}"));
        assert!(keeps(serde_json::json!({"field": "a.b", "exists": true}), r#"{"a":{"b":null}}"#));
        assert!(keeps(serde_json::json!({"field": "a.b", "exists": false}), r#"{"a":1}"#));
    }
}
