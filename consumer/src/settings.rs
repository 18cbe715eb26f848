//! What a consumer is told at its start.

use crate::balance::Balance;
use crate::lease::LeaseMode;
use crate::loss::OnLoss;
use crate::topology::StartPosition;
use alluvial_runtime::http2;
use std::time::Duration;

/// Who reads the wire of a subscription. Both bring the same records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SubscriptionKind {
    /// Our own reader of frames: less than half of the CPU time.
    #[default]
    Direct,
    /// The parser of the AWS SDK: the reference.
    Sdk,
}

/// How records are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// By enhanced fan-out; by polling while no consumer can be registered, because the stream has as many as it may
    /// have, we are not allowed to, or it does not become ACTIVE. Fan-out is tried again every
    /// [`Settings::fan_out_retry`].
    #[default]
    Auto,
    /// By enhanced fan-out (SubscribeToShard), or not at all.
    FanOut,
    /// By polling (GetRecords). All applications that poll share 2 MB and five calls a second of each shard.
    Polling,
}

/// Settings of a consumer. Times are wall time.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of the stream.
    pub stream: String,
    /// Name under which the application registers for enhanced fan-out; all of its workers share it.
    pub consumer_name: String,
    /// This worker's name in the lease table; must differ from every other worker's.
    pub worker: String,
    /// Where the very first start begins.
    pub start: StartPosition,
    /// By fan-out or by polling.
    pub mode: Mode,
    /// What happens when records passed out of retention before they were read.
    pub on_loss: OnLoss,
    /// Bytes that may wait over all shards: five eighths of them events that were read, and the rest what connections hold
    /// unread. One event of up to about 14 MB is admitted at a time even when it is larger.
    pub budget_bytes: usize,
    /// Hand out the user records of an aggregate one by one. When off, aggregates are handed out as they came; checkpoints
    /// mean the same either way, so that it may be changed at any time.
    pub deaggregate: bool,
    /// A lease that its owner has not renewed for this long is free. Leases are renewed three times within it.
    /// Shorter takes over faster after a crash, and mistakes a slow worker for a dead one more often.
    pub failover: Duration,
    /// How workers tell one another that they are alive.
    pub lease_mode: LeaseMode,
    /// What is shared out evenly among the workers.
    pub balance: Balance,
    /// Leases that this worker takes at most, from 1 on.
    pub max_leases: usize,
    /// Time for the old owner of a lease that is handed over, to deliver and checkpoint what it read. After that the new owner
    /// takes it all the same, and what was not checkpointed comes again. The Kinesis Client Library has 30 s.
    pub handoff_timeout: Duration,
    /// Longest time between two looks at the lease table; the shortest is half of it, so that workers do not look all at
    /// once. Each reads the whole table consistently.
    pub list_interval: Duration,
    /// Time between two looks for leases of shards that are done and can be deleted.
    pub cleanup_interval: Duration,
    /// Time between two checkpoints of a shard. Longer writes less, and repeats more after a crash.
    pub checkpoint_interval: Duration,
    /// Time between two listings of the stream's shards, which find what events did not tell.
    pub sync_interval: Duration,
    /// Who reads the wire of a subscription.
    pub subscription: SubscriptionKind,
    /// Longest wait for a subscription to open, its first frame included.
    pub open_deadline: Duration,
    /// Longest silence of a subscription that we want data from; heartbeats come about every 5 s.
    pub silence_deadline: Duration,
    /// The ages between which a subscription is replaced by its successor, before Kinesis ends it at five minutes. Each
    /// picks one at random, so that shards that were subscribed to together are not renewed together. At least five
    /// seconds, by the rule on SubscribeToShard calls. An age above five minutes leaves the end to Kinesis.
    pub renew_between: (Duration, Duration),
    /// Longest wait for a consumer to become ACTIVE, throttled and repeated calls included.
    pub registration_deadline: Duration,
    /// Time between two attempts at fan-out while [`Mode::Auto`] polls.
    pub fan_out_retry: Duration,
    /// How long a subscription may be held back before it is dropped, to be resumed where it stopped.
    pub held_back_limit: Duration,
    /// Time for what was read to be delivered after a stop; what is not done by then is read again by the next owner.
    pub drain_grace: Duration,
}

/// Connections for at least so many shards, so that streams may be split several times while we run.
const LEAST_SUBSCRIPTIONS: usize = 64;
/// Room for a stream to grow to so many times its shards before a restart.
const GROWTH: usize = 4;

impl Settings {
    /// The part of [`Settings::budget_bytes`] that is for events. The rest is for the windows of the connections: they are
    /// an eighth of it, and the buffers that hold what fills them were measured at two and a half times that.
    pub(crate) fn event_bytes(&self) -> usize {
        self.budget_bytes - self.budget_bytes / 8 * 3
    }

    /// Connections for subscriptions to `shards` open shards and to those that they may become. Their windows are an eighth
    /// of [`Settings::budget_bytes`], or 8 KiB a shard where that is more.
    pub fn connections(&self, shards: usize) -> http2::Settings {
        let most = shards.saturating_mul(GROWTH).max(LEAST_SUBSCRIPTIONS);
        http2::Settings::for_streams(most).sharing(self.budget_bytes, shards)
    }

    /// Defaults for `stream`, read by `application` as `worker`.
    pub fn new(stream: impl Into<String>, application: impl Into<String>, worker: impl Into<String>) -> Self {
        Self {
            stream: stream.into(),
            consumer_name: application.into(),
            worker: worker.into(),
            start: StartPosition::TrimHorizon,
            mode: Mode::Auto,
            on_loss: OnLoss::Halt,
            budget_bytes: 64 * 1024 * 1024,
            deaggregate: true,
            failover: Duration::from_secs(10),
            lease_mode: LeaseMode::Kcl,
            balance: Balance::Count,
            max_leases: usize::MAX,
            // `gracefulLeaseHandoffTimeoutMillis` of the Kinesis Client Library.
            handoff_timeout: Duration::from_secs(30),
            list_interval: Duration::from_secs(2),
            // `completedLeaseCleanupIntervalMillis` of the Kinesis Client Library.
            cleanup_interval: Duration::from_secs(300),
            checkpoint_interval: Duration::from_secs(2),
            sync_interval: Duration::from_secs(20),
            subscription: SubscriptionKind::default(),
            open_deadline: Duration::from_secs(10),
            silence_deadline: Duration::from_secs(20),
            renew_between: (Duration::from_secs(240), Duration::from_secs(290)),
            registration_deadline: Duration::from_secs(60),
            fan_out_retry: Duration::from_secs(180),
            held_back_limit: Duration::from_secs(60),
            drain_grace: Duration::from_secs(20),
        }
    }
}
