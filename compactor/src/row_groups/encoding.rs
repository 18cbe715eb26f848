//! How each column is encoded, by a look at its first values.
//!
//! A dictionary pays where values repeat; where they do not, it costs time and makes the file larger. What is chosen
//! besides is read by Athena, Spark, DuckDB and pyarrow alike, which rules BYTE_STREAM_SPLIT out unless it is asked for:
//! Spark's vectorised reader does not know it.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, TimeUnit};
use parquet::basic::Encoding;
use parquet::file::properties::WriterPropertiesBuilder;
use parquet::schema::types::ColumnPath;
use std::collections::HashSet;
use std::hash::Hash;

/// Values of a column that are looked at.
const SAMPLE: usize = 4096;

/// Fewer values say nothing.
const FEWEST: usize = 256;

/// How one column is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// A dictionary; and what the writer falls back to where that grows too large.
    Dictionary,
    Without(Encoding),
}

impl Choice {
    /// For a column of which no value was looked at. Measured values seldom repeat.
    pub(super) fn unseen(is_double: bool) -> Self {
        if is_double { Self::Without(Encoding::PLAIN) } else { Self::Dictionary }
    }

    pub(super) fn apply(self, path: &ColumnPath, properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
        match self {
            Self::Dictionary => properties,
            Self::Without(encoding) => properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), encoding),
        }
    }
}

/// A choice for every leaf, in Parquet's order. With `split`, BYTE_STREAM_SPLIT is one of the choices.
pub(super) fn choose(batch: &RecordBatch, split: bool) -> Vec<Choice> {
    let mut choices = Vec::new();
    batch.columns().iter().for_each(|column| look(column, split, &mut choices));
    choices
}

fn look(array: &ArrayRef, split: bool, choices: &mut Vec<Choice>) {
    match array.data_type() {
        DataType::Struct(_) => array.as_struct().columns().iter().for_each(|column| look(column, split, choices)),
        DataType::List(_) => look(array.as_list::<i32>().values(), split, choices),
        DataType::Map(..) => {
            array.as_map().entries().columns().iter().for_each(|column| look(column, split, choices));
        }
        DataType::Int32 => {
            let values = array.as_primitive::<Int32Type>().iter().flatten();
            choices.push(of_integers(values.map(i64::from)));
        }
        DataType::Int64 => choices.push(of_integers(array.as_primitive::<Int64Type>().iter().flatten())),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            choices.push(of_integers(array.as_primitive::<TimestampMicrosecondType>().iter().flatten()));
        }
        DataType::Float64 => {
            let values = || array.as_primitive::<Float64Type>().iter().flatten();
            choices.push(of_doubles(values, |value| value.to_le_bytes(), split));
        }
        DataType::Float32 => {
            let values = || array.as_primitive::<Float32Type>().iter().flatten();
            choices.push(of_doubles(values, |value| value.to_le_bytes(), split));
        }
        DataType::Utf8 => choices.push(of_strings(array.as_string::<i32>())),
        _ => choices.push(Choice::Dictionary),
    }
}

fn of_integers(values: impl Iterator<Item = i64>) -> Choice {
    let (distinct, count) = distinct(values);
    if are_unique(distinct, count) { Choice::Without(Encoding::DELTA_BINARY_PACKED) } else { Choice::Dictionary }
}

/// Values that seldom repeat are stored as they are, or with the first bytes of all of them, then the second, and so on,
/// where zstd makes less of that.
fn of_doubles<T, I: Iterator<Item = T>, const N: usize>(
    values: impl Fn() -> I,
    bytes: impl Fn(T) -> [u8; N],
    split: bool,
) -> Choice {
    let (distinct, count) = distinct(values().map(&bytes));
    let repeats = count >= FEWEST && distinct * 8 <= count;
    if repeats || !split || count < FEWEST {
        return Choice::unseen(!repeats);
    }
    let plain: Vec<u8> = values().take(SAMPLE).flat_map(&bytes).collect();
    let streams = (0..N).flat_map(|at| plain.iter().skip(at).step_by(N).copied()).collect::<Vec<u8>>();
    let size = |bytes: &[u8]| zstd::bulk::compress(bytes, 1).map_or(usize::MAX, |compressed| compressed.len());
    Choice::Without(if size(&streams) < size(&plain) { Encoding::BYTE_STREAM_SPLIT } else { Encoding::PLAIN })
}

