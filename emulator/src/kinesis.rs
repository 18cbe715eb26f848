//! Kinesis Data Streams, JSON 1.1 and CBOR, with enhanced fan-out that pushes.
//!
//! Streams live as long as the process, or longer if they are told to. Records lie in files, with a small index in memory. All state
//! changes are synchronous and short; only an open subscription waits, and it does so inside the response body.
//!
//! Source of shapes, bounds and errors: <https://docs.aws.amazon.com/kinesis/latest/APIReference/Welcome.html>.

mod account;
mod arn;
mod cbor;
mod config;
mod encryption;
mod filter;
mod format;
mod frame;
mod hash;
mod log;
mod meter;
mod ops;
mod persist;
mod phases;
mod position;
mod rates;
mod registry;
mod render;
mod rolling;
mod scaling;
mod sequence;
mod shard;
#[cfg(feature = "stages")]
pub mod stages;
mod store;
mod stream;
mod subject;
mod subscription;
mod sync;
mod tail;
mod token;
mod topology;
mod truth;
mod validate;
mod wire;

use crate::api::{ACCOUNT, ApiError, Body};
use crate::bucket;
use crate::clock::Clock;
use bytes::Bytes;
pub(crate) use format::Format;
pub(crate) use frame::{CONTENT_TYPE as EVENT_STREAM, exception};
use http::Response;
pub(crate) use persist::{Broken, Damage};
use persist::{Changes, Keeper, Opened};
use rates::Calls;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;
use stream::Stream;
use sync::{lock, read, write};
pub(crate) use tail::{Child, Found, Tail};

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
    /// How long a stream or consumer is in a state that passes.
    state_delay_millis: u64,
    commitment: Mutex<account::Commitment>,
    changes: Arc<Changes>,
    /// Writes down what changes, if that is to outlive the process.
    keeper: Option<Keeper>,
    /// Whether AWS's limits on rates hold.
    limits: bool,
    calls: Calls,
    next_lane: AtomicUsize,
}

