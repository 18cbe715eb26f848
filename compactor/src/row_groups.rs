//! Row groups: encoded as the rows come, with the columns known by then, and put together to files once all are.

mod encoding;
mod file;

pub(crate) use file::{FilePlan, plan_files, write_file};

use crate::columns::{Batch, Table};
use crate::error::Error;
use crate::settings::Settings;
use crate::spool::{Blob, Spool};
use arrow_schema::SchemaRef;
use encoding::Choice;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression, Type, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};

/// One row group, as a Parquet file of its own.
#[derive(Debug, Clone)]
pub(crate) struct Fragment {
    pub(crate) blob: Blob,
    pub(crate) rows: u64,
    /// What its columns are.
    pub(crate) table: Table,
    pub(crate) has_overflow: bool,
}

/// Encodes batches of one unit to row groups of bounded size.
pub(crate) struct FragmentWriter {
    settings: Settings,
    spool: Spool,
    open: Option<Open>,
}

struct Open {
    writer: ArrowWriter<Vec<u8>>,
    rows: u64,
    table: Table,
    has_overflow: bool,
}

impl FragmentWriter {
    pub(crate) fn new(settings: Settings, spool: Spool) -> Self {
        Self { settings, spool, open: None }
    }

    /// Appends a batch. Returns row groups that are complete by that.
    pub(crate) fn write(&mut self, batch: Batch) -> Result<Vec<Fragment>, Error> {
        let mut done = Vec::new();
        let alike = |open: &Open| open.has_overflow == batch.has_overflow && open.table.is_stored_like(&batch.table);
        if !self.open.as_ref().is_some_and(alike) {
            done.extend(self.close()?);
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(Open {
                writer: writer(&batch, &self.settings)?,
                rows: 0,
                table: Table::default(),
                has_overflow: batch.has_overflow,
            }),
        };
        open.writer.write(&batch.columns)?;
        open.rows += batch.columns.num_rows() as u64;
        open.table = batch.table;
        let full = open.writer.in_progress_size() >= self.settings.group_bytes();
        if full || open.rows >= self.settings.row_group_rows as u64 {
            done.extend(self.close()?);
        }
        Ok(done)
    }

    /// Completes the row group that is open, if there is one.
    pub(crate) fn close(&mut self) -> Result<Option<Fragment>, Error> {
        let Some(open) = self.open.take() else { return Ok(None) };
        let Open { writer, rows, table, has_overflow } = open;
        let blob = self.spool.put(writer.into_inner()?)?;
        Ok(Some(Fragment { blob, rows, table, has_overflow }))
    }

    /// Forgets the row group that is open.
    pub(crate) fn discard(&mut self) {
        self.open = None;
    }
}

fn writer(first: &Batch, settings: &Settings) -> Result<ArrowWriter<Vec<u8>>, Error> {
    let schema = first.columns.schema();
    let properties = properties(&schema, settings, encoding::choose(&first.columns))?.build();
    Ok(ArrowWriter::try_new_with_options(Vec::new(), schema, options(properties))?)
}

/// The types are all Parquet's own; and the copy of the Arrow schema that would go to the metadata is one that readers
/// refuse when it is nested deeply.
fn options(properties: WriterProperties) -> ArrowWriterOptions {
    ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true)
}

/// How columns of this schema are encoded; row groups end where we end them. Where there are no choices, none of the
/// values was looked at.
fn properties(schema: &SchemaRef, settings: &Settings, choices: Vec<Choice>) -> Result<WriterPropertiesBuilder, Error> {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(settings.zstd_level)?))
        .set_max_row_group_row_count(None)
        .set_max_row_group_bytes(None)
        .set_created_by(concat!("alluvial compact version ", env!("CARGO_PKG_VERSION")).to_owned());
    let mut choices = choices.into_iter();
    for column in ArrowSchemaConverter::new().convert(schema)?.columns() {
        let unseen = Choice::unseen(column.physical_type() == Type::DOUBLE);
        builder = choices.next().unwrap_or(unseen).apply(column.path(), builder);
    }
    Ok(builder)
}

fn plan_metadata(plan: &str) -> Vec<KeyValue> {
    vec![KeyValue::new("alluvial.plan".to_owned(), plan.to_owned())]
}
