//! JSON that carries records, written straight into the buffer that is sent.

use super::encryption::Encryption;
use super::log::{Batch, Record};
use super::sequence::{Origin, Sequence};
use super::wire::ChildShard;
use base64_simd::STANDARD;

/// JSON around one record: names, punctuation, sequence number and time.
const RECORD_OVERHEAD_BYTES: usize = 160;

/// Records, and what they do not know of themselves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Records<'a> {
    /// What the sequence numbers of their shard have in common.
    pub(crate) origin: Origin,
    /// The records.
    pub(crate) batch: &'a Batch,
    /// The keys of their stream.
    pub(crate) encryption: &'a Encryption,
}

/// An event with records, or a heartbeat without. `continuation` is where to go on.
pub(crate) fn event(records: Option<Records<'_>>, continuation: &Sequence, millis_behind: u64) -> Vec<u8> {
    let mut json = Vec::with_capacity(records.map_or(0, |records| capacity(records.batch)) + 128);
    json.extend_from_slice(b"{\"ContinuationSequenceNumber\":\"");
    json.extend_from_slice(&continuation.digits());
    json.extend_from_slice(b"\",\"MillisBehindLatest\":");
    json.extend_from_slice(millis_behind.to_string().as_bytes());
    json.extend_from_slice(b",\"Records\":");
    write_records(&mut json, records);
    json.push(b'}');
    json
}

/// The last event of a closed shard. It has no continuation: there is nothing to continue.
pub(crate) fn end(children: &[ChildShard]) -> Vec<u8> {
    serde_json::json!({ "ChildShards": children, "MillisBehindLatest": 0, "Records": [] }).to_string().into_bytes()
}

/// The result of GetRecords. At the end of a closed shard there is no next iterator, but there are children.
pub(crate) fn get_records(
    records: Option<Records<'_>>,
    next: Result<&str, &[ChildShard]>,
    millis_behind: u64,
) -> Vec<u8> {
    let mut json = Vec::with_capacity(records.map_or(0, |records| capacity(records.batch)) + 512);
    json.extend_from_slice(b"{\"Records\":");
    write_records(&mut json, records);
    json.extend_from_slice(b",\"MillisBehindLatest\":");
    json.extend_from_slice(millis_behind.to_string().as_bytes());
    match next {
        Ok(iterator) => {
            json.extend_from_slice(b",\"NextShardIterator\":");
            write_string(&mut json, iterator.as_bytes());
        }
        Err(children) => {
            json.extend_from_slice(b",\"ChildShards\":");
            json.extend_from_slice(serde_json::json!(children).to_string().as_bytes());
        }
    }
    json.push(b'}');
    json
}

fn capacity(batch: &Batch) -> usize {
    batch.len().div_ceil(3) * 4 + batch.count() * (RECORD_OVERHEAD_BYTES + 4)
}

fn write_records(json: &mut Vec<u8>, records: Option<Records<'_>>) {
    json.push(b'[');
    if let Some(Records { origin, batch, encryption }) = records {
        for (position, record) in batch.records().enumerate() {
            if position > 0 {
                json.push(b',');
            }
            write_record(json, origin, &record, encryption.of(record.arrival_millis));
        }
    }
    json.push(b']');
}

fn write_record(json: &mut Vec<u8>, origin: Origin, record: &Record<'_>, encryption: Option<&str>) {
    json.extend_from_slice(b"{\"SequenceNumber\":\"");
    json.extend_from_slice(&origin.record(record.index, record.arrival_millis).digits());
    json.extend_from_slice(b"\",\"ApproximateArrivalTimestamp\":");
    write_seconds(json, record.arrival_millis);
    json.extend_from_slice(b",\"Data\":\"");
    STANDARD.encode_append(record.data, json);
    json.extend_from_slice(b"\",\"PartitionKey\":");
    write_string(json, record.key);
    if let Some(encryption) = encryption {
        json.extend_from_slice(b",\"EncryptionType\":");
        write_string(json, encryption.as_bytes());
    }
    json.push(b'}');
}

/// Seconds with three digits of fraction.
fn write_seconds(json: &mut Vec<u8>, millis: u64) {
    json.extend_from_slice((millis / 1_000).to_string().as_bytes());
    let fraction = millis % 1_000;
    json.extend(
        [b'.'].into_iter().chain([fraction / 100, fraction / 10, fraction].map(|digits| b'0' + (digits % 10) as u8)),
    );
}

/// A JSON string. Partition keys rarely hold anything to escape.
fn write_string(json: &mut Vec<u8>, text: &[u8]) {
    if text.iter().all(|&byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        json.push(b'"');
        json.extend_from_slice(text);
        json.push(b'"');
    } else {
        json.extend_from_slice(serde_json::json!(String::from_utf8_lossy(text)).to_string().as_bytes());
    }
}

#[cfg(test)]
mod tests;
