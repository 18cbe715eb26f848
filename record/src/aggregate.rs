//! Records that the Kinesis Producer Library packed into one: reading and writing them.
//!
//! An aggregate is [`MAGIC`], a protobuf message, and the MD5 of that message. The message has a table of partition
//! keys, one of explicit hash keys, and user records that point into both. The user records of an aggregate share its
//! sequence number; their index is the sub-sequence number.
//!
//! Source: <https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md>.

mod decode;
mod encode;
mod md5;
mod wire;

pub use encode::Aggregator;

use crate::HashKeyRange;
use bytes::Bytes;
use bytestring::ByteString;
use std::ops::Range;

/// What an aggregate begins with. It is no UTF-8 text, so no text is mistaken for one.
pub const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];

/// The MD5 at the end.
const DIGEST_BYTES: usize = 16;

/// Fields of the message, and of a record in it.
const PARTITION_KEYS: u32 = 1;
const EXPLICIT_HASH_KEYS: u32 = 2;
const RECORDS: u32 = 3;
const PARTITION_KEY_INDEX: u32 = 1;
const EXPLICIT_HASH_KEY_INDEX: u32 = 2;
const DATA: u32 = 3;

/// What the payload of a Kinesis record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// A plain record: it does not begin with [`MAGIC`], or is too short to hold a message.
    NotAggregated,
    /// It begins as an aggregate does, and cannot be read as one. No part of it is to be trusted.
    Corrupt(Corruption),
    /// An aggregate, read to its end.
    Aggregate(Aggregate),
}

/// What is wrong with an aggregate. Offsets are bytes from the start of the Kinesis record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Corruption {
    /// The content was changed or cut off after it was packed.
    #[error("the MD5 at its end is not that of its content")]
    WrongDigest,
    /// The MD5 is right, and the message is none.
    #[error("malformed protobuf message at byte {at}")]
    Malformed {
        /// Where.
        at: usize,
    },
    /// A user record lacks its partition key or its data, which the format requires.
    #[error("user record {index} has no {field}")]
    Missing {
        /// The user record, from 0.
        index: usize,
        /// What it lacks.
        field: &'static str,
    },
    /// A user record points to a key that the tables do not have.
    #[error("user record {index} points to a {field} that is not in the table")]
    OutOfRange {
        /// The user record, from 0.
        index: usize,
        /// Which key.
        field: &'static str,
    },
    /// A partition key is not UTF-8.
    #[error("the partition key at byte {at} is not UTF-8 text")]
    KeyNotText {
        /// Where it starts.
        at: usize,
    },
    /// An explicit hash key that a record points to is no decimal integer below 2^128.
    #[error("user record {index} has an explicit hash key that is not a decimal integer below 2^128")]
    InvalidHashKey {
        /// The user record, from 0.
        index: usize,
    },
}

/// Reads the payload of one Kinesis record. Copies no data: user records are slices of `data`.
///
/// What is allocated is bounded by the length of `data`, whatever the counts and lengths in it say.
pub fn decode(data: &Bytes) -> Decoded {
    decode_all([data]).pop().unwrap_or(Decoded::NotAggregated)
}

/// Reads the payloads of many Kinesis records, as [`decode`] does, and verifies the MD5 of all of them together, which
/// takes less time than one after the other.
pub fn decode_all<'a>(payloads: impl IntoIterator<Item = &'a Bytes>) -> Vec<Decoded> {
    let split: Vec<(&Bytes, Option<Range<usize>>)> =
        payloads.into_iter().map(|data| (data, message_range(data))).collect();
    let messages: Vec<&[u8]> = split.iter().filter_map(|(data, message)| data.get(message.clone()?)).collect();
    let mut digests = md5::digests(&messages).into_iter();
    split
        .into_iter()
        .map(|(data, message)| {
            let Some(message) = message else { return Decoded::NotAggregated };
            if digests.next().as_ref().map(<[u8; 16]>::as_slice) != data.get(message.end..) {
                return Decoded::Corrupt(Corruption::WrongDigest);
            }
            decode::message(data, message).map_or_else(Decoded::Corrupt, Decoded::Aggregate)
        })
        .collect()
}

/// Where the message of an aggregate lies; `None` for a plain record. The Kinesis Client Library too takes an aggregate
/// without any content for a plain record.
fn message_range(data: &[u8]) -> Option<Range<usize>> {
    let end = data.len().checked_sub(DIGEST_BYTES).filter(|end| *end > MAGIC.len())?;
    data.starts_with(&MAGIC).then_some(MAGIC.len()..end)
}

/// A user record of an aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// The key that the producer gave it; a slice of the aggregate.
    pub partition_key: ByteString,
    /// The hash key that takes the place of the MD5 of the partition key, where the producer gave one.
    pub explicit_hash_key: Option<u128>,
    /// Its payload; a slice of the aggregate.
    pub data: Bytes,
    /// Its place in the aggregate, from 0: the sub-sequence number.
    pub index: u64,
}

/// A user record within the buffer of its aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    partition_key: usize,
    explicit_hash_key: Option<usize>,
    data: Range<usize>,
}

/// An aggregate whose every user record is known to be whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    buffer: Bytes,
    /// Where they lie; each is known to be text. A slice of each would cost more than all the rest of the reading.
    partition_keys: Vec<Range<usize>>,
    /// `None` for a text that is no hash key, which no record points to.
    explicit_hash_keys: Vec<Option<u128>>,
    entries: Vec<Entry>,
}

impl Aggregate {
    /// How many user records it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when it holds none, which the format allows.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Its user records, in order.
    pub fn records(&self) -> impl Iterator<Item = UserRecord> + '_ {
        (0..).zip(&self.entries).filter_map(|(index, entry)| self.record(index, entry))
    }

    /// Those of its user records that belong to a shard with the hash keys `range`, in order: by their explicit hash key,
    /// or else by the MD5 of their partition key.
    ///
    /// After a split or a merge the producer puts the others again, to the shard where they belong.
    ///
    /// Source: `retrier.cc` of the Kinesis Producer Library (`succeed_if_correct_shard`).
    pub fn records_within(&self, range: HashKeyRange) -> impl Iterator<Item = UserRecord> + '_ {
        let hashed = self.entries.iter().any(|entry| entry.explicit_hash_key.is_none()) && range != HashKeyRange::ALL;
        let keys: Vec<&[u8]> =
            self.partition_keys.iter().filter(|_| hashed).filter_map(|key| self.buffer.get(key.clone())).collect();
        let hash_keys: Vec<u128> = md5::digests(&keys).into_iter().map(u128::from_be_bytes).collect();
        (0..).zip(&self.entries).filter_map(move |(index, entry)| {
            let hash_key = match entry.explicit_hash_key {
                Some(explicit) => self.explicit_hash_keys.get(explicit).copied().flatten(),
                None => hash_keys.get(entry.partition_key).copied(),
            };
            let within = range == HashKeyRange::ALL || hash_key.is_some_and(|key| range.contains(key));
            within.then(|| self.record(index, entry)).flatten()
        })
    }

    /// The record of an entry; there is one for every entry that was read.
    fn record(&self, index: u64, entry: &Entry) -> Option<UserRecord> {
        Some(UserRecord {
            partition_key: self.buffer.slice(self.partition_keys.get(entry.partition_key)?.clone()).try_into().ok()?,
            explicit_hash_key: entry.explicit_hash_key.and_then(|at| *self.explicit_hash_keys.get(at)?),
            data: self.buffer.slice(entry.data.clone()),
            index,
        })
    }
}

#[cfg(test)]
mod tests;
