//! Which shards this worker reads: finds them, takes their leases, starts them, renews, and follows splits and merges.

use crate::error::{Error, ErrorKind};
use crate::feed::ShardFeed;
use crate::lease::{HeldLease, Lease};
use crate::loss::{LossEvent, LossReason, OnLoss, unread_parents};
use crate::shard::{self, Outcome, Shared};
use crate::status::{ShardState, StatusBoard};
use crate::topology::{first_position, may_start, missing_leases};
use alluvial_record::{Checkpoint, ShardId};
use alluvial_runtime::clock::Clock;
use alluvial_runtime::exit::chain;
use alluvial_runtime::tasks::Tasks;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, sleep};
use tokio_util::sync::CancellationToken;

/// Time between two looks at leases that others hold.
const CLAIM_INTERVAL: Duration = Duration::from_secs(2);

/// The leases in our hands, as the renewer sees them.
type Held = Arc<Mutex<BTreeMap<ShardId, HeldLease>>>;

struct Coordinator {
    shared: Arc<Shared>,
    status: StatusBoard,
    feeds: mpsc::Sender<ShardFeed>,
    stop: CancellationToken,
    clock: Clock,
    random: fastrand::Rng,
    held: Held,
    tasks: Tasks<(ShardId, Outcome)>,
    /// Leases of others: their counter, and since when it has not moved.
    observed: BTreeMap<ShardId, (u64, Instant)>,
    last_listing: Option<Instant>,
}

pub(crate) async fn run(
    shared: Arc<Shared>,
    status: StatusBoard,
    feeds: mpsc::Sender<ShardFeed>,
    stop: CancellationToken,
    clock: Clock,
    random: fastrand::Rng,
) -> Result<(), Error> {
    let held = Held::default();
    let renewing = renew_all(Arc::clone(&held), shared.settings.failover / 3);
    // A fault in one shard stops the others in good order, without stopping what our caller shares the token with.
    let stop = stop.child_token();
    let mut coordinator = Coordinator {
        shared,
        status,
        feeds,
        stop,
        clock,
        random,
        held,
        tasks: Tasks::new(),
        observed: BTreeMap::new(),
        last_listing: None,
    };
    tokio::select! {
        ended = coordinator.coordinate() => ended,
        never = renewing => never,
    }
}

/// Renews every held lease, again and again. Each write has its own deadline, so that a slow one delays no other.
async fn renew_all(held: Held, interval: Duration) -> Result<(), Error> {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let leases: Vec<HeldLease> = held.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        join_all(leases.iter().map(|lease| async move {
            if let Err(error) = lease.renew().await
                && error.kind() != ErrorKind::LostLease
            {
                tracing::warn!(shard = %lease.shard(), error = %chain(&error), "lease not renewed");
            }
        }))
        .await;
    }
}

