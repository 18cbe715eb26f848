//! A column chunk, from pages that are compressed already.

use crate::error::Error;
use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding, PageType};
use parquet::column::page::{CompressedPage, Page, PageWriter as _};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

/// Rows of a page, at most.
pub(super) const PAGE_ROWS: usize = 20_000;

/// Bytes of a page of values, about; a dictionary that becomes larger is not added to.
pub(super) const PAGE_BYTES: usize = 1 << 20;

/// A page of values.
pub(super) struct DonePage {
    pub(super) bytes: Bytes,
    pub(super) uncompressed: usize,
    pub(super) encoding: Encoding,
    pub(super) rows: usize,
    /// Values, nulls, and lists without elements.
    pub(super) levels: usize,
    /// Those of the levels that are no values.
    pub(super) nulls: usize,
    /// Of strings, their bytes.
    pub(super) text_bytes: Option<i64>,
}

/// A dictionary page.
pub(super) struct DictionaryPage {
    pub(super) bytes: Bytes,
    pub(super) uncompressed: usize,
    pub(super) values: u32,
}

/// The least and the greatest value of a page, as they are told; none where all are null.
pub(super) type Bounds = Option<(Vec<u8>, Vec<u8>)>;

/// Ends a column chunk: its bytes, and what is told of it. `bounds` are those of the pages, in `order`.
pub(super) fn close(
    descr: ColumnDescPtr,
    codec: Compression,
    dictionary: Option<DictionaryPage>,
    pages: &[DonePage],
    statistics: Statistics,
    (bounds, order): (Vec<Bounds>, BoundaryOrder),
) -> Result<(Bytes, ColumnCloseResult), Error> {
    let room: usize = pages.iter().map(|page| page.bytes.len()).sum();
    let mut sink = TrackedWrite::new(Vec::with_capacity(room + dictionary.as_ref().map_or(0, |d| d.bytes.len())));
    let mut writer = SerializedPageWriter::new(&mut sink);
    let mut chunk = Chunk::default();
    if let Some(DictionaryPage { bytes, uncompressed, values }) = dictionary {
        let encoding = Encoding::PLAIN;
        let page = Page::DictionaryPage { buf: bytes, num_values: values, encoding, is_sorted: false };
        let spec = writer.write_page(CompressedPage::new(page, uncompressed))?;
        chunk.dictionary_at = Some(spec.offset);
        chunk.add(PageType::DICTIONARY_PAGE, encoding, spec.uncompressed_size);
    }
    let mut index = ColumnIndexBuilder::new(descr.physical_type());
    index.set_boundary_order(order);
    let mut offsets = OffsetIndexBuilder::new();
    for (page, bounds) in pages.iter().zip(bounds) {
        let data = Page::DataPage {
            buf: page.bytes.clone(),
            num_values: u32::try_from(page.levels).unwrap_or(u32::MAX),
            encoding: page.encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let spec = writer.write_page(CompressedPage::new(data, page.uncompressed))?;
        chunk.data_at.get_or_insert(spec.offset);
        chunk.add(PageType::DATA_PAGE, page.encoding, spec.uncompressed_size);
        offsets.append_row_count(signed(page.rows));
        let size = i32::try_from(spec.compressed_size).unwrap_or(i32::MAX);
        offsets.append_offset_and_size(signed(spec.offset), size);
        offsets.append_unencoded_byte_array_data_bytes(page.text_bytes);
        let is_null = bounds.is_none();
        let (least, greatest) = bounds.unwrap_or_default();
        index.append(is_null, least, greatest, signed(page.nulls), None);
    }
    let bytes = Bytes::from(sink.into_inner()?);
    let rows: usize = pages.iter().map(|page| page.rows).sum();
    let metadata = ColumnChunkMetaData::builder(descr)
        .set_compression(codec)
        .set_encodings(chunk.encodings())
        .set_page_encoding_stats(chunk.counts)
        .set_total_compressed_size(signed(bytes.len()))
        .set_total_uncompressed_size(signed(chunk.uncompressed))
        .set_num_values(signed(pages.iter().map(|page| page.levels).sum::<usize>()))
        .set_data_page_offset(signed(chunk.data_at.unwrap_or(0)))
        .set_dictionary_page_offset(chunk.dictionary_at.map(signed))
        .set_statistics(statistics)
        .set_unencoded_byte_array_data_bytes(pages.iter().map(|page| page.text_bytes).sum())
        .build()?;
    let close = ColumnCloseResult {
        bytes_written: bytes.len() as u64,
        rows_written: rows as u64,
        metadata,
        bloom_filter: None,
        column_index: Some(index.build()?),
        offset_index: Some(offsets.build()),
    };
    Ok((bytes, close))
}

/// How the bounds of pages follow each other, by what `is_ascending` and `is_descending` say of them.
pub(super) fn boundary_order<T>(
    bounds: &[T],
    is_ascending: impl Fn(&T, &T) -> bool,
    is_descending: impl Fn(&T, &T) -> bool,
) -> BoundaryOrder {
    if bounds.is_sorted_by(is_ascending) {
        BoundaryOrder::ASCENDING
    } else if bounds.is_sorted_by(is_descending) {
        BoundaryOrder::DESCENDING
    } else {
        BoundaryOrder::UNORDERED
    }
}

/// What a chunk's metadata say of its pages.
#[derive(Default)]
struct Chunk {
    dictionary_at: Option<u64>,
    data_at: Option<u64>,
    uncompressed: usize,
    counts: Vec<PageEncodingStats>,
}

impl Chunk {
    fn add(&mut self, page_type: PageType, encoding: Encoding, uncompressed: usize) {
        self.uncompressed += uncompressed;
        match self.counts.last_mut() {
            Some(last) if last.page_type == page_type && last.encoding == encoding => last.count += 1,
            _ => self.counts.push(PageEncodingStats { page_type, encoding, count: 1 }),
        }
    }

    fn encodings(&self) -> Vec<Encoding> {
        let mut encodings: Vec<Encoding> = self.counts.iter().map(|count| count.encoding).collect();
        // That of the levels.
        encodings.push(Encoding::RLE);
        encodings.sort();
        encodings.dedup();
        encodings
    }
}

pub(super) fn signed(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