impl Kinesis {
    /// A service without streams. Payloads go to unnamed files in `dir`, or in the system's folder for temporary files.
    /// With `limits` it enforces AWS's limits on rates. `CREATING`, `UPDATING` and `DELETING` last `state_delay` of the
    /// clock each; without one nobody ever sees them.
    pub fn new(clock: Clock, dir: Option<PathBuf>, limits: bool, state_delay: Duration) -> Self {
        let inner = Inner {
            clock,
            store: store::Store::new(dir),
            streams: RwLock::default(),
            state_delay_millis: u64::try_from(state_delay.as_millis()).unwrap_or(u64::MAX),
            commitment: Mutex::default(),
            changes: Arc::default(),
            keeper: None,
            limits,
            calls: Calls::default(),
            next_lane: AtomicUsize::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A service whose streams and records lie in `dir`, with those that an earlier one left there. The rest is as in
    /// [`Kinesis::new`]. A `clock` that is behind what is found jumps ahead.
    ///
    /// # Errors
    /// [`Broken`] names a file that cannot be used.
    pub(crate) fn open(clock: Clock, dir: &Path, limits: bool, state_delay: Duration) -> Result<Self, Broken> {
        let broken = |damage: Damage| Broken { path: dir.to_owned(), damage };
        let Opened { keeper, changes, store, streams, commitment, latest_millis } = persist::open(dir)?;
        let behind = Duration::from_millis(latest_millis.saturating_sub(clock.now_millis()));
        clock.advance(behind).map_err(|error| broken(error.into()))?;
        let next_lane = streams.values().map(|stream| stream.with_topology(topology::Topology::next_lane)).max();
        let inner = Inner {
            clock,
            store,
            streams: RwLock::new(streams),
            state_delay_millis: u64::try_from(state_delay.as_millis()).unwrap_or(u64::MAX),
            commitment: Mutex::new(commitment),
            changes,
            keeper: Some(keeper),
            limits,
            calls: Calls::default(),
            next_lane: AtomicUsize::new(next_lane.unwrap_or_default()),
        };
        let kinesis = Self { inner: Arc::new(inner) };
        kinesis.sweep();
        let now = kinesis.now();
        read(&kinesis.inner.streams).values().for_each(|stream| stream.forget_expired(now));
        kinesis.save().map_err(|error| broken(error.into()))?;
        Ok(kinesis)
    }

    /// Writes down what changed, if that is to outlive the process.
    fn save(&self) -> io::Result<()> {
        let Some(keeper) = &self.inner.keeper else { return Ok(()) };
        keeper.save(self.now(), || {
            let streams = read(&self.inner.streams).values().cloned().collect();
            (streams, *lock(&self.inner.commitment))
        })
    }

    /// Answers one request. `operation` is what follows `Kinesis_20131202.` in the header `X-Amz-Target`, `body` is in
    /// `format`, and so is the answer.
    ///
    /// Errors are responses too. The body of SubscribeToShard's answer stays open for up to five minutes of the clock.
    pub(crate) async fn call(&self, operation: &str, format: Format, body: Bytes) -> Response<Body> {
        let answer = self.answer(operation, format, &body);
        // Whatever the answer builds on is to be there after the death of the process.
        let saved = self.save().map_err(|error| {
            ApiError::server(
                "InternalFailure",
                format!("what has changed cannot be written to the data folder: {error}"),
            )
        });
        saved.and(answer).unwrap_or_else(|error| format.refuse(error))
    }

    fn answer(&self, operation: &str, format: Format, body: &[u8]) -> Result<Response<Body>, ApiError> {
        let body = &*format.read(body)?;
        if self.inner.limits {
            self.count_call(operation, body)?;
        }
        let json = match operation {
            "SubscribeToShard" => return self.subscribe_to_shard(parse(body)?, format),
            "PutRecord" => self.put_record(parse(body)?)?,
            "PutRecords" => self.put_records(parse(body)?)?,
            "GetRecords" => self.get_records(&parse(body)?)?,
            "GetShardIterator" => to_json(&self.get_shard_iterator(&parse(body)?)?)?,
            "ListShards" => to_json(&self.list_shards(&parse(body)?)?)?,
            _ => match self.answer_about_streams(operation, body)? {
                Some(json) => json,
                None => match self.answer_about_settings(operation, body)? {
                    Some(json) => json,
                    None => self.answer_about_consumers_and_shards(operation, body)?,
                },
            },
        };
        format.respond(json)
    }

    fn answer_about_streams(&self, operation: &str, body: &[u8]) -> Result<Option<Vec<u8>>, ApiError> {
        let json = match operation {
            "CreateStream" => nothing(self.create_stream(parse(body)?)?),
            "DeleteStream" => nothing(self.delete_stream(&parse(body)?)?),
            "DescribeStream" => to_json(&self.describe_stream(&parse(body)?)?)?,
            "DescribeStreamSummary" => to_json(&self.describe_stream_summary(&parse(body)?)?)?,
            "ListStreams" => to_json(&self.list_streams(&parse(body)?)?)?,
            "DescribeLimits" => to_json(&self.describe_limits())?,
            _ => return Ok(None),
        };
        Ok(Some(json))
    }

    fn answer_about_settings(&self, operation: &str, body: &[u8]) -> Result<Option<Vec<u8>>, ApiError> {
        let json = match operation {
            "DescribeAccountSettings" => to_json(&self.describe_account_settings())?,
            "UpdateAccountSettings" => to_json(&self.update_account_settings(&parse(body)?)?)?,
            "UpdateStreamMode" => nothing(self.update_stream_mode(&parse(body)?)?),
            "UpdateStreamWarmThroughput" => to_json(&self.update_warm_throughput(&parse(body)?)?)?,
            "UpdateStreamRecordDistributionStrategy" => nothing(self.update_distribution(&parse(body)?)?),
            "StartStreamEncryption" => nothing(self.start_encryption(&parse(body)?)?),
            "StopStreamEncryption" => nothing(self.stop_encryption(&parse(body)?)?),
            "EnableEnhancedMonitoring" => to_json(&self.enable_monitoring(&parse(body)?)?)?,
            "DisableEnhancedMonitoring" => to_json(&self.disable_monitoring(&parse(body)?)?)?,
            "PutResourcePolicy" => nothing(self.put_policy(&parse(body)?)?),
            "GetResourcePolicy" => to_json(&self.get_policy(&parse(body)?)?)?,
            "DeleteResourcePolicy" => nothing(self.delete_policy(&parse(body)?)?),
            "IncreaseStreamRetentionPeriod" => nothing(self.increase_retention(&parse(body)?)?),
            "DecreaseStreamRetentionPeriod" => nothing(self.decrease_retention(&parse(body)?)?),
            "UpdateMaxRecordSize" => nothing(self.update_max_record_size(&parse(body)?)?),
            "AddTagsToStream" => nothing(self.add_tags(parse(body)?)?),
            "RemoveTagsFromStream" => nothing(self.remove_tags(&parse(body)?)?),
            "ListTagsForStream" => to_json(&self.list_tags(&parse(body)?)?)?,
            "TagResource" => nothing(self.tag_resource(parse(body)?)?),
            "UntagResource" => nothing(self.untag_resource(&parse(body)?)?),
            "ListTagsForResource" => to_json(&self.list_resource_tags(&parse(body)?)?)?,
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
        self.live(stream)
            .map(|stream| stream.shards(self.now()).iter().map(|shard| shard.id()).collect())
            .unwrap_or_default()
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
                validate::stream_arn("streamARN", arn)?;
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
        self.live(name).ok_or_else(|| validate::no_stream(name))
    }

    /// Finds the stream of a consumer by the consumer's ARN.
    fn stream_of_consumer(&self, arn: &str) -> Result<Arc<Stream>, ApiError> {
        validate::consumer_arn("consumerARN", arn)?;
        let name = arn::consumers_stream_name(arn);
        name.and_then(|name| self.live(name))
            .ok_or_else(|| validate::not_found(format!("Consumer {arn} under account {ACCOUNT} not found.")))
    }

    /// A stream that exists, in whatever state.
    fn live(&self, name: &str) -> Option<Arc<Stream>> {
        let found = read(&self.inner.streams).get(name).cloned()?;
        if !found.is_gone(self.now()) {
            return Some(found);
        }
        self.sweep();
        None
    }

    /// Forgets streams that exist no longer.
    fn sweep(&self) {
        let now = self.now();
        if read(&self.inner.streams).values().any(|stream| stream.is_gone(now)) {
            let mut streams = write(&self.inner.streams);
            self.inner.changes.note();
            streams.retain(|_, stream| !stream.is_gone(now));
        }
    }

    /// Changes an active stream, which counts as `UPDATING` for a while then.
    fn change<T>(
        &self,
        stream: &Stream,
        change: impl FnOnce(&mut config::Config) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        stream.change(self.now(), self.inner.state_delay_millis, change)
    }

    /// Counts something that a stream may do only so often a day, if limits hold.
    fn count_daily(&self, config: &mut config::Config, what: config::Daily) -> Result<(), ApiError> {
        if self.inner.limits { config.count(what, self.now()) } else { Ok(()) }
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
