//! Sinks: where gzip members go. Each is written for its service, because generic ones lose what single records answer.

mod firehose;

pub(crate) use firehose::{Delivery, deliver_all};
pub use firehose::{FirehoseSink, SinkError};
