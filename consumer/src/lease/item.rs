//! A lease as a DynamoDB item, with the attributes of the Kinesis Client Library.
//!
//! Source: `DynamoDBLeaseSerializer` of the Kinesis Client Library 3.5.

use super::key::LeaseKeys;
use super::row::{Heartbeat, Lease};
use alluvial_record::{Checkpoint, HashKeyRange, InvalidCheckpoint, InvalidHashKey, ShardId};
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;

pub(super) const KEY: &str = "leaseKey";
pub(super) const OWNER: &str = "leaseOwner";
pub(super) const COUNTER: &str = "leaseCounter";
pub(super) const SWITCHES: &str = "ownerSwitchesSinceCheckpoint";
pub(super) const CHECKPOINT: &str = "checkpoint";
pub(super) const CHECKPOINT_SUB: &str = "checkpointSubSequenceNumber";
pub(super) const PARENTS: &str = "parentShardId";
pub(super) const CHILDREN: &str = "childShardIds";
pub(super) const HASH_START: &str = "startingHashKey";
pub(super) const HASH_END: &str = "endingHashKey";
pub(super) const CHECKPOINT_OWNER: &str = "checkpointOwner";
pub(super) const ENTITY: &str = "entityType";
const THROUGHPUT: &str = "throughputKBps";
/// Account, name and creation of the stream, in rows of an application that reads several, in spite of its name.
const STREAM: &str = "streamName";
/// The shard without its stream, in the same rows.
const SHARD: &str = "shardId";
/// What the Kinesis Client Library's two-phase checkpoints leave while they are under way. A checkpoint ends them.
const PENDING: [&str; 3] = ["pendingCheckpoint", "pendingCheckpointSubSequenceNumber", "pendingCheckpointState"];
/// Ours: the Kinesis Client Library leaves attributes alone that it does not know.
const STREAM_CREATED: &str = "streamCreationMillis";
/// Ours, in rows of [`HEARTBEAT_ENTITY`].
pub(super) const HEARTBEAT: &str = "heartbeatCounter";
pub(super) const WORKER: &str = "worker";
/// Before a worker's name, in the key of its heartbeat: no shard is called so.
const HEARTBEAT_KEY: &str = "heartbeat:";
/// Kind of a lease's row. Releases before 3.5 write none.
const LEASE_ENTITY: &str = "LEASE";
/// Kind of a heartbeat's row. The Kinesis Client Library skips kinds that it does not know, from 3.5 on.
pub(super) const HEARTBEAT_ENTITY: &str = "WORKER_HEARTBEAT";
/// Digits after the point of [`THROUGHPUT`], and bytes of its KB (`DynamoDBLeaseRenewer`, `LeaseStatsRecorder`).
const BYTES_PER_KB: f64 = 1024.0;

pub(super) type Item = HashMap<String, AttributeValue>;

/// A row that says it is a lease and cannot be read as one.
#[derive(Debug, thiserror::Error)]
pub enum GarbledLease {
    /// An attribute is missing or of another type.
    #[error("lease row {key:?}: attribute {attribute} is missing or not of type {wanted}")]
    Attribute {
        /// The row.
        key: String,
        /// The attribute.
        attribute: &'static str,
        /// S, N or SS.
        wanted: &'static str,
    },
    /// The checkpoint is no position.
    #[error("lease row {key:?}")]
    Checkpoint {
        /// The row.
        key: String,
        /// Why.
        #[source]
        source: InvalidCheckpoint,
    },
    /// The hash key range is no range.
    #[error("lease row {key:?}")]
    HashKeys {
        /// The row.
        key: String,
        /// Why.
        #[source]
        source: InvalidHashKey,
    },
}

