//! One look at the table and the stream, and what follows from it.

use super::Coordinator;
use crate::balance::{Candidate, Fleet, plan};
use crate::error::{Error, ErrorKind};
use crate::lease::{Lease, Listing, Urgency};
use crate::loss::{LossEvent, LossReason, OnLoss, unread_parents};
use crate::status::ShardState;
use crate::topology::{Shard, finished_leases, may_start, missing_leases};
use alluvial_record::{Checkpoint, ShardId};
use alluvial_runtime::exit::chain;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// Time between two lines about the same standing complaint.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);
/// A worker that finds a peer in another lease mode within this many failover times of its start is the newcomer, and stops.
const NEWCOMER: u32 = 4;
/// A heartbeat that is silent for so many failover times is rubbish.
const LONG_DEAD: u32 = 60;

impl Coordinator {
    /// New shards get leases, what is free is taken, what is too much with others is asked for.
    pub(super) async fn round(&mut self) -> Result<(), Error> {
        let mut listing = self.list().await?;
        if self.sync_is_due() {
            let shards = self.shared.stream.shards().await?;
            if self.create_missing(&shards, &listing).await? {
                listing = self.list().await?;
            }
            self.clean_up(&shards, &listing).await?;
            self.last_listing = Some(Instant::now());
        }
        self.refuse_another_stream(&listing)?;
        let now = Instant::now();
        self.liveness.observe(&listing, now);
        self.refuse_another_mode(now)?;
        self.complain_of_garbled(&listing, now);
        for lease in &listing.leases {
            self.held.with(|held| held.get(&lease.shard).map(|holding| holding.lease.observe(lease)));
        }
        self.end_stray_handoffs(&listing, now).await?;
        let moves = self.plan(&listing, now);
        self.take(&listing, &moves.take).await?;
        self.ask(&listing, &moves.ask).await
    }

    async fn list(&self) -> Result<Listing, Error> {
        let _turn = self.shared.leases.turn(Urgency::Listing).await;
        self.shared.leases.list().await
    }

    fn sync_is_due(&self) -> bool {
        self.last_listing.is_none_or(|at| at.elapsed() >= self.shared.settings.sync_interval)
    }

