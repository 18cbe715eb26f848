//! What each shard is doing, for people and metrics.

use alluvial_record::ShardId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Why a shard moves or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ShardState {
    /// A parent is not done yet, or another worker has the lease.
    #[default]
    Waiting,
    /// A subscription is being opened.
    Subscribing,
    /// Events arrive.
    Streaming,
    /// Records wait for the sink: the queue or the byte budget is full.
    BlockedOnSink,
    /// The shard was subscribed to less than five seconds ago, by this or another worker.
    ResourceInUse,
    /// An attempt failed; the next one follows after a delay.
    BackingOff,
    /// Nothing more is read; what was read is being delivered.
    Draining,
    /// Done, to the end of the shard.
    Ended,
    /// Another worker has taken the lease.
    LeaseLost,
    /// Given back at a stop, or handed over to a peer.
    Released,
    /// The lease's row cannot be read: a person must mend it.
    LeaseGarbled,
}

impl ShardState {
    /// The name in logs, metrics and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Subscribing => "subscribing",
            Self::Streaming => "streaming",
            Self::BlockedOnSink => "blocked_on_sink",
            Self::ResourceInUse => "resource_in_use",
            Self::BackingOff => "backing_off",
            Self::Draining => "draining",
            Self::Ended => "ended",
            Self::LeaseLost => "lease_lost",
            Self::Released => "released",
            Self::LeaseGarbled => "lease_garbled",
        }
    }
}

/// Counters of one shard; read at any time.
#[derive(Debug, Default)]
pub struct ShardStatus {
    state: Mutex<ShardState>,
    received: AtomicU64,
    received_bytes: AtomicU64,
    acknowledged: AtomicU64,
    misplaced: AtomicU64,
    millis_behind_latest: AtomicU64,
    subscriptions: AtomicU64,
}

impl ShardStatus {
    /// What the shard is doing.
    pub fn state(&self) -> ShardState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records handed out by this worker.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Payload bytes handed out by this worker.
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes.load(Ordering::Relaxed)
    }

    /// Records done without a hole before them.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// User records of aggregates that were left out, because their hash keys are not those of the shard: after a split or
    /// a merge the Kinesis Producer Library puts them again, to the shard where they belong.
    pub fn misplaced(&self) -> u64 {
        self.misplaced.load(Ordering::Relaxed)
    }

    /// How far the last event was behind the tip of the shard, in milliseconds.
    pub fn millis_behind_latest(&self) -> u64 {
        self.millis_behind_latest.load(Ordering::Relaxed)
    }

    /// Subscriptions opened.
    pub fn subscriptions(&self) -> u64 {
        self.subscriptions.load(Ordering::Relaxed)
    }

    pub(crate) fn enter(&self, state: ShardState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    pub(crate) fn count_received(&self, records: usize, bytes: usize) {
        self.received.fetch_add(u64::try_from(records).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.received_bytes.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn set_acknowledged(&self, records: u64) {
        self.acknowledged.store(records, Ordering::Relaxed);
    }

    /// True when they are the first.
    pub(crate) fn count_misplaced(&self, records: u64) -> bool {
        self.misplaced.fetch_add(records, Ordering::Relaxed) == 0 && records > 0
    }

    pub(crate) fn set_behind(&self, millis: u64) {
        self.millis_behind_latest.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn count_subscription(&self) {
        self.subscriptions.fetch_add(1, Ordering::Relaxed);
    }
}

/// Every shard that this worker has read or waits for. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct StatusBoard(Arc<Mutex<BTreeMap<ShardId, Arc<ShardStatus>>>>);

impl StatusBoard {
    /// The status of `shard`, made where there is none.
    pub(crate) fn of(&self, shard: &ShardId) -> Arc<ShardStatus> {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(board.entry(shard.clone()).or_default())
    }

    /// All shards, in order of their names.
    pub fn snapshot(&self) -> Vec<(ShardId, Arc<ShardStatus>)> {
        let board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        board.iter().map(|(shard, status)| (shard.clone(), Arc::clone(status))).collect()
    }
}
