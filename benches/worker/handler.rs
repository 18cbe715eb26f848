//! What an application does with a shard: handles its batches in order, and acknowledges each.

use crate::says::Says;
use alluvial_benches::Result;
use alluvial_consumer::{Ack, Batch, ShardFeed};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// Handles the records of all shards.
pub(crate) struct Handler {
    says: Says,
    /// The record at which it fails, unless it has failed before.
    fails_at: Option<u64>,
    failed: AtomicBool,
    /// False while no record may be taken.
    open: watch::Receiver<bool>,
}

impl Handler {
    pub(crate) fn new(says: Says, fails_at: Option<u64>, open: watch::Receiver<bool>) -> Self {
        Self { says, fails_at, failed: AtomicBool::new(false), open }
    }

    /// Handles one shard. After a failure the feed is dropped, as by an application whose task for the shard ended: the consumer
    /// gives the lease back, takes it again, and reads on from the last checkpoint.
    pub(crate) async fn shard(self: Arc<Self>, mut feed: ShardFeed) -> Result<()> {
        self.open.clone().wait_for(|open| *open).await?;
        loop {
            let batch = tokio::select! {
                batch = feed.batches.recv() => batch,
                () = feed.abandon.cancelled() => None,
            };
            let Some(batch) = batch else { return Ok(()) };
            if !self.handle(feed.shard.as_str(), &batch)? {
                return Ok(());
            }
            let Some(last) = batch.records.last() else { continue };
            let length = u64::try_from(batch.records.len())?;
            let ack = Ack { first: batch.first, last: batch.first + length - 1, position: last.position };
            if feed.acks.send(ack).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Handles the records of a batch up to the one that fails; false if one did.
    fn handle(&self, shard: &str, batch: &Batch) -> Result<bool> {
        let fails = |key: &str| self.fails_at.is_some_and(|number| key.parse() == Ok(number));
        let at = batch.records.iter().position(|record| fails(&record.partition_key));
        let at = at.filter(|_| !self.failed.swap(true, Ordering::Relaxed));
        let handled = batch.records.get(..at.unwrap_or(batch.records.len())).unwrap_or_default();
        self.says.handled(shard, handled)?;
        Ok(at.is_none())
    }
}
