//! Fills columns from rows.

use super::schema::{Column, Schema, field};
use crate::json::{Kind, Value, number};
use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, ListArray, RecordBatch, RecordBatchOptions, StructArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, Fields, SchemaRef};
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// A row does not fit the schema that was made for it: it is not the row that was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Misfit;

/// Builds record batches of one schema.
pub(crate) struct Builder {
    schema: SchemaRef,
    root: StructBuilder,
    overflow: Option<StringBuilder>,
    rows: usize,
    replaced: u64,
}

impl Builder {
    /// For the rows from which `schema` was made.
    pub(crate) fn new(schema: &Schema) -> Self {
        Self {
            schema: schema.to_arrow(),
            root: StructBuilder::new(&schema.columns),
            overflow: schema.overflow.then(StringBuilder::new),
            rows: 0,
            replaced: 0,
        }
    }

    /// Rows since the last batch.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Halves of surrogate pairs that were replaced by U+FFFD, in all rows.
    pub(crate) fn replaced(&self) -> u64 {
        self.replaced
    }

    /// Appends a row. After a misfit, the builder holds part of a row and must not be used.
    pub(crate) fn append(&mut self, row: Value<'_>) -> Result<(), Misfit> {
        let mut rest = self.overflow.is_some().then(String::new);
        self.root.append(row, rest.as_mut(), &mut self.replaced)?;
        if let (Some(column), Some(rest)) = (&mut self.overflow, rest) {
            if rest.is_empty() {
                column.append_null();
            } else {
                column.append_value(format!("{{{rest}}}"));
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows since the last batch.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        let (mut columns, _) = self.root.finish()?;
        columns.extend(self.overflow.as_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
    }
}

/// The values of a column that were appended since the last batch.
enum Values {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Double(Float64Builder),
    Text(StringBuilder),
    Struct(StructBuilder),
    List(Box<ListBuilder>),
}

impl Values {
    fn new(column: &Column) -> Self {
        // Capacities of zero: ten thousand columns of a sparse row must not take megabytes before they hold anything.
        match column {
            Column::Bool => Self::Bool(BooleanBuilder::with_capacity(0)),
            Column::Int => Self::Int(Int64Builder::with_capacity(0)),
            Column::Double => Self::Double(Float64Builder::with_capacity(0)),
            Column::Text => Self::Text(StringBuilder::with_capacity(0, 0)),
            Column::Struct(columns) => Self::Struct(StructBuilder::new(columns)),
            Column::List(items) => Self::List(Box::new(ListBuilder::new(items))),
        }
    }

    fn append(&mut self, value: Value<'_>, replaced: &mut u64) -> Result<(), Misfit> {
        match (self, value.kind()) {
            (values, Kind::Null) => values.append_null(),
            (Self::Bool(values), Kind::True) => values.append_value(true),
            (Self::Bool(values), Kind::False) => values.append_value(false),
            (Self::Int(values), Kind::Int) => values.append_value(number::integer(value.source()).ok_or(Misfit)?),
            (Self::Double(values), Kind::Int | Kind::Float) => {
                values.append_value(number::double(value.source()).ok_or(Misfit)?);
            }
            (Self::Text(values), _) => {
                let (text, halves) = value.text();
                *replaced += halves;
                values.append_value(text);
            }
            (Self::Struct(values), Kind::Object) => values.append(value, None, replaced)?,
            (Self::List(values), Kind::Array) => values.append(value, replaced)?,
            _ => return Err(Misfit),
        }
        Ok(())
    }

    fn append_null(&mut self) {
        match self {
            Self::Bool(values) => values.append_null(),
            Self::Int(values) => values.append_null(),
            Self::Double(values) => values.append_null(),
            Self::Text(values) => values.append_null(),
            Self::Struct(values) => values.append_null(),
            Self::List(values) => values.append_null(),
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Bool(values) => Arc::new(values.finish()),
            Self::Int(values) => Arc::new(values.finish()),
            Self::Double(values) => Arc::new(values.finish()),
            Self::Text(values) => Arc::new(values.finish()),
            Self::Struct(values) => {
                let length = values.valid.len();
                let fields = values.fields.clone();
                let (columns, valid) = values.finish()?;
                Arc::new(StructArray::try_new_with_length(fields, columns, valid, length)?)
            }
            Self::List(values) => values.finish()?,
        })
    }
}

struct StructBuilder {
    fields: Fields,
    names: Vec<Box<str>>,
    index: HashMap<Box<str>, usize>,
    columns: Vec<Values>,
    valid: NullBufferBuilder,
    /// Where the last object's members went: most objects have the order of the one before.
    order: Vec<usize>,
    /// For every column, the place on the tape of the value to append.
    slots: Vec<Option<NonZeroUsize>>,
}

impl StructBuilder {
    fn new(columns: &[(Box<str>, Column)]) -> Self {
        Self {
            fields: columns.iter().map(|(name, column)| field(name, column)).collect(),
            names: columns.iter().map(|(name, _)| name.clone()).collect(),
            index: columns.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect(),
            columns: columns.iter().map(|(_, column)| Values::new(column)).collect(),
            valid: NullBufferBuilder::new(0),
            order: Vec::new(),
            slots: vec![None; columns.len()],
        }
    }

    /// Where the member at `position` of an object goes.
    fn find(&mut self, name: &str, position: usize) -> Option<usize> {
        if let Some(&at) = self.order.get(position) {
            if *self.names[at] == *name {
                return Some(at);
            }
            self.order.truncate(position);
        }
        let at = *self.index.get(name)?;
        if self.order.len() == position {
            self.order.push(at);
        }
        Some(at)
    }

    /// Appends an object. Members without a column are a misfit, unless there is a `rest` to take them.
    fn append(&mut self, object: Value<'_>, mut rest: Option<&mut String>, replaced: &mut u64) -> Result<(), Misfit> {
        for (position, (key, value)) in object.members().enumerate() {
            let (name, halves) = key.text();
            *replaced += halves;
            match (self.find(&name, position), rest.as_deref_mut()) {
                (Some(at), _) => self.slots[at] = value.place(),
                (None, Some(rest)) => append_member(rest, key, value),
                (None, None) => return Err(Misfit),
            }
        }
        for (column, slot) in self.columns.iter_mut().zip(&mut self.slots) {
            match slot.take() {
                Some(place) => column.append(object.at_place(place), replaced)?,
                None => column.append_null(),
            }
        }
        self.valid.append_non_null();
        Ok(())
    }

    fn append_null(&mut self) {
        self.columns.iter_mut().for_each(Values::append_null);
        self.valid.append_null();
    }

    fn finish(&mut self) -> Result<(Vec<ArrayRef>, Option<arrow_buffer::NullBuffer>), ArrowError> {
        let columns = self.columns.iter_mut().map(Values::finish).collect::<Result<_, _>>()?;
        Ok((columns, self.valid.finish()))
    }
}

/// Appends a member as it stands in the row.
fn append_member(rest: &mut String, key: Value<'_>, value: Value<'_>) {
    let quote = if matches!(value.kind(), Kind::Text | Kind::EscapedText) { "\"" } else { "" };
    let comma = if rest.is_empty() { "" } else { "," };
    for part in [comma, "\"", key.source(), "\":", quote, value.source(), quote] {
        rest.push_str(part);
    }
}

struct ListBuilder {
    item: Arc<arrow_schema::Field>,
    items: Values,
    offsets: Vec<i32>,
    count: usize,
    valid: NullBufferBuilder,
}

impl ListBuilder {
    fn new(items: &Column) -> Self {
        Self {
            item: Arc::new(field("element", items)),
            items: Values::new(items),
            offsets: vec![0],
            count: 0,
            valid: NullBufferBuilder::new(0),
        }
    }

    fn append(&mut self, array: Value<'_>, replaced: &mut u64) -> Result<(), Misfit> {
        for element in array.elements() {
            self.items.append(element, replaced)?;
            self.count += 1;
        }
        self.close(true)
    }

    fn append_null(&mut self) {
        // No element was added, so the offset is the last one, and that was in range.
        self.close(false).ok();
    }

    fn close(&mut self, valid: bool) -> Result<(), Misfit> {
        self.offsets.push(i32::try_from(self.count).map_err(|_| Misfit)?);
        self.valid.append(valid);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        self.count = 0;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let items = self.items.finish()?;
        Ok(Arc::new(ListArray::try_new(Arc::clone(&self.item), offsets, items, self.valid.finish())?))
    }
}

#[cfg(test)]
mod tests;
