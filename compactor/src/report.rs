//! What a run did.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Losses that a report lists one by one; the quarantine file has all of them.
pub(crate) const LISTED_LOSSES: usize = 100;

/// What a run did. The JSON keys are a contract.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// The plan's name: 32 hexadecimal digits, a function of the objects it compacted. Empty if there were none. If an
    /// earlier plan was finished too, the last one's.
    pub plan: String,
    /// Plans that earlier runs had left unfinished, and that this run finished: by number. Their figures are in the sums.
    pub resumed: Vec<u64>,
    /// Where the objects came from.
    pub source: String,
    /// Where the files are.
    pub destination: String,
    /// Every object had been compacted by an earlier run, so this one wrote nothing.
    pub already_done: bool,
    /// Objects that this run compacted.
    pub objects: u64,
    /// Objects that earlier runs have compacted.
    pub skipped_objects: u64,
    /// Objects passed over because a part of their name begins with `_` or `.`.
    pub hidden_objects: u64,
    /// Gzip members (and zstd frames) that were read, and whose checksums were right.
    pub members: u64,
    /// Rows in the files.
    pub rows: u64,
    /// Rows that were left out, as they came before in the plan.
    pub duplicate_rows: u64,
    /// Labelled gzip members that were left out, as others have their records.
    pub duplicate_members: u64,
    /// Labelled gzip members of which others have some records, and it is not known which: their rows are in the files.
    pub overlapping_members: u64,
    /// Bytes of the objects.
    pub bytes_in: u64,
    /// Bytes of JSON text in them.
    pub bytes_json: u64,
    /// Bytes of the Parquet files.
    pub bytes_out: u64,
    /// Parquet files written.
    pub files: u64,
    /// Partitions they lie in.
    pub partitions: u64,
    /// Rows that are not JSON objects, or too long or too deep.
    pub quarantined_rows: u64,
    /// Ranges of objects that are damaged, most of them one gzip member.
    pub quarantined_members: u64,
    /// Objects with such a range.
    pub quarantined_objects: u64,
    /// The first 100 of these ranges.
    pub losses: Vec<LossReport>,
    /// The file with all that was quarantined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
    /// Halves of UTF-16 surrogate pairs that became U+FFFD.
    pub replaced_surrogates: u64,
    /// Rows with a value that the schema which was given has no place for: it is in `_overflow`.
    pub unfit_rows: u64,
    /// Rows that are partitioned by a value that their folder does not tell: the empty string, or one of more than 180
    /// bytes. They lie in the default partition, and the files have the column.
    pub untold_rows: u64,
    /// Arrow types by column.
    pub schema: BTreeMap<String, String>,
    /// The levels of the partitions' folders, from the outermost.
    pub partition_columns: Vec<String>,
    /// What differs from the table as earlier runs left it: columns that are new or wider, other partitions.
    pub schema_changes: Vec<String>,
    /// Names of columns that some engines do not tell apart, or do not take.
    pub warnings: Vec<String>,
    /// The most resident memory that the process has had; `None` where the system does not say.
    pub peak_memory_bytes: Option<u64>,
    /// Bytes of row groups that were put aside on disk, because memory did not hold all of them until the schema was
    /// known.
    pub spilled_bytes: u64,
    /// How long the run took.
    pub seconds: f64,
}

/// A damaged range of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LossReport {
    /// The object's full name.
    pub object: String,
    /// The first byte lost.
    pub offset: u64,
    /// How many are.
    pub bytes: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl Report {
    /// What both runs did, this one after `earlier`.
    #[must_use]
    pub fn after(mut self, mut earlier: Self) -> Self {
        earlier.resumed.append(&mut self.resumed);
        self.resumed = earlier.resumed;
        self.objects += earlier.objects;
        self.members += earlier.members;
        self.rows += earlier.rows;
        self.duplicate_rows += earlier.duplicate_rows;
        self.duplicate_members += earlier.duplicate_members;
        self.overlapping_members += earlier.overlapping_members;
        self.bytes_in += earlier.bytes_in;
        self.bytes_json += earlier.bytes_json;
        self.bytes_out += earlier.bytes_out;
        self.files += earlier.files;
        // A folder that both wrote to counts twice.
        self.partitions += earlier.partitions;
        self.quarantined_rows += earlier.quarantined_rows;
        self.quarantined_members += earlier.quarantined_members;
        self.quarantined_objects += earlier.quarantined_objects;
        earlier.losses.append(&mut self.losses);
        earlier.losses.truncate(LISTED_LOSSES);
        self.losses = earlier.losses;
        self.quarantine = self.quarantine.or(earlier.quarantine);
        self.replaced_surrogates += earlier.replaced_surrogates;
        self.unfit_rows += earlier.unfit_rows;
        self.untold_rows += earlier.untold_rows;
        self.spilled_bytes += earlier.spilled_bytes;
        earlier.schema.append(&mut self.schema);
        self.schema = earlier.schema;
        earlier.schema_changes.append(&mut self.schema_changes);
        self.schema_changes = earlier.schema_changes;
        earlier.warnings.append(&mut self.warnings);
        self.warnings = earlier.warnings;
        self
    }

    /// Whether all of the input is in the files.
    pub fn is_complete(&self) -> bool {
        self.quarantined_rows == 0 && self.quarantined_members == 0
    }
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Looking for objects, and for what earlier runs have done.
    Listing,
    /// Reading all objects.
    Reading,
    /// Writing the files, which the phase counts in place of objects.
    Writing,
    /// Making the files visible.
    Committing,
    /// Reading the files of a table again, which the phase counts in place of objects.
    Verifying,
}

/// How far a phase has come. Listing and committing count nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// Objects done in this phase.
    pub objects: u64,
    /// Objects to do in this phase.
    pub total_objects: u64,
    /// Their bytes done.
    pub bytes: u64,
    /// Their bytes to do.
    pub total_bytes: u64,
    /// Rows seen in this phase.
    pub rows: u64,
}

impl Progress {
    /// A phase that does not count objects.
    pub(crate) fn begun(phase: Phase) -> Self {
        Self { phase, objects: 0, total_objects: 0, bytes: 0, total_bytes: 0, rows: 0 }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Listing => "listing",
            Self::Reading => "reading",
            Self::Writing => "writing",
            Self::Committing => "committing",
            Self::Verifying => "verifying",
        })
    }
}
