//! From the columns that one batch has to those of the whole plan.

use super::column::Column;
use super::render::{to_text, write_cell};
use super::schema::{Schema, Table, data_type, stored};
use crate::json::{Parser, Step, Value, quote, write_canonical};
use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use arrow_array::{
    Array, ArrayRef, Float64Array, ListArray, RecordBatch, RecordBatchOptions, StructArray, new_null_array,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{ArrowError, Field};
use std::sync::Arc;

/// What becomes of a column of the schema, in rows that saw `Table`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fit {
    /// Its bytes are as they must be: the column of this index.
    Same(usize),
    /// It was never seen: all null.
    Absent,
    /// The column of this index has another type.
    Other(usize),
    /// The overflow, which has to take fields that were columns.
    Overflow,
}

/// For every column of `schema`, what becomes of it in batches of `table`. The batches' columns are those of
/// [`batch_columns`].
pub(crate) fn fits(table: &Table, stored_overflow: bool, schema: &Schema) -> Vec<Fit> {
    let seen: Vec<(&str, &Column)> = stored(&table.columns).collect();
    let mut fits = Vec::with_capacity(schema.columns.len() + 1);
    for (name, column) in &schema.columns {
        fits.push(match seen.binary_search_by_key(&&**name, |(name, _)| *name) {
            Err(_) => Fit::Absent,
            Ok(at) if is_same(seen[at].1, column) => Fit::Same(at),
            Ok(at) => Fit::Other(at),
        });
    }
    if schema.overflow {
        let evicted = seen.iter().any(|(name, _)| !is_kept(schema, name));
        fits.push(match (evicted, stored_overflow) {
            (true, _) => Fit::Overflow,
            (false, true) => Fit::Same(seen.len()),
            (false, false) => Fit::Absent,
        });
    }
    fits
}

fn is_kept(schema: &Schema, name: &str) -> bool {
    schema.columns.binary_search_by_key(&name, |(name, _)| &**name).is_ok()
}

/// Whether a column as a batch stores it is the file's, byte for byte.
fn is_same(from: &Column, to: &Column) -> bool {
    match (from, to) {
        (Column::Int { .. }, Column::Int { .. }) => true,
        (Column::Struct(a), Column::Struct(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((a, from), (b, to))| a == b && is_same(from, to))
        }
        (Column::Struct(_), Column::Text) => from.is_hollow(),
        (Column::List(a), Column::List(b)) => is_same(a, b) || (**a == Column::Null && **b == Column::Text),
        _ => from == to && *from != Column::Mixed,
    }
}

