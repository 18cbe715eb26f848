//! The enrichment pipeline: records of a shard → transforms → rows in gzip members → Firehose, and acknowledgements back.
//!
//! A record is acknowledged when the member that holds it was accepted, when a filter dropped it, or when it lies in the
//! dead-letter store with its reason; never before. Within a shard, members are delivered one after the other, so that
//! the order of records is kept even when single entries of a request fail.
//!
//! Memory: each shard that has rows holds one open member (at most the target size, plus about 300 KiB of compressor)
//! and one in flight; records that wait are bounded by the consumer's byte budget.

mod dead_letter;
mod lane;
mod ledger;
mod pack;
mod pipeline;
mod row;
mod settings;
mod sink;
mod transform;
mod units;

pub use dead_letter::{DeadLetterError, DeadLetters, Rejected};
pub use ledger::{Counts, Latency, Ledger, ShardLedger};
pub use pack::{Member, PackLimits, Packer, Pushed};
pub use pipeline::{Pipeline, PipelineError};
pub use row::{Reason, Row};
pub use settings::{
    DeadLetterPlace, InvalidSetting, Metadata, OnErrorSettings, PackSettings, PipelineLimits, PipelineSettings,
    SinkKind, SinkSettings,
};
pub use sink::{FirehoseSink, SinkError};
pub use transform::{
    AppendSettings, FilterSettings, LookupSettings, Outcome, RemoveSettings, TransformSettings, Transforms,
};
pub use units::{parse_bytes, parse_duration};
