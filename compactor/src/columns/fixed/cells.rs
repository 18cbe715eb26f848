//! One column of a type that was given, while it is being filled.

use super::scalar::{Scalar, scalar};
use super::{Index, Misfit, canonical};
use crate::columns::conform::object;
use crate::json::{Kind, Value};
use crate::types::Type;
use arrow_array::builder::StringBuilder;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, ListArray, MapArray, StructArray, TimestampMicrosecondArray,
};
use arrow_buffer::{NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field};
use std::sync::Arc;

/// Values of one column.
#[derive(Debug)]
pub(super) struct Cells {
    kind: Type,
    valid: NullBufferBuilder,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Bool(Vec<bool>),
    Int(Vec<i64>),
    Double(Vec<f64>),
    Decimal(Vec<i128>),
    Text(StringBuilder),
    List { offsets: Vec<i32>, items: Box<Cells> },
    Struct { index: Index, fields: Vec<Cells> },
    Map { offsets: Vec<i32>, keys: StringBuilder, values: Box<Cells> },
}

impl Cells {
    pub(super) fn new(kind: &Type) -> Self {
        let data = match kind {
            Type::Boolean => Data::Bool(Vec::new()),
            Type::Int(_) | Type::Date | Type::Timestamp => Data::Int(Vec::new()),
            Type::Float | Type::Double => Data::Double(Vec::new()),
            Type::Decimal { .. } => Data::Decimal(Vec::new()),
            Type::Text => Data::Text(StringBuilder::new()),
            Type::List(items) => Data::List { offsets: vec![0], items: Box::new(Self::new(items)) },
            Type::Struct(fields) => Data::Struct {
                index: Index::new(fields.iter().map(|(name, _)| &**name)),
                fields: fields.iter().map(|(_, kind)| Self::new(kind)).collect(),
            },
            Type::Map(values) => {
                Data::Map { offsets: vec![0], keys: StringBuilder::new(), values: Box::new(Self::new(values)) }
            }
        };
        Self { kind: kind.clone(), valid: NullBufferBuilder::new(0), data }
    }

    pub(super) fn kind(&self) -> &Type {
        &self.kind
    }

    /// Looks whether a value fits, with all below it.
    ///
    /// # Errors
    /// The first that does not.
    pub(super) fn check(&self, value: Value<'_>, path: &str) -> Result<(), Misfit> {
        let misfit = || Err(Misfit::new(path.to_owned(), Some(&self.kind), value));
        match (&self.data, value.kind()) {
            (_, Kind::Null) | (Data::Text(_), _) => Ok(()),
            (Data::List { items, .. }, Kind::Array) => {
                let path = format!("{path}[]");
                value.elements().try_for_each(|element| items.check(element, &path))
            }
            (Data::Struct { index, fields }, Kind::Object) => {
                let (values, unknown) = index.sort(value);
                if let Some((name, value)) = unknown.first() {
                    return Err(Misfit::new(format!("{path}.{name}"), None, *value));
                }
                let Type::Struct(named) = &self.kind else { return misfit() };
                for (((name, _), cells), value) in named.iter().zip(fields).zip(values) {
                    if let Some(value) = value {
                        cells.check(value, &format!("{path}.{name}"))?;
                    }
                }
                Ok(())
            }
            (Data::Map { values, .. }, Kind::Object) => {
                value.members().try_for_each(|(key, value)| values.check(value, &format!("{path}.{}", key.text().0)))
            }
            _ => scalar(value, &self.kind).map_or_else(misfit, |_| Ok(())),
        }
    }

