//! One record on its way to the stream.

use bytes::Bytes;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::time::Instant;

/// Memory that an entry takes beside its data: itself, its place in the queue and in the request.
pub(crate) const OVERHEAD_BYTES: usize = 256;

/// A record with its key and what is needed to measure it. Cloning copies no data.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) data: Bytes,
    pub(crate) key: Arc<str>,
    pub(crate) key_hash: u64,
    /// The number of the record in the run, from 0; for an input, the number of its line, from 1.
    pub(crate) number: u64,
    /// When the schedule wanted it to be sent.
    pub(crate) due: Instant,
    /// The wall clock when it was made.
    pub(crate) offered_at: SystemTime,
    /// Calls that carried it so far.
    pub(crate) attempts: u32,
}

impl Entry {
    /// What Kinesis counts against its limits: data and key, before base64.
    pub(crate) fn wire_bytes(&self) -> usize {
        self.data.len() + self.key.len()
    }

    /// What it takes of the memory budget, from when it is made until it is accepted or lost.
    pub(crate) fn budget(&self) -> usize {
        self.wire_bytes() + OVERHEAD_BYTES
    }
}

#[cfg(test)]
pub(crate) mod fixture {
    use super::*;
    use crate::key::partition_key_hash;

    /// An entry with `bytes` of data, due at `due`.
    pub(crate) fn entry(number: u64, key: &str, bytes: usize, due: Instant) -> Entry {
        Entry {
            data: vec![b'x'; bytes].into(),
            key: key.into(),
            key_hash: partition_key_hash(key),
            number,
            due,
            offered_at: SystemTime::UNIX_EPOCH,
            attempts: 0,
        }
    }
}
