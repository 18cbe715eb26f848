//! Reads a schema in Arrow's JSON, the format of its integration tests: <https://arrow.apache.org/docs/format/Integration.html>.

use super::Type;
use crate::error::Error;
use serde::Deserialize;

/// `{"schema": {"fields": […]}}`, or what is within.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum File {
    Whole { schema: Schema },
    Schema(Schema),
}

#[derive(Debug, Deserialize)]
struct Schema {
    fields: Vec<Field>,
}

#[derive(Debug, Deserialize)]
struct Field {
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    children: Vec<Field>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    name: String,
    bit_width: Option<u64>,
    is_signed: Option<bool>,
    precision: Option<serde_json::Value>,
    scale: Option<u64>,
    unit: Option<String>,
}

pub(super) fn parse(text: &str) -> Result<Vec<(Box<str>, Type)>, Error> {
    let file: File = serde_json::from_str(text).map_err(|error| {
        Error::Usage(format!(
            "the schema is no Arrow JSON ({error}); it is {{\"fields\": [{{\"name\": …, \"type\": {{\"name\": \"int\", \
             \"bitWidth\": 64, \"isSigned\": true}}, \"children\": []}}]}}, or else a list of columns as in DDL"
        ))
    })?;
    let (File::Whole { schema } | File::Schema(schema)) = file;
    fields(schema.fields, 0)
}

fn fields(fields: Vec<Field>, depth: usize) -> Result<Vec<(Box<str>, Type)>, Error> {
    let named = |field: Field| {
        let name = field.name.clone().into_boxed_str();
        kind(field, depth).map(|kind| (name, kind))
    };
    fields.into_iter().map(named).collect()
}

fn kind(mut field: Field, depth: usize) -> Result<Type, Error> {
    let Kind { name, bit_width, is_signed, precision, scale, unit } = &field.kind;
    let unknown = |what: &str| {
        Error::Usage(format!(
            "schema, field {}: {what}; there are bool, int (signed, of 8 to 64 bits), floatingpoint (SINGLE, DOUBLE), \
             utf8, date (DAY), timestamp (to MICROSECOND), decimal, list, struct and map",
            field.name
        ))
    };
    if depth > 64 {
        return Err(unknown("more than 64 types within each other"));
    }
    let kind = match name.as_str() {
        "bool" => Type::Boolean,
        "int" => match (bit_width, is_signed) {
            (Some(bits @ (8 | 16 | 32 | 64)), None | Some(true)) => Type::Int(u8::try_from(*bits).unwrap_or(64)),
            _ => return Err(unknown("this int is not known here")),
        },
        "floatingpoint" => match precision.as_ref().and_then(serde_json::Value::as_str) {
            Some("SINGLE") => Type::Float,
            Some("DOUBLE") => Type::Double,
            _ => return Err(unknown("this precision is not known here")),
        },
        "utf8" | "largeutf8" | "utf8view" => Type::Text,
        "date" if unit.as_deref() == Some("DAY") => Type::Date,
        "timestamp" if matches!(unit.as_deref(), Some("SECOND" | "MILLISECOND" | "MICROSECOND")) => Type::Timestamp,
        "decimal" => {
            let precision = precision.as_ref().and_then(serde_json::Value::as_u64).unwrap_or(0);
            Type::decimal(precision, scale.unwrap_or(0)).ok_or_else(|| unknown("this decimal is not known here"))?
        }
        "struct" => Type::Struct(fields(std::mem::take(&mut field.children), depth + 1)?),
        "list" | "largelist" | "map" => {
            let is_map = name == "map";
            let Some(child) = field.children.pop().filter(|_| field.children.is_empty()) else {
                return Err(Error::Usage(format!("schema, field {}: a {name} has one child", field.name)));
            };
            let items = self::kind(child, depth + 1)?;
            if !is_map {
                return Ok(Type::List(Box::new(items)));
            }
            match items {
                Type::Struct(mut entries) if entries.len() == 2 && entries[0].1 == Type::Text => {
                    Type::Map(Box::new(entries.remove(1).1))
                }
                _ => return Err(Error::Usage("schema: the keys of a map are strings, as JSON's are".to_owned())),
            }
        }
        other => return Err(unknown(&format!("{other} is not known here"))),
    };
    Ok(kind)
}
