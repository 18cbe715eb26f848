//! Turns the gzip objects that Firehose leaves in S3, or in a folder, into Parquet.
//!
//! ```text
//! list ─▶ ledger ─▶ plan ─▶ job: read (decode, columns, row groups) ─▶ schema ─▶ job: write (row groups to files) ─▶ commit
//! ```
//!
//! # Input
//! What an object holds decides how it is read; its name does not. An object is any sequence of gzip members, zstd
//! frames and plain JSON text, with blank or zero bytes between them. Rows are JSON objects: one a line, printed over
//! several lines, one after the other with nothing between, or the elements of an array; a row may span members. It is
//! read once. CRC-32 and length of every member are checked before its rows count. What cannot be read is never dropped
//! in silence: a damaged member is reported with its byte range, a bad row is kept in `_quarantine/<plan>.ndjson`. Of a
//! member that the end of the object cuts, the rows before the cut are kept, and the range is reported.
//!
//! # Columns
//! The schema is found over **all** rows of a plan, while columns are built: row groups that were encoded before a
//! column was widened are brought to the final schema from what was encoded, a column at a time. Schema and values
//! depend neither on the order of objects nor on that of rows. Columns are sorted by name.
//!
//! | values seen (`null` and missing fields aside) | column |
//! |---|---|
//! | only `true`, `false` | boolean |
//! | integers that fit 64 bits | int64 |
//! | doubles, or doubles and integers within ±2^53 | double, exact to the last bit |
//! | strings | utf8; with [`Settings::timestamps`], a timestamp (microseconds, UTC) if all are times of one width |
//! | objects | struct, with the fields of all of them |
//! | arrays | list, of the type of all their elements |
//! | anything else: mixed kinds, integers past 64 bits, `1e400`, doubles with integers past 2^53 | utf8: strings as they are, other values as their JSON text |
//! | nothing but null; only `{}`; deeper than 64 columns | utf8 (JSON text) |
//!
//! JSON text in a column is a function of the value alone, however it got there: no blanks, members by name, the last
//! of several equal keys, no null members; integers in their digits, doubles as the shortest text that reads back as
//! the same one (`1.50` and `15e-1` are `1.5`, `1.0` is `1`), and numbers that no type holds as they stood.
//!
//! A field that is missing and one that is null are both null. Of a key given twice in one object, the last counts.
//! Names that differ only in case are kept as two columns. A half of a UTF-16 surrogate pair (`"\ud800"`) becomes
//! U+FFFD and is counted. Past 10,000 columns, the widest nested structs become JSON text, and the fields of the row
//! itself that come last by name go to the JSON text column `_overflow`.
//!
//! # Memory
//! [`Settings::memory_bytes`] bounds it, about: three eighths are for encoded row groups that wait for the schema; what does
//! not fit waits in a temporary file. Each thread holds a few ranges of objects, one gzip member's text, a batch of
//! 4 MiB of JSON, and a row group that is being encoded.
//!
//! # Output
//! `dt=YYYY-MM-DD/hour=HH/part-00000-<plan>.zstd.parquet`, the hour taken from the object's key, or other folders by
//! [`Settings::partition_by`]; then
//! `_manifests/<plan>.json`, `_schema.json`, the columns of the whole table, `_manifest.json` (every file of every plan)
//! and, last, `_SUCCESS`. A data column named
//! `dt` or `hour` keeps its name, and the folders become `partition_dt=` or `partition_hour=`.
//!
//! # Exactly once
//! What is compacted together is a plan, `_plans/<number>.json`: a list of objects with their sizes and ETags, and all
//! settings on which the files depend. It is written once, if no plan of its number is there; no plan takes what another
//! has taken. Its files, names included, are a function of it. `_manifests/<plan>.json` is written once too, if it is
//! not there: it says that the plan is done, with its files, or that it is given up, because an object is no longer what
//! it was. A run finishes the plans that earlier runs have left, and then makes one of what is new: so runs may crash
//! anywhere, and any number of them may go on at once. (In S3, a crashed run leaves multipart uploads that nobody sees:
//! give the bucket a lifecycle rule for them, or use [`gc()`].)
//!
//! # Several machines
//! A plan may also be carried out in shares: [`plan()`] makes it, [`run_share`] reads one share of it and leaves row groups
//! below `_work`, and [`commit_plan`] makes the files of all shares. They are the same, byte for byte, in however many
//! shares. [`verify()`] proves that a table is what its manifests say.

mod columns;
mod commit;
mod complete;
mod ddl;
mod decode;
mod dedupe;
mod error;
mod field_path;
mod gc;
mod job;
mod json;
mod ledger;
mod list;
mod location;
mod manifest;
mod members;
mod outlet;
mod partition;
mod parts;
mod peak;
mod plan;
mod preview;
mod quarantine;
mod recipe;
mod report;
mod row_groups;
mod run;
mod same;
mod settings;
mod shard;
mod share;
mod sort_by;
mod spool;
#[cfg(feature = "stages")]
pub mod stages;
mod store;
mod table;
mod types;
mod verify;

pub use ddl::{Engine, ddl};
pub use error::{Error, ErrorKind};
pub use field_path::FieldPath;
pub use gc::{GcReport, GcSettings, gc};
pub use location::Location;
pub use partition::{PartitionBy, Unit};
pub use preview::{Preview, preview};
pub use report::{LossReport, Phase, Progress, Report};
pub use run::run;
pub use settings::{Machine, Mismatch, Settings};
pub use shard::Shard;
pub use share::{PlanAt, Planned, PlannedShare, ShareReport, commit_plan, plan, run_share};
pub use sort_by::SortBy;
pub use types::FixedSchema;
pub use verify::{VerifyFault, VerifyReport, verify};
