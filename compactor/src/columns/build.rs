//! Fills columns from rows, in one pass: the columns are found, and widened, while they are filled.

use super::column::Bounds;
use super::conform::{self, object};
use super::cursor::{Cursor, Stop};
use super::fields::{Fields, Found};
use super::node::Rules;
use super::schema::{OVERFLOW, Schema, Table, stored};
use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{ArrowError, DataType, Field};
use std::sync::Arc;

/// Cells of a batch, nulls included: what bounds the memory of sparse rows with thousands of columns.
const MAX_CELLS: usize = 4 << 20;

/// Why a good row was not appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It has more distinct fields than memory may hold.
    TooManyFields,
    /// The columns and the parser disagree on what a row is. Never, as the tests say.
    Misread,
}

/// Builds record batches. What their columns are is found on the way, and only ever widens.
pub(crate) struct Builder {
    root: Fields,
    rules: Rules,
    rows: usize,
    /// Fields were left out: of the row's fields, those up to this name are kept.
    last_kept: Option<Box<str>>,
    /// Of rows since the last batch, the members that have no column.
    rest: Vec<(usize, Vec<(String, String)>)>,
    row_rest: Vec<(String, String)>,
}

/// Rows as columns, and what was seen of all rows up to here.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The columns of `table` that are stored, by name, and the overflow if `has_overflow`.
    pub(crate) columns: RecordBatch,
    pub(crate) table: Table,
    pub(crate) has_overflow: bool,
}

impl Builder {
    /// Rows are nested at most `max_depth` deep, and have at most `max_places` distinct fields, nested ones included.
    pub(crate) fn new(bounds: Bounds, max_depth: usize, max_places: usize) -> Self {
        Self {
            root: Fields::new(),
            rules: Rules {
                bounds,
                max_depth,
                times: false,
                may_change: false,
                places_left: max_places,
                replaced: 0,
                scratch: String::new(),
            },
            rows: 0,
            last_kept: None,
            rest: Vec::new(),
            row_rest: Vec::new(),
        }
    }

    /// Whether strings that are times become times.
    pub(crate) fn with_timestamps(mut self, times: bool) -> Self {
        self.rules.times = times;
        self
    }

    /// Rows since the last batch.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of the rows, nested ones not counted.
    pub(crate) fn columns(&self) -> usize {
        self.root.len()
    }

    /// Whether the batch must end here, however few bytes its rows have.
    pub(crate) fn is_full(&self) -> bool {
        self.root.len() > self.rules.bounds.max_columns.saturating_mul(2)
            || self.rows.saturating_mul(self.root.len()) > MAX_CELLS
    }

    /// Halves of surrogate pairs that were replaced by U+FFFD, in all rows.
    pub(crate) fn replaced(&self) -> u64 {
        self.rules.replaced
    }

    /// Appends the row that `text` begins with, if it is whole, good and no surprise. Returns its length.
    ///
    /// `None` says nothing of the row: it has to be looked at by the parser, and then may be appended by
    /// [`Builder::append`]. `text` must be UTF-8; it is not looked at again before the batch is finished.
    #[inline]
    pub(crate) fn try_append(&mut self, text: &[u8]) -> Option<usize> {
        self.rules.may_change = false;
        self.append_row(text).ok()
    }

    /// Appends a row that the parser found good.
    ///
    /// # Errors
    /// [`Refusal`]; the row has then left nothing but perhaps new columns.
    pub(crate) fn append(&mut self, row: &str) -> Result<(), Refusal> {
        self.rules.may_change = true;
        match self.append_row(row.as_bytes()) {
            Ok(_) => Ok(()),
            Err(Stop::Fields) => Err(Refusal::TooManyFields),
            Err(_) => Err(Refusal::Misread),
        }
    }

    #[inline]
    fn append_row(&mut self, text: &[u8]) -> Result<usize, Stop> {
        let replaced = self.rules.replaced;
        let mut cursor = Cursor::new(text);
        match self.object(&mut cursor) {
            Ok(()) => {
                if !self.row_rest.is_empty() {
                    self.rest.push((self.rows, std::mem::take(&mut self.row_rest)));
                }
                self.rows += 1;
                Ok(cursor.at)
            }
            Err(stop) => {
                self.root.truncate(self.rows);
                self.row_rest.clear();
                self.rules.replaced = replaced;
                Err(stop)
            }
        }
    }

