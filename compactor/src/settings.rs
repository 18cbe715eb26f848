//! What a run is told: where from, where to, and its bounds.

use crate::error::Error;
use crate::field_path::FieldPath;
use crate::location::Location;
use crate::partition::{self, PartitionBy, Unit};
use crate::sort_by::SortBy;
use crate::types::FixedSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Bytes of a mebibyte.
const MIB: usize = 1 << 20;

/// What a run is told. [`Settings::new`] gives every bound its default.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where the objects lie; all of them are read, except names with a part that begins with `_` or `.`.
    pub src: Location,
    /// Where the Parquet goes. Must not lie within `src`.
    pub dst: Location,
    /// A file is closed once its encoded size reaches this. 256 MiB is what Athena and Spark read best.
    pub target_file_bytes: usize,
    /// Rows of a row group, at most.
    pub row_group_rows: usize,
    /// Encoded bytes of a row group, about. The writer holds this much in memory.
    pub row_group_bytes: usize,
    /// Bytes of the objects that one thread reads after each other, at least: their rows share row groups.
    pub unit_bytes: u64,
    /// The zstd level, 1 to 22. Higher is smaller and slower.
    pub zstd_level: i32,
    /// Threads that read objects, and that write files.
    pub threads: usize,
    /// Memory to use, about. Row groups that do not fit wait in a file in `spool_dir`, and are the smaller the less
    /// there is.
    pub memory_bytes: usize,
    /// Where a temporary file may be made, as large as all the Parquet of a run.
    pub spool_dir: PathBuf,
    /// Strings that are all `2026-11-23T05:00:00Z`, all with three or all with six digits of a fraction, become timestamps.
    pub timestamps: bool,
    /// The columns that there are, in place of those that are found.
    pub schema: Option<FixedSchema>,
    /// What happens to values that `schema` has no place for.
    pub mismatch: Mismatch,
    /// What rows are partitioned by, a folder within another each; nothing makes no folders.
    pub partition_by: Vec<PartitionBy>,
    /// A field that rows are partitioned by is a column of the files too. Without this, it is one only where a folder
    /// does not tell its values: the empty string, or more than 180 bytes.
    pub write_partition_columns: bool,
    /// What the rows of a file are sorted by. A field that is missing, or that is a list or struct, sorts nothing.
    pub sort: Vec<SortBy>,
    /// Fields that get a bloom filter in every row group.
    pub bloom: Vec<FieldPath>,
    /// Doubles may be stored with their bytes split, where that is smaller. Spark's vectorised reader cannot read it.
    pub byte_stream_split: bool,
    /// Of the rows of a plan with the same values of these fields, compared as text, all but the first are left out; rows
    /// without any of them are kept. Nothing leaves nothing out.
    pub dedupe: Vec<FieldPath>,
    /// Of gzip members that `alluvial` has labelled, those are left out whose records others have, in this plan or in
    /// those before it. It takes 200 bytes of memory a member.
    pub dedupe_members: bool,
    /// JSON bytes of one row, at most 256 MiB; a longer one is quarantined. Memory holds one such row a thread.
    pub max_row_bytes: usize,
    /// Objects and arrays within each other in one row; a deeper row is quarantined.
    pub max_depth: usize,
    /// Columns, leaves of nested ones counted; see the crate's page for what happens to the rest.
    pub max_columns: usize,
    /// Decompressed bytes of one object. The rest of a larger one is quarantined: a guard against gzip bombs.
    pub max_object_bytes: u64,
}

/// What happens to a value that a schema which was given has no place for: a field that it does not have, or a value
/// that the column's type does not hold exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mismatch {
    /// The value goes to the JSON text column `_overflow`, and is null in its own. Nothing is lost, nothing stops.
    Overflow,
    /// The row is quarantined, whole.
    Quarantine,
    /// The run stops with [`Error::Misfit`]; nothing is committed.
    Reject,
}

/// What a machine may be asked for. The files do not depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Threads that read objects, and that write files.
    pub threads: usize,
    /// Memory to use, about. Row groups that do not fit wait in a file in `spool_dir`.
    pub memory_bytes: usize,
    /// Where a temporary file may be made.
    pub spool_dir: PathBuf,
}

impl Default for Machine {
    /// A thread for every core, 512 MiB, and the system's folder for temporary files.
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(2, NonZeroUsize::get),
            memory_bytes: 512 * MIB,
            spool_dir: std::env::temp_dir(),
        }
    }
}

