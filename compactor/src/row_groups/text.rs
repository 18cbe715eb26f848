//! A column of strings that repeat, from values to a column chunk.
//!
//! The parquet crate's writer looks every value up, and compares it with the least and the greatest of its page. Here a
//! value like the one before is not looked up, and only one that is new to its page is compared. Pages are of the kinds
//! and sizes that the crate makes.

use super::chunk::{self, Bounds, DictionaryPage, DonePage, PAGE_BYTES, PAGE_ROWS, boundary_order, signed};
use super::dictionary::Dictionary;
use super::hybrid;
use crate::error::Error;
use arrow_array::StringArray;
use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::schema::types::ColumnDescPtr;

/// Bytes of a least or greatest value that is told: longer ones are cut.
const BOUND_BYTES: usize = 64;

/// Encodes one column that is not below another.
pub(super) struct TextWriter {
    descr: ColumnDescPtr,
    codec: Compression,
    zstd: zstd::bulk::Compressor<'static>,
    dictionary: Dictionary,
    /// The dictionary is full: values stand for themselves.
    is_plain: bool,
    page: OpenPage,
    pages: Vec<DonePage>,
    /// Those of the pages, uncut.
    bounds: Vec<Bounds>,
    done_bytes: usize,
}

/// The page that values go to.
#[derive(Default)]
struct OpenPage {
    rows: usize,
    /// Definition levels, once one of them is 0.
    levels: Vec<u32>,
    indexes: Vec<u32>,
    plain: Vec<u8>,
    /// Bytes of the values, each counted.
    text_bytes: i64,
    bounds: Bounds,
}

impl TextWriter {
    /// Encodes the column `descr`, of optional strings, and compresses it at `zstd_level`.
    ///
    /// # Errors
    /// There is no such level.
    pub(super) fn new(descr: ColumnDescPtr, codec: Compression, zstd_level: i32) -> Result<Self, Error> {
        Ok(Self {
            descr,
            codec,
            zstd: zstd::bulk::Compressor::new(zstd_level).map_err(ParquetError::from)?,
            dictionary: Dictionary::default(),
            is_plain: false,
            page: OpenPage::default(),
            pages: Vec::new(),
            bounds: Vec::new(),
            done_bytes: 0,
        })
    }

    /// Appends values.
    pub(super) fn write(&mut self, values: &StringArray) -> Result<(), Error> {
        for value in values {
            match value {
                Some(value) if self.is_plain => self.page.append(value.as_bytes()),
                Some(value) => self.look_up(value.as_bytes()),
                None => self.page.append_null(),
            }
            if self.page.rows >= PAGE_ROWS || self.page.plain.len() >= PAGE_BYTES {
                self.end_page()?;
            }
            if !self.is_plain && self.dictionary.page().len() > PAGE_BYTES {
                self.end_page()?;
                self.is_plain = true;
            }
        }
        Ok(())
    }

    #[inline]
    fn look_up(&mut self, value: &[u8]) {
        // A row group has far fewer pages than 2^32.
        let number = u32::try_from(self.pages.len()).unwrap_or(u32::MAX);
        let (index, is_new) = self.dictionary.index(value, number);
        self.page.indexes.push(index);
        self.page.took(value.len());
        if is_new {
            self.page.bound(value);
        }
    }

    /// Bytes of the column chunk, about, were it to end here.
    pub(super) fn bytes(&self) -> usize {
        let width = usize::from(hybrid::width(self.dictionary.count()));
        self.done_bytes + self.dictionary.page().len() + self.page.plain.len() + self.page.indexes.len() * width / 8
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        let OpenPage { levels, indexes, plain, .. } = &self.page;
        let open = (levels.capacity() + indexes.capacity()) * 4 + plain.capacity();
        self.done_bytes + self.dictionary.memory() + open
    }

