//! What the lease table holds, as values.

use super::item::GarbledLease;
use crate::topology::Shard;
use alluvial_record::{Checkpoint, HashKeyRange, ShardId};

/// How workers tell one another that they are alive. All workers of an application must use the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeaseMode {
    /// Each lease is renewed by itself, three times within the failover time, as the Kinesis Client Library does it: its
    /// workers and ours may share the table while both run.
    #[default]
    Kcl,
    /// One row for each worker is renewed, and a lease is written only when it is taken, checkpointed or given back. For
    /// applications without a running worker of the Kinesis Client Library.
    Compact,
}

impl LeaseMode {
    /// The name in settings and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kcl => "kcl",
            Self::Compact => "compact",
        }
    }
}

/// One lease of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The shard; the key of the row.
    pub shard: ShardId,
    /// The worker that reads the shard; `None` when it is free. During a handoff, the worker that will read it.
    pub owner: Option<String>,
    /// During a handoff, the worker that still reads the shard, and has yet to deliver and checkpoint what it read.
    pub checkpoint_owner: Option<String>,
    /// Counts every renewal and change: a heartbeat, and the token that fences out a worker that lost the lease.
    pub counter: u64,
    /// How far the shard is done.
    pub checkpoint: Checkpoint,
    /// Owners since the last checkpoint.
    pub switches: u64,
    /// The shards that must be done before this one.
    pub parents: Vec<ShardId>,
    /// The shards that follow; known once this one is done.
    pub children: Vec<ShardId>,
    /// The hash keys of the shard, where known.
    pub hash_keys: Option<HashKeyRange>,
    /// Payload bytes a second that its owner read from the shard of late, where known.
    pub bytes_per_second: Option<u64>,
    /// When the stream of this shard was created, in milliseconds since 1970, where known. Shard ids repeat when a stream is
    /// made anew under its old name, and a checkpoint of the old one means nothing in the new one.
    pub stream_created_millis: Option<u64>,
}

impl Lease {
    /// A free lease for `shard`, to be read from `checkpoint` on.
    pub fn new(shard: &Shard, checkpoint: Checkpoint) -> Self {
        let mut parents = shard.parents.clone();
        // Sets of the table have no order: sorted, so that a row read back equals the one written.
        parents.sort();
        Self {
            shard: shard.id.clone(),
            owner: None,
            checkpoint_owner: None,
            counter: 0,
            checkpoint,
            switches: 0,
            parents,
            children: Vec::new(),
            hash_keys: Some(shard.hash_keys),
            bytes_per_second: None,
            stream_created_millis: None,
        }
    }

    /// The same lease, as one of the stream that was created at `millis`.
    pub(crate) fn of_stream_created(mut self, millis: Option<u64>) -> Self {
        self.stream_created_millis = millis;
        self
    }

    /// The worker that reads the shard now, and may write to the row: during a handoff the old owner.
    ///
    /// Source: `Lease.actualOwner` of the Kinesis Client Library 3.5.
    pub fn actual_owner(&self) -> Option<&str> {
        self.checkpoint_owner.as_deref().or(self.owner.as_deref())
    }

    /// The row after `worker` took the lease. A handoff that was under way ends with it.
    ///
    /// Source: `DynamoDBLeaseSerializer.getDynamoTakeLeaseUpdate`.
    pub(super) fn taken_by(&self, worker: &str) -> Self {
        let from_another = self.owner.as_deref().is_some_and(|owner| owner != worker);
        let given_back = self.checkpoint_owner.as_deref() == Some(worker);
        Self {
            owner: Some(worker.into()),
            checkpoint_owner: None,
            counter: self.counter + 1,
            switches: self.switches + u64::from(from_another || given_back),
            ..self.clone()
        }
    }

    /// The row after its owner renewed it.
    pub(crate) fn renewed(&self) -> Self {
        Self { counter: self.counter + 1, ..self.clone() }
    }

    /// The row after its owner wrote a checkpoint; `children` are those found at the end of the shard.
    pub(super) fn checkpointed(&self, checkpoint: Checkpoint, children: &[ShardId]) -> Self {
        let mut children = if children.is_empty() { self.children.clone() } else { children.to_vec() };
        children.sort();
        Self { checkpoint, children, counter: self.counter + 1, switches: 0, ..self.clone() }
    }

    /// The row after the worker that reads the shard gave it up: to its new owner during a handoff, else to nobody.
    ///
    /// Source: `DynamoDBLeaseSerializer.getDynamoEvictLeaseUpdate`.
    pub(crate) fn released(&self) -> Self {
        let owner = self.checkpoint_owner.as_ref().and(self.owner.clone());
        Self { owner, checkpoint_owner: None, counter: self.counter + 1, ..self.clone() }
    }

    /// The row after `worker` asked its owner for it. The counter stays: the owner goes on renewing.
    ///
    /// Source: `DynamoDBLeaseRefresher.initiateGracefulLeaseHandoff`.
    pub(super) fn asked_for_by(&self, worker: &str) -> Self {
        Self { owner: Some(worker.into()), checkpoint_owner: self.owner.clone(), ..self.clone() }
    }

    /// True when this row is what the write of `wanted` leaves behind. Attributes that others write without counting, such
    /// as the shard's hash keys, do not matter.
    pub(super) fn is_effect_of(&self, wanted: &Self) -> bool {
        (self.counter, &self.owner, &self.checkpoint_owner, self.checkpoint)
            == (wanted.counter, &wanted.owner, &wanted.checkpoint_owner, wanted.checkpoint)
    }
}

/// A worker's sign of life, in [`LeaseMode::Compact`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The worker.
    pub worker: String,
    /// Counts its signs of life. A worker is dead when this has not moved for the failover time.
    pub counter: u64,
}

/// All rows of the table that are about leases.
#[derive(Debug, Default)]
pub struct Listing {
    /// Leases, in the order of their shards.
    pub leases: Vec<Lease>,
    /// Leases of the other streams that the application reads; each is named by its key, as are its relatives. They count when
    /// the fleet's leases are shared out.
    pub siblings: Vec<Lease>,
    /// Signs of life of workers that write no renewals.
    pub heartbeats: Vec<Heartbeat>,
    /// Rows that say they are leases and cannot be read as such, by key. Their shards must not be taken for new ones.
    pub garbled: Vec<(ShardId, GarbledLease)>,
}

impl Listing {
    /// The leases of all streams of the application.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Lease> {
        self.leases.iter().chain(&self.siblings)
    }
}

/// What became of a conditional write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// The row is now as wanted.
    Done,
    /// The row was not as expected, and is left as it was; this is it, `None` where there is none.
    Refused(Option<Box<Lease>>),
}

impl Written {
    /// Done, where the row that stood in the way is what the write leaves behind: the first attempt was applied.
    pub(super) fn or_own_effect(self, wanted: &Lease) -> Self {
        match self {
            Self::Refused(Some(found)) if found.is_effect_of(wanted) => Self::Done,
            other => other,
        }
    }
}