pub(super) fn string(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn strings(values: &[ShardId]) -> AttributeValue {
    AttributeValue::Ss(values.iter().map(|shard| shard.as_str().to_owned()).collect())
}

fn throughput(bytes_per_second: u64) -> AttributeValue {
    // 2^53 bytes a second is far beyond any shard.
    #[allow(clippy::cast_precision_loss, reason = "a rate for balancing, written with six digits")]
    AttributeValue::N(format!("{:.6}", bytes_per_second as f64 / BYTES_PER_KB))
}

/// The key of a worker's heartbeat.
pub(super) fn heartbeat_key(worker: &str) -> AttributeValue {
    string(format!("{HEARTBEAT_KEY}{worker}"))
}

/// A row, as far as it is about leases.
#[derive(Debug, PartialEq)]
pub(super) enum Row {
    Lease(Box<Lease>),
    Heartbeat(Heartbeat),
    /// Of another kind: newer client libraries keep several in the same table.
    Other,
}

/// What a write changes; all else in the row stays as it is.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Changes {
    pub(super) set: Vec<(&'static str, AttributeValue)>,
    pub(super) remove: Vec<&'static str>,
}

impl Changes {
    fn optional(&mut self, name: &'static str, differs: bool, value: Option<AttributeValue>) {
        match value {
            Some(value) if differs => self.set.push((name, value)),
            None if differs => self.remove.push(name),
            _ => {}
        }
    }
}

/// What makes the row of `wanted` from that of `before`.
pub(super) fn changes(before: &Lease, wanted: &Lease) -> Changes {
    let mut changes = Changes::default();
    if wanted.counter != before.counter {
        changes.set.push((COUNTER, number(wanted.counter)));
    }
    if wanted.switches != before.switches {
        changes.set.push((SWITCHES, number(wanted.switches)));
    }
    if wanted.checkpoint != before.checkpoint {
        let (checkpoint, sub_sequence) = wanted.checkpoint.to_attributes();
        changes.set.extend([(CHECKPOINT, string(checkpoint)), (CHECKPOINT_SUB, number(sub_sequence))]);
        changes.remove.extend(PENDING);
    }
    changes.optional(OWNER, wanted.owner != before.owner, wanted.owner.as_ref().map(string));
    let handoff = wanted.checkpoint_owner.as_ref().map(string);
    changes.optional(CHECKPOINT_OWNER, wanted.checkpoint_owner != before.checkpoint_owner, handoff);
    let children = (!wanted.children.is_empty()).then(|| strings(&wanted.children));
    changes.optional(CHILDREN, wanted.children != before.children, children);
    let rate = wanted.bytes_per_second.map(throughput);
    changes.optional(THROUGHPUT, wanted.bytes_per_second != before.bytes_per_second, rate);
    let created = wanted.stream_created_millis.map(number);
    changes.optional(STREAM_CREATED, wanted.stream_created_millis != before.stream_created_millis, created);
    changes
}

/// The whole item, for a row that does not exist yet. Empty sets are left out: DynamoDB refuses them.
pub(super) fn to_item(lease: &Lease, keys: &LeaseKeys) -> Item {
    let (checkpoint, sub_sequence) = lease.checkpoint.to_attributes();
    let mut item = HashMap::from([
        (ENTITY.to_owned(), string(LEASE_ENTITY)),
        (KEY.to_owned(), string(keys.key_of(&lease.shard))),
        (COUNTER.to_owned(), number(lease.counter)),
        (SWITCHES.to_owned(), number(lease.switches)),
        (CHECKPOINT.to_owned(), string(checkpoint)),
        (CHECKPOINT_SUB.to_owned(), number(sub_sequence)),
    ]);
    if let Some(stream) = keys.stream() {
        item.insert(STREAM.to_owned(), string(stream.to_string()));
        item.insert(SHARD.to_owned(), string(lease.shard.as_str()));
    }
    if let Some(owner) = &lease.owner {
        item.insert(OWNER.to_owned(), string(owner));
    }
    if let Some(owner) = &lease.checkpoint_owner {
        item.insert(CHECKPOINT_OWNER.to_owned(), string(owner));
    }
    if let Some(rate) = lease.bytes_per_second {
        item.insert(THROUGHPUT.to_owned(), throughput(rate));
    }
    if let Some(millis) = lease.stream_created_millis {
        item.insert(STREAM_CREATED.to_owned(), number(millis));
    }
    if !lease.parents.is_empty() {
        item.insert(PARENTS.to_owned(), strings(&lease.parents));
    }
    if !lease.children.is_empty() {
        item.insert(CHILDREN.to_owned(), strings(&lease.children));
    }
    if let Some(keys) = lease.hash_keys {
        item.insert(HASH_START.to_owned(), string(keys.start.to_string()));
        item.insert(HASH_END.to_owned(), string(keys.end.to_string()));
    }
    item
}

/// The key of a row.
pub(super) fn key(item: &Item) -> String {
    text(item, KEY).unwrap_or_default().to_owned()
}

/// Reads a row.
pub(super) fn from_item(item: &Item) -> Result<Row, GarbledLease> {
    match item.get(ENTITY) {
        None => {}
        Some(AttributeValue::S(kind)) if kind == LEASE_ENTITY => {}
        Some(AttributeValue::S(kind)) if kind == HEARTBEAT_ENTITY => {
            // One without a counter or a name never moved: there is nobody to hear.
            let heartbeat = text(item, WORKER).zip(integer(item, HEARTBEAT));
            return Ok(heartbeat.map_or(Row::Other, |(worker, counter)| {
                Row::Heartbeat(Heartbeat { worker: worker.to_owned(), counter })
            }));
        }
        Some(AttributeValue::S(_)) => return Ok(Row::Other),
        Some(_) => return Err(GarbledLease::Attribute { key: key(item), attribute: ENTITY, wanted: "S" }),
    }
    lease(item).map(|lease| Row::Lease(Box::new(lease)))
}

fn lease(item: &Item) -> Result<Lease, GarbledLease> {
    let key = text(item, KEY).unwrap_or_default().to_owned();
    let missing = |attribute, wanted| GarbledLease::Attribute { key: key.clone(), attribute, wanted };
    let checkpoint = text(item, CHECKPOINT).ok_or_else(|| missing(CHECKPOINT, "S"))?;
    // Missing is 0, as the Kinesis Client Library reads it; what is there must be a number.
    let sub_sequence = match item.get(CHECKPOINT_SUB) {
        None => 0,
        Some(_) => integer(item, CHECKPOINT_SUB).ok_or_else(|| missing(CHECKPOINT_SUB, "N"))?,
    };
    for attribute in [OWNER, CHECKPOINT_OWNER] {
        if item.get(attribute).is_some_and(|value| !value.is_s()) {
            return Err(missing(attribute, "S"));
        }
    }
    let checkpoint = Checkpoint::from_attributes(checkpoint, sub_sequence)
        .map_err(|source| GarbledLease::Checkpoint { key: key.clone(), source })?;
    let hash_keys = match (text(item, HASH_START), text(item, HASH_END)) {
        (Some(start), Some(end)) => Some(
            HashKeyRange::parse(start, end).map_err(|source| GarbledLease::HashKeys { key: key.clone(), source })?,
        ),
        _ => None,
    };
    Ok(Lease {
        shard: text(item, KEY).ok_or_else(|| missing(KEY, "S"))?.into(),
        owner: text(item, OWNER).map(str::to_owned),
        checkpoint_owner: text(item, CHECKPOINT_OWNER).map(str::to_owned),
        counter: integer(item, COUNTER).ok_or_else(|| missing(COUNTER, "N"))?,
        checkpoint,
        switches: integer(item, SWITCHES).unwrap_or(0),
        parents: shards(item, PARENTS),
        children: shards(item, CHILDREN),
        hash_keys,
        bytes_per_second: rate(item),
        stream_created_millis: integer(item, STREAM_CREATED),
    })
}

/// What the shard brings, in bytes a second: for balancing only, so what cannot be read is as good as missing.
fn rate(item: &Item) -> Option<u64> {
    let kilobytes: f64 = item.get(THROUGHPUT)?.as_n().ok()?.parse().ok()?;
    let bytes = (kilobytes * BYTES_PER_KB).round();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be within the range")]
    (0.0..1e15).contains(&bytes).then_some(bytes as u64)
}

fn text<'a>(item: &'a Item, attribute: &str) -> Option<&'a str> {
    item.get(attribute)?.as_s().ok().map(String::as_str)
}

fn integer(item: &Item, attribute: &str) -> Option<u64> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
}

/// Sets come back in any order; ours are sorted, so that equal leases compare equal.
fn shards(item: &Item, attribute: &str) -> Vec<ShardId> {
    let names = item.get(attribute).and_then(|value| value.as_ss().ok());
    let mut shards: Vec<ShardId> = names.into_iter().flatten().map(|name| ShardId::from(name.as_str())).collect();
    shards.sort();
    shards
}

#[cfg(test)]
mod tests;
