//! Streams as a whole: create, describe, list, delete, and their settings.

use super::super::encryption::KMS;
use super::super::phases::Status;
use super::super::stream::{DEFAULT_RECORD_KIB, Plan, Stream};
use super::super::sync::{lock, read, write};
use super::super::topology::Topology;
use super::super::validate::{self, in_use, one_of, page, required, within};
use super::super::{Kinesis, token, wire};
use super::mode::{MODES, MOST_ON_DEMAND, ModeDetails, check_on_demand_limit, check_strategy, shards_for};
use super::settings::RECORD_KIB;
use super::{SHARD_LIMIT, StreamOnly, check_shard_limit};
use crate::api::{ACCOUNT, ApiError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Streams that may be in the state `CREATING` at a time.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_CreateStream.html>.
const MOST_CREATING: usize = 5;

const TOKEN: &str = "ListStreams";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct CreateStream {
    stream_name: Option<String>,
    shard_count: Option<i64>,
    stream_mode_details: Option<ModeDetails>,
    max_record_size_in_ki_b: Option<i64>,
    warm_throughput_mi_bps: Option<i64>,
    record_distribution_strategy: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
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
            one_of("streamModeDetails.streamMode", mode, &MODES)?;
        }
        let warm_mibps = self.check_warm(request.warm_throughput_mi_bps, on_demand)?;
        let strategy = request.record_distribution_strategy.as_deref();
        let spreads = strategy.map_or(Ok(false), |strategy| check_strategy(strategy, on_demand))?;
        let shards = match request.shard_count {
            Some(_) if on_demand => {
                return Err(validate::violation("shardCount", "", "Member must be null for a stream on demand"));
            }
            None if on_demand => shards_for(warm_mibps.unwrap_or_default()),
            count => within("shardCount", required("shardCount", count)?, 1..=u32::MAX)?,
        };
        let record_kib = request
            .max_record_size_in_ki_b
            .map_or(Ok(DEFAULT_RECORD_KIB), |kib| within("maxRecordSizeInKiB", kib, RECORD_KIB))?;
        super::tags::check(&request.tags)?;
        let plan = Plan {
            name,
            on_demand,
            spreads,
            warm_mibps,
            record_kib,
            tags: request.tags,
            created_millis: self.now(),
            delay_millis: self.inner.state_delay_millis,
        };
        self.add_stream(plan, shards)
    }

    fn add_stream(&self, plan: Plan, shards: u32) -> Result<(), ApiError> {
        self.sweep();
        check_shard_limit(self.open_shards(), shards)?;
        if plan.on_demand {
            check_on_demand_limit(self.on_demand_streams())?;
        }
        let (now, name) = (plan.created_millis, plan.name.clone());
        let mut streams = write(&self.inner.streams);
        if streams.contains_key(&name) {
            return Err(in_use(format!("Stream {name} under account {ACCOUNT} already exists.")));
        }
        if streams.values().filter(|stream| stream.status(now) == Status::Creating).count() >= MOST_CREATING {
            let message = format!(
                "The account {ACCOUNT} has {MOST_CREATING} streams in state CREATING, the most it may have. Wait until one is ACTIVE."
            );
            return Err(ApiError::client("LimitExceededException", message));
        }
        let topology = Topology::new(shards, self.take_lanes(shards), now);
        self.inner.changes.note();
        streams.insert(name, Arc::new(Stream::new(plan, topology, Arc::clone(&self.inner.changes))));
        Ok(())
    }

    pub(in crate::kinesis) fn delete_stream(&self, request: &DeleteStream) -> Result<(), ApiError> {
        let stream = self.stream(request.stream_name.as_deref(), request.stream_arn.as_deref())?;
        let now = self.now();
        let consumers = lock(&stream.registry).consumers(now).len();
        if consumers > 0 && request.enforce_consumer_deletion != Some(true) {
            return Err(in_use(format!(
                "Stream {} under account {ACCOUNT} has {consumers} registered consumers. Deregister them, or set EnforceConsumerDeletion.",
                stream.name
            )));
        }
        stream.delete(now, self.inner.state_delay_millis)?;
        self.sweep();
        Ok(())
    }

    pub(in crate::kinesis) fn describe_stream(&self, request: &DescribeStream) -> Result<Value, ApiError> {
        let stream = self.stream(request.stream_name.as_deref(), request.stream_arn.as_deref())?;
        let limit = page("limit", request.limit, 100)?;
        let after =
            request.exclusive_start_shard_id.as_deref().map(|id| super::shards::number(id, &stream)).transpose()?;
        let now = self.now();
        // A stream that is being created has no shards to show yet.
        let mut shards = if stream.status(now) == Status::Creating { Vec::new() } else { stream.shards(now) };
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
        let now = self.now();
        let mut description = describe(&stream, now);
        if let Some(fields) = description.as_object_mut() {
            let (on_demand, spreads, warm) =
                stream.config(|config| (config.on_demand, config.spreads, config.warm_mibps));
            let open = if stream.status(now) == Status::Creating { 0 } else { stream.open_shards() };
            fields.insert("OpenShardCount".to_owned(), json!(open));
            fields.insert("ConsumerCount".to_owned(), json!(lock(&stream.registry).consumers(now).len()));
            fields.insert("MaxRecordSizeInKiB".to_owned(), json!(stream.record_kib()));
            if on_demand {
                let strategy = if spreads { "AUTO" } else { "USER_PARTITION_KEY" };
                fields.insert("RecordDistributionStrategy".to_owned(), json!(strategy));
            }
            if on_demand && lock(&self.inner.commitment).holds(now) {
                let warm = json!({ "TargetMiBps": warm.unwrap_or(open), "CurrentMiBps": open });
                fields.insert("WarmThroughput".to_owned(), warm);
            }
        }
        Ok(json!({ "StreamDescriptionSummary": description }))
    }

    pub(in crate::kinesis) fn list_streams(&self, request: &ListStreams) -> Result<StreamPage, ApiError> {
        let (limit, now) = (page("limit", request.limit, 100)?, self.now());
        let start = request.exclusive_start_stream_name.as_deref();
        start.map_or(Ok(()), |name| validate::name("exclusiveStartStreamName", name))?;
        let after: Option<String> = match &request.next_token {
            Some(token) => Some(super::shards::open_token(TOKEN, token, now)?),
            None => request.exclusive_start_stream_name.clone(),
        };
        self.sweep();
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
        self.sweep();
        json!({
            "ShardLimit": SHARD_LIMIT,
            "OpenShardCount": self.open_shards(),
            "OnDemandStreamCount": self.on_demand_streams(),
            "OnDemandStreamCountLimit": MOST_ON_DEMAND,
        })
    }

    pub(super) fn open_shards(&self) -> u32 {
        read(&self.inner.streams).values().map(|stream| stream.open_shards()).sum()
    }
}

