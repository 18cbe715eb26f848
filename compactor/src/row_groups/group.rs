//! One row group while it is encoded, as a Parquet file of its own.

use super::encoding::{self, Choice};
use super::file::{encode, leaves_of};
use super::lists::{self, ListWriter};
use super::text::TextWriter;
use super::{is_field, options, properties};
use crate::columns::Batch;
use crate::error::Error;
use crate::recipe::Recipe;
use arrow_array::cast::AsArray as _;
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowColumnWriter;
use parquet::file::writer::SerializedFileWriter;

/// Encodes batches that all have the columns of the first.
pub(super) struct GroupWriter {
    schema: SchemaRef,
    file: SerializedFileWriter<Vec<u8>>,
    columns: Vec<Column>,
}

enum Column {
    /// Strings that repeat.
    Text(Box<TextWriter>),
    /// Numbers in lists.
    List(Box<ListWriter>),
    /// The leaves of any other column.
    Other(Vec<ArrowColumnWriter>),
}

impl GroupWriter {
    /// Begins a row group; how its columns are encoded is chosen by what `first` holds.
    pub(super) fn new(first: &Batch, recipe: &Recipe) -> Result<Self, Error> {
        let schema = first.columns.schema();
        let choices = encoding::choose(&first.columns, recipe.byte_stream_split);
        let properties = properties(&schema, recipe, choices.clone())?.build();
        let writer = ArrowWriter::try_new_with_options(Vec::new(), schema.clone(), options(properties))?;
        let (file, factory) = writer.into_serialized_writer()?;
        let descr = file.schema_descr();
        let mut leaves = factory.create_column_writers(0)?.into_iter();
        let mut columns = Vec::with_capacity(schema.fields().len());
        let mut at = 0;
        for field in schema.fields() {
            let own: Vec<ArrowColumnWriter> = leaves.by_ref().take(leaves_of(field)).collect();
            let column = descr.column(at);
            let descrs: Vec<_> = (at..at + own.len()).map(|leaf| descr.column(leaf)).collect();
            let has_bloom = descrs.iter().any(|leaf| recipe.bloom.iter().any(|path| is_field(leaf.path(), path)));
            let choices = choices.get(at..at + own.len()).unwrap_or_default();
            let repeats = matches!(choices, [Choice::Dictionary]);
            at += own.len();
            let codec = file.properties().compression(column.path());
            let is_text = *field.data_type() == DataType::Utf8 && field.is_nullable();
            columns.push(match lists::leaves(field, choices) {
                Some(numbers) if !has_bloom => {
                    Column::List(Box::new(ListWriter::new(descrs, numbers, codec, recipe.zstd_level)?))
                }
                _ if repeats && is_text && !has_bloom => {
                    Column::Text(Box::new(TextWriter::new(column, codec, recipe.zstd_level)?))
                }
                _ => Column::Other(own),
            });
        }
        Ok(Self { schema, file, columns })
    }

    /// Appends a batch.
    pub(super) fn write(&mut self, batch: &Batch) -> Result<(), Error> {
        let fields = self.schema.fields().iter().zip(batch.columns.columns());
        for ((field, array), column) in fields.zip(&mut self.columns) {
            match column {
                Column::Text(writer) => writer.write(array.as_string())?,
                Column::List(writer) => writer.write(array.as_list())?,
                Column::Other(leaves) => encode(field, array, &mut leaves.iter_mut())?,
            }
        }
        Ok(())
    }

    /// Bytes of the row group, about, were it to end here.
    pub(super) fn bytes(&self) -> usize {
        let bytes = |column: &Column| match column {
            Column::Text(writer) => writer.bytes(),
            Column::List(writer) => writer.bytes(),
            Column::Other(leaves) => leaves.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum(),
        };
        self.columns.iter().map(bytes).sum()
    }

    /// Bytes of memory that it takes, about.
    pub(super) fn memory(&self) -> usize {
        let memory = |column: &Column| match column {
            Column::Text(writer) => writer.memory(),
            Column::List(writer) => writer.memory(),
            Column::Other(leaves) => leaves.iter().map(ArrowColumnWriter::memory_size).sum(),
        };
        self.columns.iter().map(memory).sum()
    }

    /// The file.
    pub(super) fn close(mut self) -> Result<Vec<u8>, Error> {
        // Growing by doubling would take half as much again while it copies.
        let bytes = self.bytes();
        self.file.inner_mut().reserve(bytes + bytes / 64);
        let mut group = self.file.next_row_group()?;
        for column in self.columns {
            match column {
                Column::Text(writer) => {
                    let (bytes, close) = writer.close()?;
                    group.append_column(&bytes, close)?;
                }
                Column::List(writer) => {
                    for (bytes, close) in writer.close()? {
                        group.append_column(&bytes, close)?;
                    }
                }
                Column::Other(leaves) => {
                    for leaf in leaves {
                        leaf.close()?.append_to_row_group(&mut group)?;
                    }
                }
            }
        }
        group.close()?;
        Ok(self.file.into_inner()?)
    }
}