    fn end_page(&mut self) -> Result<(), Error> {
        if self.page.rows == 0 {
            return Ok(());
        }
        let OpenPage { rows, levels, indexes, plain, text_bytes, bounds } = &mut self.page;
        let mut body = vec![0; 4];
        let nulls = *rows - if levels.is_empty() { *rows } else { levels.iter().filter(|level| **level > 0).count() };
        if levels.is_empty() {
            levels.resize(*rows, 1);
        }
        hybrid::encode(levels, 1, &mut body);
        let length = u32::try_from(body.len() - 4).unwrap_or(u32::MAX);
        body[..4].copy_from_slice(&length.to_le_bytes());
        let encoding = if indexes.is_empty() { Encoding::PLAIN } else { Encoding::RLE_DICTIONARY };
        if indexes.is_empty() {
            body.append(plain);
        } else {
            let width = hybrid::width(self.dictionary.count() - 1);
            body.push(width);
            hybrid::encode(indexes, width, &mut body);
        }
        let bytes = Bytes::from(self.zstd.compress(&body).map_err(ParquetError::from)?);
        self.done_bytes += bytes.len();
        self.pages.push(DonePage {
            bytes,
            uncompressed: body.len(),
            encoding,
            rows: *rows,
            levels: *rows,
            nulls,
            text_bytes: Some(*text_bytes),
        });
        self.bounds.push(bounds.take());
        (*rows, *text_bytes) = (0, 0);
        levels.clear();
        indexes.clear();
        plain.clear();
        Ok(())
    }

    /// Ends the column chunk: its bytes, and what is told of it.
    pub(super) fn close(mut self) -> Result<(Bytes, ColumnCloseResult), Error> {
        self.end_page()?;
        let dictionary = if self.pages.iter().any(|page| page.encoding == Encoding::RLE_DICTIONARY) {
            let bytes = Bytes::from(self.zstd.compress(self.dictionary.page()).map_err(ParquetError::from)?);
            let (uncompressed, values) = (self.dictionary.page().len(), self.dictionary.count());
            Some(DictionaryPage { bytes, uncompressed, values })
        } else {
            None
        };
        let nulls = self.pages.iter().map(|page| page.nulls as u64).sum();
        let statistics = statistics(&self.bounds, nulls);
        chunk::close(self.descr, self.codec, dictionary, &self.pages, statistics, told(&self.bounds))
    }
}

impl OpenPage {
    fn append(&mut self, value: &[u8]) {
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.plain.extend_from_slice(&length.to_le_bytes());
        self.plain.extend_from_slice(value);
        self.took(value.len());
        self.bound(value);
    }

    fn append_null(&mut self) {
        if self.levels.is_empty() {
            self.levels.resize(self.rows, 1);
        }
        self.levels.push(0);
        self.rows += 1;
    }

    #[inline]
    fn took(&mut self, bytes: usize) {
        if !self.levels.is_empty() {
            self.levels.push(1);
        }
        self.rows += 1;
        self.text_bytes += signed(bytes);
    }

    fn bound(&mut self, value: &[u8]) {
        match &mut self.bounds {
            Some((least, _)) if *value < **least => value.clone_into(least),
            Some((_, greatest)) if *value > **greatest => value.clone_into(greatest),
            Some(_) => {}
            None => self.bounds = Some((value.to_vec(), value.to_vec())),
        }
    }
}

fn statistics(pages: &[Bounds], nulls: u64) -> Statistics {
    let bounds = || pages.iter().flatten();
    let least = bounds().map(|(least, _)| least).min();
    let greatest = bounds().map(|(_, greatest)| greatest).max();
    let is_exact = |value: Option<&Vec<u8>>| value.is_some_and(|value| value.len() <= BOUND_BYTES);
    let values = ValueStatistics::<ByteArray>::new(
        least.map(|value| floor(value).into()),
        greatest.map(|value| ceiling(value).into()),
        None,
        Some(nulls),
        false,
    );
    values.with_min_is_exact(is_exact(least)).with_max_is_exact(is_exact(greatest)).into()
}

/// The bounds as they are told, and how they follow each other.
fn told(pages: &[Bounds]) -> (Vec<Bounds>, BoundaryOrder) {
    let told: Vec<Bounds> =
        pages.iter().map(|page| page.as_ref().map(|(least, greatest)| (floor(least), ceiling(greatest)))).collect();
    let full: Vec<&(Vec<u8>, Vec<u8>)> = told.iter().flatten().collect();
    let order = boundary_order(&full, |a, b| a.0 <= b.0 && a.1 <= b.1, |a, b| a.0 >= b.0 && a.1 >= b.1);
    (told, order)
}

