//! A consumer of Kinesis streams by enhanced fan-out.
//!
//! [`Consumer::connect`] registers the application with the stream, and [`Consumer::run`] subscribes to every shard
//! over HTTP/2, follows splits and merges (parents before children), and keeps leases and checkpoints in a table that
//! the Kinesis Client Library reads and writes too. Each shard arrives as a [`ShardFeed`]: batches of records in
//! order, and a way to acknowledge them. A checkpoint never passes a record that was not acknowledged.
//!
//! Records that the Kinesis Producer Library packed into one are handed out one by one, and a checkpoint may lie between
//! two of them.
//!
//! What is promised: every record is handed out at least once, in order within its shard, and without faults exactly
//! once. At most [`Settings::budget_bytes`] of payload wait in queues over all shards, plus one event a shard.

mod application;
mod balance;
mod batches;
mod budget;
mod builder;
mod consumer;
mod coordinator;
mod deaggregate;
mod error;
mod feed;
mod lag;
mod lease;
mod loss;
mod metrics;
mod polling;
mod processor;
mod progress;
mod registration;
mod settings;
mod shard;
mod status;
mod stream;
mod subscription;
mod topology;

pub use application::{Application, Status};
pub use balance::Balance;
pub use batches::{Acknowledgement, Batches, ShardBatch};
pub use budget::Budget;
pub use builder::ConsumerBuilder;
pub use consumer::{Clients, Consumer};
pub use error::{Error, ErrorKind};
pub use feed::{Batch, FeedEnd, Kind, Record, ShardFeed, ShardName};
pub use lag::{Lag, ShardLag};
#[cfg(any(test, feature = "conformance"))]
pub use lease::conformance;
pub use lease::{
    DeliveryGate, DynamoLeases, GarbledLease, Heartbeat, HeldLease, Lease, LeaseMode, LeaseTable, Listing,
    MemoryLeases, Written,
};
pub use loss::{LossEvent, LossReason, Losses, OnLoss};
pub use metrics::{METRICS, Metric, MetricKind};
pub use processor::{DeadLetter, DeadLetters, EachRecord, OnError, ProcessError, Processor, Records, Then};
pub use progress::{Ack, Progress};
pub use settings::{Mode, Settings, SubscriptionKind};
pub use status::{ShardState, ShardStatus, StatusBoard};
#[cfg(any(test, feature = "conformance"))]
pub use subscription::RawSubscription;
pub use topology::{
    Shard, StartPosition, finished_leases, first_position, may_start, missing_leases, ready_children, start_source,
};
