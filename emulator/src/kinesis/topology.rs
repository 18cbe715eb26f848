//! The shards of a stream, and how splits and merges replace open ones.

use super::hash::{HashRange, even_ranges};
use super::log::Log;
use super::persist::{SavedShard, SavedTopology};
use super::scaling::{self, Step};
use super::sequence::Origin;
use super::shard::{Birth, Shard};
use super::wire;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All shards that are not expired, by number.
#[derive(Debug)]
pub(crate) struct Topology {
    shards: BTreeMap<u32, Arc<Shard>>,
    /// Open shards in order of their hash keys, which they cover without gap or overlap.
    open: Vec<Arc<Shard>>,
    next: u32,
    first_lane: usize,
}

/// Why a split or merge is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such shard.
    Unknown(u32),
    /// The shard is closed already.
    Closed(u32),
    /// The hash key does not divide the shard's range.
    Outside(HashRange),
    /// The two shards are not neighbours.
    Apart,
}

impl Topology {
    /// `count` open shards of equal width. Their payloads go to lanes of the store from `first_lane` on.
    pub(crate) fn new(count: u32, first_lane: usize, now_millis: u64) -> Self {
        let mut topology = Self { shards: BTreeMap::new(), open: Vec::new(), next: 0, first_lane };
        topology.open = even_ranges(count).into_iter().map(|range| topology.add(range, &[], now_millis)).collect();
        topology
    }

    /// What was kept, with the records of each shard.
    pub(crate) fn restore(saved: SavedTopology, mut logs: BTreeMap<u32, Log>) -> Self {
        let SavedTopology { shards: saved, next, first_lane } = saved;
        let closed: Vec<_> = saved.iter().filter_map(|shard| Some((shard.number, shard.closed_millis?))).collect();
        let mut restore = |saved: SavedShard| {
            let number = saved.number;
            (number, Arc::new(Shard::restore(saved, logs.remove(&number).unwrap_or_else(Log::new))))
        };
        let shards: BTreeMap<_, _> = saved.into_iter().map(&mut restore).collect();
        for (number, millis) in closed {
            let children = shards.values().filter(|shard| shard.is_child_of(number)).map(|child| child.as_child());
            if let Some(parent) = shards.get(&number) {
                parent.close(millis, children.collect());
            }
        }
        let mut open: Vec<_> = shards.values().filter(|shard| shard.closure().is_none()).cloned().collect();
        open.sort_by_key(|shard| shard.range().start);
        Self { shards, open, next, first_lane }
    }

    /// What is kept of it.
    pub(crate) fn save(&self) -> SavedTopology {
        let shards = self.shards.values().map(|shard| shard.save()).collect();
        SavedTopology { shards, next: self.next, first_lane: self.first_lane }
    }

    /// The lane behind the one of the newest shard.
    pub(crate) fn next_lane(&self) -> usize {
        self.first_lane.wrapping_add(self.next as usize)
    }

    /// The open shards in order of their hash keys.
    pub(crate) fn open(&self) -> &[Arc<Shard>] {
        &self.open
    }

    /// The place in [`Topology::open`] of the shard that takes `hash_key`.
    pub(crate) fn route(&self, hash_key: u128) -> usize {
        self.open.partition_point(|shard| shard.range().end < hash_key)
    }

    /// A shard by number.
    pub(crate) fn get(&self, shard: u32) -> Option<&Arc<Shard>> {
        self.shards.get(&shard)
    }

