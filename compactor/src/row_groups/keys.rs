//! Rows as bytes that sort as they do.

use crate::sort_by::SortBy;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema};

/// The columns that rows can be sorted by: those that there are, and that hold one value a row.
pub(super) fn sortable(by: &[SortBy], schema: &Schema) -> Vec<SortBy> {
    by.iter().filter(|by| leaf(by, schema).is_some()).cloned().collect()
}

/// The Parquet column of a field that rows can be sorted by.
pub(super) fn leaf(by: &SortBy, schema: &Schema) -> Option<usize> {
    let mut fields = schema.fields();
    let mut leaves = 0;
    let mut names = by.path.names().iter();
    let mut name = names.next()?;
    loop {
        let at = fields.iter().position(|field| **field.name() == **name)?;
        leaves += fields.iter().take(at).map(|field| super::file::leaves_of(field)).sum::<usize>();
        match (fields.get(at)?.data_type(), names.next()) {
            (DataType::Struct(below), Some(next)) => (fields, name) = (below, next),
            (DataType::Struct(_) | DataType::List(_) | DataType::Map(..), _) | (_, Some(_)) => return None,
            (_, None) => return Some(leaves),
        }
    }
}

/// A key for every row of a batch.
#[derive(Debug, Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Keys {
    /// Every `by` must be one of [`sortable`].
    pub(super) fn new(batch: &RecordBatch, by: &[SortBy]) -> Self {
        let columns: Vec<(ArrayRef, bool)> =
            by.iter().filter_map(|by| column(batch, by).map(|column| (column, by.descending))).collect();
        let mut keys = Self::default();
        for row in 0..batch.num_rows() {
            for (column, descending) in &columns {
                // A struct that is null has no fields: what lies below it is null too.
                keys.bytes.push(u8::from(column.is_null(row)));
                let start = keys.bytes.len();
                if column.is_valid(row) {
                    value(column, row, &mut keys.bytes);
                }
                if *descending {
                    keys.bytes[start..].iter_mut().for_each(|byte| *byte = !*byte);
                }
            }
            keys.ends.push(keys.bytes.len());
        }
        keys
    }

    /// The key of a row.
    pub(super) fn get(&self, row: usize) -> &[u8] {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[row]]
    }

    /// The rows in order; of equal ones, the first first.
    pub(super) fn order(&self) -> Vec<u32> {
        let mut rows: Vec<u32> = (0..u32::try_from(self.ends.len()).unwrap_or(u32::MAX)).collect();
        rows.sort_by(|a, b| self.get(*a as usize).cmp(self.get(*b as usize)));
        rows
    }
}

fn column(batch: &RecordBatch, by: &SortBy) -> Option<ArrayRef> {
    let (first, rest) = by.path.names().split_first()?;
    let mut column = batch.column_by_name(first)?.clone();
    for name in rest {
        column = column.as_struct_opt()?.column_by_name(name)?.clone();
    }
    Some(column)
}

/// Appends bytes that sort as the values do: of numbers, big-endian with the sign turned; of text, two bytes for a zero
/// and two at the end, so that a text comes before those that go on.
fn value(array: &ArrayRef, row: usize, out: &mut Vec<u8>) {
    fn at<T: ArrowPrimitiveType>(array: &ArrayRef, row: usize) -> T::Native {
        array.as_primitive::<T>().value(row)
    }
    let signed = |number: i64| (number.cast_unsigned() ^ (1 << 63)).to_be_bytes();
    match array.data_type() {
        DataType::Boolean => out.push(u8::from(array.as_boolean().value(row))),
        DataType::Int8 => out.extend(signed(at::<Int8Type>(array, row).into())),
        DataType::Int16 => out.extend(signed(at::<Int16Type>(array, row).into())),
        DataType::Int32 => out.extend(signed(at::<Int32Type>(array, row).into())),
        DataType::Date32 => out.extend(signed(at::<Date32Type>(array, row).into())),
        DataType::Int64 => out.extend(signed(at::<Int64Type>(array, row))),
        DataType::Timestamp(..) => out.extend(signed(at::<TimestampMicrosecondType>(array, row))),
        DataType::Float32 => out.extend(double(at::<Float32Type>(array, row).into())),
        DataType::Float64 => out.extend(double(at::<Float64Type>(array, row))),
        DataType::Decimal128(..) => {
            out.extend((at::<Decimal128Type>(array, row).cast_unsigned() ^ (1 << 127)).to_be_bytes());
        }
        DataType::Utf8 => {
            for byte in array.as_string::<i32>().value(row).bytes() {
                out.push(byte);
                out.extend((byte == 0).then_some(0xff));
            }
            out.extend([0, 0]);
        }
        _ => {}
    }
}

fn double(number: f64) -> [u8; 8] {
    let bits = number.to_bits();
    (if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{BooleanArray, Decimal128Array, Float64Array, Int64Array, StringArray};
    use std::sync::Arc;

    fn order(array: impl Array + 'static, by: &str) -> Vec<u32> {
        let batch =
            RecordBatch::try_from_iter_with_nullable([("a", Arc::new(array) as ArrayRef, true)]).expect("a batch");
        Keys::new(&batch, &[by.parse().expect("an order")]).order()
    }

    #[test]
    fn keys_sort_as_values_do() {
        let ints = || Int64Array::from(vec![Some(3), None, Some(-1), Some(i64::MIN), Some(i64::MAX), Some(3)]);
        assert_eq!(order(ints(), "a"), [3, 2, 0, 5, 4, 1]);
        assert_eq!(order(ints(), "a:desc"), [4, 0, 5, 2, 3, 1], "nulls last, equals in their order");
        let doubles = Float64Array::from(vec![0.5, -1e300, f64::MIN_POSITIVE, -0.5, 1e300]);
        assert_eq!(order(doubles, "a"), [1, 3, 2, 0, 4]);
        let texts = || StringArray::from(vec!["b", "a\0", "a", "", "a\0b", "é"]);
        assert_eq!(order(texts(), "a"), [3, 2, 1, 4, 0, 5]);
        assert_eq!(order(texts(), "a:desc"), [5, 0, 4, 1, 2, 3]);
        assert_eq!(order(BooleanArray::from(vec![true, false]), "a"), [1, 0]);
        assert_eq!(order(Decimal128Array::from(vec![5, -5, 0]), "a"), [1, 2, 0]);
    }
}