/// A text of at most [`BOUND_BYTES`] that is not greater than this one.
fn floor(value: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(value) {
        Ok(text) if text.len() > BOUND_BYTES => value[..text.floor_char_boundary(BOUND_BYTES)].to_vec(),
        _ => value.to_vec(),
    }
}

/// A text that is not less than this one: of at most [`BOUND_BYTES`], if there is one.
fn ceiling(value: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(value) else { return value.to_vec() };
    if text.len() <= BOUND_BYTES {
        return value.to_vec();
    }
    let cut = &text[..text.floor_char_boundary(BOUND_BYTES)];
    // The last character that has one behind it, of the same length, gives way to that; what follows it goes.
    let higher = cut.char_indices().rev().find_map(|(at, character)| {
        let next = char::from_u32(u32::from(character) + 1)?;
        (next.len_utf8() == character.len_utf8()).then(|| format!("{}{next}", &cut[..at]))
    });
    higher.map_or_else(|| value.to_vec(), String::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray as _;
    use arrow_array::{ArrayRef, RecordBatch};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::{
        ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
    };
    use parquet::basic::ZstdLevel;
    use parquet::file::metadata::PageIndexPolicy;
    use parquet::file::properties::WriterProperties;
    use proptest::prelude::*;
    use std::sync::Arc;

    type Builder = ParquetRecordBatchReaderBuilder<Bytes>;

    /// A file of one column, with the page index.
    fn written(batches: &[Vec<Option<String>>]) -> Builder {
        let arrays: Vec<ArrayRef> =
            batches.iter().map(|values| Arc::new(StringArray::from_iter(values)) as ArrayRef).collect();
        let field = arrow_schema::Field::new("s", arrow_schema::DataType::Utf8, true);
        let schema = Arc::new(arrow_schema::Schema::new(vec![field]));
        let codec = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(codec).build();
        let (mut file, _) = ArrowWriter::try_new(Vec::new(), schema, Some(properties))
            .expect("a writer")
            .into_serialized_writer()
            .expect("a writer");
        let mut writer = TextWriter::new(file.schema_descr().column(0), codec, 3).expect("a writer");
        arrays.iter().for_each(|array| writer.write(array.as_string()).expect("written"));
        let (bytes, close) = writer.close().expect("a chunk");
        let mut group = file.next_row_group().expect("a row group");
        group.append_column(&bytes, close).expect("appended");
        group.close().expect("a row group");
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let file = Bytes::from(file.into_inner().expect("a file"));
        Builder::try_new_with_options(file, options).expect("a file")
    }

    fn read(builder: Builder) -> Vec<Option<String>> {
        let batches: Vec<RecordBatch> = builder.build().expect("a reader").collect::<Result<_, _>>().expect("rows");
        let texts = batches.iter().flat_map(|batch| batch.column(0).as_string::<i32>());
        texts.map(|text| text.map(str::to_owned)).collect()
    }

    /// What is told of pages and of the chunk holds for their values.
    fn check_bounds(builder: &Builder, values: &[Option<String>]) {
        let metadata = builder.metadata();
        let statistics = metadata.row_group(0).column(0).statistics().expect("statistics");
        let nulls = |values: &[Option<String>]| values.iter().filter(|value| value.is_none()).count() as u64;
        assert_eq!(statistics.null_count_opt(), Some(nulls(values)));
        let holds = |least: &[u8], greatest: &[u8], values: &[Option<String>]| {
            assert!(least.len() <= BOUND_BYTES && std::str::from_utf8(least).is_ok());
            assert!(std::str::from_utf8(greatest).is_ok());
            values.iter().flatten().all(|value| (least..=greatest).contains(&value.as_bytes()))
        };
        if let (Some(least), Some(greatest)) = (statistics.min_bytes_opt(), statistics.max_bytes_opt()) {
            assert!(holds(least, greatest, values));
        } else {
            assert_eq!(nulls(values), values.len() as u64);
        }
        let index = metadata.page_index().expect("an index");
        let offsets = index.offset_index(0, 0).expect("an offset index").page_locations();
        let Some(parquet::file::page_index::column_index::ColumnIndexMetaData::BYTE_ARRAY(pages)) =
            index.column_index(0, 0)
        else {
            panic!("no column index")
        };
        for (at, page) in offsets.iter().enumerate() {
            let row = |page: Option<&parquet::file::page_index::offset_index::PageLocation>| {
                page.map_or(values.len(), |page| usize::try_from(page.first_row_index).expect("a row"))
            };
            let rows = &values[row(Some(page))..row(offsets.get(at + 1))];
            match (pages.min_value(at), pages.max_value(at)) {
                (Some(least), Some(greatest)) => assert!(holds(least, greatest, rows)),
                _ => assert!(rows.iter().all(Option::is_none)),
            }
        }
    }

    fn check(batches: &[Vec<Option<String>>]) -> Builder {
        let builder = written(batches);
        let values = batches.concat();
        check_bounds(&builder, &values);
        assert!(read(builder) == values);
        // Again, by the page index: every other run of 7,001 rows.
        let selected = |from: usize| (from / 7001).is_multiple_of(2);
        let runs = (0..values.len()).step_by(7001).map(|from| {
            let rows = 7001.min(values.len() - from);
            if selected(from) { RowSelector::select(rows) } else { RowSelector::skip(rows) }
        });
        let builder = written(batches).with_row_selection(RowSelection::from_iter(runs));
        let expected =
            values.chunks(7001).enumerate().filter(|(at, _)| at % 2 == 0).flat_map(|(_, rows)| rows.to_vec());
        assert!(read(builder) == expected.collect::<Vec<_>>());
        written(batches)
    }

    fn encodings(builder: &Builder) -> Vec<Encoding> {
        builder.metadata().row_group(0).column(0).encodings().collect()
    }

    #[test]
    fn pages_end_and_dictionaries_overflow() {
        let few: Vec<_> = (0..50_000).map(|n| (n % 11 > 0).then(|| format!("value {}", n * 7919 % 1000))).collect();
        assert_eq!(encodings(&check(&[few[..30_000].to_vec(), few[30_000..].to_vec()])).len(), 3);
        let many: Vec<_> = (0..90_000).map(|n| Some(format!("{n:032}"))).collect();
        let both = check(&[many, few]);
        let of_data = both.metadata().row_group(0).column(0).page_encoding_stats_mask().expect("a mask");
        assert!(of_data.is_set(Encoding::PLAIN) && of_data.is_set(Encoding::RLE_DICTIONARY));
        let nothing = check(&[vec![None; 45_000]]);
        assert_eq!(nothing.metadata().row_group(0).column(0).dictionary_page_offset(), None);
        let sorted: Vec<_> = (0..60_000).map(|n| Some(format!("{:06}", n / 3))).collect();
        check(&[vec![None; 20_000], sorted]);
    }

    #[test]
    fn long_values_are_bounded_by_short_ones() {
        let long = |last: &str| Some(format!("{}{last}{}", "x".repeat(62), "y".repeat(9)));
        check(&[vec![long("é"), long("\u{10ffff}"), long("z"), Some("\u{10ffff}".repeat(30)), Some(String::new())]]);
        assert_eq!(floor("aé".repeat(30).as_bytes()).len(), 64);
        assert_eq!(floor(format!("{}é{}", "a".repeat(63), "b").as_bytes()), "a".repeat(63).into_bytes());
        assert_eq!(ceiling("b".repeat(65).as_bytes()), format!("{}c", "b".repeat(63)).into_bytes());
        assert_eq!(ceiling("b".repeat(64).as_bytes()), "b".repeat(64).into_bytes());
        let highest = "\u{10ffff}".repeat(17);
        assert_eq!(ceiling(highest.as_bytes()), highest.as_bytes());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn values_come_back(
            runs in prop::collection::vec((prop::option::of("[a-c\u{e9}\u{10ffff}]{0,3}|x{60,70}"), 1usize..9000), 1..12),
            cuts in 1usize..9,
        ) {
            let values: Vec<_> = runs.into_iter().flat_map(|(value, count)| vec![value; count]).collect();
            let batches: Vec<_> = values.chunks(values.len().div_ceil(cuts)).map(<[_]>::to_vec).collect();
            check(&batches);
        }
    }
}
