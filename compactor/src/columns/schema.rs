//! The columns of rows, and those of a file.

use super::column::{Bounds, Column, join_fields};
use crate::types::Type;
use arrow_schema::{DataType, Field, TimeUnit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where fields of the row go that are too many for columns of their own.
pub(crate) const OVERFLOW: &str = "_overflow";

/// What was seen of a set of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Table {
    /// Sorted by name.
    pub(crate) columns: Vec<(Box<str>, Column)>,
    /// Some fields were left out: they come after all that were kept, by name.
    pub(crate) overflow: bool,
}

/// The columns of all files of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schema {
    /// Sorted by name.
    pub(crate) columns: Vec<(Box<str>, Column)>,
    /// The last column is [`OVERFLOW`], with the fields that have none, as one JSON object.
    pub(crate) overflow: bool,
    /// Columns that the files do not have, though the rows do: what they hold is in the names of the folders.
    pub(crate) left_out: Vec<Box<str>>,
}

impl Table {
    /// What was seen of the rows of both.
    pub(crate) fn join(self, other: Self, bounds: Bounds) -> Self {
        let mut columns = join_fields(self.columns, other.columns, bounds);
        let overflow = self.overflow || other.overflow || columns.len() > bounds.max_columns;
        if overflow {
            // The rows' own `_overflow` would be confused with ours. A field that is dropped now would be dropped by any
            // later call too.
            columns.retain(|(name, _)| **name != *OVERFLOW);
            columns.truncate(bounds.max_columns);
        }
        Self { columns, overflow }
    }

    /// Whether batches of both may stand in one row group, and be read with the columns of `later`, which has seen all
    /// that this one has seen.
    pub(crate) fn is_stored_like(&self, later: &Self) -> bool {
        self.overflow == later.overflow && are_stored_alike(&self.columns, &later.columns)
    }

    /// The number of places that are told apart: a measure of memory.
    pub(crate) fn places(&self) -> usize {
        self.columns.iter().map(|(_, column)| column.places()).sum()
    }
}

impl Schema {
    /// The narrowest columns that hold every row seen without loss, of which there is a bounded number (and `_overflow`).
    pub(crate) fn of(table: Table, bounds: Bounds) -> Self {
        let Table { mut columns, mut overflow } = table;
        // A Parquet file needs a column.
        overflow |= columns.is_empty() || columns.len() > bounds.max_columns;
        if overflow {
            columns.retain(|(name, _)| **name != *OVERFLOW);
            columns.truncate(bounds.max_columns);
        }
        let mut columns: Vec<(Box<str>, Column)> =
            columns.into_iter().map(|(name, column)| (name, column.settled())).collect();
        while columns.iter().map(|(_, column)| column.leaves()).sum::<usize>() > bounds.max_columns {
            // Reversed, as of equals the last would be taken: the first by name is.
            let structs = columns.iter_mut().rev().filter_map(|(_, column)| column.widest());
            match structs.max_by_key(|(fields, _)| *fields) {
                Some((_, column)) => *column = Column::Text,
                None => break,
            }
        }
        Self { columns, overflow, left_out: Vec::new() }
    }

    /// Leaves the columns of these names out, unless none would be left.
    pub(crate) fn leave_out(&mut self, names: &[&str]) {
        let is_left_out = |name: &str| names.contains(&name);
        if self.overflow || self.columns.iter().any(|(name, _)| !is_left_out(name)) {
            self.columns.retain(|(name, _)| !is_left_out(name));
            self.left_out.extend(names.iter().map(|name| (*name).into()));
        }
    }

    /// The schema in Arrow's terms. Every column may be null.
    pub(crate) fn to_arrow(&self) -> Arc<arrow_schema::Schema> {
        let overflow = self.overflow.then(|| Field::new(OVERFLOW, DataType::Utf8, true));
        let fields = self.columns.iter().map(|(name, column)| field(name, column)).chain(overflow);
        Arc::new(arrow_schema::Schema::new(fields.collect::<Vec<Field>>()))
    }

    /// The type of every column.
    pub(crate) fn column_types(&self) -> Vec<(Box<str>, Type)> {
        let overflow = self.overflow.then(|| (OVERFLOW.into(), Type::Text));
        self.columns.iter().map(|(name, column)| (name.clone(), column.kind())).chain(overflow).collect()
    }

    /// The Arrow type of every column, by name.
    pub(crate) fn types(&self) -> BTreeMap<String, String> {
        let schema = self.to_arrow();
        schema.fields().iter().map(|field| (field.name().clone(), field.data_type().to_string())).collect()
    }

    /// Whether a column besides `own` has this name, in upper or lower case: Hive's names have none.
    pub(crate) fn has_besides(&self, name: &str, own: Option<&str>) -> bool {
        self.columns.iter().any(|(column, _)| column.eq_ignore_ascii_case(name) && own != Some(column))
    }
}

/// A column of a file or of a batch.
pub(super) fn field(name: &str, column: &Column) -> Field {
    Field::new(name, data_type(column), true)
}

/// How a column is stored. In a batch, what is not settled yet is stored as text: nulls, `{}`, and mixed values, each
/// behind a tag (see [`super::render`]).
pub(super) fn data_type(column: &Column) -> DataType {
    match column {
        Column::Bool => DataType::Boolean,
        Column::Int { .. } => DataType::Int64,
        Column::Double => DataType::Float64,
        Column::Time { .. } => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Column::Null | Column::Text | Column::Mixed => DataType::Utf8,
        column if column.is_hollow() => DataType::Utf8,
        Column::Fixed(kind) => kind.to_arrow(),
        Column::Struct(columns) => {
            DataType::Struct(stored(columns).map(|(name, column)| field(name, column)).collect())
        }
        // The name that the Parquet specification gives to a list's elements.
        Column::List(items) => DataType::List(Arc::new(field("element", items))),
    }
}

/// The fields that are stored: those that are not only null.
pub(super) fn stored(fields: &[(Box<str>, Column)]) -> impl Iterator<Item = (&str, &Column)> {
    fields.iter().filter(|(_, column)| *column != Column::Null).map(|(name, column)| (&**name, column))
}

fn are_stored_alike(a: &[(Box<str>, Column)], b: &[(Box<str>, Column)]) -> bool {
    let (mut a, mut b) = (stored(a), stored(b));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some((a, from)), Some((b, to))) if a == b && is_stored_alike(from, to) => {}
            _ => return false,
        }
    }
}

fn is_stored_alike(a: &Column, b: &Column) -> bool {
    match (a, b) {
        (Column::Int { .. }, Column::Int { .. }) => true,
        (Column::List(a), Column::List(b)) => is_stored_alike(a, b),
        (Column::Struct(from), Column::Struct(to)) => a.is_hollow() == b.is_hollow() && are_stored_alike(from, to),
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests;
