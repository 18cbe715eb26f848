//! A column of lists of numbers, or of structs of numbers, from values to column chunks.
//!
//! The parquet crate's writer makes levels, two bytes each, for every leaf, and hashes every value. Here the leaves of a
//! list share their levels, which are encoded once a page where no value is null, and small integers are looked up in a
//! table. The pages of all leaves have the same rows.

use super::chunk::{self, DonePage, PAGE_BYTES, PAGE_ROWS};
use super::encoding::Choice;
use super::hybrid;
use super::numbers::Numbers;
use crate::error::Error;
use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef, ListArray};
use arrow_schema::{DataType, Field};
use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::schema::types::ColumnDescPtr;
use std::ops::Range;

/// Levels of a page, about: as many as make a page of values of eight bytes.
const PAGE_LEVELS: usize = PAGE_BYTES / 8;

/// Definition levels: the list is null, it has no elements, the element is null.
const NO_LIST: u8 = 0;
const EMPTY: u8 = 1;
const NO_ELEMENT: u8 = 2;

/// Encodes one column that is not below another.
pub(super) struct ListWriter {
    codec: Compression,
    zstd: zstd::bulk::Compressor<'static>,
    leaves: Vec<Leaf>,
    /// The definition level of a value.
    defined: u8,
    rows: usize,
    repetition: Vec<u8>,
    /// As if no value were null.
    definition: Vec<u8>,
    done_bytes: usize,
}

struct Leaf {
    descr: ColumnDescPtr,
    numbers: Numbers,
    /// Which of the page's levels are those of nulls, within elements.
    nulls: Vec<usize>,
    pages: Vec<DonePage>,
}

/// What the leaves of such a column have; none, where it is another kind of column.
pub(super) fn leaves(field: &Field, choices: &[Choice]) -> Option<Vec<Numbers>> {
    let DataType::List(element) = field.data_type() else { return None };
    let fields = match element.data_type() {
        DataType::Struct(fields) => fields.iter().map(AsRef::as_ref).collect(),
        _ => vec![element.as_ref()],
    };
    if !field.is_nullable() || !element.is_nullable() || fields.len() != choices.len() {
        return None;
    }
    let leaf = |(field, choice): (&Field, &Choice)| match (field.data_type(), choice) {
        _ if !field.is_nullable() => None,
        (DataType::Int64, Choice::Dictionary) => Some(Numbers::ints()),
        (DataType::Float64, Choice::Without(Encoding::PLAIN)) => Some(Numbers::doubles()),
        _ => None,
    };
    fields.into_iter().zip(choices).map(leaf).collect()
}

impl ListWriter {
    /// Encodes the leaves `descrs`, compressed at `zstd_level`.
    ///
    /// # Errors
    /// There is no such level.
    pub(super) fn new(
        descrs: Vec<ColumnDescPtr>,
        numbers: Vec<Numbers>,
        codec: Compression,
        zstd_level: i32,
    ) -> Result<Self, Error> {
        let defined = descrs.first().map_or(0, |descr| u8::try_from(descr.max_def_level()).unwrap_or(0));
        let leaf = |(descr, numbers)| Leaf { descr, numbers, nulls: Vec::new(), pages: Vec::new() };
        Ok(Self {
            codec,
            zstd: zstd::bulk::Compressor::new(zstd_level).map_err(ParquetError::from)?,
            leaves: descrs.into_iter().zip(numbers).map(leaf).collect(),
            defined,
            rows: 0,
            repetition: Vec::new(),
            definition: Vec::new(),
            done_bytes: 0,
        })
    }

    /// Appends lists.
    pub(super) fn write(&mut self, lists: &ListArray) -> Result<(), Error> {
        let elements = lists.values();
        let columns = match elements.as_struct_opt() {
            Some(fields) => fields.columns().to_vec(),
            None => vec![elements.clone()],
        };
        // Elements of the page that are not null, and the level of the first of each range.
        let mut ranges: Vec<(usize, Range<usize>)> = Vec::new();
        for row in 0..lists.len() {
            self.row(lists, row, elements, &mut ranges);
            if self.definition.len() >= PAGE_LEVELS || self.rows >= PAGE_ROWS {
                self.values(&columns, &mut ranges);
                self.end_page()?;
            }
        }
        self.values(&columns, &mut ranges);
        Ok(())
    }

