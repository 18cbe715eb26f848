//! `lookup`: adds the row of a table that has the record's key.

use super::{Outcome, path};
use crate::row::{Reason, Row, plain_text, quoted};
use crate::settings::InvalidSetting;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A lookup as it is written in the settings file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupSettings {
    /// Field of the record that holds the key; dots reach into nested objects.
    field: String,
    /// The table: a CSV file with a header, or NDJSON; by its extension. Read once, at the start, into memory.
    table: PathBuf,
    /// Column of the table that holds the key; by default the last name of `field`.
    table_key: Option<String>,
    /// Field that receives the other columns, as an object. The columns of a CSV file are strings.
    into: String,
    /// What happens to a record whose key the table lacks.
    #[serde(default)]
    on_missing: OnMissing,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnMissing {
    /// It goes on without the field.
    #[default]
    Keep,
    /// It is filtered out.
    Drop,
    /// It goes to the dead-letter store.
    DeadLetter,
}

#[derive(Debug)]
pub(super) struct Lookup {
    field: String,
    path: Vec<String>,
    into: Arc<str>,
    on_missing: OnMissing,
    table: PathBuf,
    /// Key as plain text → the other columns as JSON.
    rows: HashMap<String, Arc<str>>,
}

impl Lookup {
    pub(super) fn read(
        settings: &LookupSettings,
        base: &Path,
        place: &dyn Fn(&str) -> String,
    ) -> Result<Self, InvalidSetting> {
        let path = path(&settings.field, place("field"))?;
        let key = settings.table_key.clone().or_else(|| path.last().cloned()).unwrap_or_default();
        let file = base.join(&settings.table);
        let bad = |why: String| InvalidSetting::new(place("table"), format!("{}: {why}", file.display()));
        if settings.into.is_empty() {
            return Err(InvalidSetting::new(place("into"), "is empty; name the field to add"));
        }
        let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_lowercase();
        let text = std::fs::read_to_string(&file).map_err(|error| bad(error.to_string()))?;
        let rows = match extension.as_str() {
            "csv" => read_csv(&text, &key),
            "ndjson" | "jsonl" => read_ndjson(&text, &key),
            _ => Err("is neither CSV (.csv) nor NDJSON (.ndjson, .jsonl)".into()),
        }
        .map_err(bad)?;
        let (into, on_missing) = (settings.into.as_str().into(), settings.on_missing);
        Ok(Self { field: settings.field.clone(), path, into, on_missing, table: settings.table.clone(), rows })
    }

    pub(super) fn apply(&self, row: &mut Row<'_>) -> Outcome {
        let json = row.get_path(&self.path);
        let key = json.as_deref().map(|json| plain_text(json).into_owned());
        if let Some(columns) = key.as_ref().and_then(|key| self.rows.get(key)) {
            let columns = Arc::clone(columns);
            drop(json);
            row.set(&self.into, columns);
            return Outcome::Keep;
        }
        match self.on_missing {
            OnMissing::Keep => Outcome::Keep,
            OnMissing::Drop => Outcome::Drop,
            OnMissing::DeadLetter => {
                Outcome::Reject(Reason::NoMatch { field: self.field.clone(), table: self.table.display().to_string() })
            }
        }
    }
}

fn add(rows: &mut HashMap<String, Arc<str>>, key: &str, columns: String, line: u64) -> Result<(), String> {
    match rows.insert(key.to_owned(), columns.into()) {
        None => Ok(()),
        Some(_) => Err(format!("line {line}: the key {key:?} occurs twice; keys must be unique")),
    }
}

fn read_csv(text: &str, key: &str) -> Result<HashMap<String, Arc<str>>, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| format!("line 1: {error}"))?.clone();
    let key_column = header
        .iter()
        .position(|column| column == key)
        .ok_or_else(|| format!("no column {key:?}; the header has {}", header.iter().collect::<Vec<_>>().join(", ")))?;
    let mut rows = HashMap::new();
    for record in reader.records() {
        let record = record.map_err(|error| match error.position() {
            Some(position) => format!("line {}: {error}", position.line()),
            None => error.to_string(),
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let columns = header.iter().zip(record.iter()).enumerate().filter(|(index, _)| *index != key_column);
        let members: Vec<String> =
            columns.map(|(_, (name, value))| format!("{}:{}", quoted(name), quoted(value))).collect();
        add(&mut rows, record.get(key_column).unwrap_or_default(), format!("{{{}}}", members.join(",")), line)?;
    }
    Ok(rows)
}

fn read_ndjson(text: &str, key: &str) -> Result<HashMap<String, Arc<str>>, String> {
    let mut rows = HashMap::new();
    for (line, text) in (1_u64..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        let mut row = Row::parse(text.as_bytes()).map_err(|reason| format!("line {line}: {reason}"))?;
        let value = row.get(key).ok_or_else(|| format!("line {line}: no field {key:?}"))?;
        let value = plain_text(value).into_owned();
        row.remove(key);
        let mut columns = Vec::new();
        row.render(&mut columns);
        let columns = String::from_utf8_lossy(&columns).trim_end().to_owned();
        add(&mut rows, &value, columns, line)?;
    }
    Ok(rows)
}
