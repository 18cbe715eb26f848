//! A lease in our hands: renewed by one task, checkpointed by another, lost at most once.

use super::{Lease, LeaseTable, Written};
use crate::error::{Error, ErrorKind};
use alluvial_record::{Checkpoint, ShardId};
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// A lease that this worker owns. Clones are the same lease.
#[derive(Debug, Clone)]
pub struct HeldLease(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    table: LeaseTable,
    shard: ShardId,
    /// The row as we last wrote it. Writers wait for one another, so that each builds on the counter of the last.
    row: Mutex<Lease>,
    lost: CancellationToken,
}

impl HeldLease {
    /// A lease that was just taken.
    pub fn new(table: LeaseTable, lease: Lease) -> Self {
        let shard = lease.shard.clone();
        Self(Arc::new(Inner { table, shard, row: Mutex::new(lease), lost: CancellationToken::new() }))
    }

    /// Its shard.
    pub fn shard(&self) -> &ShardId {
        &self.0.shard
    }

    /// Cancelled when another worker has taken the lease.
    pub fn lost(&self) -> &CancellationToken {
        &self.0.lost
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

    async fn write(&self, change: impl FnOnce(&Lease) -> Lease) -> Result<(), Error> {
        let mut row = self.0.row.lock().await;
        if self.0.lost.is_cancelled() {
            return Err(self.lost_error());
        }
        let wanted = change(&row);
        match self.0.table.replace(row.counter, &wanted).await? {
            Written::Done => {
                *row = wanted;
                Ok(())
            }
            Written::Refused(found) => {
                let owner = found.and_then(|lease| lease.owner);
                tracing::warn!(shard = %self.0.shard, new_owner = ?owner, "lease lost");
                self.0.lost.cancel();
                Err(self.lost_error())
            }
        }
    }

    fn lost_error(&self) -> Error {
        Error::new(ErrorKind::LostLease, format!("the lease of {} was taken by another worker", self.0.shard))
    }
}
