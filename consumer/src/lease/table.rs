//! The lease table: one set of operations over two stores.

use super::key::StreamId;
use super::row::{Lease, Listing, Written};
use super::turn::{Turn, Urgency};
use super::{DynamoLeases, MemoryLeases};
use crate::error::Error;

/// What must hold of a row, so that it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// Its counter, and whether a handoff is under way and from whom: for those who read the shard.
    CounterAndHandoff,
    /// Its counter alone: for those who take the lease, which ends a handoff.
    Counter,
    /// Its owner, and that no handoff is under way: for those who ask for the lease.
    Owner,
}

impl Expected {
    /// Whether `found` is as `before` was.
    pub(super) fn holds(self, before: &Lease, found: &Lease) -> bool {
        match self {
            Self::CounterAndHandoff => {
                found.counter == before.counter && found.checkpoint_owner == before.checkpoint_owner
            }
            Self::Counter => found.counter == before.counter,
            Self::Owner => found.owner == before.owner && found.checkpoint_owner.is_none(),
        }
    }
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
    /// A handle of the same table for one of `all` the streams that an application reads. Its rows have the keys and attributes
    /// of the Kinesis Client Library's multi-stream mode.
    #[must_use]
    pub fn of_stream(&self, stream: StreamId, all: &[StreamId]) -> Self {
        match self {
            Self::Dynamo(table) => Self::Dynamo(table.of_stream(stream, all)),
            Self::Memory(table) => Self::Memory(table.of_stream(stream, all)),
        }
    }

    /// Waits for the turn of a call, if the table is throttled. To be dropped when the call has ended.
    pub(crate) async fn turn(&self, urgency: Urgency) -> Option<Turn> {
        match self {
            Self::Dynamo(table) => Some(table.turns().take(urgency).await),
            Self::Memory(_) => None,
        }
    }

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

    /// All leases and heartbeats, read consistently; rows of other kinds are skipped.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Fatal`] when the table is gone: that must not be mistaken for a first start.
    pub async fn list(&self) -> Result<Listing, Error> {
        match self {
            Self::Dynamo(table) => table.list().await,
            Self::Memory(table) => table.list(),
        }
    }

    /// Adds a lease, unless the shard has one; true when it was added.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Wait`] when the outcome is unknown; adding again is safe.
    pub async fn create(&self, lease: &Lease) -> Result<bool, Error> {
        match self {
            Self::Dynamo(table) => table.create(lease).await,
            Self::Memory(table) => table.create(lease),
        }
    }

    /// Writes what differs between `before` and `wanted`, if the row's counter and handoff are those of `before`.
    ///
    /// A write whose first answer was lost and that finds its own effect counts as done.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Wait`] when DynamoDB is throttled or out of reach; [`crate::ErrorKind::Garbled`] when the row stands
    /// in the way and cannot be read.
    pub async fn replace(&self, before: &Lease, wanted: &Lease) -> Result<Written, Error> {
        self.write(before, wanted, Expected::CounterAndHandoff).await
    }

    /// Takes a free or abandoned lease for `worker`, a lease of the stream that was created at `stream_created_millis`; `None`
    /// when another worker was faster.
    ///
    /// # Errors
    /// As [`LeaseTable::replace`].
    pub async fn take(
        &self,
        lease: &Lease,
        worker: &str,
        stream_created_millis: Option<u64>,
    ) -> Result<Option<Lease>, Error> {
        let wanted = lease.taken_by(worker).of_stream_created(stream_created_millis.or(lease.stream_created_millis));
        Ok(match self.write(lease, &wanted, Expected::Counter).await? {
            Written::Done => Some(wanted),
            Written::Refused(_) => None,
        })
    }

    /// Asks the owner of `lease` to hand it over to `worker`; false when it has another owner by now, or somebody else asked.
    ///
    /// # Errors
    /// As [`LeaseTable::replace`].
    pub async fn ask(&self, lease: &Lease, worker: &str) -> Result<bool, Error> {
        let wanted = lease.asked_for_by(worker);
        match self.write(lease, &wanted, Expected::Owner).await? {
            Written::Done => Ok(true),
            // The owner may have renewed it between our write and the answer that was lost.
            Written::Refused(Some(found)) => {
                Ok(found.owner == wanted.owner && found.checkpoint_owner == wanted.checkpoint_owner)
            }
            Written::Refused(None) => Ok(false),
        }
    }

    /// Deletes the lease of a shard that is done, if it is still as it was.
    ///
    /// # Errors
    /// As [`LeaseTable::replace`].
    pub async fn delete(&self, lease: &Lease) -> Result<(), Error> {
        match self {
            Self::Dynamo(table) => table.delete(lease).await,
            Self::Memory(table) => table.delete(lease),
        }
    }

    /// Writes a sign of life of `worker`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Wait`] when DynamoDB is throttled or out of reach.
    pub async fn beat(&self, worker: &str) -> Result<(), Error> {
        match self {
            Self::Dynamo(table) => table.beat(worker).await,
            Self::Memory(table) => table.beat(worker),
        }
    }

    /// Removes the signs of life of a worker that stopped or died.
    ///
    /// # Errors
    /// As [`LeaseTable::beat`].
    pub async fn forget(&self, worker: &str) -> Result<(), Error> {
        match self {
            Self::Dynamo(table) => table.forget(worker).await,
            Self::Memory(table) => table.forget(worker),
        }
    }

    async fn write(&self, before: &Lease, wanted: &Lease, expected: Expected) -> Result<Written, Error> {
        let written = match self {
            Self::Dynamo(table) => table.write(before, wanted, expected).await?,
            Self::Memory(table) => table.write(before, wanted, expected)?,
        };
        Ok(written.or_own_effect(wanted))
    }
}