    /// Appends a value, null if there is none. Returns the JSON text of what did not fit: of a struct the members that do
    /// not, of anything else the whole, which is null here then.
    pub(super) fn append(&mut self, value: Option<Value<'_>>, replaced: &mut u64) -> Option<String> {
        let Some(value) = value.filter(|value| value.kind() != Kind::Null) else {
            self.append_null();
            return None;
        };
        match (&mut self.data, value.kind()) {
            (Data::Text(texts), Kind::Text | Kind::EscapedText) => {
                let (text, halves) = value.text();
                *replaced += halves;
                texts.append_value(text);
            }
            (Data::Text(texts), _) => texts.append_value(canonical(value, replaced)),
            (Data::Struct { index, fields }, Kind::Object) => {
                let (values, unknown) = index.sort(value);
                let mut rest: Vec<(String, String)> =
                    unknown.into_iter().map(|(name, value)| (name, canonical(value, replaced))).collect();
                if let Type::Struct(named) = &self.kind {
                    for (((name, _), cells), value) in named.iter().zip(fields).zip(values) {
                        rest.extend(cells.append(value, replaced).map(|unfit| (name.to_string(), unfit)));
                    }
                }
                self.valid.append_non_null();
                return object(rest);
            }
            (Data::List { offsets, items }, Kind::Array) => {
                if value.elements().any(|element| items.check(element, "").is_err()) {
                    return self.unfit(value, replaced);
                }
                let last = offsets.last().copied().unwrap_or(0);
                let mut count = 0;
                for element in value.elements() {
                    items.append(Some(element), replaced);
                    count += 1;
                }
                offsets.push(last + count);
            }
            (Data::Map { offsets, keys, values }, Kind::Object) => {
                if value.members().any(|(_, value)| values.check(value, "").is_err()) {
                    return self.unfit(value, replaced);
                }
                let mut members: Vec<(String, Value<'_>)> =
                    value.members().map(|(key, value)| (key.text().0.into_owned(), value)).collect();
                // Stable: of equal keys, the last comes last.
                members.sort_by(|(a, _), (b, _)| a.cmp(b));
                let last = offsets.last().copied().unwrap_or(0);
                let mut count = 0;
                for (at, (key, value)) in members.iter().enumerate() {
                    if members.get(at + 1).is_none_or(|(next, _)| next != key) {
                        keys.append_value(key);
                        values.append(Some(*value), replaced);
                        count += 1;
                    }
                }
                offsets.push(last + count);
            }
            _ => match (&mut self.data, scalar(value, &self.kind)) {
                (Data::Bool(values), Some(Scalar::Bool(value))) => values.push(value),
                (Data::Int(values), Some(Scalar::Int(value))) => values.push(value),
                (Data::Double(values), Some(Scalar::Double(value))) => values.push(value),
                (Data::Decimal(values), Some(Scalar::Decimal(value))) => values.push(value),
                _ => return self.unfit(value, replaced),
            },
        }
        self.valid.append_non_null();
        None
    }

    fn unfit(&mut self, value: Value<'_>, replaced: &mut u64) -> Option<String> {
        self.append_null();
        Some(canonical(value, replaced))
    }

    fn append_null(&mut self) {
        self.valid.append_null();
        match &mut self.data {
            Data::Bool(values) => values.push(false),
            Data::Int(values) => values.push(0),
            Data::Double(values) => values.push(0.0),
            Data::Decimal(values) => values.push(0),
            Data::Text(texts) => texts.append_null(),
            Data::Struct { fields, .. } => fields.iter_mut().for_each(Self::append_null),
            Data::List { offsets, .. } | Data::Map { offsets, .. } => {
                let last = offsets.last().copied().unwrap_or(0);
                offsets.push(last);
            }
        }
    }

    /// The values, as an array of the type.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let len = self.valid.len();
        let nulls = self.valid.finish();
        self.valid = NullBufferBuilder::new(len);
        Ok(match &mut self.data {
            Data::Bool(values) => Arc::new(BooleanArray::new(std::mem::take(values).into(), nulls)),
            Data::Int(values) => ints(&self.kind, std::mem::take(values), nulls),
            Data::Double(values) if self.kind == Type::Float => {
                // Each was a float before it was a double.
                #[allow(clippy::cast_possible_truncation, reason = "see above")]
                let floats: Vec<f32> = std::mem::take(values).into_iter().map(|value| value as f32).collect();
                Arc::new(Float32Array::new(floats.into(), nulls))
            }
            Data::Double(values) => Arc::new(Float64Array::new(std::mem::take(values).into(), nulls)),
            Data::Decimal(values) => {
                let array = Decimal128Array::new(std::mem::take(values).into(), nulls);
                match &self.kind {
                    Type::Decimal { precision, scale } => {
                        Arc::new(array.with_precision_and_scale(*precision, scale.cast_signed())?)
                    }
                    _ => Arc::new(array),
                }
            }
            Data::Text(texts) => Arc::new(texts.finish()),
            Data::Struct { fields, .. } => {
                let columns = fields.iter_mut().map(Self::finish).collect::<Result<Vec<_>, _>>()?;
                let DataType::Struct(fields) = self.kind.to_arrow() else { return Err(wrong(&self.kind)) };
                Arc::new(StructArray::try_new_with_length(fields, columns, nulls, len)?)
            }
            Data::List { offsets, items } => {
                let element = Arc::new(Field::new("element", items.kind.to_arrow(), true));
                Arc::new(ListArray::try_new(element, taken(offsets), items.finish()?, nulls)?)
            }
            Data::Map { offsets, keys, values } => {
                let entries = Type::entries(&values.kind);
                let DataType::Struct(fields) = entries.data_type() else { return Err(wrong(&self.kind)) };
                let columns: Vec<ArrayRef> = vec![Arc::new(keys.finish()), values.finish()?];
                let pairs = StructArray::try_new(fields.clone(), columns, None)?;
                Arc::new(MapArray::try_new(entries, taken(offsets), pairs, nulls, false)?)
            }
        })
    }
}

fn wrong(kind: &Type) -> ArrowError {
    ArrowError::SchemaError(format!("a column of {kind:?} was built as another"))
}

fn taken(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(offsets, vec![0])))
}

/// Whole numbers as the type stores them. Each was looked at before it was appended.
fn ints(kind: &Type, values: Vec<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
    #[allow(clippy::cast_possible_truncation, reason = "values that do not fit were refused")]
    match kind {
        Type::Int(8) => Arc::new(Int8Array::new(values.into_iter().map(|value| value as i8).collect(), nulls)),
        Type::Int(16) => Arc::new(Int16Array::new(values.into_iter().map(|value| value as i16).collect(), nulls)),
        Type::Int(32) => Arc::new(Int32Array::new(values.into_iter().map(|value| value as i32).collect(), nulls)),
        Type::Date => Arc::new(Date32Array::new(values.into_iter().map(|value| value as i32).collect(), nulls)),
        Type::Timestamp => Arc::new(TimestampMicrosecondArray::new(values.into(), nulls).with_timezone("UTC")),
        _ => Arc::new(Int64Array::new(values.into(), nulls)),
    }
}
