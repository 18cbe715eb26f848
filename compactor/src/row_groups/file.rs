//! Files of the plan's one schema, from row groups that were encoded before it was known.
//!
//! A column that is already what it must be is copied as it is, byte for byte; any other is read back and encoded anew.

use super::sorted::{sort_columns, write_sorted};
use super::{Fragment, options, plan_metadata, properties};
use crate::columns::{Fit, Schema, conform, convert_column, fits};
use crate::error::Error;
use crate::manifest::OutputFile;
use crate::outlet::{OutFile, Outlet};
use crate::recipe::Recipe;
use crate::spool::Spool;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchReader as _, new_null_array};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use std::sync::Arc;

/// Bytes of small row groups that are put together, at most: all columns of them are decoded.
const MERGED_BYTES: usize = 16 << 20;

/// Rows that are decoded at once.
pub(super) const BATCH_ROWS: usize = 8192;

/// A file to write.
#[derive(Debug)]
pub(crate) struct FilePlan {
    /// Below the destination.
    pub(crate) path: String,
    /// In the plan's order.
    fragments: Vec<Fragment>,
}

impl FilePlan {
    pub(super) fn fragments(&self) -> &[Fragment] {
        &self.fragments
    }
}

/// Names the files of a folder, and says which row groups go to which.
#[derive(Debug)]
pub(crate) struct FileNames {
    folder: String,
    plan: String,
    target_bytes: usize,
    count: usize,
    room: usize,
}

impl FileNames {
    /// Of files of about `target_bytes`.
    pub(crate) fn new(folder: &str, plan: &str, target_bytes: usize) -> Self {
        Self { folder: folder.to_owned(), plan: plan.to_owned(), target_bytes, count: 0, room: 0 }
    }

    /// The path of the file that the next row group begins; none, where it goes to the file before.
    pub(crate) fn next(&mut self, group: &Fragment) -> Option<String> {
        let begins = self.room == 0;
        if begins {
            (self.count, self.room) = (self.count + 1, self.target_bytes.max(1));
        }
        self.room = self.room.saturating_sub(group.blob.len());
        // As Spark names its files, without its random part: the same plan gives the same names.
        let separator = if self.folder.is_empty() { "" } else { "/" };
        begins.then(|| format!("{}{separator}part-{:05}-{}.zstd.parquet", self.folder, self.count - 1, self.plan))
    }
}

/// Divides the row groups of a partition among files of about `target_bytes`.
pub(crate) fn plan_files(folder: &str, plan: &str, fragments: Vec<Fragment>, target_bytes: usize) -> Vec<FilePlan> {
    let mut names = FileNames::new(folder, plan, target_bytes);
    let mut files: Vec<FilePlan> = Vec::new();
    for fragment in fragments {
        match (names.next(&fragment), files.last_mut()) {
            (None, Some(file)) => file.fragments.push(fragment),
            (path, _) => files.push(FilePlan { path: path.unwrap_or_default(), fragments: vec![fragment] }),
        }
    }
    files
}

/// Writes one file.
///
/// # Errors
/// The outlet's, and what the parquet crate finds wrong with row groups that it wrote itself: nothing.
pub(crate) fn write_file(
    plan: &FilePlan,
    schema: &Arc<Schema>,
    recipe: &Arc<Recipe>,
    plan_id: &str,
    spool: &Spool,
    outlet: &Outlet,
) -> Result<OutputFile, Error> {
    let by = sort_columns(recipe, schema);
    if !by.is_empty() {
        return write_sorted(plan, schema, recipe, plan_id, spool, outlet, &by);
    }
    let mut writer = FileWriter::new(outlet.create(plan.path.clone()), schema, recipe, plan_id, spool)?;
    for fragment in &plan.fragments {
        writer.push(fragment.clone())?;
    }
    writer.close()
}

/// Writes one file from row groups as they come, in their order.
pub(crate) struct FileWriter {
    recipe: Arc<Recipe>,
    assembly: Assembly,
    /// Small row groups that wait for their neighbours.
    small: Vec<Fragment>,
    rows: u64,
}

impl FileWriter {
    /// Begins `file`, whose columns are those of `schema`.
    ///
    /// # Errors
    /// None is known.
    pub(crate) fn new(
        file: OutFile,
        schema: &Arc<Schema>,
        recipe: &Arc<Recipe>,
        plan_id: &str,
        spool: &Spool,
    ) -> Result<Self, Error> {
        let arrow = schema.to_arrow();
        let properties =
            properties(&arrow, recipe, Vec::new())?.set_key_value_metadata(Some(plan_metadata(plan_id))).build();
        let writer = ArrowWriter::try_new_with_options(file, arrow, options(properties))?;
        let (writer, factory) = writer.into_serialized_writer()?;
        let assembly = Assembly { writer, factory, schema: Arc::clone(schema), spool: spool.clone(), row_groups: 0 };
        Ok(Self { recipe: Arc::clone(recipe), assembly, small: Vec::new(), rows: 0 })
    }