    /// Appends the levels of a row.
    fn row(&mut self, lists: &ListArray, row: usize, elements: &ArrayRef, ranges: &mut Vec<(usize, Range<usize>)>) {
        self.rows += 1;
        let offset = |at: usize| lists.value_offsets().get(at).and_then(|at| usize::try_from(*at).ok()).unwrap_or(0);
        let range = offset(row)..offset(row + 1);
        self.repetition.push(0);
        if lists.is_null(row) || range.is_empty() {
            self.definition.push(if lists.is_null(row) { NO_LIST } else { EMPTY });
            return;
        }
        self.repetition.resize(self.repetition.len() + range.len() - 1, 1);
        // Of a list of numbers, an element that is null is a value that is.
        if elements.null_count() == 0 || elements.as_struct_opt().is_none() {
            append_range(ranges, self.definition.len(), range.clone());
            self.definition.resize(self.definition.len() + range.len(), self.defined);
            return;
        }
        for at in range {
            if elements.is_null(at) {
                self.definition.push(NO_ELEMENT);
            } else {
                append_range(ranges, self.definition.len(), at..at + 1);
                self.definition.push(self.defined);
            }
        }
    }

    /// Appends the values of elements whose levels are there.
    fn values(&mut self, columns: &[ArrayRef], ranges: &mut Vec<(usize, Range<usize>)>) {
        for (leaf, column) in self.leaves.iter_mut().zip(columns) {
            for (level, range) in ranges.iter() {
                leaf.numbers.append(column, range.clone());
                if column.null_count() > 0 {
                    let nulls = range.clone().filter(|at| column.is_null(*at));
                    leaf.nulls.extend(nulls.map(|at| level + at - range.start));
                }
            }
        }
        ranges.clear();
    }

    fn end_page(&mut self) -> Result<(), Error> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut repetition = Vec::new();
        append_levels(&self.repetition, 1, &mut repetition);
        let mut definition = Vec::new();
        append_levels(&self.definition, self.defined, &mut definition);
        let levels = self.definition.len();
        let absent = levels - self.definition.iter().filter(|level| **level == self.defined).count();
        for Leaf { numbers, nulls, pages, .. } in &mut self.leaves {
            let mut body = Vec::with_capacity(repetition.len() + definition.len() + numbers.bytes() + 64);
            body.extend_from_slice(&repetition);
            if nulls.is_empty() {
                body.extend_from_slice(&definition);
            } else {
                let mut own = self.definition.clone();
                for at in nulls.iter() {
                    if let Some(level) = own.get_mut(*at) {
                        *level = self.defined - 1;
                    }
                }
                append_levels(&own, self.defined, &mut body);
            }
            let encoding = numbers.end_page(&mut body);
            let bytes = Bytes::from(self.zstd.compress(&body).map_err(ParquetError::from)?);
            self.done_bytes += bytes.len();
            pages.push(DonePage {
                bytes,
                uncompressed: body.len(),
                encoding,
                rows: self.rows,
                levels,
                nulls: absent + nulls.len(),
                text_bytes: None,
            });
            nulls.clear();
        }
        self.rows = 0;
        self.repetition.clear();
        self.definition.clear();
        Ok(())
    }

    /// Bytes of the column chunks, about, were they to end here.
    pub(super) fn bytes(&self) -> usize {
        self.done_bytes + self.leaves.iter().map(|leaf| leaf.numbers.bytes()).sum::<usize>()
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        let leaf = |leaf: &Leaf| leaf.numbers.memory() + leaf.nulls.capacity() * size_of::<usize>();
        let levels = self.repetition.capacity() + self.definition.capacity();
        self.done_bytes + levels + self.leaves.iter().map(leaf).sum::<usize>()
    }

    /// Ends the column chunks: the bytes of each, and what is told of it.
    pub(super) fn close(mut self) -> Result<Vec<(Bytes, ColumnCloseResult)>, Error> {
        self.end_page()?;
        let mut chunks = Vec::with_capacity(self.leaves.len());
        for Leaf { descr, numbers, pages, .. } in self.leaves {
            let has_dictionary = pages.iter().any(|page| page.encoding == Encoding::RLE_DICTIONARY);
            let dictionary = if has_dictionary { numbers.dictionary(&mut self.zstd)? } else { None };
            let (statistics, told) = numbers.told(pages.iter().map(|page| page.nulls as u64).sum());
            chunks.push(chunk::close(descr, self.codec, dictionary, &pages, statistics, told)?);
        }
        Ok(chunks)
    }
}

