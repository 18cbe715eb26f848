//! Leases taken, started, asked for, and freed from handoffs that nobody ends.

use super::Coordinator;
use crate::error::Error;
use crate::lease::{HeldLease, Holding, Lease, Listing};
use crate::shard::{self, Shared};
use crate::topology::{first_position, start_source};
use alluvial_record::ShardId;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::sync::Arc;
use tokio::time::Instant;

/// Writes under way at one time while many leases are taken: a fleet that starts must not run into its own throttling.
const WRITES_AT_ONCE: usize = 16;

impl Coordinator {
    /// Takes leases and starts their shards.
    pub(super) async fn take(&mut self, listing: &Listing, shards: &[ShardId]) -> Result<(), Error> {
        let created = self.shared.stream.created_millis();
        let wanted = listing.leases.iter().filter(|lease| shards.contains(&lease.shard)).cloned();
        let taking: Vec<_> = wanted.map(|lease| take_one(Arc::clone(&self.shared), lease, created)).collect();
        let taken: Vec<(Lease, Option<Lease>)> =
            stream::iter(taking).buffer_unordered(WRITES_AT_ONCE).try_collect().await?;
        for (before, taken) in taken {
            match taken {
                Some(taken) => self.start(&before, taken).await?,
                None => tracing::debug!(shard = %before.shard, "another worker was faster"),
            }
        }
        Ok(())
    }

    async fn start(&mut self, before: &Lease, taken: Lease) -> Result<(), Error> {
        let settings = &self.shared.settings;
        let from = first_position(taken.checkpoint, settings.start, self.clock.now_millis());
        tracing::info!(shard = %taken.shard, %from, source = start_source(taken.checkpoint, settings.start),
            previous_owner = ?before.actual_owner(), "lease taken");
        let (shard, moved) = (taken.shard.clone(), from != taken.checkpoint);
        let held = HeldLease::new(self.shared.leases.clone(), taken, settings.failover);
        if moved {
            // Written before the first read: a restart must not take another moment for the beginning.
            held.checkpoint(from, &[]).await?;
        }
        let status = self.status.of(&shard);
        let holding = Holding::new(held.clone(), Arc::clone(&status));
        self.held.with(|held| held.insert(shard, holding));
        let (shared, feeds, stop) = (Arc::clone(&self.shared), self.feeds.clone(), self.stop.clone());
        self.tasks.spawn("shard", shard::run(shared, held, from, status, feeds, stop, self.random.fork()));
        Ok(())
    }

    /// Asks the owners of leases to hand them over.
    pub(super) async fn ask(&mut self, listing: &Listing, shards: &[ShardId]) -> Result<(), Error> {
        let wanted = listing.leases.iter().filter(|lease| shards.contains(&lease.shard)).cloned();
        let asking: Vec<_> = wanted.map(|lease| ask_one(Arc::clone(&self.shared), lease)).collect();
        let asked: Vec<(Lease, bool)> = stream::iter(asking).buffer_unordered(WRITES_AT_ONCE).try_collect().await?;
        for (lease, _) in asked.into_iter().filter(|(_, asked)| *asked) {
            tracing::info!(shard = %lease.shard, owner = ?lease.owner, "asked the owner of a lease to hand it over");
            self.asked.insert(lease.shard.clone());
        }
        Ok(())
    }

    /// Ends handoffs that would keep a shard from everybody: the old owner is us and reads it no more, or it does not end within
    /// its time. The new owner goes first, the others after one more failover time, should the new owner be gone too.
    pub(super) async fn end_stray_handoffs(&mut self, listing: &Listing, now: Instant) -> Result<(), Error> {
        let settings = &self.shared.settings;
        let limit = settings.handoff_timeout + settings.failover;
        let mut overdue = Vec::new();
        for lease in listing.leases.iter().filter(|lease| !self.held.contains(&lease.shard)) {
            let Some(for_time) = self.liveness.handing_over_for(&lease.shard, now) else { continue };
            let to_us = lease.owner.as_deref() == Some(&settings.worker);
            let from_us = lease.checkpoint_owner.as_deref() == Some(&settings.worker);
            if from_us && !to_us {
                let given = self.shared.leases.replace(lease, &lease.released()).await?;
                tracing::info!(shard = %lease.shard, new_owner = ?lease.owner, ?given, "a handoff that this worker began is over");
            } else if for_time >= if to_us { limit } else { limit + settings.failover } {
                tracing::warn!(shard = %lease.shard, old_owner = ?lease.checkpoint_owner, waited = ?for_time,
                    "the old owner did not hand the lease over in time; it is taken, and what was not checkpointed comes again");
                overdue.push(lease.shard.clone());
            }
        }
        self.take(listing, &overdue).await
    }
}

async fn take_one(shared: Arc<Shared>, lease: Lease, created: Option<u64>) -> Result<(Lease, Option<Lease>), Error> {
    let taken = shared.leases.take(&lease, &shared.settings.worker, created).await?;
    Ok((lease, taken))
}

async fn ask_one(shared: Arc<Shared>, lease: Lease) -> Result<(Lease, bool), Error> {
    let asked = shared.leases.ask(&lease, &shared.settings.worker).await?;
    Ok((lease, asked))
}
