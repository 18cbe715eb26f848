//! Where accepted records are: one place each, and those of an aggregate that came to a wrong shard put again.

use super::Lane;
use crate::batcher::Placed;
use crate::entry::Entry;
use crate::observe::Observer;
use crate::shards::ShardMap;
use alluvial_record::{HashKeyRange, hash_key};
use std::time::Duration;
use tokio::time::sleep;

/// Listings until a shard that has taken records must be known. It is, unless ListShards is out of reach.
const LISTINGS: u32 = 5;
/// Wait between two listings; 1,000 calls a second are allowed, but a new shard may take a moment to be listed.
const LISTING_DELAY: Duration = Duration::from_millis(200);

/// An accepted record and its place.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) entry: Entry,
    pub(super) shard: String,
    pub(super) sequence_number: String,
    pub(super) sub_sequence: u64,
}

impl<O: Observer> Lane<O> {
    /// The places of the records that came where their consumers look for them. The others are put again: when a shard was
    /// split or merged since the shards were listed, an aggregate may hold records that do not belong to the shard that
    /// took it, and a consumer of that shard leaves them out.
    pub(super) async fn places(&mut self, accepted: Vec<Placed>) -> Vec<Place> {
        let unknown = self.packer.as_ref().is_some_and(|packer| {
            let shards = packer.shards();
            accepted.iter().any(|placed| placed.entry.range.is_some() && shards.range_of(&placed.shard).is_none())
        });
        let mut listed = None;
        if unknown {
            listed = self.list_until_known(&accepted).await;
        }
        let range_of = |shard: &str| {
            listed.as_ref().or(self.packer.as_ref().map(|packer| packer.shards())).and_then(|map| map.range_of(shard))
        };
        let (mut places, mut misplaced) = (Vec::with_capacity(accepted.len()), Vec::new());
        for Placed { entry, shard, sequence_number } in accepted {
            let (predicted, actual) = (entry.range, range_of(&shard));
            for (sub_sequence, entry) in (0..).zip(entry.unpack()) {
                if predicted.is_none() || predicted == actual || holds(actual, &entry) {
                    let (shard, sequence_number) = (shard.clone(), sequence_number.clone());
                    places.push(Place { entry, shard, sequence_number, sub_sequence });
                } else {
                    misplaced.push(entry);
                }
            }
        }
        if listed.is_some() || !misplaced.is_empty() {
            self.put_again(listed, misplaced);
        }
        places
    }

    /// Lists the shards until those that took the records are among them.
    async fn list_until_known(&self, accepted: &[Placed]) -> Option<ShardMap> {
        let mut last = None;
        for _ in 0..LISTINGS {
            match ShardMap::list(&self.client, &self.stream).await {
                Ok(map) if accepted.iter().all(|placed| map.range_of(&placed.shard).is_some()) => return Some(map),
                Ok(map) => last = Some(map),
                Err(error) => tracing::warn!(%error, "shards not listed after a split or merge; trying again"),
            }
            tokio::select! {
                () = sleep(LISTING_DELAY) => {}
                () = self.shared.halt.cancelled() => break,
            }
        }
        last
    }

    /// Packs what waits anew, and with it what came to a wrong shard.
    fn put_again(&mut self, listed: Option<ShardMap>, misplaced: Vec<Entry>) {
        let Some(packer) = &mut self.packer else { return };
        let (lost, again): (Vec<Entry>, Vec<Entry>) =
            misplaced.into_iter().partition(|entry| entry.attempts >= self.max_attempts);
        self.shared.counts.retried.add(again.len() as u64);
        let shards = listed.unwrap_or_else(|| packer.shards().clone());
        let mut waiting = self.batcher.abandon();
        waiting.extend(again);
        let mut out = Vec::new();
        packer.repack(shards, waiting, &mut out);
        self.batcher.extend(out);
        self.lose(&lost);
    }
}

fn holds(range: Option<HashKeyRange>, entry: &Entry) -> bool {
    range.is_some_and(|range| range.contains(hash_key(&entry.key)))
}
