//! What rows are built with: columns that are found, or those that were given.

use super::{Job, MAX_FIELDS};
use crate::columns::{Batch, Builder, FixedBuilder, Misfit, Refusal};
use crate::json::Value;
use crate::settings::Mismatch;
use arrow_schema::ArrowError;

/// Builds batches from rows.
pub(super) enum RowBuilder {
    Found(Builder),
    Fixed(FixedBuilder),
}

/// Why a row was not appended.
#[derive(Debug)]
pub(super) enum Refused {
    Row(Refusal),
    /// The schema that was given does not hold it.
    Misfit(Misfit),
}

impl RowBuilder {
    pub(super) fn new(job: &Job) -> Self {
        match &job.recipe.schema {
            Some(schema) => Self::Fixed(FixedBuilder::new(schema, job.recipe.mismatch == Mismatch::Overflow)),
            None => {
                let builder = Builder::new(job.recipe.bounds(), job.recipe.max_depth, MAX_FIELDS);
                Self::Found(builder.with_timestamps(job.recipe.timestamps))
            }
        }
    }

    /// See [`Builder::try_append`].
    #[inline]
    pub(super) fn try_append(&mut self, text: &[u8]) -> Option<usize> {
        match self {
            Self::Found(builder) => builder.try_append(text),
            Self::Fixed(_) => None,
        }
    }

    /// Appends a row that the parser found good.
    pub(super) fn append(&mut self, text: &str, value: Value<'_>) -> Result<(), Refused> {
        match self {
            Self::Found(builder) => builder.append(text).map_err(Refused::Row),
            Self::Fixed(builder) => builder.append(value).map_err(Refused::Misfit),
        }
    }

    #[inline]
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Found(builder) => builder.rows(),
            Self::Fixed(builder) => builder.rows(),
        }
    }

    #[inline]
    pub(super) fn columns(&self) -> usize {
        match self {
            Self::Found(builder) => builder.columns(),
            Self::Fixed(builder) => builder.columns(),
        }
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Found(builder) => builder.is_full(),
            Self::Fixed(builder) => builder.is_full(),
        }
    }

    pub(super) fn replaced(&self) -> u64 {
        match self {
            Self::Found(builder) => builder.replaced(),
            Self::Fixed(builder) => builder.replaced(),
        }
    }

    /// Rows of which something has no place in the schema that was given, and is in the overflow.
    pub(super) fn unfit(&self) -> u64 {
        match self {
            Self::Found(_) => 0,
            Self::Fixed(builder) => builder.unfit(),
        }
    }

    pub(super) fn finish(&mut self) -> Result<Batch, ArrowError> {
        match self {
            Self::Found(builder) => builder.finish(),
            Self::Fixed(builder) => builder.finish(),
        }
    }
}
