//! Parquet files of bounded size, one partition after the other.

use crate::error::Error;
use crate::manifest::OutputFile;
use crate::outlet::{OutFile, Outlet};
use crate::settings::Settings;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression, Type, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

/// Writes batches to files that are closed when they are large enough, or the partition changes.
pub(crate) struct PartFiles {
    schema: SchemaRef,
    properties: WriterProperties,
    target_bytes: usize,
    outlet: Outlet,
    /// The part of a plan's name that file names carry.
    plan: String,
    open: Option<OpenFile>,
    done: Vec<OutputFile>,
}

struct OpenFile {
    folder: String,
    ordinal: usize,
    rows: u64,
    path: String,
    writer: ArrowWriter<OutFile>,
}

impl PartFiles {
    /// Files of `schema` for the plan that `plan` names, as `settings` wants them.
    ///
    /// # Errors
    /// A schema that Parquet cannot hold.
    pub(crate) fn new(schema: SchemaRef, settings: &Settings, plan: &str, outlet: Outlet) -> Result<Self, Error> {
        Ok(Self {
            properties: properties(&schema, settings, plan)?,
            schema,
            target_bytes: settings.target_file_bytes,
            outlet,
            plan: plan.to_owned(),
            open: None,
            done: Vec::new(),
        })
    }

    /// Appends a batch to the partition in `folder`. All batches of a partition must come together.
    pub(crate) fn write(&mut self, folder: &str, batch: &RecordBatch) -> Result<(), Error> {
        let ordinal = match &self.open {
            Some(open) if open.folder == folder && size(&open.writer) < self.target_bytes => None,
            Some(open) if open.folder == folder => Some(open.ordinal + 1),
            _ => Some(0),
        };
        if let Some(ordinal) = ordinal {
            self.close()?;
            self.open = Some(self.create(folder, ordinal)?);
        }
        if let Some(open) = &mut self.open {
            open.writer.write(batch).map_err(stopped)?;
            open.rows += batch.num_rows() as u64;
        }
        Ok(())
    }

    /// Closes the last file, and says what was written.
    pub(crate) fn finish(mut self) -> Result<Vec<OutputFile>, Error> {
        self.close()?;
        Ok(self.done)
    }

    fn create(&self, folder: &str, ordinal: usize) -> Result<OpenFile, Error> {
        // As Spark names its files, without its random part: the same plan gives the same names.
        let path = format!("{folder}/part-{ordinal:05}-{}.zstd.parquet", self.plan);
        let file = self.outlet.create(path.clone());
        // The types are all Parquet's own; and the copy of the Arrow schema that would go to the metadata is one that
        // readers refuse when it is nested deeply.
        let options = ArrowWriterOptions::new().with_properties(self.properties.clone()).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(file, SchemaRef::clone(&self.schema), options)?;
        Ok(OpenFile { folder: folder.to_owned(), ordinal, rows: 0, path, writer })
    }

    fn close(&mut self) -> Result<(), Error> {
        if let Some(open) = self.open.take() {
            let bytes = open.writer.into_inner().map_err(stopped)?.close()?;
            self.done.push(OutputFile { path: open.path, rows: open.rows, bytes });
        }
        Ok(())
    }
}

fn size(writer: &ArrowWriter<OutFile>) -> usize {
    writer.bytes_written() + writer.in_progress_size()
}

/// A broken pipe means that the store has an error of its own, which is the one to read.
fn stopped(error: parquet::errors::ParquetError) -> Error {
    let broken = |source: &(dyn std::error::Error + 'static)| {
        source.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    };
    match &error {
        parquet::errors::ParquetError::External(source) if broken(&**source) => Error::Stopped,
        _ => Error::Parquet(error),
    }
}

fn properties(schema: &SchemaRef, settings: &Settings, plan: &str) -> Result<WriterProperties, Error> {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(settings.zstd_level)?))
        .set_max_row_group_row_count(Some(settings.row_group_rows))
        .set_max_row_group_bytes(Some(settings.row_group_bytes))
        .set_created_by(concat!("alluvial compact version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![KeyValue::new("alluvial.plan".to_owned(), plan.to_owned())]));
    for column in ArrowSchemaConverter::new().convert(schema)?.columns() {
        // Measured values seldom repeat: a dictionary of them costs time and makes the file larger.
        if column.physical_type() == Type::DOUBLE {
            builder = builder.set_column_dictionary_enabled(column.path().clone(), false);
        }
    }
    Ok(builder.build())
}
