//! Leases in memory.

use super::key::{LeaseKeys, Place, StreamId, as_sibling};
use super::row::{Heartbeat, Lease, Listing, Written};
use super::table::Expected;
use crate::error::{Error, ErrorKind};
use alluvial_record::{Checkpoint, ShardId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A lease table that ends with the process. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryLeases(Arc<Mutex<Rows>>, LeaseKeys);

#[derive(Debug, Default)]
struct Rows {
    /// By key.
    leases: BTreeMap<String, Lease>,
    heartbeats: BTreeMap<String, u64>,
    writes: u64,
    out_of_reach: bool,
}

impl MemoryLeases {
    pub(super) fn of_stream(&self, stream: StreamId, all: &[StreamId]) -> Self {
        Self(Arc::clone(&self.0), LeaseKeys::of_stream(stream, all))
    }

    /// Writes that were made, the refused ones too: DynamoDB bills both.
    pub fn writes(&self) -> u64 {
        self.rows().writes
    }

    /// Puts the table out of everybody's reach, or back.
    pub fn set_out_of_reach(&self, out_of_reach: bool) {
        self.rows().out_of_reach = out_of_reach;
    }

    /// Removes a row, as a person with a console would.
    pub fn remove(&self, shard: &ShardId) {
        self.rows().leases.remove(&self.1.key_of(shard));
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reached(&self) -> Result<MutexGuard<'_, Rows>, Error> {
        let rows = self.rows();
        if rows.out_of_reach {
            return Err(Error::new(ErrorKind::Wait, "the lease table in memory was put out of reach"));
        }
        Ok(rows)
    }

    fn written(&self) -> Result<MutexGuard<'_, Rows>, Error> {
        let mut rows = self.reached()?;
        rows.writes += 1;
        Ok(rows)
    }

    pub(super) fn list(&self) -> Result<Listing, Error> {
        let rows = self.reached()?;
        let heartbeats =
            rows.heartbeats.iter().map(|(worker, counter)| Heartbeat { worker: worker.clone(), counter: *counter });
        let mut listing = Listing { heartbeats: heartbeats.collect(), ..Listing::default() };
        for (key, lease) in &rows.leases {
            match self.1.place(key) {
                Place::Own(_) => listing.leases.push(lease.clone()),
                Place::Sibling(stream) => listing.siblings.push(as_sibling(lease.clone(), &stream)),
                Place::Stranger => {}
                Place::OtherKind => return Err(self.1.refuse(key)),
            }
        }
        Ok(listing)
    }

    pub(super) fn create(&self, lease: &Lease) -> Result<bool, Error> {
        let mut rows = self.written()?;
        let key = self.1.key_of(&lease.shard);
        let missing = !rows.leases.contains_key(&key);
        if missing {
            rows.leases.insert(key, lease.clone());
        }
        Ok(missing)
    }

    pub(super) fn write(&self, before: &Lease, wanted: &Lease, expected: Expected) -> Result<Written, Error> {
        Ok(match self.written()?.leases.get_mut(&self.1.key_of(&wanted.shard)) {
            Some(row) if expected.holds(before, row) => {
                *row = changed(row, before, wanted, expected);
                Written::Done
            }
            other => Written::Refused(other.map(|row| Box::new(row.clone()))),
        })
    }

    pub(super) fn delete(&self, lease: &Lease) -> Result<(), Error> {
        let mut rows = self.written()?;
        let key = self.1.key_of(&lease.shard);
        let same = |row: &Lease| row.counter == lease.counter && row.checkpoint == Checkpoint::ShardEnd;
        if rows.leases.get(&key).is_some_and(same) {
            rows.leases.remove(&key);
        }
        Ok(())
    }

    pub(super) fn beat(&self, worker: &str) -> Result<(), Error> {
        *self.written()?.heartbeats.entry(worker.to_owned()).or_default() += 1;
        Ok(())
    }

    pub(super) fn forget(&self, worker: &str) -> Result<(), Error> {
        self.written()?.heartbeats.remove(worker);
        Ok(())
    }
}

/// As DynamoDB: what the writer does not change keeps the value of the row, not that which the writer read before.
fn changed(row: &Lease, before: &Lease, wanted: &Lease, expected: Expected) -> Lease {
    fn pick<T: Clone + PartialEq>(row: &T, before: &T, wanted: &T) -> T {
        if before == wanted { row.clone() } else { wanted.clone() }
    }
    let mut new = Lease {
        counter: pick(&row.counter, &before.counter, &wanted.counter),
        checkpoint: pick(&row.checkpoint, &before.checkpoint, &wanted.checkpoint),
        switches: pick(&row.switches, &before.switches, &wanted.switches),
        owner: pick(&row.owner, &before.owner, &wanted.owner),
        checkpoint_owner: pick(&row.checkpoint_owner, &before.checkpoint_owner, &wanted.checkpoint_owner),
        children: pick(&row.children, &before.children, &wanted.children),
        bytes_per_second: pick(&row.bytes_per_second, &before.bytes_per_second, &wanted.bytes_per_second),
        stream_created_millis: pick(
            &row.stream_created_millis,
            &before.stream_created_millis,
            &wanted.stream_created_millis,
        ),
        ..row.clone()
    };
    if expected == Expected::Counter {
        (new.owner, new.checkpoint_owner) = (wanted.owner.clone(), wanted.checkpoint_owner.clone());
    }
    new
}
