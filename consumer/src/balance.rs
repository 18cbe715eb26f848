//! Who should have which lease. Pure.
//!
//! There is no leader. Every worker computes the same plan for the whole fleet from the same table, and carries out its own
//! part: it takes the free leases that the plan gives to it, and asks for those that the plan moves to it. Workers that
//! see different tables may plan differently; conditional writes let one of them win, and the next round begins from there.
//!
//! A move goes from a worker with more to one with less, and never makes the second the heavier one. So the sum of the
//! squares of the loads falls with each move: the moves end, and no lease goes back and forth. By count, that is when no two
//! workers differ by more than one lease.

use alluvial_record::ShardId;
use std::collections::{BTreeMap, BTreeSet};

/// What is shared out evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// The number of leases.
    #[default]
    Count,
    /// The bytes that the shards bring, as their owners measure and write them.
    Throughput,
}

/// What an idle shard weighs, in bytes a second: its subscription, its renewals and its checkpoints are not for nothing.
const IDLE_WEIGHT: u64 = 1024;
/// By throughput, nothing moves while every worker is within this part of the average. `reBalanceThresholdPercentage` of the
/// Kinesis Client Library is 10 as well.
const TOLERATED_PERCENT: u64 = 10;

/// A lease of a shard that can be read now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) shard: ShardId,
    /// The living worker that has it, or will have it once its handoff is over; `None` when it is free.
    pub(crate) owner: Option<String>,
    pub(crate) bytes_per_second: u64,
    /// It is on its way to its owner: nobody can ask for it.
    pub(crate) moving: bool,
    /// Rounds before this one in which it was free.
    pub(crate) free_rounds: u32,
}

/// All that a plan is made of.
#[derive(Debug)]
pub(crate) struct Fleet<'a> {
    pub(crate) me: &'a str,
    /// Workers that are alive, this one too.
    pub(crate) workers: &'a BTreeSet<String>,
    pub(crate) leases: &'a [Candidate],
    pub(crate) balance: Balance,
    /// Leases that this worker has at most.
    pub(crate) max_leases: usize,
}

/// What this worker does in this round.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Moves {
    /// Free leases to take.
    pub(crate) take: Vec<ShardId>,
    /// Leases of others to ask for.
    pub(crate) ask: Vec<ShardId>,
}

/// A worker in the plan.
#[derive(Debug, Default)]
struct Load<'a> {
    weight: u64,
    leases: Vec<&'a Candidate>,
}

/// The part of this worker in the plan for the fleet.
pub(crate) fn plan(fleet: &Fleet<'_>) -> Moves {
    let mut loads: BTreeMap<&str, Load<'_>> =
        fleet.workers.iter().map(|worker| (worker.as_str(), Load::default())).collect();
    loads.entry(fleet.me).or_default();
    let (mut free, mut moves) = (Vec::new(), Moves::default());
    for lease in fleet.leases {
        match lease.owner.as_deref().and_then(|owner| loads.get_mut(owner)) {
            Some(load) => load.add(lease, fleet.balance),
            None => free.push(lease),
        }
    }
    let mut room = fleet.max_leases.saturating_sub(loads.get(fleet.me).map_or(0, |load| load.leases.len()));
    free.sort_by_key(|lease| (std::cmp::Reverse(fleet.balance.weight(lease)), &lease.shard));
    for lease in free {
        let full = |worker: &str| worker == fleet.me && room == 0;
        let Some(lightest) = lightest(&loads, full) else { continue };
        // Whoever the plan meant it for did not take it: it must not wait for that worker.
        let taken = lightest == fleet.me || (lease.free_rounds > 0 && room > 0);
        if taken {
            room -= 1;
            moves.take.push(lease.shard.clone());
        }
        let worker = if taken { fleet.me } else { lightest };
        loads.entry(worker).or_default().add(lease, fleet.balance);
    }
    moves.ask = asks(fleet, &mut loads, room);
    moves
}

/// Levels the loads, move by move, and returns what comes to this worker.
fn asks(fleet: &Fleet<'_>, loads: &mut BTreeMap<&str, Load<'_>>, mut room: usize) -> Vec<ShardId> {
    let mut asks = Vec::new();
    let workers = u64::try_from(loads.len()).unwrap_or(u64::MAX).max(1);
    let average = loads.values().map(|load| load.weight).fold(0, u64::saturating_add) / workers;
    let tolerated = match fleet.balance {
        Balance::Count => 0,
        Balance::Throughput => average / 100 * TOLERATED_PERCENT,
    };
    let even = |load: &Load<'_>| load.weight.abs_diff(average) <= tolerated;
    if fleet.balance == Balance::Throughput && loads.values().all(even) {
        return asks;
    }
    while let Some((from, to, lease)) = next_move(loads, fleet.balance, tolerated) {
        if let Some(giver) = loads.get_mut(from) {
            giver.leases.retain(|other| other.shard != lease.shard);
            giver.weight -= fleet.balance.weight(lease);
        }
        loads.entry(to).or_default().add(lease, fleet.balance);
        if to == fleet.me && room > 0 {
            room -= 1;
            asks.push(lease.shard.clone());
        }
    }
    asks
}

/// The heaviest lease that can go from a heavier worker to the lightest one without making that the heavier one.
fn next_move<'a, 'w>(
    loads: &BTreeMap<&'w str, Load<'a>>,
    balance: Balance,
    tolerated: u64,
) -> Option<(&'w str, &'w str, &'a Candidate)> {
    let to = lightest(loads, |_| false)?;
    let least = loads.get(to)?.weight;
    let mut givers: Vec<(&&str, &Load<'_>)> =
        loads.iter().filter(|(_, load)| load.weight > least + tolerated).collect();
    givers.sort_by_key(|(name, load)| (std::cmp::Reverse(load.weight), **name));
    givers.into_iter().find_map(|(from, load)| {
        let most = (load.weight - least) / 2;
        let fitting = load.leases.iter().filter(|lease| !lease.moving && balance.weight(lease) <= most);
        let heaviest = fitting.max_by_key(|lease| (balance.weight(lease), &lease.shard))?;
        Some((*from, to, *heaviest))
    })
}

fn lightest<'w>(loads: &BTreeMap<&'w str, Load<'_>>, excluded: impl Fn(&str) -> bool) -> Option<&'w str> {
    let open = loads.iter().filter(|(name, _)| !excluded(name));
    open.min_by_key(|(name, load)| (load.weight, **name)).map(|(name, _)| *name)
}

impl<'a> Load<'a> {
    fn add(&mut self, lease: &'a Candidate, balance: Balance) {
        self.weight = self.weight.saturating_add(balance.weight(lease));
        self.leases.push(lease);
    }
}

impl Balance {
    fn weight(self, lease: &Candidate) -> u64 {
        match self {
            Self::Count => 1,
            Self::Throughput => lease.bytes_per_second.saturating_add(IDLE_WEIGHT),
        }
    }
}

#[cfg(test)]
mod tests;
