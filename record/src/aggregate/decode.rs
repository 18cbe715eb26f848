//! The message of an aggregate → its tables and where its user records lie.

use super::wire::{Fields, Value};
use super::{
    Aggregate, Corruption, DATA, EXPLICIT_HASH_KEY_INDEX, EXPLICIT_HASH_KEYS, Entry, PARTITION_KEY_INDEX,
    PARTITION_KEYS, RECORDS,
};
use bytes::Bytes;
use std::ops::Range;

/// The fewest bytes of a user record: an index and empty data. Fewer are refused before anything is allocated for them.
const FEWEST_BYTES: usize = 4;

/// Reads the message at `range` of `buffer`, whose MD5 was right.
///
/// Fields may come in any order, tables after the records that point into them; fields that the format does not have,
/// and tags, are skipped. Of a single field that comes more than once the last counts.
pub(super) fn message(buffer: &Bytes, range: Range<usize>) -> Result<Aggregate, Corruption> {
    let mut aggregate = Aggregate {
        buffer: buffer.clone(),
        partition_keys: Vec::new(),
        explicit_hash_keys: Vec::new(),
        entries: Vec::new(),
    };
    let mut fields = Fields::new(buffer, range);
    while let Some(field) = fields.next()? {
        match field {
            (PARTITION_KEYS, Value::Bytes(key)) => {
                let text = std::str::from_utf8(buffer.get(key.clone()).unwrap_or_default());
                text.map_err(|_| Corruption::KeyNotText { at: key.start })?;
                aggregate.partition_keys.push(key);
            }
            (EXPLICIT_HASH_KEYS, Value::Bytes(key)) => {
                aggregate.explicit_hash_keys.push(hash_key(buffer.get(key).unwrap_or_default()));
            }
            (RECORDS, Value::Bytes(record)) => {
                let index = aggregate.entries.len();
                aggregate.entries.push(entry(buffer, record, index)?);
            }
            _ => {}
        }
    }
    for (index, entry) in aggregate.entries.iter().enumerate() {
        if entry.partition_key >= aggregate.partition_keys.len() {
            return Err(Corruption::OutOfRange { index, field: "partition key" });
        }
        match entry.explicit_hash_key.map(|at| aggregate.explicit_hash_keys.get(at)) {
            None | Some(Some(Some(_))) => {}
            Some(Some(None)) => return Err(Corruption::InvalidHashKey { index }),
            Some(None) => return Err(Corruption::OutOfRange { index, field: "explicit hash key" }),
        }
    }
    Ok(aggregate)
}

/// Reads the user record at `record`; its indices are not yet known to be in the tables.
fn entry(buffer: &[u8], record: Range<usize>, index: usize) -> Result<Entry, Corruption> {
    if record.len() < FEWEST_BYTES {
        return Err(Corruption::Missing { index, field: "partition key or data" });
    }
    let (mut partition_key, mut explicit_hash_key, mut data) = (None, None, None);
    // An index beyond this machine's is beyond every table.
    let place = |index: u64| usize::try_from(index).unwrap_or(usize::MAX);
    let mut fields = Fields::new(buffer, record);
    while let Some(field) = fields.next()? {
        match field {
            (PARTITION_KEY_INDEX, Value::Varint(index)) => partition_key = Some(place(index)),
            (EXPLICIT_HASH_KEY_INDEX, Value::Varint(index)) => explicit_hash_key = Some(place(index)),
            (DATA, Value::Bytes(bytes)) => data = Some(bytes),
            _ => {}
        }
    }
    Ok(Entry {
        partition_key: partition_key.ok_or(Corruption::Missing { index, field: "partition key" })?,
        explicit_hash_key,
        data: data.ok_or(Corruption::Missing { index, field: "data" })?,
    })
}

/// A hash key in decimal, without sign or white space.
fn hash_key(text: &[u8]) -> Option<u128> {
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}