    /// Appends the members of the row. As [`Fields::append`], but for those that have no column.
    #[inline]
    fn object(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        let Self { root, rules, rows, last_kept, row_rest, .. } = self;
        if cursor.next()? != b'{' {
            return Err(Stop::Slow);
        }
        cursor.blank();
        if cursor.peek()? == b'}' {
            cursor.at += 1;
            return Ok(());
        }
        let may_add = |name: &str| last_kept.as_ref().is_none_or(|last| *name <= **last && name != OVERFLOW);
        let mut position = 0;
        loop {
            match root.key(cursor, rules, &mut position, may_add)? {
                Found::Field(index) => root.append_to(index, cursor, rules, *rows)?,
                Found::Left => {
                    let name = rules.scratch.clone();
                    let mut text = String::new();
                    rules.replaced += cursor.canonical(rules.max_depth.saturating_sub(1), &mut text)?;
                    row_rest.push((name, text));
                }
            }
            cursor.blank();
            match cursor.next()? {
                b',' => cursor.blank(),
                b'}' => return Ok(()),
                _ => return Err(Stop::Slow),
            }
        }
    }

    /// The rows since the last batch.
    ///
    /// # Errors
    /// None is known.
    pub(crate) fn finish(&mut self) -> Result<Batch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        let table = Table { columns: self.root.columns(), overflow: self.last_kept.is_some() };
        let (fields, mut columns) = self.root.finish(rows)?;
        let mut fields: Vec<Arc<Field>> = fields.iter().map(Arc::clone).collect();
        // A Parquet file needs a column.
        let has_overflow = self.last_kept.is_some() || columns.is_empty();
        if has_overflow {
            fields.push(Arc::new(Field::new(OVERFLOW, DataType::Utf8, true)));
            columns.push(self.overflow(rows));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let arrow = Arc::new(arrow_schema::Schema::new(fields));
        let mut batch =
            Batch { columns: RecordBatch::try_new_with_options(arrow, columns, &options)?, table, has_overflow };
        if self.root.len() > self.rules.bounds.max_columns.saturating_mul(2) {
            let table = self.keep_first(&batch.table);
            batch = trimmed(&batch, table)?;
        }
        Ok(batch)
    }

    fn overflow(&mut self, rows: usize) -> ArrayRef {
        let mut texts = StringBuilder::new();
        for (row, members) in std::mem::take(&mut self.rest) {
            texts.append_nulls(row - texts.len_so_far());
            texts.append_option(object(members));
        }
        texts.append_nulls(rows - texts.len_so_far());
        let texts: StringArray = texts.finish();
        Arc::new(texts)
    }

    /// Leaves all fields out that come late by name. A field that is dropped now would be dropped by any later call
    /// too, so it does not matter when this is done.
    fn keep_first(&mut self, table: &Table) -> Table {
        let max = self.rules.bounds.max_columns;
        self.root.drop_name(OVERFLOW);
        self.root.keep_first(max);
        let kept = table.columns.iter().filter(|(name, _)| **name != *OVERFLOW).take(max).cloned();
        let columns: Vec<_> = kept.collect();
        self.last_kept = columns.last().map(|(name, _)| name.clone());
        Table { columns, overflow: true }
    }
}

/// The batch with the columns of `table` alone; what the others held is in the overflow.
fn trimmed(batch: &Batch, table: Table) -> Result<Batch, ArrowError> {
    let columns = stored(&table.columns).map(|(name, column)| (name.into(), column.clone())).collect();
    let schema = Schema { columns, overflow: true };
    let columns = conform::conform(&batch.table, &batch.columns, &schema)?;
    Ok(Batch { columns, table, has_overflow: true })
}

/// What a builder of strings has.
trait Len {
    fn len_so_far(&self) -> usize;
}

impl Len for StringBuilder {
    fn len_so_far(&self) -> usize {
        arrow_array::builder::ArrayBuilder::len(self)
    }
}

#[cfg(test)]
mod tests;
