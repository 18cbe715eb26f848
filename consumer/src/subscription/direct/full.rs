//! Any event in JSON, slowly: what the scan leaves.

use crate::subscription::{Cause, Event, sdk};
use alluvial_runtime::exit::chain;
use aws_sdk_kinesis::primitives::{Blob, DateTime};
use aws_sdk_kinesis::types::{ChildShard, HashKeyRange, Record, SubscribeToShardEvent};
use serde_json::{Map, Value};

/// Reads an event as the SDK would have it.
pub(super) fn read(payload: &[u8]) -> Result<Event, Cause> {
    let failed = |text: String| Cause::Failed(format!("an event cannot be read: {text}"));
    let value: Value = serde_json::from_slice(payload).map_err(|error| failed(chain(&error)))?;
    let fields = value.as_object().ok_or_else(|| failed("it is no object".into()))?;
    sdk::read_event(event(fields).map_err(|field| failed(format!("{field} is of another type")))?)
}

/// What an exception says.
pub(super) fn message(payload: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(payload).ok()?;
    let text = value.get("message").or_else(|| value.get("Message"))?;
    text.as_str().map(str::to_owned)
}

type Wrong = &'static str;

fn event(fields: &Map<String, Value>) -> Result<SubscribeToShardEvent, Wrong> {
    let records = list(fields, "Records", record)?;
    let children = list(fields, "ChildShards", child)?;
    SubscribeToShardEvent::builder()
        .set_records(Some(records))
        .continuation_sequence_number(text(fields, "ContinuationSequenceNumber")?.unwrap_or_default())
        .millis_behind_latest(integer(fields, "MillisBehindLatest")?)
        .set_child_shards(Some(children))
        .build()
        .map_err(|_| "SubscribeToShardEvent")
}

fn record(fields: &Map<String, Value>) -> Result<Record, Wrong> {
    let data = text(fields, "Data")?.unwrap_or_default();
    let data = aws_smithy_types::base64::decode(data).map_err(|_| "Data")?;
    let time = match given(fields, "ApproximateArrivalTimestamp") {
        None => None,
        Some(value) => Some(DateTime::from_secs_f64(value.as_f64().ok_or("ApproximateArrivalTimestamp")?)),
    };
    Record::builder()
        .data(Blob::new(data))
        .sequence_number(text(fields, "SequenceNumber")?.unwrap_or_default())
        .set_partition_key(text(fields, "PartitionKey")?.map(str::to_owned))
        .set_approximate_arrival_timestamp(time)
        .build()
        .map_err(|_| "Record")
}

fn child(fields: &Map<String, Value>) -> Result<ChildShard, Wrong> {
    let keys = match given(fields, "HashKeyRange") {
        None => None,
        Some(value) => {
            let fields = value.as_object().ok_or("HashKeyRange")?;
            let bound = |name| Ok::<_, Wrong>(text(fields, name)?.unwrap_or_default());
            let range = HashKeyRange::builder()
                .starting_hash_key(bound("StartingHashKey")?)
                .ending_hash_key(bound("EndingHashKey")?);
            Some(range.build().map_err(|_| "HashKeyRange")?)
        }
    };
    let parents = match given(fields, "ParentShards") {
        None => Vec::new(),
        Some(value) => {
            let names = value.as_array().ok_or("ParentShards")?.iter();
            names.map(|name| name.as_str().map(str::to_owned).ok_or("ParentShards")).collect::<Result<_, _>>()?
        }
    };
    ChildShard::builder()
        .shard_id(text(fields, "ShardId")?.unwrap_or_default())
        .set_parent_shards(Some(parents))
        .set_hash_key_range(keys)
        .build()
        .map_err(|_| "ChildShard")
}

/// A field that is there and not null.
fn given<'a>(fields: &'a Map<String, Value>, name: Wrong) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

fn text<'a>(fields: &'a Map<String, Value>, name: Wrong) -> Result<Option<&'a str>, Wrong> {
    given(fields, name).map(|value| value.as_str().ok_or(name)).transpose()
}

fn integer(fields: &Map<String, Value>, name: Wrong) -> Result<i64, Wrong> {
    given(fields, name).map_or(Ok(0), |value| value.as_i64().ok_or(name))
}

fn list<T>(
    fields: &Map<String, Value>,
    name: Wrong,
    read: impl Fn(&Map<String, Value>) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    let Some(value) = given(fields, name) else { return Ok(Vec::new()) };
    value.as_array().ok_or(name)?.iter().map(|item| read(item.as_object().ok_or(name)?)).collect()
}
