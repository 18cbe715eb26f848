//! A consumer of Kinesis streams by enhanced fan-out.
//!
//! [`Consumer::connect`] registers the application with the stream, and [`Consumer::run`] subscribes to every shard
//! over HTTP/2, follows splits and merges (parents before children), and keeps leases and checkpoints in a table that
//! the Kinesis Client Library reads and writes too. Each shard arrives as a [`ShardFeed`]: batches of records in
//! order, and a way to acknowledge them. A checkpoint never passes a record that was not acknowledged.
//!
//! What is promised: every record is handed out at least once, in order within its shard, and without faults exactly
//! once. At most [`Settings::budget_bytes`] of payload wait in queues over all shards, plus one event a shard.

mod budget;
mod consumer;
mod coordinator;
mod error;
mod feed;
mod lease;
mod loss;
mod polling;
mod progress;
mod registration;
mod settings;
mod shard;
mod status;
mod stream;
mod subscription;
mod topology;

pub use budget::Budget;
pub use consumer::{Clients, Consumer};
pub use error::{Error, ErrorKind};
pub use feed::{Batch, Record, ShardFeed};
#[cfg(any(test, feature = "conformance"))]
pub use lease::conformance;
pub use lease::{DynamoLeases, GarbledLease, HeldLease, Lease, LeaseTable, MemoryLeases, Written};
pub use loss::{LossEvent, LossReason, Losses, OnLoss};
pub use progress::{Ack, Progress};
pub use settings::{Mode, Settings};
pub use status::{ShardState, ShardStatus, StatusBoard};
pub use topology::{Shard, StartPosition, first_position, may_start, missing_leases, ready_children};
