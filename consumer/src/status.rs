//! What each shard is doing, for people and metrics.

use crate::feed::Record;
use crate::lag::{InFlight, ShardLag, tip_lag};
use crate::loss::Losses;
use alluvial_record::ShardId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Why a shard moves or does not. Each state says what ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ShardState {
    /// Not looked at yet; the next round of the coordinator names a reason.
    #[default]
    Waiting,
    /// A parent is not done yet. No deadline: the parent has its own.
    WaitingParent,
    /// Another worker has the lease. It ends when that worker is done, or silent for [`crate::Settings::failover`].
    WaitingLease,
    /// A subscription is being opened, for [`crate::Settings::open_deadline`] at most.
    Subscribing,
    /// Events arrive by enhanced fan-out, or are awaited for a heartbeat's time.
    Streaming,
    /// Records are asked for by GetRecords; each call has [`crate::Settings::open_deadline`].
    Polling,
    /// Not even a heartbeat has come for a while; at [`crate::Settings::silence_deadline`] the subscription is given up.
    NoEvents,
    /// Records wait for the sink: the queue or the byte budget is full. No deadline: the sink must move. The subscription
    /// is dropped after [`crate::Settings::held_back_limit`].
    BlockedOnSink,
    /// The shard was subscribed to less than five seconds ago, by this or another worker.
    ResourceInUse,
    /// Kinesis limits the rate of our calls; the next one follows within ten seconds.
    Throttled,
    /// The key that encrypts the stream cannot be used. Tried again every minute at least, until a person mends it.
    KeyUnavailable,
    /// An attempt failed; the next one follows within 30 seconds.
    BackingOff,
    /// The service is asked what a refusal means: is the consumer, the shard or the stream gone? 30 seconds at most.
    Asking,
    /// The lease table is out of reach, so the shard may have a new owner. No deadline: only the table can tell.
    LeaseUnconfirmed,
    /// Nothing more is read; what was read is being delivered, for [`crate::Settings::drain_grace`] at most.
    Draining,
    /// The processor failed on a record for good, and the shard stands still before it.
    Halted,
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
            Self::WaitingParent => "waiting_parent",
            Self::WaitingLease => "waiting_lease",
            Self::Subscribing => "subscribing",
            Self::Streaming => "streaming",
            Self::Polling => "polling",
            Self::NoEvents => "no_events",
            Self::BlockedOnSink => "blocked_on_sink",
            Self::ResourceInUse => "resource_in_use",
            Self::Throttled => "throttled",
            Self::KeyUnavailable => "key_unavailable",
            Self::BackingOff => "backing_off",
            Self::Asking => "asking",
            Self::LeaseUnconfirmed => "lease_unconfirmed",
            Self::Draining => "draining",
            Self::Halted => "halted",
            Self::Ended => "ended",
            Self::LeaseLost => "lease_lost",
            Self::Released => "released",
            Self::LeaseGarbled => "lease_garbled",
        }
    }

    /// Every state.
    pub const ALL: [Self; 20] = [
        Self::Waiting,
        Self::WaitingParent,
        Self::WaitingLease,
        Self::Subscribing,
        Self::Streaming,
        Self::Polling,
        Self::NoEvents,
        Self::BlockedOnSink,
        Self::ResourceInUse,
        Self::Throttled,
        Self::KeyUnavailable,
        Self::BackingOff,
        Self::Asking,
        Self::LeaseUnconfirmed,
        Self::Draining,
        Self::Halted,
        Self::Ended,
        Self::LeaseLost,
        Self::Released,
        Self::LeaseGarbled,
    ];

    /// True while this worker has the lease of the shard and works on it.
    pub fn is_read(self) -> bool {
        match self {
            Self::Subscribing
            | Self::Streaming
            | Self::Polling
            | Self::NoEvents
            | Self::BlockedOnSink
            | Self::ResourceInUse
            | Self::Throttled
            | Self::KeyUnavailable
            | Self::BackingOff
            | Self::Asking
            | Self::LeaseUnconfirmed
            | Self::Draining
            | Self::Halted => true,
            Self::Waiting
            | Self::WaitingParent
            | Self::WaitingLease
            | Self::Ended
            | Self::LeaseLost
            | Self::Released
            | Self::LeaseGarbled => false,
        }
    }
}

/// Counters of one shard; read at any time.
#[derive(Debug)]
pub struct ShardStatus {
    state: Mutex<(ShardState, Instant)>,
    received: AtomicU64,
    received_bytes: AtomicU64,
    acknowledged: AtomicU64,
    misplaced: AtomicU64,
    millis_behind_latest: AtomicU64,
    subscriptions: AtomicU64,
    polls: AtomicU64,
    ends: Mutex<BTreeMap<&'static str, u64>>,
    flight: Mutex<Flight>,
    /// What the processor made of the records; not counted where feeds are taken by hand.
    pub(crate) processing: Processing,
}

/// What lags are made of.
#[derive(Debug, Default)]
struct Flight {
    records: InFlight,
    /// When the last event came.
    heard: Option<Instant>,
    /// Records acknowledged by all readers of the shard before this one.
    acknowledged_before: u64,
}

/// Records by what the processor made of them.
#[derive(Debug, Default)]
pub(crate) struct Processing {
    pub(crate) processed: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) dead_lettered: AtomicU64,
    pub(crate) skipped: AtomicU64,
}

