//! Row groups: encoded as the rows come, with the columns known by then, and put together to files once all are.

mod chunk;
mod dictionary;
mod encoding;
mod file;
mod group;
mod hybrid;
mod keys;
mod lists;
mod numbers;
mod sorted;
mod text;

pub(crate) use file::{FileNames, FilePlan, FileWriter, plan_files, write_file};

use crate::columns::{self, Batch, Schema, Table};
use crate::dedupe::append_keys;
use crate::error::Error;
use crate::field_path::FieldPath;
use crate::members::{MemberRows, add_rows};
use crate::partition::Place;
use crate::recipe::Recipe;
use crate::spool::{Blob, Spool};
use arrow_schema::SchemaRef;
use encoding::Choice;
use group::GroupWriter;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Type, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use std::sync::Arc;

/// Of a hundred values that a row group does not have, its bloom filter takes about one for one it may have.
const FALSE_POSITIVES: f64 = 0.01;

/// One row group, as a Parquet file of its own.
#[derive(Debug, Clone)]
pub(crate) struct Fragment {
    pub(crate) blob: Blob,
    pub(crate) rows: u64,
    /// What its columns are.
    pub(crate) table: Table,
    pub(crate) has_overflow: bool,
    /// Where its rows go.
    pub(crate) place: Place,
    /// By which rows are told apart, where that is asked for.
    pub(crate) keys: Option<Blob>,
    /// Which members the rows are of, where that is asked for.
    pub(crate) members: Vec<MemberRows>,
    /// Rows that are left out, in order.
    pub(crate) dropped: Arc<[u32]>,
}

impl Fragment {
    /// Whether all its columns are what `schema` says, byte for byte, or are null. It must not have others.
    pub(crate) fn is_of(&self, schema: &Schema) -> bool {
        let fits = columns::fits(&self.table, self.has_overflow, schema);
        fits.iter().all(|fit| matches!(fit, columns::Fit::Same(_) | columns::Fit::Absent))
    }

    /// Rows that are not left out.
    pub(crate) fn rows_kept(&self) -> u64 {
        self.rows.saturating_sub(self.dropped.len() as u64)
    }
}

/// Encodes batches of one unit to row groups of bounded size.
pub(crate) struct FragmentWriter {
    recipe: Arc<Recipe>,
    spool: Spool,
    place: Place,
    open: Option<Open>,
}

struct Open {
    writer: GroupWriter,
    rows: u64,
    table: Table,
    has_overflow: bool,
    keys: Vec<u8>,
    members: Vec<MemberRows>,
}

impl FragmentWriter {
    pub(crate) fn new(recipe: Arc<Recipe>, spool: Spool, place: Place) -> Self {
        Self { recipe, spool, place, open: None }
    }

    /// Appends a batch, whose rows are of these members. Returns row groups that are complete by that.
    pub(crate) fn write(&mut self, batch: Batch, members: &[MemberRows]) -> Result<Vec<Fragment>, Error> {
        let mut done = Vec::new();
        let alike = |open: &Open| open.has_overflow == batch.has_overflow && open.table.is_stored_like(&batch.table);
        if !self.open.as_ref().is_some_and(alike) {
            done.extend(self.close()?);
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(Open {
                writer: GroupWriter::new(&batch, &self.recipe)?,
                rows: 0,
                table: Table::default(),
                has_overflow: batch.has_overflow,
                keys: Vec::new(),
                members: Vec::new(),
            }),
        };
        open.writer.write(&batch)?;
        if !self.recipe.dedupe.is_empty() {
            append_keys(&batch, &self.recipe.dedupe, &mut open.keys);
        }
        members.iter().for_each(|rows| add_rows(&mut open.members, *rows));
        open.rows += batch.columns.num_rows() as u64;
        open.table = batch.table;
        let full = open.writer.bytes() >= self.recipe.group_bytes;
        if full || open.rows >= self.recipe.row_group_rows as u64 {
            done.extend(self.close()?);
        }
        Ok(done)
    }

    /// Completes the row group that is open, if there is one.
    pub(crate) fn close(&mut self) -> Result<Option<Fragment>, Error> {
        let Some(open) = self.open.take() else { return Ok(None) };
        let Open { writer, rows, table, has_overflow, keys, members } = open;
        let blob = self.spool.put(writer.close()?)?;
        let keys = if self.recipe.dedupe.is_empty() { None } else { Some(self.spool.put(keys)?) };
        let (place, dropped) = (self.place.clone(), Arc::new([]));
        Ok(Some(Fragment { blob, rows, table, has_overflow, place, keys, members, dropped }))
    }

    /// Bytes of memory that the open row group takes, about.
    pub(crate) fn memory(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.writer.memory())
    }
}

/// The types are all Parquet's own; and the copy of the Arrow schema that would go to the metadata is one that readers
/// refuse when it is nested deeply.
fn options(properties: WriterProperties) -> ArrowWriterOptions {
    ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true)
}

/// How columns of this schema are encoded; row groups end where we end them. Where there are no choices, none of the
/// values was looked at.
fn properties(schema: &SchemaRef, recipe: &Recipe, choices: Vec<Choice>) -> Result<WriterPropertiesBuilder, Error> {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(recipe.zstd_level)?))
        .set_max_row_group_row_count(None)
        .set_max_row_group_bytes(None)
        .set_created_by(concat!("alluvial compact version ", env!("CARGO_PKG_VERSION")).to_owned());
    let mut choices = choices.into_iter();
    for column in ArrowSchemaConverter::new().convert(schema)?.columns() {
        let unseen = Choice::unseen(matches!(column.physical_type(), Type::DOUBLE | Type::FLOAT));
        builder = choices.next().unwrap_or(unseen).apply(column.path(), builder);
        if recipe.bloom.iter().any(|path| is_field(column.path(), path)) {
            builder = builder.set_column_bloom_filter_fpp(column.path().clone(), FALSE_POSITIVES);
        }
    }
    Ok(builder)
}

/// Whether a Parquet column is this field: lists and maps have levels of their own between a field and those below it.
fn is_field(column: &ColumnPath, path: &FieldPath) -> bool {
    let mut parts = column.parts().iter().map(String::as_str).peekable();
    let mut names = path.names().iter().map(|name| &**name).peekable();
    while let Some(part) = parts.next() {
        if names.peek() == Some(&part) {
            names.next();
        } else if part == "list" && parts.peek() == Some(&"element") {
            parts.next();
        } else if part != "key_value" {
            return false;
        }
    }
    names.next().is_none()
}

fn plan_metadata(plan: &str) -> Vec<KeyValue> {
    vec![KeyValue::new("alluvial.plan".to_owned(), plan.to_owned())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_below_lists_and_maps() {
        let is = |column: &[&str], path: &str| {
            let column = ColumnPath::new(column.iter().map(|part| (*part).to_owned()).collect());
            is_field(&column, &path.parse().expect("a path"))
        };
        assert!(is(&["id"], "id"));
        assert!(is(&["user", "id"], "user.id"));
        assert!(is(&["items", "list", "element", "id"], "items.id"));
        assert!(is(&["tags", "list", "element"], "tags"));
        assert!(is(&["m", "key_value", "value"], "m.value"));
        assert!(!is(&["user", "id"], "user"));
        assert!(!is(&["user", "id"], "id"));
        assert!(!is(&["items", "list", "element", "id"], "items"));
    }
}
