//! How each column is encoded, by a look at its first values.
//!
//! A dictionary pays where values repeat; where they do not, it costs time and makes the file larger. What is chosen
//! besides is read by Athena, Spark, DuckDB and pyarrow alike, which rules BYTE_STREAM_SPLIT out: Spark's vectorised
//! reader does not know it.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
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

/// A choice for every leaf, in Parquet's order.
pub(super) fn choose(batch: &RecordBatch) -> Vec<Choice> {
    let mut choices = Vec::new();
    batch.columns().iter().for_each(|column| look(column, &mut choices));
    choices
}

fn look(array: &ArrayRef, choices: &mut Vec<Choice>) {
    match array.data_type() {
        DataType::Struct(_) => array.as_struct().columns().iter().for_each(|column| look(column, choices)),
        DataType::List(_) => look(array.as_list::<i32>().values(), choices),
        DataType::Int64 => choices.push(of_integers(array.as_primitive::<Int64Type>().iter().flatten())),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            choices.push(of_integers(array.as_primitive::<TimestampMicrosecondType>().iter().flatten()));
        }
        DataType::Float64 => {
            let bits = array.as_primitive::<Float64Type>().iter().flatten().map(f64::to_bits);
            let (distinct, count) = distinct(bits);
            let repeats = count >= FEWEST && distinct * 8 <= count;
            choices.push(Choice::unseen(!repeats));
        }
        DataType::Utf8 => choices.push(of_strings(array.as_string::<i32>())),
        _ => choices.push(Choice::Dictionary),
    }
}

fn of_integers(values: impl Iterator<Item = i64>) -> Choice {
    let (distinct, count) = distinct(values);
    if are_unique(distinct, count) { Choice::Without(Encoding::DELTA_BINARY_PACKED) } else { Choice::Dictionary }
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
        let mut choices = Vec::new();
        look(&(Arc::new(array) as ArrayRef), &mut choices);
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
    fn few_values_say_nothing() {
        assert_eq!(choice(Int64Array::from_iter_values(0..9)), Choice::Dictionary);
        assert_eq!(choice(Float64Array::from_iter_values([1.0; 9])), Choice::Without(Encoding::PLAIN));
        assert_eq!(choice(StringArray::from_iter_values(["a", "b"])), Choice::Dictionary);
    }
}
