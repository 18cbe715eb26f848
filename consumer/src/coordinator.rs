//! Which shards this worker reads: finds them, shares them with its peers, starts them, and follows splits and merges.

mod moves;
mod round;

use crate::error::{Error, ErrorKind};
use crate::feed::ShardFeed;
use crate::lease::{Held, Liveness, renew_all};
use crate::shard::{Outcome, Shared};
use crate::status::StatusBoard;
use alluvial_record::ShardId;
use alluvial_runtime::clock::Clock;
use alluvial_runtime::exit::chain;
use alluvial_runtime::tasks::{TaskDied, Tasks};
use futures_util::FutureExt as _;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Longest wait for the heartbeat of a worker that stops to be removed; its peers find it dead by themselves later.
const LAST_FORGETTING: Duration = Duration::from_secs(1);

struct Coordinator {
    shared: Arc<Shared>,
    status: StatusBoard,
    feeds: mpsc::Sender<ShardFeed>,
    stop: CancellationToken,
    clock: Clock,
    random: fastrand::Rng,
    held: Held,
    tasks: Tasks<(ShardId, Outcome)>,
    liveness: Liveness,
    began: Instant,
    last_listing: Option<Instant>,
    last_cleanup: Instant,
    /// Leases that we asked their owners for, and that are not ours yet: looked at more often.
    asked: BTreeSet<ShardId>,
    /// When a standing complaint was last logged, so that it is said once a minute and not at every look.
    complained: Option<Instant>,
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
    let settings = &shared.settings;
    let mut renewing: Tasks<()> = Tasks::new();
    let (table, worker) = (shared.leases.clone(), settings.worker.clone());
    // The first sign of life comes before the first lease: a peer must not take us for a worker of another mode.
    renewing.spawn("renewer", renew_all(table, worker, settings.lease_mode, held.clone(), settings.failover));
    let (liveness, now) = (Liveness::new(settings.failover), Instant::now());
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
        liveness,
        began: now,
        last_listing: None,
        last_cleanup: now,
        asked: BTreeSet::new(),
        complained: None,
    };
    let ended = tokio::select! {
        ended = coordinator.coordinate() => ended,
        // It never ends by itself.
        Some(Err(died)) = renewing.next() => {
            Err(Error::caused(ErrorKind::Internal, "the task that renews leases panicked", died))
        }
    };
    // Ended first, so that it does not write again what is removed here.
    drop(renewing);
    coordinator.forget_self().await;
    ended
}

impl Coordinator {
    async fn coordinate(&mut self) -> Result<(), Error> {
        let mut failure = None;
        while !self.stop.is_cancelled() {
            match self.round().await {
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
            let (feeds, pause) = (self.feeds.clone(), self.pause());
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = sleep(pause) => {}
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

    /// Time to the next look at the table. Workers that started together drift apart; whoever waits for a handoff looks more
    /// often, since its shards stand still meanwhile.
    fn pause(&mut self) -> Duration {
        let most = self.shared.settings.list_interval;
        let pause = most / 2 + (most / 2).mul_f64(self.random.f64());
        if self.asked.is_empty() { pause } else { pause / 4 }
    }

    /// Takes note of a shard that ended. The first failure stops the others.
    fn note(
        &mut self,
        ended: Result<(&'static str, (ShardId, Outcome)), TaskDied>,
        failure: &mut Option<Error>,
    ) -> Result<(), Error> {
        let (_, (shard, outcome)) =
            ended.map_err(|died| Error::caused(ErrorKind::Internal, "the task of a shard panicked", died))?;
        self.held.with(|held| held.remove(&shard));
        if let Outcome::Failed(error) = outcome {
            tracing::error!(%shard, error = %chain(&error), "shard cannot be read; stopping");
            self.stop.cancel();
            failure.get_or_insert(error);
        }
        Ok(())
    }

    /// After the last lease was given back: peers must not count on us, nor a client library stumble on our row.
    async fn forget_self(&self) {
        let settings = &self.shared.settings;
        if settings.lease_mode == crate::lease::LeaseMode::Compact {
            let forgotten = timeout(LAST_FORGETTING, self.shared.leases.forget(&settings.worker)).await;
            if !matches!(forgotten, Ok(Ok(()))) {
                tracing::warn!(worker = %settings.worker, "this worker's heartbeat is not removed; peers do so later");
            }
        }
    }
}

#[cfg(test)]
mod tests;