fn append_range(ranges: &mut Vec<(usize, Range<usize>)>, level: usize, range: Range<usize>) {
    match ranges.last_mut() {
        // The levels of a range follow each other, too.
        Some((first, last)) if last.end == range.start && *first + last.len() == level => last.end = range.end,
        _ => ranges.push((level, range)),
    }
}

/// Levels behind their length in bytes.
fn append_levels(levels: &[u8], max: u8, out: &mut Vec<u8>) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    hybrid::encode(levels, hybrid::width(max.into()), out);
    let length = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::types::Int64Type;
    use arrow_array::{Float64Array, Int64Array, RecordBatch, StructArray};
    use arrow_buffer::{NullBuffer, OffsetBuffer};
    use arrow_schema::{Fields, Schema};
    use arrow_select::concat::concat_batches;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::{
        ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
    };
    use parquet::basic::ZstdLevel;
    use parquet::file::metadata::PageIndexPolicy;
    use parquet::file::page_index::column_index::ColumnIndexMetaData;
    use parquet::file::properties::WriterProperties;
    use proptest::prelude::*;
    use std::sync::Arc;

    type Builder = ParquetRecordBatchReaderBuilder<Bytes>;
    type Element = Option<(Option<i64>, Option<f64>)>;
    type Row = Option<Vec<Element>>;

    /// A list of structs, and one of integers, whose nulls are also those of the structs.
    fn batch(rows: &[Row]) -> RecordBatch {
        let optional = |name: &str, kind| Field::new(name, kind, true);
        let elements: Vec<Element> = rows.iter().flatten().flatten().copied().collect();
        let ints: Int64Array = elements.iter().map(|element| element.and_then(|(int, _)| int)).collect();
        let doubles: Float64Array = elements.iter().map(|element| element.and_then(|(_, double)| double)).collect();
        let fields = Fields::from(vec![optional("a", DataType::Int64), optional("b", DataType::Float64)]);
        let valid: NullBuffer = elements.iter().map(Option::is_some).collect();
        let structs = StructArray::new(fields, vec![Arc::new(ints.clone()), Arc::new(doubles)], Some(valid));
        let list = |values: ArrayRef| {
            let element = Arc::new(optional("element", values.data_type().clone()));
            let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| row.as_ref().map_or(0, Vec::len)));
            ListArray::new(element, offsets, values, Some(rows.iter().map(Option::is_some).collect()))
        };
        let columns: [ArrayRef; 2] = [Arc::new(list(Arc::new(structs))), Arc::new(list(Arc::new(ints)))];
        let fields: Vec<Field> =
            columns.iter().zip(["s", "n"]).map(|(column, name)| optional(name, column.data_type().clone())).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.to_vec()).expect("a batch")
    }

    fn written(batches: &[RecordBatch]) -> Builder {
        let schema = batches[0].schema();
        let codec = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(codec).build();
        let (mut file, _) = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))
            .expect("a writer")
            .into_serialized_writer()
            .expect("a writer");
        let descr = file.schema_descr();
        let choices = [Choice::Dictionary, Choice::Without(Encoding::PLAIN), Choice::Dictionary];
        let writer = |column: usize, range: Range<usize>| {
            let numbers = leaves(schema.field(column), &choices[range.clone()]).expect("lists of numbers");
            ListWriter::new(range.map(|leaf| descr.column(leaf)).collect(), numbers, codec, 3).expect("a writer")
        };
        let mut writers = [writer(0, 0..2), writer(1, 2..3)];
        for batch in batches {
            for (writer, column) in writers.iter_mut().zip(batch.columns()) {
                writer.write(column.as_list()).expect("written");
            }
        }
        let mut group = file.next_row_group().expect("a row group");
        for (bytes, close) in writers.into_iter().flat_map(|writer| writer.close().expect("chunks")) {
            group.append_column(&bytes, close).expect("appended");
        }
        group.close().expect("a row group");
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let file = Bytes::from(file.into_inner().expect("a file"));
        Builder::try_new_with_options(file, options).expect("a file")
    }

    fn read(builder: Builder) -> RecordBatch {
        let schema = builder.schema().clone();
        let batches: Vec<RecordBatch> = builder.build().expect("a reader").collect::<Result<_, _>>().expect("rows");
        concat_batches(&schema, &batches).expect("alike")
    }

    /// The rows come back, all and in part; and what is told of pages and chunk holds.
    fn check(batches: &[Vec<Row>]) -> Builder {
        let rows = batches.concat();
        let batches: Vec<RecordBatch> = batches.iter().map(|rows| batch(rows)).collect();
        let expected = concat_batches(&batches[0].schema(), &batches).expect("alike");
        let builder = written(&batches);
        check_integers(&builder, &rows);
        assert!(read(builder).columns() == expected.columns());
        let selected = |from: usize| (from / 701).is_multiple_of(2);
        let runs = (0..rows.len()).step_by(701).map(|from| {
            let count = 701.min(rows.len() - from);
            if selected(from) { RowSelector::select(count) } else { RowSelector::skip(count) }
        });
        let some = read(written(&batches).with_row_selection(RowSelection::from_iter(runs)));
        let parts = (0..rows.len()).step_by(701).filter(|from| selected(*from));
        let parts: Vec<_> = parts.map(|from| expected.slice(from, 701.min(rows.len() - from))).collect();
        assert!(some.columns() == concat_batches(&expected.schema(), &parts).expect("alike").columns());
        written(&batches)
    }

    fn check_integers(builder: &Builder, rows: &[Row]) {
        let metadata = builder.metadata();
        let ints = |rows: &[Row]| -> Vec<i64> {
            rows.iter().flatten().flatten().filter_map(|element| element.and_then(|(int, _)| int)).collect()
        };
        let levels =
            |rows: &[Row]| rows.iter().map(|row| row.as_ref().map_or(1, |row| row.len().max(1))).sum::<usize>();
        let column = metadata.row_group(0).column(0);
        let statistics = column.statistics().expect("statistics");
        assert_eq!(statistics.null_count_opt(), Some((levels(rows) - ints(rows).len()) as u64));
        assert_eq!(usize::try_from(column.num_values()).expect("a count"), levels(rows));
        let bytes = |value: Option<&i64>| value.map(|value| value.to_le_bytes());
        assert_eq!(statistics.min_bytes_opt(), bytes(ints(rows).iter().min()).as_ref().map(<[u8; 8]>::as_slice));
        assert_eq!(statistics.max_bytes_opt(), bytes(ints(rows).iter().max()).as_ref().map(<[u8; 8]>::as_slice));
        let index = metadata.page_index().expect("an index");
        let Some(ColumnIndexMetaData::INT64(pages)) = index.column_index(0, 0) else { panic!("no column index") };
        let offsets = index.offset_index(0, 0).expect("an offset index").page_locations();
        let starts: Vec<usize> =
            offsets.iter().map(|page| usize::try_from(page.first_row_index).expect("a row")).collect();
        for (at, start) in starts.iter().enumerate() {
            let rows = &rows[*start..starts.get(at + 1).copied().unwrap_or(rows.len())];
            assert_eq!(pages.min_value(at), ints(rows).iter().min());
            assert_eq!(pages.max_value(at), ints(rows).iter().max());
            let nulls = levels(rows) - ints(rows).len();
            assert_eq!(pages.null_count(at), Some(i64::try_from(nulls).expect("a count")));
        }
    }

    fn row(from: i64, count: i64) -> Row {
        Some((from..from + count).map(|n| Some((Some(n % 1500 - 20), Some(n as f64 / 7.0)))).collect())
    }

    #[test]
    fn pages_end_with_rows_and_dictionaries_overflow() {
        let long: Vec<Row> = (0..90).map(|n| row(n * 999, 4999)).collect();
        let builder = check(&[long[..40].to_vec(), long[40..].to_vec()]);
        let pages = |builder: &Builder| {
            let index = builder.metadata().page_index().expect("an index");
            index.offset_index(0, 0).expect("an offset index").page_locations().len()
        };
        assert_eq!(pages(&builder), 4);
        let short: Vec<Row> = (0..45_000).map(|n| if n % 3 > 0 { row(n, n % 5) } else { None }).collect();
        assert_eq!(pages(&check(&[short])), 3);
        // More integers than a dictionary of 1 MiB has.
        let few = |from: i64| (from..from + 20_000).map(|n| Some(vec![Some((Some((n % 9) << 40), None)); 3])).collect();
        let distinct: Vec<Row> =
            (0..50).map(|n| Some((0..4000).map(|at| Some((Some((n * 4000 + at) << 20), None))).collect())).collect();
        let both = check(&[few(0), distinct, few(7)]);
        let of_data = both.metadata().row_group(0).column(0).page_encoding_stats_mask().expect("a mask");
        assert!(of_data.is_set(Encoding::PLAIN) && of_data.is_set(Encoding::RLE_DICTIONARY));
    }

    #[test]
    fn nothing_but_nulls() {
        check(&[vec![None; 3000]]);
        check(&[vec![Some(Vec::new()); 10], vec![Some(vec![None; 7]); 9], vec![Some(vec![Some((None, None)); 3]); 8]]);
    }

    #[test]
    fn zeros_of_both_signs_are_within_bounds() {
        let builder = check(&[vec![Some(vec![Some((Some(0), Some(0.0))), Some((Some(0), Some(-0.0)))])]]);
        let statistics = builder.metadata().row_group(0).column(1).statistics().expect("statistics").clone();
        assert_eq!(statistics.min_bytes_opt(), Some((-0.0f64).to_le_bytes().as_slice()));
        assert_eq!(statistics.max_bytes_opt(), Some(0.0f64.to_le_bytes().as_slice()));
    }

    #[test]
    fn rows_that_are_null_may_have_elements() {
        let element = Arc::new(Field::new("element", DataType::Int64, true));
        let valid = NullBuffer::from(vec![true, false, true]);
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values(0..9));
        let list = ListArray::new(element, OffsetBuffer::from_lengths([2, 3, 4]), values, Some(valid));
        let n = Field::new("n", list.data_type().clone(), true);
        let s = batch(&[None, None, None]);
        let schema = Arc::new(Schema::new(vec![s.schema().field(0).clone(), n]));
        let lists = RecordBatch::try_new(schema, vec![s.column(0).clone(), Arc::new(list)]).expect("a batch");
        let back = read(written(&[lists]));
        let values = back.column(1).as_list::<i32>().values().as_primitive::<Int64Type>().values().to_vec();
        assert_eq!(values, [0, 1, 5, 6, 7, 8]);
        assert!(back.column(1).is_null(1));
    }

    #[test]
    fn other_columns_are_left() {
        let schema = batch(&[None]).schema();
        let [int, plain] = [Choice::Dictionary, Choice::Without(Encoding::PLAIN)];
        assert!(leaves(schema.field(0), &[int, plain]).is_some());
        assert!(leaves(schema.field(0), &[plain, plain]).is_none());
        assert!(leaves(schema.field(0), &[int, int]).is_none());
        assert!(leaves(&Field::new("n", DataType::Int64, true), &[int]).is_none());
        let required = Arc::new(Field::new("element", DataType::Int64, false));
        assert!(leaves(&Field::new("n", DataType::List(required), true), &[int]).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn lists_come_back(
            runs in prop::collection::vec((
                prop::option::weighted(0.8, prop::collection::vec(
                    prop::option::weighted(0.8, (
                        prop::option::weighted(0.8, prop_oneof![0i64..9, -3i64..2000, any::<i64>()]),
                        prop::option::weighted(0.8, -1e9..1e9f64),
                    )), 0..40)),
                1usize..700), 1..12),
            cuts in 1usize..9,
        ) {
            let rows: Vec<Row> = runs.into_iter().flat_map(|(row, count)| vec![row; count]).collect();
            let batches: Vec<_> = rows.chunks(rows.len().div_ceil(cuts)).map(<[_]>::to_vec).collect();
            check(&batches);
        }
    }
}
