//! Leases in memory.

use super::{Lease, Written};
use alluvial_record::ShardId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A lease table that ends with the process. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryLeases(Arc<Mutex<BTreeMap<ShardId, Lease>>>);

impl MemoryLeases {
    fn rows(&self) -> MutexGuard<'_, BTreeMap<ShardId, Lease>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn list(&self) -> Vec<Lease> {
        self.rows().values().cloned().collect()
    }

    pub(super) fn create(&self, lease: &Lease) {
        self.rows().entry(lease.shard.clone()).or_insert_with(|| lease.clone());
    }

    pub(super) fn replace(&self, held_counter: u64, wanted: &Lease) -> Written {
        match self.rows().get_mut(&wanted.shard) {
            Some(row) if row.counter == held_counter => {
                *row = wanted.clone();
                Written::Done
            }
            other => Written::Refused(other.map(|row| Box::new(row.clone()))),
        }
    }
}
