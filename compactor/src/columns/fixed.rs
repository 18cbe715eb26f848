//! Fills the columns of a schema that was given.
//!
//! Every value either is what its column holds, exactly, or does not fit; what happens then is a policy. Text holds every
//! value: what is no string, as its JSON text.

mod cells;
mod scalar;

use super::build::Batch;
use super::column::Column;
use super::conform::object;
use super::schema::{OVERFLOW, Table};
use crate::json::{Kind, Value, write_canonical};
use crate::types::{FixedSchema, Type};
use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, DataType, Field};
use cells::Cells;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Text bytes of a batch's cells, at most, about: Arrow's strings end at 2 GiB.
const MAX_ROWS: usize = 1 << 16;

/// A value that is not what its column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// As in `user.age`, or `tags[]` of an element.
    path: String,
    /// What the schema says; `None` of a field that it does not have.
    wanted: Option<String>,
    /// The start of the value's JSON text.
    found: String,
}

/// Fills columns of given types.
pub(crate) struct FixedBuilder {
    names: Vec<Box<str>>,
    columns: Vec<Cells>,
    index: Index,
    /// What does not fit goes to the overflow; without this, rows with such values are refused.
    keep_rest: bool,
    rest: StringBuilder,
    rows: usize,
    replaced: u64,
    /// Rows with something in the overflow.
    unfit: u64,
}

/// Which field a name belongs to: its own, or one that differs in case only, as DDL often has no upper case.
#[derive(Debug)]
struct Index {
    exact: HashMap<Box<str>, usize>,
    lower: HashMap<String, usize>,
}

impl Index {
    fn new<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Self {
        let lower = names.clone().enumerate().map(|(at, name)| (name.to_lowercase(), at)).collect();
        Self { exact: names.enumerate().map(|(at, name)| (name.into(), at)).collect(), lower }
    }

    /// The field, and whether the name is its own.
    fn find(&self, name: &str) -> Option<(usize, bool)> {
        match self.exact.get(name) {
            Some(at) => Some((*at, true)),
            None => self.lower.get(&name.to_lowercase()).map(|at| (*at, false)),
        }
    }

    /// The members of an object by field, and those that have none. Of equal names the last counts; of those that
    /// differ in case only, the one that is the field's own.
    fn sort<'a>(&self, value: Value<'a>) -> (Vec<Option<Value<'a>>>, Vec<(String, Value<'a>)>) {
        let mut found: Vec<Option<(String, bool, Value<'a>)>> = vec![None; self.exact.len()];
        let mut rest = Vec::new();
        for (key, value) in value.members() {
            let name = key.text().0.into_owned();
            match self.find(&name) {
                None => rest.push((name, value)),
                Some((at, own)) => match &mut found[at] {
                    Some((known, _, last)) if *known == name => *last = value,
                    Some((_, true, _)) => rest.push((name, value)),
                    slot => {
                        if let Some((name, _, value)) = slot.replace((name, own, value)) {
                            rest.push((name, value));
                        }
                    }
                },
            }
        }
        rest.retain(|(_, value)| value.kind() != Kind::Null);
        (found.into_iter().map(|slot| slot.map(|(_, _, value)| value)).collect(), rest)
    }
}

impl FixedBuilder {
    /// With `keep_rest`, what does not fit goes to the overflow.
    pub(crate) fn new(schema: &FixedSchema, keep_rest: bool) -> Self {
        let names: Vec<Box<str>> = schema.columns().iter().map(|(name, _)| name.clone()).collect();
        Self {
            index: Index::new(names.iter().map(|name| &**name)),
            columns: schema.columns().iter().map(|(_, kind)| Cells::new(kind)).collect(),
            names,
            keep_rest,
            rest: StringBuilder::new(),
            rows: 0,
            replaced: 0,
            unfit: 0,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.rows >= MAX_ROWS
    }

    /// Halves of surrogate pairs that were replaced by U+FFFD, in all rows.
    pub(crate) fn replaced(&self) -> u64 {
        self.replaced
    }

    /// Rows with something in the overflow.
    pub(crate) fn unfit(&self) -> u64 {
        self.unfit
    }

    /// Appends a row, which the parser has found good.
    ///
    /// # Errors
    /// The first value that does not fit, where those do not go to the overflow; the row has then left nothing.
    pub(crate) fn append(&mut self, row: Value<'_>) -> Result<(), Misfit> {
        let (values, unknown) = self.index.sort(row);
        if !self.keep_rest {
            if let Some((name, value)) = unknown.first() {
                return Err(Misfit::new(name.clone(), None, *value));
            }
            for ((name, cells), value) in self.names.iter().zip(&self.columns).zip(&values) {
                if let Some(value) = value {
                    cells.check(*value, name)?;
                }
            }
        }
        let mut rest: Vec<(String, String)> =
            unknown.into_iter().map(|(name, value)| (name, canonical(value, &mut self.replaced))).collect();
        for ((name, cells), value) in self.names.iter().zip(&mut self.columns).zip(values) {
            if let Some(unfit) = cells.append(value, &mut self.replaced) {
                rest.push((name.to_string(), unfit));
            }
        }
        let rest = object(rest);
        self.unfit += u64::from(rest.is_some());
        self.rest.append_option(rest);
        self.rows += 1;
        Ok(())
    }

    /// The rows since the last batch.
    ///
    /// # Errors
    /// None is known.
    pub(crate) fn finish(&mut self) -> Result<Batch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        let (mut fields, mut columns, mut table) = (Vec::new(), Vec::<ArrayRef>::new(), Table::default());
        for (name, cells) in self.names.iter().zip(&mut self.columns) {
            fields.push(Field::new(&**name, cells.kind().to_arrow(), true));
            columns.push(cells.finish()?);
            table.columns.push((name.clone(), Column::Fixed(Box::new(cells.kind().clone()))));
        }
        let rest = self.rest.finish();
        if self.keep_rest {
            fields.push(Field::new(OVERFLOW, DataType::Utf8, true));
            columns.push(Arc::new(rest));
        }
        table.overflow = self.keep_rest;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::new(arrow_schema::Schema::new(fields));
        let columns = RecordBatch::try_new_with_options(schema, columns, &options)?;
        Ok(Batch { columns, table, has_overflow: self.keep_rest })
    }
}

fn canonical(value: Value<'_>, replaced: &mut u64) -> String {
    let mut text = String::new();
    *replaced += write_canonical(value, &mut text);
    text
}

impl Misfit {
    fn new(path: String, wanted: Option<&Type>, value: Value<'_>) -> Self {
        const SHOWN: usize = 60;
        let mut found = canonical(value, &mut 0);
        if let Some((end, _)) = found.char_indices().nth(SHOWN) {
            found.truncate(end);
            found.push('…');
        }
        let wanted = wanted.map(|kind| kind.print(crate::types::Dialect::Spark));
        Self { path, wanted, found }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, wanted, found } = self;
        match wanted {
            Some(wanted) => write!(f, "{path} is {found}, the schema wants {wanted}"),
            None => write!(f, "the schema has no field {path} (here {found})"),
        }
    }
}

#[cfg(test)]
mod tests;
