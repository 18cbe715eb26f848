//! Leases: who reads a shard, and how far it is done, in a table that the Kinesis Client Library reads and writes too.

#[cfg(any(test, feature = "conformance"))]
#[allow(clippy::unwrap_used, reason = "a check that panics is a check that fails")]
pub mod conformance;
mod dynamo;
mod held;
mod item;
mod memory;

pub use dynamo::DynamoLeases;
pub use held::HeldLease;
pub use item::GarbledLease;
pub use memory::MemoryLeases;

use crate::error::Error;
use crate::topology::Shard;
use alluvial_record::{Checkpoint, HashKeyRange, ShardId};

/// One row of the lease table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The shard; the key of the row.
    pub shard: ShardId,
    /// The worker that reads the shard; `None` when it is free.
    pub owner: Option<String>,
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
            counter: 0,
            checkpoint,
            switches: 0,
            parents,
            children: Vec::new(),
            hash_keys: Some(shard.hash_keys),
        }
    }

    /// The row after `worker` took the lease.
    fn taken_by(&self, worker: &str) -> Self {
        Self { owner: Some(worker.into()), counter: self.counter + 1, switches: self.switches + 1, ..self.clone() }
    }

    /// The row after its owner renewed it.
    fn renewed(&self) -> Self {
        Self { counter: self.counter + 1, ..self.clone() }
    }

    /// The row after its owner wrote a checkpoint; `children` are those found at the end of the shard.
    fn checkpointed(&self, checkpoint: Checkpoint, children: &[ShardId]) -> Self {
        let mut children = if children.is_empty() { self.children.clone() } else { children.to_vec() };
        children.sort();
        Self { checkpoint, children, counter: self.counter + 1, switches: 0, ..self.clone() }
    }

    /// The row after its owner gave it up.
    fn released(&self) -> Self {
        Self { owner: None, counter: self.counter + 1, ..self.clone() }
    }
}

/// What became of a conditional write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// The row is now as wanted.
    Done,
    /// The row had another counter, and is left as it was; this is it, where the store could tell.
    Refused(Option<Box<Lease>>),
}

impl Written {
    /// Done, where the row that stood in the way is the very row that was wanted: the first attempt was applied.
    fn or_own_effect(self, wanted: &Lease) -> Self {
        match self {
            Self::Refused(Some(found)) if *found == *wanted => Self::Done,
            other => other,
        }
    }
}

/// What a write does about a graceful handoff, which the Kinesis Client Library marks with `checkpointOwner`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handoff {
    /// Refuse to write: the lease is being handed to another worker.
    Respect,
    /// End it: the lease is taken.
    End,
}

/// Where leases are kept. Both keep the same promises, and pass the same tests.
#[derive(Debug, Clone)]
pub enum LeaseTable {
    /// A DynamoDB table, shared by all workers of an application.
    Dynamo(DynamoLeases),
    /// This process's memory: for tests, and for a reader that starts anew each time.
    Memory(MemoryLeases),
}

impl LeaseTable {
    /// Makes the table where there is none, and waits until it can be used.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Fatal`] when it may not be made, [`crate::ErrorKind::Wait`] when DynamoDB is out of reach.
    pub async fn ensure(&self) -> Result<(), Error> {
        match self {
            Self::Dynamo(table) => table.ensure().await,
            Self::Memory(_) => Ok(()),
        }
    }

    /// All leases, read consistently; rows of other kinds are skipped.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Fatal`] for a row that is no lease we can read: it must not be mistaken for a new shard.
    pub async fn list(&self) -> Result<Vec<Lease>, Error> {
        match self {
            Self::Dynamo(table) => table.list().await,
            Self::Memory(table) => Ok(table.list()),
        }
    }

    /// Adds a lease, unless the shard has one.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Wait`] when the outcome is unknown; adding again is safe.
    pub async fn create(&self, lease: &Lease) -> Result<(), Error> {
        match self {
            Self::Dynamo(table) => table.create(lease).await,
            Self::Memory(table) => {
                table.create(lease);
                Ok(())
            }
        }
    }

    /// Replaces the row of `wanted.shard` if its counter is `held_counter`, and no handoff to another worker is under way.
    ///
    /// A write whose first answer was lost and that finds its own effect counts as done.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Wait`] when DynamoDB is throttled or out of reach.
    pub async fn replace(&self, held_counter: u64, wanted: &Lease) -> Result<Written, Error> {
        let written = match self {
            Self::Dynamo(table) => table.replace(held_counter, wanted, Handoff::Respect).await?,
            Self::Memory(table) => table.replace(held_counter, wanted),
        };
        Ok(written.or_own_effect(wanted))
    }

    /// Takes a free or abandoned lease for `worker`; `None` when another worker was faster.
    ///
    /// # Errors
    /// As [`LeaseTable::replace`].
    pub async fn take(&self, lease: &Lease, worker: &str) -> Result<Option<Lease>, Error> {
        let wanted = lease.taken_by(worker);
        let written = match self {
            // A handoff whose workers are gone would keep the lease from everybody.
            Self::Dynamo(table) => table.replace(lease.counter, &wanted, Handoff::End).await?,
            Self::Memory(table) => table.replace(lease.counter, &wanted),
        };
        Ok(match written.or_own_effect(&wanted) {
            Written::Done => Some(wanted),
            Written::Refused(_) => None,
        })
    }
}
