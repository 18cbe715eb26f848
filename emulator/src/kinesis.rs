//! Kinesis Data Streams, JSON 1.1, with enhanced fan-out that pushes.
//!
//! Streams live as long as the process. Records lie in unnamed files, with a small index in memory. All state changes are synchronous and short;
//! only an open subscription waits, and it does so inside the response body.
//!
//! Source of shapes, bounds and errors: <https://docs.aws.amazon.com/kinesis/latest/APIReference/Welcome.html>.

mod arn;
mod bucket;
mod filter;
mod frame;
mod hash;
mod log;
mod meter;
mod ops;
mod position;
mod rates;
mod registry;
mod render;
mod scaling;
mod sequence;
mod shard;
#[cfg(feature = "stages")]
pub mod stages;
mod store;
mod stream;
mod subscription;
mod sync;
mod token;
mod topology;
mod validate;
mod wire;

use crate::api::{ApiError, Body, json_bytes};
use crate::clock::Clock;
use bytes::Bytes;
use http::Response;
use rates::Calls;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;
use stream::Stream;
use sync::{lock, read};

/// The Kinesis service of one region and account. Copies share their state.
#[derive(Debug, Clone)]
pub struct Kinesis {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Clock,
    store: store::Store,
    streams: RwLock<BTreeMap<String, Arc<Stream>>>,
    delays: Delays,
    /// Whether AWS's limits on rates hold.
    limits: bool,
    calls: Calls,
    next_lane: AtomicUsize,
}

/// How long things stay in the state `CREATING`, in emulated time.
#[derive(Debug, Clone, Copy, Default)]
struct Delays {
    stream: Duration,
    consumer: Duration,
}

impl Kinesis {
    /// A service without streams. Payloads go to unnamed files in `dir`, or in the system's folder for temporary files.
    /// With `limits` it enforces AWS's limits on rates.
    pub fn new(clock: Clock, dir: Option<PathBuf>, limits: bool) -> Self {
        Self::with_delays(clock, dir, limits, Delays::default())
    }

    fn with_delays(clock: Clock, dir: Option<PathBuf>, limits: bool, delays: Delays) -> Self {
        let (store, streams, next_lane) = (store::Store::new(dir), RwLock::default(), AtomicUsize::new(0));
        let calls = Calls::default();
        Self { inner: Arc::new(Inner { clock, store, streams, delays, limits, calls, next_lane }) }
    }

    /// Answers one request. `operation` is what follows `Kinesis_20131202.` in the header `X-Amz-Target`, `body` is JSON.
    ///
    /// Errors are responses too. The body of SubscribeToShard's answer stays open for up to five minutes of the clock.
    pub async fn call(&self, operation: &str, body: Bytes) -> Response<Body> {
        self.answer(operation, &body).unwrap_or_else(ApiError::into_response)
    }

    fn answer(&self, operation: &str, body: &[u8]) -> Result<Response<Body>, ApiError> {
        if self.inner.limits {
            self.count_call(operation, body)?;
        }
        let json = match operation {
            "SubscribeToShard" => return self.subscribe_to_shard(parse(body)?),
            "PutRecord" => self.put_record(parse(body)?)?,
            "PutRecords" => self.put_records(parse(body)?)?,
            "GetRecords" => self.get_records(&parse(body)?)?,
            "GetShardIterator" => to_json(&self.get_shard_iterator(&parse(body)?)?)?,
            "ListShards" => to_json(&self.list_shards(&parse(body)?)?)?,
            _ => match self.answer_about_streams(operation, body)? {
                Some(json) => json,
                None => self.answer_about_consumers_and_shards(operation, body)?,
            },
        };
        Ok(json_bytes(json))
    }

