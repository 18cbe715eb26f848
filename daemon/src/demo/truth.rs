//! What was put: the ground truth that everything delivered is compared with.

use alluvial_loadgen::{Accepted, Observer};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A record's name: its shard and its sequence number.
pub(super) type Name = (Arc<str>, String);

/// Every record that Kinesis accepted, and its partition key.
#[derive(Debug, Default)]
pub(super) struct Truth(Mutex<HashMap<Name, u64>>);

impl Observer for Truth {
    fn accepted(&self, batch: Vec<Accepted>) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        records.extend(batch.into_iter().map(|one| ((one.shard, one.sequence_number), one.partition_key_hash)));
    }
}

impl Truth {
    /// The records: name → hash of the partition key.
    pub(super) fn records(&self) -> HashMap<Name, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
