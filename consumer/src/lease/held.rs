//! A lease in our hands: renewed by one task, checkpointed by another, asked for by a peer, lost at most once.

use super::freshness::Freshness;
use super::row::{Lease, Written};
use super::table::LeaseTable;
use super::turn::Urgency;
use crate::error::{Error, ErrorKind};
use alluvial_record::{Checkpoint, HashKeyRange, ShardId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// Rows that a write goes through at most: its own of before, one that a peer asked for, one that was made anew.
const MOST_TURNS: usize = 8;
/// No rate was measured yet.
const UNMEASURED: u64 = u64::MAX;

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
    fresh: watch::Sender<Freshness>,
    bytes_per_second: AtomicU64,
    asked_for: CancellationToken,
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

/// What a row that was found says about a lease that we hold.
#[derive(Debug, PartialEq, Eq)]
enum Stand {
    /// It is ours, as it was found; a peer may have asked for it.
    Ours,
    /// It is older than what we wrote: from before, or made anew by somebody who found none.
    Older,
    /// It is another worker's.
    Lost,
}

impl Row {
    /// Counter and checkpoint are ours, and nobody else reads the shard: that is a row of ours, also when a peer asked for it.
    fn stand(&self, found: &Lease) -> Stand {
        let ours = |row: &Lease| {
            (found.counter, found.checkpoint, found.actual_owner()) == (row.counter, row.checkpoint, row.actual_owner())
        };
        if ours(&self.lease) || self.unanswered.iter().any(ours) {
            return Stand::Ours;
        }
        if found.counter < self.lease.counter { Stand::Older } else { Stand::Lost }
    }
}

impl HeldLease {
    /// A lease that was just taken. Peers take it when it is not renewed for `failover`; a write may take a third of that.
    pub fn new(table: LeaseTable, lease: Lease, failover: Duration) -> Self {
        let (shard, hash_keys) = (lease.shard.clone(), lease.hash_keys);
        let row = Row { lease, unanswered: Vec::new() };
        Self(Arc::new(Inner {
            table,
            shard,
            hash_keys,
            failover,
            row: Mutex::new(row),
            fresh: watch::Sender::new(Freshness::new(Instant::now(), failover)),
            bytes_per_second: AtomicU64::new(UNMEASURED),
            asked_for: CancellationToken::new(),
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

    /// Cancelled when another worker has taken the lease, or its row can be read no more.
    pub fn lost(&self) -> &CancellationToken {
        &self.0.lost
    }

    /// Cancelled when a peer has asked for the lease: what was read is to be delivered, checkpointed, and the lease released.
    pub fn asked_for(&self) -> &CancellationToken {
        &self.0.asked_for
    }

    /// Waits until a write succeeded less than the failover time ago, so that no peer can have taken the lease.
    pub async fn confirmed(&self) {
        let mut fresh = self.0.fresh.subscribe();
        // The sender lives in `self`: it cannot be gone.
        fresh.wait_for(|fresh| fresh.is_confirmed(Instant::now())).await.ok();
    }

    /// True when what was read may be delivered now, see [`crate::DeliveryGate`].
    pub fn can_deliver(&self) -> bool {
        self.0.fresh.borrow().may_deliver(Instant::now())
    }

    /// Waits until what was read may be delivered.
    pub async fn may_deliver(&self) {
        let mut fresh = self.0.fresh.subscribe();
        fresh.wait_for(|fresh| fresh.may_deliver(Instant::now())).await.ok();
    }

    /// Takes note of how many payload bytes a second the shard brings; the next write says it.
    pub(crate) fn set_rate(&self, bytes_per_second: u64) {
        self.0.bytes_per_second.store(bytes_per_second, Ordering::Relaxed);
    }

    /// Tells other workers that we are alive.
    ///
    /// # Errors
    /// [`ErrorKind::LostLease`] when another worker has it; [`ErrorKind::Wait`] when the table is out of reach;
    /// [`ErrorKind::Garbled`] when the row can be read no more.
    pub async fn renew(&self) -> Result<(), Error> {
        self.write(Urgency::Renewal, Lease::renewed).await
    }

    /// Writes how far the shard is done. A checkpoint never moves back: a lower one is ignored.
    ///
    /// # Errors
    /// As [`HeldLease::renew`].
    pub async fn checkpoint(&self, checkpoint: Checkpoint, children: &[ShardId]) -> Result<(), Error> {
        self.write(Urgency::Checkpoint, |row| match (row.checkpoint, checkpoint) {
            (Checkpoint::ShardEnd, _) => row.renewed(),
            (Checkpoint::At(written), Checkpoint::At(new)) if new < written => row.renewed(),
            _ => row.checkpointed(checkpoint, children),
        })
        .await
    }

    /// Gives the lease up: to the peer that asked for it, else to whoever takes it first.
    ///
    /// # Errors
    /// As [`HeldLease::renew`].
    pub async fn release(&self) -> Result<(), Error> {
        self.write(Urgency::Checkpoint, Lease::released).await
    }

    /// The row as we last knew it; `None` while it is being written.
    pub(crate) fn snapshot(&self) -> Option<Lease> {
        self.0.row.try_lock().ok().map(|row| row.lease.clone())
    }

    /// Takes note of the row as a listing showed it, which may be older than our last write.
    pub(crate) fn observe(&self, found: &Lease) {
        // Who is writing learns for itself.
        let Ok(mut row) = self.0.row.try_lock() else { return };
        match row.stand(found) {
            Stand::Ours => self.adopt(&mut row, found.clone()),
            Stand::Older => {}
            Stand::Lost => self.lose(found),
        }
    }

    /// Takes note of the worker's sign of life; false when this lease has to be written itself.
    pub(crate) fn confirm_by_heartbeat(&self, sent: Instant) -> bool {
        let (mut unbroken, now) = (false, Instant::now());
        self.0.fresh.send_modify(|fresh| unbroken = fresh.confirm_by_heartbeat(sent, now));
        unbroken
    }

    /// Takes note of an attempt to write that failed because the table is out of reach.
    pub(crate) fn note_out_of_reach(&self) {
        self.0.fresh.send_modify(|fresh| fresh.out_of_reach(Instant::now()));
    }

    async fn write(&self, urgency: Urgency, change: impl Fn(&Lease) -> Lease) -> Result<(), Error> {
        // Before the row is locked: a checkpoint that waits must not hold up the renewal of its own lease.
        let _turn = self.0.table.turn(urgency).await;
        let mut row = self.0.row.lock().await;
        // The row that the table is expected to hold; differs from ours after it was made anew by somebody else.
        let mut before = row.lease.clone();
        for _ in 0..MOST_TURNS {
            if self.0.lost.is_cancelled() {
                return Err(self.error(ErrorKind::LostLease, "was taken by another worker"));
            }
            let (wanted, sent) = (self.with_rate(change(&row.lease)), Instant::now());
            // Noted before the answer is awaited: a write that is given up may still be applied.
            if !row.unanswered.contains(&wanted) {
                row.unanswered.push(wanted.clone());
            }
            match self.attempt(&before, &wanted).await? {
                Written::Done => {
                    *row = Row { lease: wanted, unanswered: Vec::new() };
                    self.0.fresh.send_modify(|fresh| fresh.confirm(sent));
                    return Ok(());
                }
                Written::Refused(Some(found)) => {
                    before = (*found).clone();
                    match row.stand(&found) {
                        Stand::Ours => self.adopt(&mut row, *found),
                        // Somebody found no row and made one: what we know of the shard is what counts.
                        Stand::Older if self.is_confirmed() => self.warn_of_new_row(&found),
                        Stand::Older | Stand::Lost => self.lose(&found),
                    }
                }
                Written::Refused(None) if self.is_confirmed() => {
                    tracing::error!(shard = %self.0.shard, checkpoint = %wanted.checkpoint,
                        "the lease's row was deleted while the shard is read; it is made again at the shard's checkpoint");
                    if self.0.table.create(&wanted).await? {
                        *row = Row { lease: wanted, unanswered: Vec::new() };
                        self.0.fresh.send_modify(|fresh| fresh.confirm(sent));
                        return Ok(());
                    }
                }
                Written::Refused(None) => {
                    tracing::error!(shard = %self.0.shard, "the lease's row was deleted; the shard is read no further");
                    self.0.lost.cancel();
                }
            }
        }
        Err(self.error(ErrorKind::Wait, "changes faster than it can be written"))
    }

    /// One conditional write, with a deadline of its own.
    async fn attempt(&self, before: &Lease, wanted: &Lease) -> Result<Written, Error> {
        let written = match timeout(self.0.failover / 3, self.0.table.replace(before, wanted)).await {
            Ok(written) => written,
            Err(_) => Err(self.error(ErrorKind::Wait, "was not written in time")),
        };
        match &written {
            Err(error) if error.kind() == ErrorKind::Wait => self.note_out_of_reach(),
            Err(error) if error.kind() == ErrorKind::Garbled => {
                let error = alluvial_runtime::exit::chain(error);
                tracing::error!(shard = %self.0.shard, %error, "the shard is read no further; mend its row");
                self.0.lost.cancel();
            }
            _ => {}
        }
        written
    }

    fn with_rate(&self, lease: Lease) -> Lease {
        match self.0.bytes_per_second.load(Ordering::Relaxed) {
            UNMEASURED => lease,
            rate => Lease { bytes_per_second: Some(rate), ..lease },
        }
    }

    /// Goes on from a row that is ours.
    fn adopt(&self, row: &mut Row, found: Lease) {
        if found.checkpoint_owner.is_some() && !self.0.asked_for.is_cancelled() {
            tracing::info!(shard = %self.0.shard, new_owner = ?found.owner, "a peer asked for the lease");
            self.0.asked_for.cancel();
        }
        *row = Row { lease: found, unanswered: Vec::new() };
    }

    fn lose(&self, found: &Lease) {
        tracing::warn!(shard = %self.0.shard, new_owner = ?found.owner, "lease lost");
        self.0.lost.cancel();
    }

    fn warn_of_new_row(&self, found: &Lease) {
        tracing::error!(shard = %self.0.shard, found = %found.checkpoint,
            "the lease's row was deleted and made anew while the shard is read; it is set to the shard's checkpoint");
    }

    fn is_confirmed(&self) -> bool {
        self.0.fresh.borrow().is_confirmed(Instant::now())
    }

    fn error(&self, kind: ErrorKind, what: &str) -> Error {
        Error::new(kind, format!("the lease of {} {what}", self.0.shard))
    }
}

#[cfg(test)]
mod tests;