    /// Makes the leases that are missing; true when there were any.
    async fn create_missing(&self, shards: &[Shard], listing: &Listing) -> Result<bool, Error> {
        let start = self.shared.settings.start;
        let known = self.with_held(listing);
        let mut missing = missing_leases(shards, &known, start, self.clock.now_millis());
        // A row that cannot be read is no missing row.
        missing.retain(|lease| listing.garbled.iter().all(|(key, _)| *key != lease.shard));
        for parent in unread_parents(shards, &known, &missing) {
            self.tell_gap(parent)?;
        }
        let created = self.shared.stream.created_millis();
        for lease in &missing {
            self.shared.leases.create(&lease.clone().of_stream_created(created)).await?;
        }
        Ok(!missing.is_empty())
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

    /// The leases of the table, and those in our hands whose rows were deleted: their shards are not new, and are made again
    /// by the next renewal.
    fn with_held(&self, listing: &Listing) -> Vec<Lease> {
        let mut known = listing.leases.clone();
        for held in self.held.leases() {
            if known.iter().all(|lease| lease.shard != *held.shard())
                && let Some(lease) = held.snapshot()
            {
                known.push(lease);
            }
        }
        known
    }

    /// Deletes leases that nobody needs. Every worker may; each delete is conditional.
    async fn clean_up(&mut self, shards: &[Shard], listing: &Listing) -> Result<(), Error> {
        if self.last_cleanup.elapsed() < self.shared.settings.cleanup_interval {
            return Ok(());
        }
        for lease in finished_leases(shards, &listing.leases) {
            tracing::info!(shard = %lease.shard, "the lease of a shard that is done is deleted");
            self.shared.leases.delete(lease).await?;
        }
        for worker in self.liveness.long_dead(self.shared.settings.failover * LONG_DEAD, Instant::now()) {
            tracing::info!(%worker, "the heartbeat of a worker that is gone is deleted");
            self.shared.leases.forget(&worker).await?;
        }
        self.last_cleanup = Instant::now();
        Ok(())
    }

    /// Checkpoints of a stream that was deleted mean nothing in its successor, though its shards have the same ids.
    fn refuse_another_stream(&self, listing: &Listing) -> Result<(), Error> {
        let Some(created) = self.shared.stream.created_millis() else { return Ok(()) };
        let another = |lease: &&Lease| lease.stream_created_millis.is_some_and(|known| known != created);
        match listing.leases.iter().find(another) {
            None => Ok(()),
            Some(lease) => Err(Error::new(
                ErrorKind::Fatal,
                format!(
                    "the stream {:?} was deleted and made anew: it was created at {created} (milliseconds since 1970), and the \
                     lease of {} is of the one created at {}; its checkpoints are of no use. Delete the lease table, or name another \
                     one (source.lease_table), to begin anew",
                    self.shared.settings.stream,
                    lease.shard,
                    lease.stream_created_millis.unwrap_or_default(),
                ),
            )),
        }
    }

    /// Two modes in one fleet would take each other for dead. The newcomer stops; those who run go on and say so.
    fn refuse_another_mode(&mut self, now: Instant) -> Result<(), Error> {
        let settings = &self.shared.settings;
        let Some(other) = self.liveness.in_another_mode(settings.lease_mode, &settings.worker, now) else {
            return Ok(());
        };
        let what = match settings.lease_mode {
            crate::lease::LeaseMode::Kcl => "keeps its leases by a heartbeat (lease_mode = \"compact\")",
            crate::lease::LeaseMode::Compact => {
                "renews each of its leases (lease_mode = \"kcl\", or a worker of the Kinesis Client Library)"
            }
        };
        let text = format!(
            "worker {other:?} {what}, and this one has lease_mode = {:?}: all workers of an application must have the same",
            settings.lease_mode.name()
        );
        if self.began.elapsed() < settings.failover * NEWCOMER {
            return Err(Error::new(ErrorKind::Fatal, text));
        }
        if self.may_complain(now) {
            tracing::error!("{text}; stop that worker");
        }
        Ok(())
    }

    fn complain_of_garbled(&mut self, listing: &Listing, now: Instant) {
        if listing.garbled.is_empty() || !self.may_complain(now) {
            return;
        }
        for (key, garbled) in &listing.garbled {
            tracing::error!(shard = %key, error = %chain(garbled), "this shard is read no further until its row is mended");
        }
    }

    fn may_complain(&mut self, now: Instant) -> bool {
        let due = self.complained.is_none_or(|at| now.duration_since(at) >= COMPLAINT_INTERVAL);
        if due {
            self.complained = Some(now);
        }
        due
    }

    /// What the plan for the fleet wants of us.
    fn plan(&mut self, listing: &Listing, now: Instant) -> crate::balance::Moves {
        let settings = &self.shared.settings;
        let garbled: BTreeSet<_> = listing.garbled.iter().map(|(key, _)| key).collect();
        let mut candidates = Vec::new();
        for lease in &listing.leases {
            if lease.checkpoint == Checkpoint::ShardEnd {
                continue;
            }
            let blocked = lease.parents.iter().any(|parent| garbled.contains(parent));
            let startable = !blocked && may_start(lease, &listing.leases);
            if !self.held.contains(&lease.shard) {
                self.status.of(&lease.shard).enter(if startable {
                    ShardState::WaitingLease
                } else {
                    ShardState::WaitingParent
                });
            }
            if startable {
                candidates.push(self.candidate(lease, now));
            }
        }
        for (key, _) in &listing.garbled {
            self.status.of(key).enter(ShardState::LeaseGarbled);
        }
        let siblings = listing.siblings.iter().filter(|lease| may_start(lease, &listing.siblings));
        candidates.extend(siblings.map(|lease| self.sibling(lease, now)));
        let mut workers = self.liveness.living(listing, now);
        workers.insert(settings.worker.clone());
        let moves = plan(&Fleet {
            me: &settings.worker,
            workers: &workers,
            leases: &candidates,
            balance: settings.balance,
            max_leases: settings.max_leases,
        });
        let ours = |shard: &_| candidates.iter().any(|lease| lease.moving && lease.shard == *shard);
        self.asked.retain(ours);
        moves
    }

    /// A lease of another stream of the application: it weighs as ours do, and its own coordinator moves it.
    fn sibling(&self, lease: &Lease, now: Instant) -> Candidate {
        Candidate {
            shard: lease.shard.clone(),
            owner: lease.owner.clone().filter(|_| !self.liveness.is_free(lease, now)),
            bytes_per_second: lease.bytes_per_second.unwrap_or(0),
            moving: lease.checkpoint_owner.is_some(),
            free_rounds: self.liveness.free_rounds(&lease.shard),
        }
    }

    fn candidate(&self, lease: &Lease, now: Instant) -> Candidate {
        let me = &self.shared.settings.worker;
        // Ours by its row and not in our hands: it was handed to us, or is from a life of ours before this one.
        let to_start = lease.actual_owner() == Some(me) && !self.held.contains(&lease.shard);
        let free = to_start || self.liveness.is_free(lease, now) && !self.held.contains(&lease.shard);
        Candidate {
            shard: lease.shard.clone(),
            owner: lease.owner.clone().filter(|_| !free),
            bytes_per_second: lease.bytes_per_second.unwrap_or(0),
            moving: lease.checkpoint_owner.is_some(),
            // It is meant for us, whatever our share.
            free_rounds: if to_start { u32::MAX } else { self.liveness.free_rounds(&lease.shard) },
        }
    }
}
