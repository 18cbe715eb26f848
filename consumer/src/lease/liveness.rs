//! Who is alive, judged by what moves in the table, on our own monotonic clock. Pure: `now` is an argument.
//!
//! No clock of another host is read: a worker is dead when nothing of it has moved, before our eyes, for the failover time.

use super::row::{Lease, LeaseMode, Listing};
use alluvial_record::ShardId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// Moves of a lease whose owner sends no heartbeats, after which that owner is known to renew its leases one by one. A
/// checkpoint moves it once; a worker that is just stopping may show one or two.
const RENEWALS_THAT_TELL: u32 = 4;

/// Something that counts, and since when it has not moved.
#[derive(Debug, Clone)]
struct Sighting {
    counter: u64,
    since: Instant,
    moves: u32,
}

impl Sighting {
    fn see(&mut self, counter: u64, now: Instant) {
        if counter != self.counter {
            (self.counter, self.since, self.moves) = (counter, now, self.moves.saturating_add(1));
        }
    }

    fn is_silent(&self, now: Instant, failover: Duration) -> bool {
        now.saturating_duration_since(self.since) >= failover
    }
}

/// A handoff, and since when it is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Handoff {
    from: Option<String>,
    to: Option<String>,
    since: Instant,
}

/// All that was seen of other workers.
#[derive(Debug)]
pub(crate) struct Liveness {
    failover: Duration,
    leases: BTreeMap<ShardId, (Option<String>, Sighting)>,
    workers: BTreeMap<String, Sighting>,
    handoffs: BTreeMap<ShardId, Handoff>,
    /// Rounds in which a lease was seen to have no living owner.
    free_rounds: BTreeMap<ShardId, u32>,
}

impl Liveness {
    /// Nothing seen yet. Whoever does not move for `failover` is dead.
    pub(crate) fn new(failover: Duration) -> Self {
        let (leases, workers) = (BTreeMap::new(), BTreeMap::new());
        Self { failover, leases, workers, handoffs: BTreeMap::new(), free_rounds: BTreeMap::new() }
    }

    /// Takes note of one listing.
    pub(crate) fn observe(&mut self, listing: &Listing, now: Instant) {
        let seen: BTreeSet<&ShardId> = listing.all().map(|lease| &lease.shard).collect();
        self.leases.retain(|shard, _| seen.contains(shard));
        self.handoffs.retain(|shard, _| seen.contains(shard));
        self.workers.retain(|worker, _| listing.heartbeats.iter().any(|heartbeat| heartbeat.worker == *worker));
        for lease in listing.all() {
            self.observe_lease(lease, now);
        }
        for heartbeat in &listing.heartbeats {
            let new = Sighting { counter: heartbeat.counter, since: now, moves: 0 };
            self.workers.entry(heartbeat.worker.clone()).or_insert(new).see(heartbeat.counter, now);
        }
        let free = listing.all().filter(|lease| self.is_free(lease, now));
        let rounds = |shard: &ShardId| self.free_rounds.get(shard).map_or(0, |rounds| rounds.saturating_add(1));
        self.free_rounds = free.map(|lease| (lease.shard.clone(), rounds(&lease.shard))).collect();
    }

    fn observe_lease(&mut self, lease: &Lease, now: Instant) {
        let reader = lease.actual_owner().map(str::to_owned);
        let new = || (reader.clone(), Sighting { counter: lease.counter, since: now, moves: 0 });
        let (before, sighting) = self.leases.entry(lease.shard.clone()).or_insert_with(new);
        if *before != reader {
            (*before, *sighting) = new();
        }
        sighting.see(lease.counter, now);
        let handoff = Handoff { from: lease.checkpoint_owner.clone(), to: lease.owner.clone(), since: now };
        match self.handoffs.get(&lease.shard) {
            _ if lease.checkpoint_owner.is_none() => {
                self.handoffs.remove(&lease.shard);
            }
            Some(known) if (&known.from, &known.to) == (&handoff.from, &handoff.to) => {}
            _ => {
                self.handoffs.insert(lease.shard.clone(), handoff);
            }
        }
    }

    /// No living worker reads the shard of `lease`.
    pub(crate) fn is_free(&self, lease: &Lease, now: Instant) -> bool {
        let Some(reader) = lease.actual_owner() else { return true };
        let counter_is_silent =
            self.leases.get(&lease.shard).is_some_and(|(_, sighting)| sighting.is_silent(now, self.failover));
        // A worker with a heartbeat writes leases rarely; one without must.
        let heart_is_silent = self.workers.get(reader).is_none_or(|sighting| sighting.is_silent(now, self.failover));
        counter_is_silent && heart_is_silent
    }

    /// Rounds before the last one in which the lease was free too.
    pub(crate) fn free_rounds(&self, shard: &ShardId) -> u32 {
        self.free_rounds.get(shard).copied().unwrap_or(0)
    }

    /// How long the lease has been on its way to another worker; `None` when it is not.
    pub(crate) fn handing_over_for(&self, shard: &ShardId, now: Instant) -> Option<Duration> {
        self.handoffs.get(shard).map(|handoff| now.saturating_duration_since(handoff.since))
    }

    /// Every worker that is alive: it moves, or has leases that do.
    pub(crate) fn living(&self, listing: &Listing, now: Instant) -> BTreeSet<String> {
        let reading = listing.all().filter(|lease| !self.is_free(lease, now));
        let of_leases = reading.flat_map(|lease| [lease.owner.clone(), lease.checkpoint_owner.clone()]).flatten();
        let beating = self.workers.iter().filter(|(_, sighting)| !sighting.is_silent(now, self.failover));
        of_leases.chain(beating.map(|(worker, _)| worker.clone())).collect()
    }

    /// Workers whose heartbeats have been silent for `time`: their rows are rubbish.
    pub(crate) fn long_dead(&self, time: Duration, now: Instant) -> Vec<String> {
        let dead = self.workers.iter().filter(|(_, sighting)| sighting.is_silent(now, time));
        dead.map(|(worker, _)| worker.clone()).collect()
    }

    /// A living worker, other than `me`, that does not keep its leases in `mode`.
    pub(crate) fn in_another_mode(&self, mode: LeaseMode, me: &str, now: Instant) -> Option<&str> {
        match mode {
            LeaseMode::Kcl => {
                let moving = |sighting: &Sighting| sighting.moves > 0 && !sighting.is_silent(now, self.failover);
                let found = self.workers.iter().find(|(worker, sighting)| *worker != me && moving(sighting));
                found.map(|(worker, _)| worker.as_str())
            }
            LeaseMode::Compact => self.leases.values().find_map(|(owner, sighting)| {
                let owner = owner.as_deref().filter(|owner| *owner != me && !self.workers.contains_key(*owner))?;
                let renewing = sighting.moves >= RENEWALS_THAT_TELL && !sighting.is_silent(now, self.failover);
                renewing.then_some(owner)
            }),
        }
    }
}

#[cfg(test)]
mod tests;
