//! Column types, as people name them: in DDL and in schemas that are given.

mod arrow_json;
mod ddl;
mod lexer;
mod print;

pub(crate) use print::{Dialect, column_list, quoted};

use crate::error::Error;
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Digits that a decimal may have: what Athena, Spark, DuckDB and pyarrow all hold.
const MAX_DIGITS: u8 = 38;

/// The type of a column whose values are known beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) enum Type {
    Boolean,
    /// Of 8, 16, 32 or 64 bits.
    Int(u8),
    Float,
    Double,
    Text,
    /// A day.
    Date,
    /// Microseconds since 1970, UTC.
    Timestamp,
    Decimal {
        precision: u8,
        scale: u8,
    },
    List(Box<Type>),
    /// In the order given.
    Struct(Vec<(Box<str>, Type)>),
    /// From text.
    Map(Box<Type>),
}

/// A schema that is given, in place of one that is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedSchema {
    /// Sorted by name, as all columns are.
    columns: Vec<(Box<str>, Type)>,
}

impl FixedSchema {
    /// Reads a schema: Arrow's JSON (the format of its integration tests), or the columns of a `CREATE TABLE` as Athena,
    /// Hive, Spark or DuckDB write it, with or without the statement around them.
    ///
    /// # Errors
    /// [`Error::Usage`] with the line, and what is wrong there.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut columns = if text.trim_start().starts_with('{') { arrow_json::parse(text)? } else { ddl::parse(text)? };
        columns.sort_by(|(a, _), (b, _)| a.cmp(b));
        check_names(&columns, "the schema")?;
        if columns.is_empty() {
            return Err(Error::Usage("the schema has no columns".to_owned()));
        }
        Ok(Self { columns })
    }

    /// The columns, by name.
    pub(crate) fn columns(&self) -> &[(Box<str>, Type)] {
        &self.columns
    }
}

/// Refuses names that Athena and Glue do not tell apart.
fn check_names(fields: &[(Box<str>, Type)], of: &str) -> Result<(), Error> {
    let mut seen = std::collections::HashMap::new();
    for (name, kind) in fields {
        if let Some(other) = seen.insert(name.to_lowercase(), name) {
            return Err(Error::Usage(format!("{of} has both {other} and {name}; Athena and Glue take them for one")));
        }
        check_below(kind, name)?;
    }
    Ok(())
}

fn check_below(kind: &Type, name: &str) -> Result<(), Error> {
    match kind {
        Type::Struct(fields) if fields.is_empty() => {
            Err(Error::Usage(format!("{name} is a struct without fields, which Parquet has not")))
        }
        Type::Struct(fields) => check_names(fields, name),
        Type::List(items) | Type::Map(items) => check_below(items, name),
        _ => Ok(()),
    }
}

/// As Spark writes it: JSON of 64 structs within each other would be nested more deeply than JSON parsers go.
impl From<Type> for String {
    fn from(kind: Type) -> Self {
        kind.print(Dialect::Spark)
    }
}

impl TryFrom<String> for Type {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        ddl::parse_type(&text)
    }
}

impl Type {
    /// A decimal, if there is one with so many digits, of which so many are a fraction.
    pub(crate) fn decimal(precision: u64, scale: u64) -> Option<Self> {
        let (precision, scale) = (u8::try_from(precision).ok()?, u8::try_from(scale).ok()?);
        ((1..=MAX_DIGITS).contains(&precision) && scale <= precision).then_some(Self::Decimal { precision, scale })
    }

    /// The type in Arrow's terms. Everything below it may be null, but the keys of a map.
    pub(crate) fn to_arrow(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int(8) => DataType::Int8,
            Self::Int(16) => DataType::Int16,
            Self::Int(32) => DataType::Int32,
            Self::Int(_) => DataType::Int64,
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Decimal { precision, scale } => DataType::Decimal128(*precision, scale.cast_signed()),
            Self::List(items) => DataType::List(Arc::new(Field::new("element", items.to_arrow(), true))),
            Self::Struct(fields) => DataType::Struct(Self::fields(fields)),
            Self::Map(values) => DataType::Map(Self::entries(values), false),
        }
    }

    /// The fields of a struct.
    pub(crate) fn fields(fields: &[(Box<str>, Self)]) -> Fields {
        fields.iter().map(|(name, kind)| Field::new(&**name, kind.to_arrow(), true)).collect()
    }

    /// What a map is a list of. The names are those of the Parquet specification.
    pub(crate) fn entries(values: &Self) -> Arc<Field> {
        let fields = vec![Field::new("key", DataType::Utf8, false), Field::new("value", values.to_arrow(), true)];
        Arc::new(Field::new("key_value", DataType::Struct(fields.into()), false))
    }

    /// The columns that a Parquet file has for this one.
    pub(crate) fn leaves(&self) -> usize {
        match self {
            Self::Struct(fields) => fields.iter().map(|(_, kind)| kind.leaves()).sum(),
            Self::List(items) => items.leaves(),
            Self::Map(values) => 1 + values.leaves(),
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests;