/// A batch of `table` as one of `schema`.
///
/// # Errors
/// None for a schema that was made of a table that `table` was joined to.
pub(crate) fn conform(table: &Table, batch: &RecordBatch, schema: &Schema) -> Result<RecordBatch, ArrowError> {
    let seen: Vec<(&str, &Column)> = stored(&table.columns).collect();
    let overflow = batch.columns().get(seen.len());
    let arrow = schema.to_arrow();
    let columns = fits(table, overflow.is_some(), schema).into_iter().enumerate().map(|(at, fit)| {
        Ok(match fit {
            Fit::Same(column) => Arc::clone(batch.column(column)),
            Fit::Absent => new_null_array(arrow.field(at).data_type(), batch.num_rows()),
            Fit::Other(column) => convert(seen[column].1, batch.column(column), &schema.columns[at].1)?,
            Fit::Overflow => evict(&seen, batch, overflow, schema),
        })
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>, ArrowError>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(arrow, columns, &options)
}

/// The column of this index of rows that saw `table`, as the one at `to` of the schema.
///
/// # Errors
/// As for [`conform`].
pub(crate) fn convert_column(
    table: &Table,
    column: usize,
    array: &ArrayRef,
    schema: &Schema,
    to: usize,
) -> Result<ArrayRef, ArrowError> {
    match (stored(&table.columns).nth(column), schema.columns.get(to)) {
        (Some((_, from)), Some((_, to))) => convert(from, array, to),
        _ => Err(ArrowError::SchemaError(format!("no column {column} or {to}"))),
    }
}

/// One column as another, wider one.
///
/// # Errors
/// `to` does not hold what `from` holds.
pub(super) fn convert(from: &Column, array: &ArrayRef, to: &Column) -> Result<ArrayRef, ArrowError> {
    if is_same(from, to) {
        return Ok(Arc::clone(array));
    }
    match (from, to) {
        (Column::Null, to) => Ok(new_null_array(&data_type(to), array.len())),
        (from, Column::Text) => Ok(Arc::new(to_text(from, array, false))),
        (from, Column::Mixed) => Ok(Arc::new(to_text(from, array, true))),
        (Column::Int { .. }, Column::Double) => {
            let ints = array.as_primitive::<Int64Type>();
            // Each is exact as a double: a wide one makes the column mixed.
            #[allow(clippy::cast_precision_loss, reason = "integers past 2^53 never come here")]
            let doubles = ints.values().iter().map(|int| *int as f64);
            Ok(Arc::new(Float64Array::new(doubles.collect(), ints.nulls().cloned())))
        }
        (Column::Struct(seen), Column::Struct(fields)) => convert_struct(from, seen, array, fields),
        (Column::List(from), Column::List(items)) => {
            let list = array.as_list::<i32>();
            let element = Arc::new(Field::new("element", data_type(items), true));
            let values = convert(from, list.values(), items)?;
            Ok(Arc::new(ListArray::try_new(element, list.offsets().clone(), values, list.nulls().cloned())?))
        }
        (from, to) => Err(ArrowError::SchemaError(format!("a column {from:?} does not fit one of {to:?}"))),
    }
}

fn convert_struct(
    from: &Column,
    seen: &[(Box<str>, Column)],
    array: &ArrayRef,
    fields: &[(Box<str>, Column)],
) -> Result<ArrayRef, ArrowError> {
    // What is hollow is stored as text, and valid where that is.
    let (children, nulls): (&[ArrayRef], Option<NullBuffer>) = match array.as_struct_opt() {
        Some(structs) if !from.is_hollow() => (structs.columns(), structs.nulls().cloned()),
        _ => (&[], array.logical_nulls()),
    };
    let mut seen = stored(seen).zip(children).peekable();
    let mut columns = Vec::new();
    for (name, to) in fields.iter().filter(|(_, column)| *column != Column::Null) {
        while seen.peek().is_some_and(|((known, _), _)| *known < &**name) {
            seen.next();
        }
        columns.push(match seen.next_if(|((known, _), _)| *known == &**name) {
            Some(((_, from), values)) => convert(from, values, to)?,
            None => new_null_array(&data_type(to), array.len()),
        });
    }
    let to: arrow_schema::Fields = stored(fields).map(|(name, column)| super::schema::field(name, column)).collect();
    Ok(Arc::new(StructArray::try_new_with_length(to, columns, nulls, array.len())?))
}

/// The overflow, with the fields that have no column in the schema.
fn evict(seen: &[(&str, &Column)], batch: &RecordBatch, overflow: Option<&ArrayRef>, schema: &Schema) -> ArrayRef {
    let evicted: Vec<(usize, &str, &Column)> = seen
        .iter()
        .enumerate()
        .filter(|(_, (name, _))| !is_kept(schema, name))
        .map(|(at, (name, column))| (at, *name, *column))
        .collect();
    let mut texts = StringBuilder::new();
    for row in 0..batch.num_rows() {
        let mut members: Vec<(String, String)> = Vec::new();
        for (at, name, column) in &evicted {
            let array = batch.column(*at);
            if array.is_valid(row) {
                let mut text = String::new();
                write_cell(column, array, row, &mut text);
                members.push(((*name).to_owned(), text));
            }
        }
        let known = overflow.map(|array| array.as_string::<i32>()).filter(|array| array.is_valid(row));
        if let Some(known) = known {
            members.extend(members_of(known.value(row)));
        }
        texts.append_option(object(members));
    }
    Arc::new(texts.finish())
}

/// The text of an object with these members; none if there are none. Of equal keys, the last counts.
pub(super) fn object(mut members: Vec<(String, String)>) -> Option<String> {
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut text = String::new();
    let mut separator = '{';
    for (at, (name, value)) in members.iter().enumerate() {
        if value == "null" || members.get(at + 1).is_some_and(|(next, _)| next == name) {
            continue;
        }
        text.push(std::mem::replace(&mut separator, ','));
        quote(name, &mut text);
        text.push(':');
        text.push_str(value);
    }
    (separator == ',').then(|| text + "}")
}

/// The members of an object that [`object`] wrote.
fn members_of(text: &str) -> Vec<(String, String)> {
    let mut parser = Parser::new(usize::MAX);
    if !matches!(parser.resume(text.as_bytes()), Step::Complete(_)) {
        return Vec::new();
    }
    let members = Value::root(text, parser.tape()).members().map(|(key, value)| {
        let mut json = String::new();
        write_canonical(value, &mut json);
        (key.text().0.into_owned(), json)
    });
    members.collect()
}