impl Default for ShardStatus {
    fn default() -> Self {
        Self {
            state: Mutex::new((ShardState::default(), Instant::now())),
            received: AtomicU64::default(),
            received_bytes: AtomicU64::default(),
            acknowledged: AtomicU64::default(),
            millis_behind_latest: AtomicU64::default(),
            subscriptions: AtomicU64::default(),
            polls: AtomicU64::default(),
            ends: Mutex::default(),
            misplaced: AtomicU64::default(),
            flight: Mutex::default(),
            processing: Processing::default(),
        }
    }
}

impl ShardStatus {
    /// What the shard is doing.
    pub fn state(&self) -> ShardState {
        self.entered().0
    }

    /// Since when it has been in its state.
    pub fn state_since(&self) -> Instant {
        self.entered().1
    }

    /// How long it has been in its state.
    pub fn time_in_state(&self) -> Duration {
        self.state_since().elapsed()
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

    /// Fan-out subscriptions opened.
    pub fn subscriptions(&self) -> u64 {
        self.subscriptions.load(Ordering::Relaxed)
    }

    /// Times that polling began, each with a new shard iterator.
    pub fn polls(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }

    /// How often reading ended or failed to begin, by reason: `renewed`, `expired`, `resource_in_use`, `silent`, …
    pub fn resubscriptions(&self) -> BTreeMap<&'static str, u64> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn entered(&self) -> (ShardState, Instant) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enter(&self, state: ShardState) {
        let mut entered = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if entered.0 != state {
            *entered = (state, Instant::now());
        }
        if !state.is_read() {
            self.flight().records.clear();
        }
    }

    fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records acknowledged by this worker since its start, over all the times that it read the shard.
    pub(crate) fn acknowledged_ever(&self) -> u64 {
        self.flight().acknowledged_before.saturating_add(self.acknowledged())
    }

    /// Notes records that are handed out now, counted from `first`; 0 is the first record of a new reader.
    pub(crate) fn hand_out(&self, first: u64, records: &[Record]) {
        let mut flight = self.flight();
        if first == 0 {
            let before = self.acknowledged.swap(0, Ordering::Relaxed);
            flight.acknowledged_before = flight.acknowledged_before.saturating_add(before);
        }
        flight.records.hand_out(first, records.iter().map(|record| record.arrived_millis));
    }

    /// How far the shard is behind; `None` while this worker does not read it.
    fn lag(&self, stream: &Arc<str>, shard: &ShardId, now: Instant, now_millis: u64) -> Option<ShardLag> {
        if !self.state().is_read() {
            return None;
        }
        let behind = Duration::from_millis(self.millis_behind_latest());
        let flight = self.flight();
        let age = |arrived: u64| Duration::from_millis(now_millis.saturating_sub(arrived));
        Some(ShardLag {
            stream: Arc::clone(stream),
            shard: shard.clone(),
            tip: flight.heard.map(|heard| tip_lag(behind, now.saturating_duration_since(heard))),
            oldest_unacknowledged: flight.records.oldest_millis().map(age),
        })
    }

    pub(crate) fn count_received(&self, records: usize, bytes: usize) {
        self.received.fetch_add(u64::try_from(records).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.received_bytes.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn set_acknowledged(&self, records: u64) {
        self.acknowledged.store(records, Ordering::Relaxed);
        self.flight().records.acknowledge(records);
    }

    /// True when they are the first.
    pub(crate) fn count_misplaced(&self, records: u64) -> bool {
        self.misplaced.fetch_add(records, Ordering::Relaxed) == 0 && records > 0
    }

    pub(crate) fn set_behind(&self, millis: u64) {
        self.millis_behind_latest.store(millis, Ordering::Relaxed);
        self.flight().heard = Some(Instant::now());
    }

    pub(crate) fn count_subscription(&self) {
        self.subscriptions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_poll(&self) {
        self.polls.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_end(&self, reason: &'static str) {
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_default() += 1;
    }
}

/// Every shard that this worker has read or waits for, and what was lost. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct StatusBoard {
    shards: Arc<Mutex<BTreeMap<ShardId, Arc<ShardStatus>>>>,
    losses: Losses,
}

impl StatusBoard {
    /// The status of `shard`, made where there is none.
    pub(crate) fn of(&self, shard: &ShardId) -> Arc<ShardStatus> {
        let mut board = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(board.entry(shard.clone()).or_default())
    }

    /// The lag of the shards that this worker reads, as shards of `stream`.
    pub(crate) fn lags(&self, stream: &Arc<str>, now: Instant, now_millis: u64) -> Vec<ShardLag> {
        let shards = self.snapshot();
        shards.iter().filter_map(|(shard, status)| status.lag(stream, shard, now, now_millis)).collect()
    }

    /// Records that passed out of retention before they were read.
    pub fn losses(&self) -> &Losses {
        &self.losses
    }

    /// All shards, in order of their names.
    pub fn snapshot(&self) -> Vec<(ShardId, Arc<ShardStatus>)> {
        let board = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        board.iter().map(|(shard, status)| (shard.clone(), Arc::clone(status))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_in_a_state_runs_from_its_first_entry() {
        let status = ShardStatus::default();
        status.enter(ShardState::NoEvents);
        tokio::time::advance(Duration::from_secs(3)).await;
        status.enter(ShardState::NoEvents);
        assert_eq!(status.time_in_state(), Duration::from_secs(3), "entered again is not entered anew");
        status.enter(ShardState::Streaming);
        assert_eq!((status.state(), status.time_in_state()), (ShardState::Streaming, Duration::ZERO));
    }

    #[test]
    fn ends_are_counted_by_reason() {
        let status = ShardStatus::default();
        ["expired", "silent", "expired"].into_iter().for_each(|reason| status.count_end(reason));
        assert_eq!(status.resubscriptions(), BTreeMap::from([("expired", 2), ("silent", 1)]));
    }
}