    fn answer_about_streams(&self, operation: &str, body: &[u8]) -> Result<Option<Vec<u8>>, ApiError> {
        let json = match operation {
            "CreateStream" => nothing(self.create_stream(parse(body)?)?),
            "DeleteStream" => nothing(self.delete_stream(&parse(body)?)?),
            "DescribeStream" => to_json(&self.describe_stream(&parse(body)?)?)?,
            "DescribeStreamSummary" => to_json(&self.describe_stream_summary(&parse(body)?)?)?,
            "ListStreams" => to_json(&self.list_streams(&parse(body)?)?)?,
            "DescribeLimits" => to_json(&self.describe_limits())?,
            "IncreaseStreamRetentionPeriod" => nothing(self.increase_retention(&parse(body)?)?),
            "DecreaseStreamRetentionPeriod" => nothing(self.decrease_retention(&parse(body)?)?),
            "UpdateMaxRecordSize" => nothing(self.update_max_record_size(&parse(body)?)?),
            "AddTagsToStream" => nothing(self.add_tags(parse(body)?)?),
            "RemoveTagsFromStream" => nothing(self.remove_tags(&parse(body)?)?),
            "ListTagsForStream" => to_json(&self.list_tags(&parse(body)?)?)?,
            _ => return Ok(None),
        };
        Ok(Some(json))
    }

    fn answer_about_consumers_and_shards(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        match operation {
            "RegisterStreamConsumer" => to_json(&self.register_consumer(&parse(body)?)?),
            "DescribeStreamConsumer" => to_json(&self.describe_consumer(&parse(body)?)?),
            "ListStreamConsumers" => to_json(&self.list_consumers(&parse(body)?)?),
            "DeregisterStreamConsumer" => Ok(nothing(self.deregister_consumer(&parse(body)?)?)),
            "SplitShard" => Ok(nothing(self.split_shard(&parse(body)?)?)),
            "MergeShards" => Ok(nothing(self.merge_shards(&parse(body)?)?)),
            "UpdateShardCount" => to_json(&self.update_shard_count(&parse(body)?)?),
            _ => Err(ApiError::client(
                "UnknownOperationException",
                format!("Kinesis has no operation {operation}, or this emulator does not serve it."),
            )),
        }
    }

    /// The ids of all shards of `stream` that are not expired, in order; none if there is no such stream.
    pub fn shard_ids(&self, stream: &str) -> Vec<String> {
        let found = read(&self.inner.streams).get(stream).cloned();
        found.map(|stream| stream.shards(self.now()).iter().map(|shard| shard.id()).collect()).unwrap_or_default()
    }

    /// Ends every open subscription as if its five minutes were over.
    pub fn expire_subscriptions(&self) {
        for stream in read(&self.inner.streams).values() {
            lock(&stream.registry).expire();
        }
    }

    fn now(&self) -> u64 {
        self.inner.clock.now_millis()
    }

    /// Finds a stream by name, by ARN, or by both if they agree.
    fn stream(&self, name: Option<&str>, arn: Option<&str>) -> Result<Arc<Stream>, ApiError> {
        let name = match (name, arn) {
            (None, None) => return Err(validate::invalid_argument("Give StreamName or StreamARN.")),
            (Some(name), None) => {
                validate::name("streamName", name)?;
                name
            }
            (given, Some(arn)) => {
                let named =
                    arn::stream_name(arn).ok_or_else(|| validate::not_found(format!("Stream {arn} not found.")))?;
                if given.is_some_and(|given| given != named) {
                    return Err(validate::invalid_argument(format!(
                        "StreamName and StreamARN name different streams: {arn}."
                    )));
                }
                named
            }
        };
        read(&self.inner.streams).get(name).cloned().ok_or_else(|| validate::no_stream(name))
    }

    /// Takes `count` lanes of the store, one behind the other.
    fn take_lanes(&self, count: u32) -> usize {
        self.inner.next_lane.fetch_add(count as usize, Ordering::Relaxed)
    }
}

/// Reads a request. No body at all is an empty one.
fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| {
        ApiError::client("SerializationException", format!("the request is no valid JSON of this operation: {error}"))
    })
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(value).map_err(|error| ApiError::server("InternalFailure", error.to_string()))
}

/// The body of an operation without a result.
fn nothing((): ()) -> Vec<u8> {
    Vec::new()
}

#[cfg(test)]
mod tests;
