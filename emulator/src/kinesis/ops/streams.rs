//! Streams as a whole: create, describe, list, delete, and their settings.

use super::super::stream::{DEFAULT_RECORD_KIB, Plan, Stream};
use super::super::sync::{lock, read, write};
use super::super::topology::Topology;
use super::super::validate::{self, in_use, invalid_argument, no_stream, one_of, page, required, within};
use super::super::{Kinesis, token, wire};
use super::{SHARD_LIMIT, StreamOnly, check_shard_limit};
use crate::api::{ACCOUNT, ApiError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Shards of a new stream on demand.
///
/// Source: <https://docs.aws.amazon.com/streams/latest/dev/how-do-i-size-a-stream.html>.
const ON_DEMAND_SHARDS: u32 = 4;

/// Hours that a stream may keep its records: a day to a year.
const RETENTION_HOURS: std::ops::RangeInclusive<u32> = 24..=8_760;

/// KiB that a stream may allow its records.
const RECORD_KIB: std::ops::RangeInclusive<u32> = 1_024..=10_240;

const TOKEN: &str = "ListStreams";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct CreateStream {
    stream_name: Option<String>,
    shard_count: Option<i64>,
    stream_mode_details: Option<ModeDetails>,
    max_record_size_in_ki_b: Option<i64>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ModeDetails {
    stream_mode: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct DescribeStream {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    limit: Option<i64>,
    exclusive_start_shard_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct DeleteStream {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    enforce_consumer_deletion: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct ListStreams {
    limit: Option<i64>,
    exclusive_start_stream_name: Option<String>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct ChangeRetention {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    retention_period_hours: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct UpdateMaxRecordSize {
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    max_record_size_in_ki_b: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct StreamSummary {
    stream_name: String,
    #[serde(rename = "StreamARN")]
    stream_arn: String,
    stream_status: &'static str,
    stream_mode_details: Value,
    stream_creation_timestamp: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct StreamPage {
    stream_names: Vec<String>,
    stream_summaries: Vec<StreamSummary>,
    has_more_streams: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

impl Kinesis {
    pub(in crate::kinesis) fn create_stream(&self, request: CreateStream) -> Result<(), ApiError> {
        let name = required("streamName", request.stream_name)?;
        validate::name("streamName", &name)?;
        let mode = request.stream_mode_details.and_then(|details| details.stream_mode);
        let on_demand = mode.as_deref() == Some("ON_DEMAND");
        if let Some(mode) = &mode {
            one_of("streamModeDetails.streamMode", mode, &["PROVISIONED", "ON_DEMAND"])?;
        }
        let shards = match request.shard_count {
            Some(_) if on_demand => {
                return Err(validate::violation("shardCount", "", "Member must be null for a stream on demand"));
            }
            None if on_demand => ON_DEMAND_SHARDS,
            count => within("shardCount", required("shardCount", count)?, 1..=100_000)?,
        };
        let record_kib = request
            .max_record_size_in_ki_b
            .map_or(Ok(DEFAULT_RECORD_KIB), |kib| within("maxRecordSizeInKiB", kib, RECORD_KIB))?;
        super::tags::check(&request.tags)?;
        check_shard_limit(self.open_shards(), shards)?;
        let now = self.now();
        let delay = u64::try_from(self.inner.delays.stream.as_millis()).unwrap_or(u64::MAX);
        let plan = Plan {
            name: name.clone(),
            on_demand,
            record_kib,
            tags: request.tags,
            created_millis: now,
            active_millis: now.saturating_add(delay),
        };
        let mut streams = write(&self.inner.streams);
        if streams.contains_key(&name) {
            return Err(in_use(format!("Stream {name} under account {ACCOUNT} already exists.")));
        }
        let topology = Topology::new(shards, self.take_lanes(shards), now);
        streams.insert(name, Arc::new(Stream::new(plan, topology)));
        Ok(())
    }

    pub(in crate::kinesis) fn delete_stream(&self, request: &DeleteStream) -> Result<(), ApiError> {
        let stream = self.stream(request.stream_name.as_deref(), request.stream_arn.as_deref())?;
        let consumers = lock(&stream.registry).consumers().len();
        if consumers > 0 && request.enforce_consumer_deletion != Some(true) {
            return Err(in_use(format!(
                "Stream {} under account {ACCOUNT} has {consumers} registered consumers. Deregister them, or set EnforceConsumerDeletion.",
                stream.name
            )));
        }
        write(&self.inner.streams).remove(&stream.name).ok_or_else(|| no_stream(&stream.name))?;
        stream.close();
        Ok(())
    }

    pub(in crate::kinesis) fn describe_stream(&self, request: &DescribeStream) -> Result<Value, ApiError> {
        let stream = self.stream(request.stream_name.as_deref(), request.stream_arn.as_deref())?;
        let limit = page("limit", request.limit, 100)?;
        let after =
            request.exclusive_start_shard_id.as_deref().map(|id| super::shards::number(id, &stream)).transpose()?;
        let now = self.now();
        let mut shards = stream.shards(now);
        shards.retain(|shard| after.is_none_or(|after| shard.number() > after));
        let has_more = shards.len() > limit;
        shards.truncate(limit);
        let shards: Vec<wire::Shard> = shards.iter().map(|shard| shard.describe()).collect();
        let mut description = describe(&stream, now);
        if let Some(fields) = description.as_object_mut() {
            fields.insert("Shards".to_owned(), json!(shards));
            fields.insert("HasMoreShards".to_owned(), json!(has_more));
        }
        Ok(json!({ "StreamDescription": description }))
    }

    pub(in crate::kinesis) fn describe_stream_summary(&self, request: &StreamOnly) -> Result<Value, ApiError> {
        let stream = self.stream(request.stream_name.as_deref(), request.stream_arn.as_deref())?;
        let mut description = describe(&stream, self.now());
        if let Some(fields) = description.as_object_mut() {
            fields.insert("OpenShardCount".to_owned(), json!(stream.open_shards()));
            fields.insert("ConsumerCount".to_owned(), json!(lock(&stream.registry).consumers().len()));
            fields.insert("MaxRecordSizeInKiB".to_owned(), json!(stream.record_kib()));
        }
        Ok(json!({ "StreamDescriptionSummary": description }))
    }

    pub(in crate::kinesis) fn list_streams(&self, request: &ListStreams) -> Result<StreamPage, ApiError> {
        let (limit, now) = (page("limit", request.limit, 100)?, self.now());
        let after: Option<String> = match &request.next_token {
            Some(token) => Some(super::shards::open_token(TOKEN, token, now)?),
            None => request.exclusive_start_stream_name.clone(),
        };
        let streams = read(&self.inner.streams);
        let rest: Vec<_> =
            streams.values().filter(|stream| after.as_ref().is_none_or(|after| stream.name > *after)).collect();
        let page: Vec<_> = rest.iter().take(limit).map(|stream| summary(stream, now)).collect();
        let stream_names: Vec<_> = page.iter().map(|stream| stream.stream_name.clone()).collect();
        let has_more_streams = rest.len() > limit;
        let next_token = stream_names.last().filter(|_| has_more_streams).map(|last| token::seal(TOKEN, last, now));
        Ok(StreamPage { stream_names, stream_summaries: page, has_more_streams, next_token })
    }

    pub(in crate::kinesis) fn describe_limits(&self) -> Value {
        let on_demand = read(&self.inner.streams).values().filter(|stream| stream.on_demand).count();
        json!({
            "ShardLimit": SHARD_LIMIT,
            "OpenShardCount": self.open_shards(),
            "OnDemandStreamCount": on_demand,
            "OnDemandStreamCountLimit": 50,
        })
    }

    pub(in crate::kinesis) fn increase_retention(&self, request: &ChangeRetention) -> Result<(), ApiError> {
        let (stream, hours) = self.check_retention(request)?;
        if hours < stream.retention_hours() {
            return Err(retention_refused(&stream, hours, "shorter"));
        }
        stream.set_retention_hours(hours);
        Ok(())
    }

    pub(in crate::kinesis) fn decrease_retention(&self, request: &ChangeRetention) -> Result<(), ApiError> {
        let (stream, hours) = self.check_retention(request)?;
        if hours > stream.retention_hours() {
            return Err(retention_refused(&stream, hours, "longer"));
        }
        stream.set_retention_hours(hours);
        Ok(())
    }

    fn check_retention(&self, request: &ChangeRetention) -> Result<(Arc<Stream>, u32), ApiError> {
        let asked = required("retentionPeriodHours", request.retention_period_hours)?;
        let stream = self.stream(request.stream_name.as_deref(), request.stream_arn.as_deref())?;
        stream.check_active(self.now())?;
        let hours = u32::try_from(asked).ok().filter(|hours| RETENTION_HOURS.contains(hours));
        let hours = hours.ok_or_else(|| {
            let (least, most) = RETENTION_HOURS.into_inner();
            invalid_argument(format!("Retention period must be from {least} to {most} hours, not {asked}."))
        })?;
        Ok((stream, hours))
    }

    pub(in crate::kinesis) fn update_max_record_size(&self, request: &UpdateMaxRecordSize) -> Result<(), ApiError> {
        let kib =
            within("maxRecordSizeInKiB", required("maxRecordSizeInKiB", request.max_record_size_in_ki_b)?, RECORD_KIB)?;
        let stream = self.stream(None, request.stream_arn.as_deref())?;
        stream.check_active(self.now())?;
        stream.set_record_kib(kib);
        Ok(())
    }

    pub(super) fn open_shards(&self) -> u32 {
        read(&self.inner.streams).values().map(|stream| stream.open_shards()).sum()
    }
}

fn retention_refused(stream: &Stream, hours: u32, than: &str) -> ApiError {
    invalid_argument(format!(
        "Requested retention period ({hours} hours) for stream {} can not be {than} than existing retention period ({} hours).",
        stream.name,
        stream.retention_hours()
    ))
}

fn mode(stream: &Stream) -> Value {
    json!({ "StreamMode": if stream.on_demand { "ON_DEMAND" } else { "PROVISIONED" } })
}

fn summary(stream: &Stream, now_millis: u64) -> StreamSummary {
    StreamSummary {
        stream_name: stream.name.clone(),
        stream_arn: stream.arn(),
        stream_status: stream.status(now_millis),
        stream_mode_details: mode(stream),
        stream_creation_timestamp: wire::seconds(stream.created_millis),
    }
}

/// What both descriptions of a stream share.
fn describe(stream: &Stream, now_millis: u64) -> Value {
    json!({
        "StreamName": stream.name,
        "StreamARN": stream.arn(),
        "StreamStatus": stream.status(now_millis),
        "StreamModeDetails": mode(stream),
        "StreamCreationTimestamp": wire::seconds(stream.created_millis),
        "RetentionPeriodHours": stream.retention_hours(),
        "EnhancedMonitoring": [{ "ShardLevelMetrics": [] }],
        "EncryptionType": "NONE",
    })
}