    /// All shards in order of their numbers.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Shard>> {
        self.shards.values()
    }

    /// Whether a shard closed before `horizon_millis`.
    pub(crate) fn has_expired(&self, horizon_millis: u64) -> bool {
        self.shards.values().any(|shard| expired(shard, horizon_millis))
    }

    /// Drops shards that closed before `horizon_millis`.
    pub(crate) fn drop_expired(&mut self, horizon_millis: u64) {
        self.shards.retain(|_, shard| !expired(shard, horizon_millis));
    }

    /// Splits an open shard in two, the upper one beginning at `at`.
    ///
    /// # Errors
    /// [`Refusal`], and nothing has changed.
    pub(crate) fn split(&mut self, shard: u32, at: u128, now_millis: u64) -> Result<(), Refusal> {
        let parent = self.open_shard(shard)?;
        let (low, high) = parent.range().split(at).ok_or(Refusal::Outside(parent.range()))?;
        let parents = [parent];
        let children = [self.add(low, &parents, now_millis), self.add(high, &parents, now_millis)];
        self.replace(&parents, &children, now_millis);
        Ok(())
    }

    /// Merges two open shards that are neighbours. The first one given becomes `ParentShardId`.
    ///
    /// # Errors
    /// [`Refusal`], and nothing has changed.
    pub(crate) fn merge(&mut self, shard: u32, adjacent: u32, now_millis: u64) -> Result<(), Refusal> {
        let parents = [self.open_shard(shard)?, self.open_shard(adjacent)?];
        let [one, other] = &parents;
        let range = one.range().join(&other.range()).ok_or(Refusal::Apart)?;
        let child = self.add(range, &parents, now_millis);
        self.replace(&parents, &[child], now_millis);
        Ok(())
    }

    /// Splits and merges until `target` open shards of equal width are left.
    ///
    /// # Errors
    /// [`Refusal`] if a step did not fit, which the plan rules out.
    pub(crate) fn scale(&mut self, target: u32, now_millis: u64) -> Result<(), Refusal> {
        for step in scaling::uniform(self.open.iter().map(|shard| shard.range().start), target) {
            match step {
                Step::Split(at) => self.split(self.holder(at)?, at, now_millis)?,
                Step::Merge(at) => self.merge(self.holder(at.wrapping_sub(1))?, self.holder(at)?, now_millis)?,
            }
        }
        Ok(())
    }

    fn holder(&self, hash_key: u128) -> Result<u32, Refusal> {
        self.open.get(self.route(hash_key)).map(|shard| shard.number()).ok_or(Refusal::Apart)
    }

    fn open_shard(&self, shard: u32) -> Result<Arc<Shard>, Refusal> {
        let found = self.shards.get(&shard).ok_or(Refusal::Unknown(shard))?;
        if found.closure().is_some() { Err(Refusal::Closed(shard)) } else { Ok(Arc::clone(found)) }
    }

    /// Makes a shard, without opening it for records yet.
    fn add(&mut self, range: HashRange, parents: &[Arc<Shard>], now_millis: u64) -> Arc<Shard> {
        // A later second than the parents' puts all of the child's sequence numbers above theirs.
        let after_parents = parents.iter().map(|parent| parent.origin().created_secs + 1).max().unwrap_or_default();
        let origin = Origin { created_secs: after_parents.max(now_millis / 1_000), shard: self.next };
        let parents = parents.iter().map(|parent| parent.number()).collect();
        let lane = self.next_lane();
        let shard = Arc::new(Shard::new(Birth { origin, range, parents, millis: now_millis, lane }));
        self.shards.insert(self.next, Arc::clone(&shard));
        self.next += 1;
        shard
    }

    /// Opens `children` where `parents` were. Children are there before a parent tells of them.
    fn replace(&mut self, parents: &[Arc<Shard>], children: &[Arc<Shard>], now_millis: u64) {
        self.open.retain(|shard| !parents.iter().any(|parent| Arc::ptr_eq(parent, shard)));
        let position = children.first().map_or(0, |child| self.route(child.range().start));
        self.open.splice(position..position, children.iter().cloned());
        let announced: Vec<wire::ChildShard> = children.iter().map(|child| child.as_child()).collect();
        for parent in parents {
            parent.close(now_millis, announced.clone());
        }
    }
}

fn expired(shard: &Shard, horizon_millis: u64) -> bool {
    shard.lifetime().closed.is_some_and(|closed| closed < horizon_millis)
}

#[cfg(test)]
mod tests;