impl Machine {
    /// Bytes of row groups that may wait in memory, all together.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.memory_bytes / 8 * 3
    }

    /// Ranges of objects, each of so many bytes, that a thread asks for before it decodes them.
    pub(crate) fn ranges_ahead(&self, range_bytes: u64) -> usize {
        let share = (self.memory_bytes / (8 * self.threads.max(1))) as u64;
        usize::try_from(share / range_bytes.max(1)).unwrap_or(usize::MAX).clamp(2, 8)
    }

    /// Refuses what cannot work.
    ///
    /// # Errors
    /// [`Error::Usage`] names the setting and the range allowed.
    pub fn check(&self) -> Result<(), Error> {
        in_range("threads", self.threads, 1, 512)?;
        in_range("memory_bytes", self.memory_bytes, 64 * MIB, usize::MAX)
    }
}

fn in_range(name: &str, value: usize, low: usize, high: usize) -> Result<(), Error> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::Usage(format!("{name} is {value}; it must be from {low} to {high}")))
}

impl Settings {
    /// The defaults: 256 MiB files, 64 MiB row groups, zstd level 3, a thread for every core.
    pub fn new(src: Location, dst: Location) -> Self {
        Self {
            src,
            dst,
            target_file_bytes: 256 * MIB,
            row_group_rows: 1 << 20,
            row_group_bytes: 64 * MIB,
            unit_bytes: 12 << 20,
            zstd_level: 3,
            threads: std::thread::available_parallelism().map_or(2, NonZeroUsize::get),
            memory_bytes: 512 * MIB,
            spool_dir: std::env::temp_dir(),
            timestamps: false,
            schema: None,
            mismatch: Mismatch::Overflow,
            partition_by: vec![PartitionBy::Key(Unit::Hour)],
            write_partition_columns: false,
            sort: Vec::new(),
            bloom: Vec::new(),
            byte_stream_split: false,
            dedupe: Vec::new(),
            dedupe_members: false,
            max_row_bytes: 64 * MIB,
            max_depth: 128,
            max_columns: 10_000,
            max_object_bytes: 64 << 30,
        }
    }

    /// Decompressed bytes of one gzip member that a thread holds until its checksum is known.
    pub(crate) fn held_bytes(&self) -> usize {
        (self.memory_bytes / (8 * self.threads.max(1))).clamp(MIB, 64 * MIB)
    }

    /// What the machine may be asked for.
    pub(crate) fn machine(&self) -> Machine {
        Machine { threads: self.threads, memory_bytes: self.memory_bytes, spool_dir: self.spool_dir.clone() }
    }

    /// Encoded bytes of a row group, given what memory there is.
    pub(crate) fn group_bytes(&self) -> usize {
        self.row_group_bytes.min(self.target_file_bytes).min(self.memory_bytes / (4 * self.threads.max(1)))
    }

    /// Bytes of columns in memory that a thread sorts at once.
    pub(crate) fn sort_bytes(&self) -> usize {
        (self.memory_bytes / (8 * self.threads.max(1))).clamp(MIB, 512 * MIB)
    }

    /// Refuses what cannot work, before anything is read.
    ///
    /// # Errors
    /// [`Error::Usage`] names the setting and the range allowed.
    pub fn check(&self) -> Result<(), Error> {
        let ranges = [
            ("target_file_bytes", self.target_file_bytes, 1, usize::MAX),
            ("row_group_rows", self.row_group_rows, 1, usize::MAX),
            ("row_group_bytes", self.row_group_bytes, 1, usize::MAX),
            ("max_row_bytes", self.max_row_bytes, 2, 256 * MIB),
            ("max_depth", self.max_depth, 1, 512),
            ("max_columns", self.max_columns, 1, 1_000_000),
        ];
        self.machine().check()?;
        for (name, value, low, high) in ranges {
            in_range(name, value, low, high)?;
        }
        if !(1..=22).contains(&self.zstd_level) {
            return Err(Error::Usage(format!("zstd_level is {}; it must be from 1 to 22", self.zstd_level)));
        }
        partition::check(&self.partition_by)?;
        if self.dst.is_within(&self.src) {
            return Err(Error::Usage(format!(
                "the destination {} lies within the source {}, so the next run would read its own output; \
                 choose a folder beside it",
                self.dst, self.src
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_within_the_source_is_refused() {
        let at = |text: &str| text.parse::<Location>().expect("a location");
        assert!(Settings::new(at("s3://b/raw"), at("s3://b/parquet")).check().is_ok());
        let error = Settings::new(at("s3://b/raw"), at("s3://b/raw/parquet")).check().expect_err("refused");
        assert!(error.to_string().contains("lies within"), "{error}");
    }

    #[test]
    fn a_bound_out_of_range_is_named() {
        let at = |text: &str| text.parse::<Location>().expect("a location");
        let settings = Settings { threads: 0, ..Settings::new(at("s3://b/raw"), at("s3://b/parquet")) };
        assert!(settings.check().expect_err("refused").to_string().contains("threads is 0"));
    }
}