    /// Appends a row group.
    ///
    /// # Errors
    /// Those of [`write_file`].
    pub(crate) fn push(&mut self, fragment: Fragment) -> Result<(), Error> {
        self.rows += fragment.rows_kept();
        // Row groups of which rows are left out are encoded anew, as those that are put together are.
        let is_small = fragment.blob.len() < self.recipe.small_bytes || !fragment.dropped.is_empty();
        let merged: usize = self.small.iter().map(|fragment| fragment.blob.len()).sum();
        if !is_small || merged > MERGED_BYTES {
            self.assembly.flush(&mut self.small)?;
        }
        if is_small {
            self.small.push(fragment);
            return Ok(());
        }
        self.assembly.keep(&fragment)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Those of [`write_file`].
    pub(crate) fn close(mut self) -> Result<OutputFile, Error> {
        self.assembly.flush(&mut self.small)?;
        self.assembly.writer.into_inner().map_err(stopped)?.close(self.rows)
    }
}

struct Assembly {
    writer: SerializedFileWriter<OutFile>,
    factory: ArrowRowGroupWriterFactory,
    schema: Arc<Schema>,
    spool: Spool,
    row_groups: usize,
}

/// The leaves of one column of the schema.
enum Leaves {
    /// The fragment's leaves from this one on, as many as there are.
    Copied {
        from: usize,
        count: usize,
    },
    Encoded(Vec<ArrowColumnWriter>),
}

impl Assembly {
    /// Writes what small row groups there are.
    fn flush(&mut self, small: &mut Vec<Fragment>) -> Result<(), Error> {
        match small.as_slice() {
            [] => {}
            [only] if only.dropped.is_empty() => self.keep(only)?,
            several => self.merge(several)?,
        }
        small.clear();
        Ok(())
    }

    /// One row group of several.
    fn merge(&mut self, fragments: &[Fragment]) -> Result<(), Error> {
        let arrow = self.schema.to_arrow();
        let mut leaves = self.factory.create_column_writers(self.row_groups)?;
        for fragment in fragments {
            for batch in rows_of(fragment, &self.spool)? {
                let batch = conform(&fragment.table, &batch?, &self.schema)?;
                let mut next = leaves.iter_mut();
                for (field, column) in arrow.fields().iter().zip(batch.columns()) {
                    encode(field, column, &mut next)?;
                }
            }
        }
        let mut group = self.writer.next_row_group()?;
        for leaf in leaves {
            leaf.close()?.append_to_row_group(&mut group).map_err(stopped)?;
        }
        group.close().map_err(stopped)?;
        self.row_groups += 1;
        Ok(())
    }

    /// One row group as it is, but for the columns that are not what they must be.
    fn keep(&mut self, fragment: &Fragment) -> Result<(), Error> {
        let bytes = self.spool.get(&fragment.blob)?;
        let metadata =
            ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional).parse_and_finish(&bytes)?;
        let fits = fits(&fragment.table, fragment.has_overflow, &self.schema);
        let columns = self.columns(fragment, &fits, &bytes, &metadata)?;
        let mut group = self.writer.next_row_group()?;
        for leaves in columns {
            match leaves {
                Leaves::Copied { from, count } => {
                    for leaf in from..from + count {
                        copy(&bytes, &metadata, leaf, &mut group)?;
                    }
                }
                Leaves::Encoded(leaves) => {
                    for leaf in leaves {
                        leaf.close()?.append_to_row_group(&mut group).map_err(stopped)?;
                    }
                }
            }
        }
        group.close().map_err(stopped)?;
        self.row_groups += 1;
        Ok(())
    }

    fn columns(
        &self,
        fragment: &Fragment,
        fits: &[Fit],
        bytes: &Bytes,
        metadata: &ParquetMetaData,
    ) -> Result<Vec<Leaves>, Error> {
        let arrow = self.schema.to_arrow();
        let descriptor = metadata.file_metadata().schema_descr();
        let roots: Vec<usize> =
            (0..descriptor.num_columns()).map(|leaf| descriptor.get_column_root_idx(leaf)).collect();
        let mut writers = self.factory.create_column_writers(self.row_groups)?.into_iter();
        let mut columns = Vec::with_capacity(fits.len());
        for (at, fit) in fits.iter().enumerate() {
            let field = arrow.field(at);
            let mut leaves: Vec<ArrowColumnWriter> = writers.by_ref().take(leaves_of(field)).collect();
            if let Fit::Same(column) = fit {
                let from = roots.partition_point(|root| root < column);
                columns.push(Leaves::Copied { from, count: leaves.len() });
                continue;
            }
            let mut append = |array: &ArrayRef| encode(field, array, &mut leaves.iter_mut());
            match fit {
                Fit::Absent => append(&new_null_array(field.data_type(), row_count(fragment)?))?,
                Fit::Other(column) => {
                    for batch in reader(bytes.clone(), Some(*column))? {
                        let array = convert_column(&fragment.table, *column, batch?.column(0), &self.schema, at)?;
                        append(&array)?;
                    }
                }
                // What has to go there may be any of the columns.
                Fit::Overflow => {
                    for batch in reader(bytes.clone(), None)? {
                        append(conform(&fragment.table, &batch?, &self.schema)?.column(at))?;
                    }
                }
                Fit::Same(_) => {}
            }
            columns.push(Leaves::Encoded(leaves));
        }
        Ok(columns)
    }
}

