//! Renewal: tells the peers, three times within the failover time, that this worker lives. A task of its own, so that
//! neither a slow listing nor a slow sink delays it.

use super::held::HeldLease;
use super::row::LeaseMode;
use super::table::LeaseTable;
use super::turn::Urgency;
use crate::error::{Error, ErrorKind};
use crate::status::ShardStatus;
use alluvial_record::ShardId;
use alluvial_runtime::exit::chain;
use futures_util::{StreamExt as _, stream};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, timeout};

/// Renewals under way at one time, of which each takes some 10 KiB. At 100 ms for each, 8,000 leases are renewed within the third
/// of the failover time that there is for it.
const RENEWED_AT_ONCE: usize = 256;

/// A lease in our hands, and what its shard brings.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) lease: HeldLease,
    status: Arc<ShardStatus>,
    received_bytes: u64,
    since: Instant,
    bytes_per_second: Option<u64>,
}

impl Holding {
    pub(crate) fn new(lease: HeldLease, status: Arc<ShardStatus>) -> Self {
        let received_bytes = status.received_bytes();
        Self { lease, status, received_bytes, since: Instant::now(), bytes_per_second: None }
    }

    /// Measures since the last time. Half of the weight is the past's, as in the Kinesis Client Library
    /// (`ExponentialMovingAverage` with alpha 0.5 in `LeaseStatsRecorder`).
    fn measure(&mut self) {
        let (received, now) = (self.status.received_bytes(), Instant::now());
        let millis = now.duration_since(self.since).as_millis().max(1);
        let bytes = u128::from(received.saturating_sub(self.received_bytes));
        let rate = u64::try_from(bytes * 1000 / millis).unwrap_or(u64::MAX - 1);
        let smooth = self.bytes_per_second.map_or(rate, |before| before / 2 + rate / 2);
        (self.received_bytes, self.since, self.bytes_per_second) = (received, now, Some(smooth));
        self.lease.set_rate(smooth);
    }
}

/// The leases in our hands, as the renewer and the coordinator see them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held(Arc<Mutex<BTreeMap<ShardId, Holding>>>);

impl Held {
    pub(crate) fn with<T>(&self, read: impl FnOnce(&mut BTreeMap<ShardId, Holding>) -> T) -> T {
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn contains(&self, shard: &ShardId) -> bool {
        self.with(|held| held.contains_key(shard))
    }

    pub(crate) fn leases(&self) -> Vec<HeldLease> {
        self.with(|held| held.values().map(|holding| holding.lease.clone()).collect())
    }
}

/// Renews every held lease, again and again. Each write has its own deadline, so that a slow one delays no other
/// unless [`RENEWED_AT_ONCE`] are slow.
pub(crate) async fn renew_all(table: LeaseTable, worker: String, mode: LeaseMode, held: Held, failover: Duration) {
    let mut ticks = tokio::time::interval(failover / 3);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut expected = Instant::now();
    loop {
        ticks.tick().await;
        let late = expected.elapsed();
        if late > failover / 3 {
            tracing::warn!(
                ?late,
                "this process slept: nothing is delivered from leases that may have been lost meanwhile"
            );
        }
        held.with(|held| held.values_mut().for_each(Holding::measure));
        match mode {
            LeaseMode::Kcl => renew_each(&held.leases()).await,
            LeaseMode::Compact => beat(&table, &worker, &held.leases(), failover).await,
        }
        expected = Instant::now() + failover / 3;
    }
}

async fn renew_each(leases: &[HeldLease]) {
    let renewal = |lease: HeldLease| async move {
        if let Err(error) = lease.renew().await
            && error.kind() != ErrorKind::LostLease
        {
            tracing::warn!(shard = %lease.shard(), error = %chain(&error), "lease not renewed");
        }
    };
    stream::iter(leases.iter().cloned()).for_each_concurrent(RENEWED_AT_ONCE, renewal).await;
}

/// One write for all leases. Those that peers may have taken before it are written one by one.
async fn beat(table: &LeaseTable, worker: &str, leases: &[HeldLease], failover: Duration) {
    let _turn = table.turn(Urgency::Renewal).await;
    let sent = Instant::now();
    let late = |_| Error::new(ErrorKind::Wait, "the worker's heartbeat was not written in time");
    let beaten = timeout(failover / 3, table.beat(worker)).await.unwrap_or_else(|elapsed| Err(late(elapsed)));
    match beaten {
        Ok(()) => {
            let doubtful: Vec<HeldLease> =
                leases.iter().filter(|lease| !lease.confirm_by_heartbeat(sent)).cloned().collect();
            renew_each(&doubtful).await;
        }
        Err(error) => {
            tracing::warn!(error = %chain(&error), leases = leases.len(), "heartbeat not written");
            leases.iter().for_each(HeldLease::note_out_of_reach);
        }
    }
}

#[cfg(test)]
mod tests;
