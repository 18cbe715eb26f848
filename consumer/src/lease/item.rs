//! A lease as a DynamoDB item, with the attributes of the Kinesis Client Library.
//!
//! Source: `DynamoDBLeaseSerializer` of the Kinesis Client Library 3.5.

use super::Lease;
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
const ENTITY: &str = "entityType";

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

/// The whole item, for a row that does not exist yet. Empty sets are left out: DynamoDB refuses them.
pub(super) fn to_item(lease: &Lease) -> Item {
    let (checkpoint, sub_sequence) = lease.checkpoint.to_attributes();
    let mut item = HashMap::from([
        (KEY.to_owned(), string(lease.shard.as_str())),
        (COUNTER.to_owned(), number(lease.counter)),
        (SWITCHES.to_owned(), number(lease.switches)),
        (CHECKPOINT.to_owned(), string(checkpoint)),
        (CHECKPOINT_SUB.to_owned(), number(sub_sequence)),
    ]);
    if let Some(owner) = &lease.owner {
        item.insert(OWNER.to_owned(), string(owner));
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

/// Reads a row; `None` for rows of other kinds, which newer client libraries keep in the same table.
pub(super) fn from_item(item: &Item) -> Result<Option<Lease>, GarbledLease> {
    if text(item, ENTITY).is_some_and(|kind| kind != "LEASE") {
        return Ok(None);
    }
    let key = text(item, KEY).unwrap_or_default().to_owned();
    let missing = |attribute, wanted| GarbledLease::Attribute { key: key.clone(), attribute, wanted };
    let checkpoint = text(item, CHECKPOINT).ok_or_else(|| missing(CHECKPOINT, "S"))?;
    let sub_sequence = integer(item, CHECKPOINT_SUB).unwrap_or(0);
    let checkpoint = Checkpoint::from_attributes(checkpoint, sub_sequence)
        .map_err(|source| GarbledLease::Checkpoint { key: key.clone(), source })?;
    let hash_keys = match (text(item, HASH_START), text(item, HASH_END)) {
        (Some(start), Some(end)) => Some(
            HashKeyRange::parse(start, end).map_err(|source| GarbledLease::HashKeys { key: key.clone(), source })?,
        ),
        _ => None,
    };
    Ok(Some(Lease {
        shard: text(item, KEY).ok_or_else(|| missing(KEY, "S"))?.into(),
        owner: text(item, OWNER).map(str::to_owned),
        counter: integer(item, COUNTER).ok_or_else(|| missing(COUNTER, "N"))?,
        checkpoint,
        switches: integer(item, SWITCHES).unwrap_or(0),
        parents: shards(item, PARENTS),
        children: shards(item, CHILDREN),
        hash_keys,
    }))
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
mod tests {
    use super::*;

    fn lease() -> Lease {
        Lease {
            shard: "shardId-000000000002".into(),
            owner: Some("worker-1".into()),
            counter: 41,
            checkpoint: Checkpoint::from_attributes("49590338271490256608559692538361571095921575989136588898", 2)
                .unwrap(),
            switches: 1,
            parents: vec!["shardId-000000000000".into(), "shardId-000000000001".into()],
            children: vec![],
            hash_keys: Some(HashKeyRange { start: 0, end: u128::MAX }),
        }
    }

    #[test]
    fn a_lease_survives_the_table() {
        assert_eq!(from_item(&to_item(&lease())).unwrap(), Some(lease()));
        let free = Lease { owner: None, parents: vec![], hash_keys: None, ..lease() };
        assert_eq!(from_item(&to_item(&free)).unwrap(), Some(free));
    }

    #[test]
    fn rows_of_other_kinds_are_skipped() {
        let mut item = to_item(&lease());
        item.insert(ENTITY.into(), string("WORKER_METRIC_STATS"));
        assert_eq!(from_item(&item).unwrap(), None);
        item.insert(ENTITY.into(), string("LEASE"));
        assert_eq!(from_item(&item).unwrap(), Some(lease()));
    }

    #[test]
    fn a_garbled_row_is_an_error_that_names_row_and_attribute() {
        let mut item = to_item(&lease());
        item.insert(CHECKPOINT.into(), string("half"));
        let error = from_item(&item).unwrap_err();
        assert!(error.to_string().contains("shardId-000000000002"), "{error}");
        item.remove(CHECKPOINT);
        assert!(from_item(&item).unwrap_err().to_string().contains("checkpoint"));
        let mut item = to_item(&lease());
        item.insert(COUNTER.into(), string("41"));
        assert!(from_item(&item).unwrap_err().to_string().contains("leaseCounter"));
    }
}
