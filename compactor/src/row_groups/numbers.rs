//! The values of a leaf that is below a list: integers in a dictionary, or doubles as they are.

use super::chunk::{Bounds, DictionaryPage, PAGE_BYTES, boundary_order};
use super::hybrid;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use bytes::Bytes;
use hashbrown::HashMap;
use parquet::basic::{BoundaryOrder, Encoding};
use parquet::errors::ParquetError;
use parquet::file::statistics::{Statistics, ValueStatistics};
use std::ops::Range;

/// Integers from 0 to below this one are looked up without a hash.
const SMALL: usize = 1024;

/// Values of one leaf, and the dictionary of its chunk.
#[derive(Debug)]
pub(super) enum Numbers {
    Ints(Box<Ints>),
    Doubles(Doubles),
}

#[derive(Debug)]
pub(super) struct Ints {
    /// The dictionary page.
    page: Vec<i64>,
    /// One more than the index of a small value; 0 for one that was not seen.
    small: [u32; SMALL],
    large: HashMap<i64, u32>,
    /// The dictionary is full: values stand for themselves.
    is_plain: bool,
    indexes: Vec<u32>,
    plain: Vec<u8>,
    open: Option<(i64, i64)>,
    done: Vec<Option<(i64, i64)>>,
}

#[derive(Debug, Default)]
pub(super) struct Doubles {
    plain: Vec<u8>,
    open: Option<(f64, f64)>,
    done: Vec<Option<(f64, f64)>>,
}

impl Ints {
    fn index(&mut self, value: i64) -> u32 {
        let known = match usize::try_from(value).ok().and_then(|value| self.small.get_mut(value)) {
            Some(known) if *known > 0 => return *known - 1,
            Some(known) => known,
            None => self.large.entry(value).or_insert(0),
        };
        if *known == 0 {
            self.page.push(value);
            // A dictionary ends when it is larger than a page.
            *known = u32::try_from(self.page.len()).unwrap_or(u32::MAX);
        }
        *known - 1
    }

    fn append(&mut self, values: &[i64]) {
        if !self.is_plain {
            self.indexes.reserve(values.len());
            for value in values {
                let index = self.index(*value);
                self.indexes.push(index);
            }
            if self.page.len() * 8 > PAGE_BYTES {
                self.is_plain = true;
                let value = |index: &u32| self.page.get(*index as usize).copied().unwrap_or(0);
                self.plain.extend(self.indexes.iter().flat_map(|index| value(index).to_le_bytes()));
                self.indexes.clear();
            }
        } else {
            self.plain.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        let (least, greatest) = self.open.unwrap_or((i64::MAX, i64::MIN));
        let bounds =
            values.iter().fold((least, greatest), |(least, greatest), value| (least.min(*value), greatest.max(*value)));
        self.open = if values.is_empty() { self.open } else { Some(bounds) };
    }
}

impl Doubles {
    fn append(&mut self, values: &[f64]) {
        self.plain.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        // A NaN is neither less nor greater than any.
        let (least, greatest) = self.open.unwrap_or((f64::INFINITY, f64::NEG_INFINITY));
        let bounds = values.iter().fold((least, greatest), |(least, greatest), value| {
            (if *value < least { *value } else { least }, if *value > greatest { *value } else { greatest })
        });
        self.open = if bounds.0 <= bounds.1 { Some(bounds) } else { self.open };
    }
}

impl Numbers {
    pub(super) fn ints() -> Self {
        Self::Ints(Box::new(Ints {
            page: Vec::new(),
            small: [0; SMALL],
            large: HashMap::new(),
            is_plain: false,
            indexes: Vec::new(),
            plain: Vec::new(),
            open: None,
            done: Vec::new(),
        }))
    }

    pub(super) fn doubles() -> Self {
        Self::Doubles(Doubles::default())
    }

    /// Appends those of the values in `range` that are not null.
    pub(super) fn append(&mut self, array: &ArrayRef, range: Range<usize>) {
        let whole = array.null_count() == 0;
        let runs = if whole { vec![range] } else { valid_runs(array, range) };
        for run in runs {
            match self {
                Self::Ints(ints) => {
                    ints.append(array.as_primitive::<Int64Type>().values().get(run).unwrap_or_default());
                }
                Self::Doubles(doubles) => {
                    doubles.append(array.as_primitive::<Float64Type>().values().get(run).unwrap_or_default());
                }
            }
        }
    }

