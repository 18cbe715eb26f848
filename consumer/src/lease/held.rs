//! A lease in our hands: renewed by one task, checkpointed by another, lost at most once.

use super::{Lease, LeaseTable, Written};
use crate::error::{Error, ErrorKind};
use alluvial_record::{Checkpoint, HashKeyRange, ShardId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// A lease that this worker owns. Clones are the same lease.
#[derive(Debug, Clone)]
pub struct HeldLease(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    table: LeaseTable,
    shard: ShardId,
    hash_keys: Option<HashKeyRange>,
    failover: Duration,
    /// Writers wait for one another, so that each builds on the counter of the last.
    row: Mutex<Row>,
    /// When the last write that succeeded was sent: until the failover time after it, no peer takes the lease.
    confirmed: watch::Sender<Instant>,
    lost: CancellationToken,
}

/// What the table holds.
#[derive(Debug)]
struct Row {
    /// As we last knew it.
    lease: Lease,
    /// Rows that we tried to write and got no answer for: the table may hold any of them.
    unanswered: Vec<Lease>,
}

impl HeldLease {
    /// A lease that was just taken. Peers take it when it is not renewed for `failover`; a write may take a third of that.
    pub fn new(table: LeaseTable, lease: Lease, failover: Duration) -> Self {
        let (shard, hash_keys) = (lease.shard.clone(), lease.hash_keys);
        let row = Row { lease, unanswered: Vec::new() };
        let confirmed = watch::Sender::new(Instant::now());
        Self(Arc::new(Inner {
            table,
            shard,
            hash_keys,
            failover,
            row: Mutex::new(row),
            confirmed,
            lost: CancellationToken::new(),
        }))
    }

    /// Its shard.
    pub fn shard(&self) -> &ShardId {
        &self.0.shard
    }

    /// The hash keys of its shard, where the row has them. They never change.
    pub fn hash_keys(&self) -> Option<HashKeyRange> {
        self.0.hash_keys
    }

    /// Cancelled when another worker has taken the lease.
    pub fn lost(&self) -> &CancellationToken {
        &self.0.lost
    }

    /// Waits until a write succeeded less than the failover time ago, so that no peer can have taken the lease.
    pub async fn confirmed(&self) {
        let mut confirmed = self.0.confirmed.subscribe();
        // The sender lives in `self`: it cannot be gone.
        confirmed.wait_for(|at| at.elapsed() < self.0.failover).await.ok();
    }

    /// Tells other workers that we are alive.
    ///
    /// # Errors
    /// [`ErrorKind::LostLease`] when another worker has it; [`ErrorKind::Wait`] when the table is out of reach.
    pub async fn renew(&self) -> Result<(), Error> {
        self.write(Lease::renewed).await
    }

    /// Writes how far the shard is done. A checkpoint never moves back: a lower one is ignored.
    ///
    /// # Errors
    /// As [`HeldLease::renew`].
    pub async fn checkpoint(&self, checkpoint: Checkpoint, children: &[ShardId]) -> Result<(), Error> {
        self.write(|row| match (row.checkpoint, checkpoint) {
            (Checkpoint::ShardEnd, _) => row.renewed(),
            (Checkpoint::At(written), Checkpoint::At(new)) if new < written => row.renewed(),
            _ => row.checkpointed(checkpoint, children),
        })
        .await
    }

    /// Gives the lease up, so that a peer can take it at once.
    ///
    /// # Errors
    /// As [`HeldLease::renew`].
    pub async fn release(&self) -> Result<(), Error> {
        self.write(Lease::released).await
    }

    async fn write(&self, change: impl Fn(&Lease) -> Lease) -> Result<(), Error> {
        let mut row = self.0.row.lock().await;
        loop {
            if self.0.lost.is_cancelled() {
                return Err(self.error(ErrorKind::LostLease, "was taken by another worker"));
            }
            let (wanted, sent) = (change(&row.lease), Instant::now());
            // Noted before the answer is awaited: a write that is given up may still be applied.
            if !row.unanswered.contains(&wanted) {
                row.unanswered.push(wanted.clone());
            }
            let writing = timeout(self.0.failover / 3, self.0.table.replace(row.lease.counter, &wanted));
            let written = writing.await.map_err(|_| self.error(ErrorKind::Wait, "was not written in time"))??;
            match written {
                Written::Done => {
                    *row = Row { lease: wanted, unanswered: Vec::new() };
                    self.0.confirmed.send_replace(sent);
                    return Ok(());
                }
                // An earlier write of ours was applied and its answer lost: go on from there.
                Written::Refused(Some(found)) if row.unanswered.contains(&found) => {
                    *row = Row { lease: *found, unanswered: Vec::new() };
                }
                Written::Refused(found) => {
                    let owner = found.and_then(|lease| lease.owner);
                    tracing::warn!(shard = %self.0.shard, new_owner = ?owner, "lease lost");
                    self.0.lost.cancel();
                }
            }
        }
    }

    fn error(&self, kind: ErrorKind, what: &str) -> Error {
        Error::new(kind, format!("the lease of {} {what}", self.0.shard))
    }
}
