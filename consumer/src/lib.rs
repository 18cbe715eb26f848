//! A consumer of Kinesis streams by enhanced fan-out: what other programs are built on.
//!
//! ```no_run
//! use alluvial_consumer::{Consumer, Error};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Error> {
//!     let consumer = Consumer::builder().stream("orders").application("billing");
//!     consumer.run_each(|record| async move { println!("{:?}", record.data); Ok(()) }).await
//! }
//! ```
//!
//! That is a whole program: it finds AWS as the AWS CLI does, registers the application with the stream, makes a lease table,
//! shares the shards with the other workers of the application, follows splits and merges, writes checkpoints, and stops in
//! good order at Ctrl-C. To try it on a laptop, run `alluvial emulator` and paste the exports that it prints. Five programs
//! are in `consumer/examples/`, and a longer guide is in `docs/consumer.md`.
//!
//! # Three ways to take records
//! | by | for | acknowledged |
//! |---|---|---|
//! | [`Application::run_each`]: a closure for each record | filters, small writes | when the closure returns `Ok` |
//! | [`Application::run`]: a [`Processor`] for each shard | state per shard, batches, hooks | when [`Processor::process`] returns `Ok` |
//! | [`Application::batches`]: a stream of [`ShardBatch`] | a sink that finishes later or out of order | by hand, in any order |
//!
//! Below all of them are the [`ShardFeed`]s of [`Application::feeds`] and [`Consumer::connect`], on which the `alluvial` daemon runs.
//!
//! # Delivery guarantees
//! Every record is handed out **at least once**, and without faults exactly once. A record comes again after a crash, a lost lease,
//! or a stop that could not drain in time: at most what was handed out since the last checkpoint,
//! [`ConsumerBuilder::checkpoint_interval`] ago. [`Record::position`] is the same each time, and tells repetitions apart.
//!
//! A checkpoint never passes a record that was not acknowledged. Records that the Kinesis Producer Library packed into one are
//! handed out one by one, and a checkpoint may lie between two of them.
//!
//! What passed out of the stream's retention before it was read is lost to every reader. It is told of as a [`LossEvent`] with its range,
//! and the consumer stops, unless [`ConsumerBuilder::on_loss`] says to go on with the oldest record that is left.
//!
//! # Fan-out and polling
//! Records come by enhanced fan-out. While no fan-out consumer can be registered for the application they come by polling, and
//! fan-out is tried again every few minutes; a change repeats and skips nothing. [`ConsumerBuilder::mode`] fixes one of the two.
//!
//! # Order and threads
//! Within a shard, records come in order, one call after the other. A child shard starts when its parents are done: records of
//! one partition key are therefore first handed out in order over splits and merges too. Shards know nothing of one another and
//! run side by side, each processor in a task of its own; it is moved between threads and never shared, so it needs no locks.
//! Renewal of leases has its own task: a slow processor loses no lease, but one that blocks threads of the runtime may.
//!
//! # Acknowledgements and checkpoints
//! Acknowledgements may come in any order. The checkpoint is the last record before the first that is not acknowledged, and is
//! written every [`ConsumerBuilder::checkpoint_interval`], at the end of a shard, and at a stop. What is dropped without being
//! acknowledged holds the checkpoint back, see [`ShardBatch`]. A first start begins where [`ConsumerBuilder::start`] says; after
//! that the checkpoint wins, and the log says for each shard which it was.
//!
//! # Errors
//! When a call of a processor fails or panics, [`OnError`] says what happens: it is tried again after a wait, then halved until the
//! failing record is found, and that record stops the consumer (the default) or its shard, becomes a dead letter, or is skipped
//! when the policy says so in as many words. None is passed over in silence.
//!
//! ```no_run
//! use alluvial_consumer::{Consumer, DeadLetter, OnError, ProcessError, Processor, Records};
//!
//! struct Billing;
//!
//! impl Processor for Billing {
//!     async fn process(&mut self, records: Records<'_>) -> Result<(), ProcessError> {
//!         for (place, record) in records.iter().enumerate() {
//!             // What came before a bad record stays done.
//!             std::str::from_utf8(&record.data).map_err(|error| ProcessError::new(error).permanent().after(place))?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! async fn store(letter: DeadLetter) -> Result<(), ProcessError> {
//!     // Until this returns `Ok`, the record is not acknowledged.
//!     Ok(std::fs::write(format!("dead/{}", letter.record.position.sequence), &letter.record.data)?)
//! }
//!
//! # async fn run() -> Result<(), alluvial_consumer::Error> {
//! let consumer = Consumer::builder().stream("orders").application("billing").on_error(OnError::dead_letter(store));
//! consumer.run(|_shard| Billing).await
//! # }
//! ```
//!
//! Errors of the consumer itself are an [`Error`]; act on its [`ErrorKind`]. What passes by itself (throttling, a service out of
//! reach, a subscription that breaks off) is tried again with a growing wait and shows in the status, not as an error.
//!
//! # Memory
//! At most [`ConsumerBuilder::budget_bytes`] of events wait, over all shards of all streams: an event takes its room before it is read,
//! and what there is no room for stays with Kinesis. (An event may have about 14 MB; one that is larger than the budget is let in
//! alone.) Three eighths of the budget are for the HTTP/2 windows of the subscriptions, which take more when there are so many shards
//! that those give each less than 8 KiB. Beside it are about 40 KiB a shard for its task, its stream and its lease. A page of polling,
//! and an event that the parser of the SDK reads ([`SubscriptionKind::Sdk`]), is read before it waits for its room: one a shard is then
//! beside the budget. Batches that you hold count until they are acknowledged or dropped: [`Record::data`] that you keep for longer is
//! yours to bound. When the budget is used up, reading waits, and a subscription that waits for long is closed and later resumed.
//!
//! # Shutdown
//! SIGTERM, SIGINT or the token of [`ConsumerBuilder::stop_on`] end the reading. What was read is processed within
//! [`ConsumerBuilder::drain_grace`], the last checkpoints are written, and the leases given back, so that a peer goes on at once and
//! repeats nothing. After a crash, peers take over after [`ConsumerBuilder::failover`].
//!
//! # Lag and metrics
//! [`Status::lag`] has two numbers for each shard and the highest of each: how far the reading is behind the tip, and the age of the
//! oldest record that is not acknowledged. [`METRICS`] lists what is written to the recorder of the `metrics` crate, if one is
//! installed; `docs/metrics.md` is the same list with advice for alarms.
//!
//! # Coming from the Kinesis Client Library
//! The lease table is the same, in both directions: stop one fleet and start the other.
//!
//! | there | here |
//! |---|---|
//! | `ConfigsBuilder`, `Scheduler` | [`Consumer::builder`], [`Application::run`] |
//! | `ShardRecordProcessor`, its factory | [`Processor`], the closure given to `run` |
//! | `initialize` | [`Processor::lease_gained`] |
//! | `processRecords` | [`Processor::process`] |
//! | `checkpointer.checkpoint()` | returning `Ok`, or [`Acknowledgement::ack`] |
//! | `leaseLost`, `shardEnded`, `shutdownRequested` | [`Processor::lease_lost`], [`Processor::shard_ended`], [`Processor::shutdown`]; the end of a shard is checkpointed for you |
//! | an exception from `processRecords`: the batch is skipped | [`OnError`]: never skipped unless you say so |
//! | `applicationName`, `workerIdentifier` | [`ConsumerBuilder::application`], [`ConsumerBuilder::worker`] |
//! | `initialPositionInStream` | [`ConsumerBuilder::start`] |
//! | `failoverTimeMillis`, `maxLeasesForWorker` | [`ConsumerBuilder::failover`], [`ConsumerBuilder::max_leases`] |
//! | `maxRecords` | [`ConsumerBuilder::max_records`], also with fan-out |
//! | `FanOutConfig`, `PollingConfig` | [`ConsumerBuilder::mode`] |
//! | `gracefulLeaseHandoffTimeoutMillis` | [`ConsumerBuilder::handoff_timeout`] |
//! | `MultiStreamTracker` | [`ConsumerBuilder::stream`], once for each stream |
//! | `MillisBehindLatest` | [`ShardLag::tip`] |

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
    MemoryLeases, StreamId, Written,
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
