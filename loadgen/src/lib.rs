//! Writes a stated load to a Kinesis stream and measures it: what was offered, accepted, throttled, repeated
//! and lost, and how long each record took from the moment it was due.
//!
//! ```no_run
//! # async fn demo(sdk: aws_sdk_kinesis::Client, clock: alluvial_runtime::clock::Clock)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use alluvial_loadgen::{End, Load, Source, Template};
//!
//! let template = Template::builtin("iot")?;
//! let load = Load { end: End::Records(10_000), ..Load::new("orders", Source::Template(template), 42) };
//! let report = alluvial_loadgen::run(load, sdk, clock, Default::default(), ()).await?;
//! assert_eq!(report.records, report.accepted + report.lost);
//! # Ok(()) }
//! ```
//!
//! The rate is open-loop: record `i` is due at `start + i / rate` whatever the stream does, and latency counts
//! from then, so a stream that stalls shows as latency and not as a smaller load. Records of one partition key
//! are put in order; [`Report::reordered_by_retry`] counts where Kinesis itself broke it. With [`Load::aggregate`] many
//! records share one of Kinesis, as the Kinesis Producer Library packs them; what is measured are still the records.

mod answer;
mod batcher;
mod check;
pub mod cli;
mod console;
mod entry;
mod input;
mod key;
mod lane;
mod load;
mod measure;
mod nearest;
mod observe;
mod offer;
mod packer;
mod rate;
mod records;
mod report;
mod run;
mod shards;
mod template;
mod units;

pub use key::{PartitionKey, partition_key_hash};
pub use load::{End, Error, Input, Load, Source};
pub use observe::{Accepted, Observer, Progress, Rejection};
pub use rate::{InvalidRate, Rate};
pub use report::{Percentiles, Report, Stopped};
pub use run::run;
pub use template::{Context, Template, TemplateError};
