//! One record on its way to the stream, or many that share one of Kinesis.

use alluvial_record::HashKeyRange;
use bytes::Bytes;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::time::Instant;

/// Memory that an entry takes beside its data: itself, its place in the queue and in the request.
pub(crate) const OVERHEAD_BYTES: usize = 256;

/// A record with its key and what is needed to measure it, or an aggregate of such. Cloning copies no data.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) data: Bytes,
    pub(crate) key: Arc<str>,
    /// What takes the place of the MD5 of the key; aggregates only.
    pub(crate) explicit_hash_key: Option<u128>,
    pub(crate) key_hash: u64,
    /// Records of the same are put in order: the hash of the key, or with aggregates the shard.
    pub(crate) order: u64,
    /// The number of the record in the run, from 0; for an input, the number of its line, from 1.
    pub(crate) number: u64,
    /// When the schedule wanted it to be sent.
    pub(crate) due: Instant,
    /// The wall clock when it was made.
    pub(crate) offered_at: SystemTime,
    /// Calls that carried it so far.
    pub(crate) attempts: u32,
    /// The records of an aggregate, in order; empty for a plain record.
    pub(crate) packed: Vec<Entry>,
    /// The hash keys of the shard that an aggregate is meant for.
    pub(crate) range: Option<HashKeyRange>,
}

impl Entry {
    /// A record that goes by itself and was in no call yet.
    pub(crate) fn plain(
        data: Bytes,
        (key, key_hash): (Arc<str>, u64),
        number: u64,
        due: Instant,
        offered_at: SystemTime,
    ) -> Self {
        Self {
            data,
            key,
            explicit_hash_key: None,
            key_hash,
            order: key_hash,
            number,
            due,
            offered_at,
            attempts: 0,
            packed: Vec::new(),
            range: None,
        }
    }

    /// The same, as the aggregate of `members`.
    pub(crate) fn packing(self, members: Vec<Self>) -> Self {
        Self { packed: members, ..self }
    }

    /// The records that it consists of, each with the attempts made so far.
    pub(crate) fn unpack(self) -> Vec<Self> {
        if self.packed.is_empty() {
            return vec![self];
        }
        let attempts = self.attempts;
        self.packed.into_iter().map(|member| Self { attempts, ..member }).collect()
    }

    /// How many records it consists of.
    pub(crate) fn records(&self) -> u64 {
        u64::try_from(self.packed.len()).unwrap_or(u64::MAX).max(1)
    }

    /// What Kinesis counts against its limits: data and key, before base64.
    pub(crate) fn wire_bytes(&self) -> usize {
        self.data.len() + self.key.len()
    }

    /// What it takes of the memory budget, from when it is made until it is accepted or lost. An aggregate takes what its
    /// records took before.
    pub(crate) fn budget(&self) -> usize {
        if self.packed.is_empty() {
            return self.wire_bytes() + OVERHEAD_BYTES;
        }
        self.packed.iter().map(Self::budget).sum()
    }
}

#[cfg(test)]
pub(crate) mod fixture {
    use super::*;
    use crate::key::partition_key_hash;

    /// An entry with `bytes` of data, due at `due`.
    pub(crate) fn entry(number: u64, key: &str, bytes: usize, due: Instant) -> Entry {
        let key = (key.into(), partition_key_hash(key));
        Entry::plain(vec![b'x'; bytes].into(), key, number, due, SystemTime::UNIX_EPOCH)
    }
}