fn mode(stream: &Stream) -> Value {
    json!({ "StreamMode": if stream.config(|config| config.on_demand) { "ON_DEMAND" } else { "PROVISIONED" } })
}

fn summary(stream: &Stream, now_millis: u64) -> StreamSummary {
    StreamSummary {
        stream_name: stream.name.clone(),
        stream_arn: stream.arn(),
        stream_status: stream.status(now_millis).word(),
        stream_mode_details: mode(stream),
        stream_creation_timestamp: wire::seconds(stream.created_millis),
    }
}

/// What both descriptions of a stream share.
fn describe(stream: &Stream, now_millis: u64) -> Value {
    let (key, metrics) = stream.config(|config| (config.encryption.key().map(str::to_owned), config.metrics.clone()));
    let mut description = json!({
        "StreamName": stream.name,
        "StreamARN": stream.arn(),
        "StreamStatus": stream.status(now_millis).word(),
        "StreamModeDetails": mode(stream),
        "StreamCreationTimestamp": wire::seconds(stream.created_millis),
        "RetentionPeriodHours": stream.retention_hours(),
        "EnhancedMonitoring": [{ "ShardLevelMetrics": metrics }],
        "EncryptionType": if key.is_some() { KMS } else { "NONE" },
    });
    if let Some(key) = key {
        description["KeyId"] = key.into();
    }
    description
}
