//! User records → an aggregate whose size is known before each is added.

use super::wire::{field_bytes, push_bytes, push_tag, push_varint, varint_bytes};
use super::{
    DATA, DIGEST_BYTES, EXPLICIT_HASH_KEY_INDEX, EXPLICIT_HASH_KEYS, MAGIC, PARTITION_KEY_INDEX, PARTITION_KEYS,
    RECORDS,
};
use bytes::Bytes;
use std::collections::HashMap;
use std::hash::Hash;

/// Packs user records into aggregates of a limited size.
///
/// The bytes are those that AWS's aggregators for Python and JavaScript make of the same records in the same order.
#[derive(Debug)]
pub struct Aggregator {
    limit_bytes: usize,
    partition_keys: Table<Box<str>>,
    explicit_hash_keys: Table<u128>,
    /// The records, encoded.
    records: Vec<u8>,
    count: u64,
}

/// Keys that were seen, and the field of the message that lists them, encoded.
#[derive(Debug)]
struct Table<K> {
    indices: HashMap<K, usize>,
    encoded: Vec<u8>,
}

impl<K: Hash + Eq> Table<K> {
    fn new() -> Self {
        Self { indices: HashMap::new(), encoded: Vec::new() }
    }

    fn clear(&mut self) {
        self.indices.clear();
        self.encoded.clear();
    }

    /// The index that a key has, or would get, and the bytes that it would add.
    fn place(&self, index: Option<&usize>, text: &str) -> (usize, usize) {
        index.map_or_else(|| (self.indices.len(), field_bytes(text.len())), |index| (*index, 0))
    }

    fn add(&mut self, field: u32, key: K, text: &str, (index, added_bytes): (usize, usize)) {
        if added_bytes > 0 {
            self.indices.insert(key, index);
            push_bytes(&mut self.encoded, field, text.as_bytes());
        }
    }
}

impl Aggregator {
    /// Makes aggregates of at most `limit_bytes`, magic number and MD5 included.
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            partition_keys: Table::new(),
            explicit_hash_keys: Table::new(),
            records: Vec::new(),
            count: 0,
        }
    }

    /// User records in the open aggregate.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// True when the open aggregate has no user record.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes that [`Aggregator::finish`] would give now.
    pub fn size_bytes(&self) -> usize {
        MAGIC.len()
            + self.partition_keys.encoded.len()
            + self.explicit_hash_keys.encoded.len()
            + self.records.len()
            + DIGEST_BYTES
    }

    /// Adds a user record, unless the aggregate would exceed its limit: then nothing changes, and it is false. A record
    /// that does not fit into an empty aggregate fits into none, and must be put by itself.
    #[must_use]
    pub fn try_add(&mut self, partition_key: &str, explicit_hash_key: Option<u128>, data: &[u8]) -> bool {
        let key = self.partition_keys.place(self.partition_keys.indices.get(partition_key), partition_key);
        let hash = explicit_hash_key.map(|hash| {
            let text = hash.to_string();
            (hash, self.explicit_hash_keys.place(self.explicit_hash_keys.indices.get(&hash), &text), text)
        });
        let hash_index_bytes = hash.as_ref().map_or(0, |(_, (index, _), _)| 1 + varint_bytes(*index));
        let inner_bytes = 1 + varint_bytes(key.0) + hash_index_bytes + field_bytes(data.len());
        let added = key.1 + hash.as_ref().map_or(0, |(_, (_, bytes), _)| *bytes) + field_bytes(inner_bytes);
        if self.size_bytes() + added > self.limit_bytes {
            return false;
        }
        self.partition_keys.add(PARTITION_KEYS, partition_key.into(), partition_key, key);
        let records = &mut self.records;
        push_tag(records, RECORDS, 2);
        push_varint(records, inner_bytes);
        push_tag(records, PARTITION_KEY_INDEX, 0);
        push_varint(records, key.0);
        if let Some((hash, place, text)) = hash {
            push_tag(records, EXPLICIT_HASH_KEY_INDEX, 0);
            push_varint(records, place.0);
            self.explicit_hash_keys.add(EXPLICIT_HASH_KEYS, hash, &text, place);
        }
        push_bytes(records, DATA, data);
        self.count += 1;
        true
    }

    /// Closes the aggregate and begins the next; `None` when there is nothing in it.
    pub fn finish(&mut self) -> Option<Bytes> {
        if self.is_empty() {
            return None;
        }
        let mut bytes = Vec::with_capacity(self.size_bytes());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.partition_keys.encoded);
        bytes.extend_from_slice(&self.explicit_hash_keys.encoded);
        bytes.extend_from_slice(&self.records);
        let digest = super::md5::digest(bytes.get(MAGIC.len()..).unwrap_or_default());
        bytes.extend_from_slice(&digest);
        self.partition_keys.clear();
        self.explicit_hash_keys.clear();
        self.records.clear();
        self.count = 0;
        Some(bytes.into())
    }
}