fn row_count(fragment: &Fragment) -> Result<usize, Error> {
    usize::try_from(fragment.rows).map_err(|_| Error::Stopped)
}

pub(super) fn leaves_of(field: &arrow_schema::Field) -> usize {
    fn leaves(kind: &arrow_schema::DataType) -> usize {
        match kind {
            arrow_schema::DataType::Struct(fields) => fields.iter().map(|field| leaves(field.data_type())).sum(),
            arrow_schema::DataType::List(items) | arrow_schema::DataType::Map(items, _) => leaves(items.data_type()),
            _ => 1,
        }
    }
    leaves(field.data_type())
}

/// The rows of a fragment that are not left out.
pub(super) fn rows_of(
    fragment: &Fragment,
    spool: &Spool,
) -> Result<impl Iterator<Item = Result<RecordBatch, arrow_schema::ArrowError>>, Error> {
    let dropped = Arc::clone(&fragment.dropped);
    let mut first = 0u32;
    Ok(reader(spool.get(&fragment.blob)?, None)?.map(move |batch| {
        let batch = batch?;
        let rows = first..first + u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
        first = rows.end;
        let here = dropped.partition_point(|row| *row < rows.start)..dropped.partition_point(|row| *row < rows.end);
        let dropped = dropped.get(here).unwrap_or_default();
        if dropped.is_empty() {
            return Ok(batch);
        }
        let kept: BooleanArray = rows.map(|row| Some(dropped.binary_search(&row).is_err())).collect();
        arrow_select::filter::filter_record_batch(&batch, &kept)
    }))
}

/// The rows of a fragment, or one of its columns.
pub(super) fn reader(
    bytes: Bytes,
    column: Option<usize>,
) -> Result<impl Iterator<Item = Result<RecordBatch, arrow_schema::ArrowError>>, Error> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?.with_batch_size(BATCH_ROWS);
    let mask = column.map(|column| ProjectionMask::roots(builder.parquet_schema(), [column]));
    let reader = builder.with_projection(mask.unwrap_or_else(ProjectionMask::all)).build()?;
    debug_assert!(column.is_none() || reader.schema().fields().len() == 1);
    Ok(reader)
}

/// Appends a column to its leaves.
pub(super) fn encode<'a>(
    field: &arrow_schema::Field,
    array: &ArrayRef,
    writers: &mut impl Iterator<Item = &'a mut ArrowColumnWriter>,
) -> Result<(), Error> {
    for leaf in compute_leaves(field, array)? {
        if let Some(writer) = writers.next() {
            writer.write(&leaf)?;
        }
    }
    Ok(())
}

fn copy(
    bytes: &Bytes,
    metadata: &ParquetMetaData,
    leaf: usize,
    group: &mut SerializedRowGroupWriter<'_, OutFile>,
) -> Result<(), Error> {
    let row_group = metadata.row_group(0);
    let column = row_group.column(leaf);
    let index = metadata.page_index();
    let close = ColumnCloseResult {
        bytes_written: u64::try_from(column.compressed_size()).unwrap_or(0),
        rows_written: u64::try_from(row_group.num_rows()).unwrap_or(0),
        metadata: column.clone(),
        bloom_filter: parquet::bloom_filter::Sbbf::read_from_column_chunk(column, bytes)?,
        column_index: index.and_then(|index| index.column_index(0, leaf)).cloned(),
        offset_index: index.and_then(|index| index.offset_index(0, leaf)).cloned(),
    };
    group.append_column(bytes, close).map_err(stopped)
}

/// A broken pipe means that the store has an error of its own, which is the one to read.
pub(super) fn stopped(error: parquet::errors::ParquetError) -> Error {
    let broken = |source: &(dyn std::error::Error + 'static)| {
        source.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    };
    match &error {
        parquet::errors::ParquetError::External(source) if broken(&**source) => Error::Stopped,
        _ => Error::Parquet(error),
    }
}