    /// Appends the page's values to its body.
    pub(super) fn end_page(&mut self, body: &mut Vec<u8>) -> Encoding {
        match self {
            Self::Ints(ints) => {
                ints.done.push(ints.open.take());
                if ints.is_plain {
                    body.append(&mut ints.plain);
                    return Encoding::PLAIN;
                }
                let count = u32::try_from(ints.page.len()).unwrap_or(u32::MAX);
                let width = hybrid::width(count.saturating_sub(1));
                body.push(width);
                hybrid::encode(&ints.indexes, width, body);
                ints.indexes.clear();
                Encoding::RLE_DICTIONARY
            }
            Self::Doubles(doubles) => {
                doubles.done.push(doubles.open.take());
                body.append(&mut doubles.plain);
                Encoding::PLAIN
            }
        }
    }

    /// The dictionary page.
    pub(super) fn dictionary(
        &self,
        zstd: &mut zstd::bulk::Compressor<'_>,
    ) -> Result<Option<DictionaryPage>, ParquetError> {
        let Self::Ints(ints) = self else { return Ok(None) };
        let page: Vec<u8> = ints.page.iter().flat_map(|value| value.to_le_bytes()).collect();
        let (bytes, values) = (Bytes::from(zstd.compress(&page)?), u32::try_from(ints.page.len()).unwrap_or(u32::MAX));
        Ok(Some(DictionaryPage { bytes, uncompressed: page.len(), values }))
    }

    /// What is told of the chunk, of each page, and of the order of these.
    pub(super) fn told(&self, nulls: u64) -> (Statistics, (Vec<Bounds>, BoundaryOrder)) {
        match self {
            Self::Ints(ints) => {
                let least = ints.done.iter().flatten().map(|(least, _)| *least).min();
                let greatest = ints.done.iter().flatten().map(|(_, greatest)| *greatest).max();
                let statistics = ValueStatistics::<i64>::new(least, greatest, None, Some(nulls), false);
                (statistics.into(), pages(&ints.done, |value| value.to_le_bytes()))
            }
            Self::Doubles(doubles) => {
                // Zero has two signs, and readers may compare either with a bound.
                let signed = |(least, greatest): (f64, f64)| {
                    (if least == 0.0 { -0.0 } else { least }, if greatest == 0.0 { 0.0 } else { greatest })
                };
                let done: Vec<Option<(f64, f64)>> = doubles.done.iter().map(|page| page.map(signed)).collect();
                let least = done.iter().flatten().map(|(least, _)| *least).reduce(f64::min);
                let greatest = done.iter().flatten().map(|(_, greatest)| *greatest).reduce(f64::max);
                let statistics = ValueStatistics::<f64>::new(least, greatest, None, Some(nulls), false);
                (statistics.into(), pages(&done, |value| value.to_le_bytes()))
            }
        }
    }

    /// Bytes of the open page and the dictionary, about, once encoded.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Ints(ints) => {
                let width = hybrid::width(u32::try_from(ints.page.len()).unwrap_or(u32::MAX));
                ints.page.len() * 8 + ints.plain.len() + ints.indexes.len() * usize::from(width) / 8
            }
            Self::Doubles(doubles) => doubles.plain.len(),
        }
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Ints(ints) => {
                let dictionary = ints.page.capacity() * 8 + ints.large.allocation_size() + size_of::<Ints>();
                dictionary + ints.indexes.capacity() * 4 + ints.plain.capacity()
            }
            Self::Doubles(doubles) => doubles.plain.capacity(),
        }
    }
}

fn pages<T: Copy + PartialOrd>(done: &[Option<(T, T)>], bytes: fn(T) -> [u8; 8]) -> (Vec<Bounds>, BoundaryOrder) {
    let full: Vec<(T, T)> = done.iter().flatten().copied().collect();
    let order = boundary_order(&full, |a, b| a.0 <= b.0 && a.1 <= b.1, |a, b| a.0 >= b.0 && a.1 >= b.1);
    let told = done.iter().map(|page| page.map(|(a, b)| (bytes(a).to_vec(), bytes(b).to_vec())));
    (told.collect(), order)
}

/// The parts of a range whose values are not null.
fn valid_runs(array: &ArrayRef, range: Range<usize>) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for at in range.filter(|at| array.is_valid(*at)) {
        match runs.last_mut() {
            Some(run) if run.end == at => run.end += 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}