impl Coordinator {
    async fn coordinate(&mut self) -> Result<(), Error> {
        let mut failure = None;
        while !self.stop.is_cancelled() {
            match self.claim().await {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Wait => {
                    tracing::warn!(error = %chain(&error), "shards and leases not read; tried again soon");
                }
                Err(error) => {
                    self.stop.cancel();
                    failure = Some(error);
                    break;
                }
            }
            let feeds = self.feeds.clone();
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = sleep(CLAIM_INTERVAL) => {}
                // Nobody takes records any more: reading on would be of no use.
                () = feeds.closed() => self.stop.cancel(),
                Some(ended) = self.tasks.next() => {
                    self.note(ended, &mut failure)?;
                    // Many shards end together in a reshard: one look at the table serves them all.
                    while let Some(Some(ended)) = self.tasks.next().now_or_never() {
                        self.note(ended, &mut failure)?;
                    }
                }
            }
        }
        while let Some(ended) = self.tasks.next().await {
            self.note(ended, &mut failure)?;
        }
        failure.map_or(Ok(()), Err)
    }

    /// Takes note of a shard that ended. The first failure stops the others.
    fn note(
        &mut self,
        ended: Result<(&'static str, (ShardId, Outcome)), alluvial_runtime::tasks::TaskDied>,
        failure: &mut Option<Error>,
    ) -> Result<(), Error> {
        let (_, (shard, outcome)) =
            ended.map_err(|died| Error::caused(ErrorKind::Internal, "the task of a shard panicked", died))?;
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&shard);
        if let Outcome::Failed(error) = outcome {
            tracing::error!(%shard, error = %chain(&error), "shard cannot be read; stopping");
            self.stop.cancel();
            failure.get_or_insert(error);
        }
        Ok(())
    }

    /// One round: new shards get leases, and every lease that is free and may start is taken and started.
    async fn claim(&mut self) -> Result<(), Error> {
        let mut leases = self.shared.leases.list().await?;
        let due = self.last_listing.is_none_or(|at| at.elapsed() >= self.shared.settings.sync_interval);
        if due {
            let shards = self.shared.stream.shards().await?;
            let missing = missing_leases(&shards, &leases, self.shared.settings.start, self.clock.now_millis());
            for parent in unread_parents(&shards, &leases, &missing) {
                self.tell_gap(parent)?;
            }
            for lease in &missing {
                self.shared.leases.create(lease).await?;
            }
            if !missing.is_empty() {
                leases = self.shared.leases.list().await?;
            }
            self.last_listing = Some(Instant::now());
        }
        for lease in &leases {
            if self.is_running(&lease.shard) {
                continue;
            }
            if may_start(lease, &leases) && self.is_free(lease) {
                self.start(lease).await?;
            } else if lease.checkpoint != Checkpoint::ShardEnd {
                let waiting = may_start(lease, &leases);
                let reason = if waiting { ShardState::WaitingLease } else { ShardState::WaitingParent };
                self.status.of(&lease.shard).enter(reason);
            }
        }
        Ok(())
    }

    /// Tells that a shard came and went unread.
    fn tell_gap(&self, shard: ShardId) -> Result<(), Error> {
        let (from, to, reason) = (Checkpoint::TrimHorizon, None, LossReason::ParentGone);
        let event = LossEvent { shard, from, to, reason };
        let text = format!("{event}; to go on with what is left, set on_loss to \"continue\"");
        self.shared.losses.tell(event);
        match self.shared.settings.on_loss {
            OnLoss::Halt => Err(Error::new(ErrorKind::Fatal, text)),
            OnLoss::Continue => Ok(()),
        }
    }

    fn is_running(&self, shard: &ShardId) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).contains_key(shard)
    }

    /// A lease without owner is free at once; one of a silent owner after the failover time, on our own clock.
    fn is_free(&mut self, lease: &Lease) -> bool {
        if lease.owner.as_ref().is_none_or(|owner| *owner == self.shared.settings.worker) {
            return true;
        }
        let now = Instant::now();
        let (counter, since) = self.observed.entry(lease.shard.clone()).or_insert((lease.counter, now));
        if *counter != lease.counter {
            (*counter, *since) = (lease.counter, now);
        }
        since.elapsed() >= self.shared.settings.failover
    }

    async fn start(&mut self, lease: &Lease) -> Result<(), Error> {
        let Some(taken) = self.shared.leases.take(lease, &self.shared.settings.worker).await? else {
            tracing::debug!(shard = %lease.shard, "another worker was faster");
            return Ok(());
        };
        self.observed.remove(&lease.shard);
        tracing::info!(shard = %lease.shard, checkpoint = %taken.checkpoint, previous_owner = ?lease.owner, "lease taken");
        let settings = &self.shared.settings;
        let from = first_position(taken.checkpoint, settings.start, self.clock.now_millis());
        let moved = from != taken.checkpoint;
        let held = HeldLease::new(self.shared.leases.clone(), taken, settings.failover);
        if moved {
            // Written before the first read: a restart must not take another moment for the beginning.
            held.checkpoint(from, &[]).await?;
        }
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(lease.shard.clone(), held.clone());
        let (shared, feeds, stop) = (Arc::clone(&self.shared), self.feeds.clone(), self.stop.clone());
        let status = self.status.of(&lease.shard);
        self.tasks.spawn("shard", shard::run(shared, held, from, status, feeds, stop, self.random.fork()));
        Ok(())
    }
}