fn of_strings(values: &StringArray) -> Choice {
    let (distinct, count) = distinct(values.iter().flatten());
    if !are_unique(distinct, count) {
        return Choice::Dictionary;
    }
    let mut last: &[u8] = b"";
    let (mut shared, mut bytes) = (0, 0);
    for value in values.iter().flatten().take(SAMPLE).map(str::as_bytes) {
        shared += last.iter().zip(value).take_while(|(a, b)| a == b).count();
        bytes += value.len();
        last = value;
    }
    // Each value as what it does not share with the one before: for keys and times that ascend.
    Choice::Without(if shared * 2 > bytes { Encoding::DELTA_BYTE_ARRAY } else { Encoding::PLAIN })
}

/// Whether so many values would not fit a dictionary: of 10,000 that are drawn at random, a sample of 4,096 still has
/// five in six only once, and a dictionary of them is by far the smallest.
fn are_unique(distinct: usize, count: usize) -> bool {
    count >= FEWEST && distinct * 50 > count * 49
}

/// How many of the first values differ, and how many they are.
fn distinct<T: Hash + Eq>(values: impl Iterator<Item = T>) -> (usize, usize) {
    let mut seen = HashSet::new();
    let mut count = 0;
    for value in values.take(SAMPLE) {
        seen.insert(value);
        count += 1;
    }
    (seen.len(), count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Float64Array, Int64Array};
    use std::sync::Arc;

    fn choice(array: impl Array + 'static) -> Choice {
        choice_of(array, false)
    }

    fn choice_of(array: impl Array + 'static, split: bool) -> Choice {
        let mut choices = Vec::new();
        look(&(Arc::new(array) as ArrayRef), split, &mut choices);
        assert_eq!(choices.len(), 1);
        choices[0]
    }

    #[test]
    fn values_that_repeat_get_a_dictionary_and_others_do_not() {
        assert_eq!(choice(Int64Array::from_iter_values((0..1000).map(|n| n % 7))), Choice::Dictionary);
        let delta = Choice::Without(Encoding::DELTA_BINARY_PACKED);
        assert_eq!(choice(Int64Array::from_iter_values(0..1000)), delta);
        let plain = Choice::Without(Encoding::PLAIN);
        assert_eq!(choice(Float64Array::from_iter_values((0..1000).map(f64::from))), plain);
        assert_eq!(choice(Float64Array::from_iter_values((0..1000).map(|n| f64::from(n % 7)))), Choice::Dictionary);
        let strings = |text: fn(i32) -> String| choice(StringArray::from_iter_values((0..1000).map(text)));
        assert_eq!(strings(|n| format!("{}", n % 9)), Choice::Dictionary);
        let drawn = |n: i32| (n.wrapping_mul(7919) / 5 % 1000).to_string();
        assert_eq!(strings(drawn), Choice::Dictionary);
        assert_eq!(strings(|n| format!("order-{n:06}")), Choice::Without(Encoding::DELTA_BYTE_ARRAY));
        assert_eq!(strings(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b1_u32.cast_signed()))), plain);
    }

    #[test]
    fn bytes_are_split_where_that_is_smaller_and_asked_for() {
        let measured = || Float64Array::from_iter_values((0..4000).map(|n| 20.0 + f64::from(n * 7919 % 4001) * 1e-4));
        let split = Choice::Without(Encoding::BYTE_STREAM_SPLIT);
        assert_eq!(choice_of(measured(), true), split);
        assert_eq!(choice_of(measured(), false), Choice::Without(Encoding::PLAIN));
        assert_eq!(
            choice_of(Float64Array::from_iter_values((0..1000).map(|n| f64::from(n % 7))), true),
            Choice::Dictionary
        );
    }

    #[test]
    fn few_values_say_nothing() {
        assert_eq!(choice(Int64Array::from_iter_values(0..9)), Choice::Dictionary);
        assert_eq!(choice(Float64Array::from_iter_values([1.0; 9])), Choice::Without(Encoding::PLAIN));
        assert_eq!(choice(StringArray::from_iter_values(["a", "b"])), Choice::Dictionary);
    }
}
