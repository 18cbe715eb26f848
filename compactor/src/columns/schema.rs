//! The columns that hold what was seen.

use super::shape::{Bounds, Shape};
use arrow_schema::{DataType, Field};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where fields of the row go that are too many for columns of their own.
const OVERFLOW: &str = "_overflow";

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Column {
    Bool,
    Int,
    Double,
    /// Strings as they are, any other value as its JSON text.
    Text,
    /// Sorted by name; never empty.
    Struct(Vec<(Box<str>, Column)>),
    List(Box<Column>),
}

/// The columns of all files of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schema {
    /// Sorted by name.
    pub(crate) columns: Vec<(Box<str>, Column)>,
    /// The last column is [`OVERFLOW`], with the fields that have none, as one JSON object.
    pub(crate) overflow: bool,
}

impl Schema {
    /// The narrowest columns that hold every row seen without loss, of which there is a bounded number (and `_overflow`).
    pub(crate) fn of(rows: &Shape, bounds: Bounds) -> Self {
        let mut fields = rows.fields.sorted();
        let mut overflow = rows.crowded(bounds);
        fields.truncate(bounds.max_columns);
        // A Parquet file needs a column; and the rows' own `_overflow` would be confused with ours.
        overflow |= fields.is_empty();
        if overflow {
            fields.retain(|(name, _)| *name != OVERFLOW);
        }
        let mut columns: Vec<(Box<str>, Column)> =
            fields.into_iter().map(|(name, shape)| (name.into(), Column::of(shape))).collect();
        while columns.iter().map(|(_, column)| column.leaves()).sum::<usize>() > bounds.max_columns {
            // Reversed, as of equals the last would be taken: the first by name is.
            let structs = columns.iter_mut().rev().filter_map(|(_, column)| column.widest());
            match structs.max_by_key(|(fields, _)| *fields) {
                Some((_, column)) => *column = Column::Text,
                None => break,
            }
        }
        Self { columns, overflow }
    }

    /// The schema in Arrow's terms. Every column may be null.
    pub(crate) fn to_arrow(&self) -> Arc<arrow_schema::Schema> {
        let overflow = self.overflow.then(|| Field::new(OVERFLOW, DataType::Utf8, true));
        let fields = self.columns.iter().map(|(name, column)| field(name, column)).chain(overflow);
        Arc::new(arrow_schema::Schema::new(fields.collect::<Vec<Field>>()))
    }

    /// The Arrow type of every column, by name.
    pub(crate) fn types(&self) -> BTreeMap<String, String> {
        let schema = self.to_arrow();
        schema.fields().iter().map(|field| (field.name().clone(), field.data_type().to_string())).collect()
    }

    /// Whether a column has this name, in upper or lower case: Hive's names have none.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|(column, _)| column.eq_ignore_ascii_case(name))
    }
}

pub(super) fn field(name: &str, column: &Column) -> Field {
    Field::new(name, column.data_type(), true)
}

impl Column {
    fn of(shape: &Shape) -> Self {
        let numbers = shape.int || shape.double || shape.odd_number;
        let containers = shape.object || shape.array || shape.opaque;
        let kinds = [shape.bool, numbers, shape.text, containers].into_iter().filter(|seen| *seen).count();
        if kinds != 1 || shape.text || shape.odd_number || shape.opaque {
            return Self::Text;
        }
        if shape.bool {
            return Self::Bool;
        }
        if numbers {
            return match (shape.double, shape.wide_int) {
                (false, _) => Self::Int,
                (true, false) => Self::Double,
                (true, true) => Self::Text,
            };
        }
        match (shape.object, shape.array) {
            (true, false) => {
                let fields = shape.fields.sorted();
                let columns: Vec<_> = fields.into_iter().map(|(name, shape)| (name.into(), Self::of(shape))).collect();
                if columns.is_empty() { Self::Text } else { Self::Struct(columns) }
            }
            (false, true) => Self::List(Box::new(shape.items.as_ref().map_or(Self::Text, |items| Self::of(items)))),
            _ => Self::Text,
        }
    }

    pub(super) fn data_type(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Struct(columns) => {
                DataType::Struct(columns.iter().map(|(name, column)| field(name, column)).collect())
            }
            // The name that the Parquet specification gives to a list's elements.
            Self::List(items) => DataType::List(Arc::new(field("element", items))),
        }
    }

    fn leaves(&self) -> usize {
        match self {
            Self::Struct(columns) => columns.iter().map(|(_, column)| column.leaves()).sum(),
            Self::List(items) => items.leaves(),
            _ => 1,
        }
    }

    /// The struct with the most fields of its own, here or below, and their number; the first of several by name.
    fn widest(&mut self) -> Option<(usize, &mut Self)> {
        match self {
            Self::List(items) => items.widest(),
            Self::Struct(columns) => {
                let own = columns.len();
                let below = columns.iter().map(|(_, column)| column.widest_fields()).max().unwrap_or(0);
                if own >= below {
                    return Some((own, self));
                }
                let Self::Struct(columns) = self else { return None };
                columns.iter_mut().find(|(_, column)| column.widest_fields() == below)?.1.widest()
            }
            _ => None,
        }
    }

    fn widest_fields(&self) -> usize {
        match self {
            Self::Struct(columns) => {
                columns.iter().map(|(_, column)| column.widest_fields()).max().unwrap_or(0).max(columns.len())
            }
            Self::List(items) => items.widest_fields(),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests;
