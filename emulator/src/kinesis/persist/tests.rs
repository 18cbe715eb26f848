//! Services that are dropped without a word and opened again.

mod damage;
mod model;
mod seen;

use super::super::{Broken, Format, Kinesis, arn};
use crate::clock::Clock;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// A service on a folder that outlives it.
struct World {
    dir: TempDir,
    kinesis: Kinesis,
}

/// A clock that stands still until it is told to go on.
fn clock() -> Clock {
    Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000), 0.0).unwrap()
}

fn open(dir: &Path) -> Result<Kinesis, Broken> {
    Kinesis::open(clock(), &dir.join("kinesis"), false, Duration::ZERO)
}

async fn send(kinesis: &Kinesis, operation: &str, request: Value) -> (StatusCode, Value) {
    let response = kinesis.call(operation, Format::Json, request.to_string().into()).await;
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() })
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { kinesis: open(dir.path()).unwrap(), dir }
    }

    /// Drops the service as a kill does, and opens another one, whose clock begins where the first one's did.
    fn reopen(self) -> Self {
        drop(self.kinesis);
        Self { kinesis: open(self.dir.path()).unwrap(), dir: self.dir }
    }

    async fn ok(&self, operation: &str, request: Value) -> Value {
        let (status, body) = send(&self.kinesis, operation, request.clone()).await;
        assert_eq!(status, StatusCode::OK, "{operation} {request}: {body}");
        body
    }

    fn advance(&self, time: Duration) {
        self.kinesis.inner.clock.advance(time).unwrap();
    }

    async fn put(&self, stream: &str, key: &str, data: &[u8]) -> Value {
        let request = json!({ "StreamName": stream, "PartitionKey": key, "Data": STANDARD.encode(data) });
        self.ok("PutRecord", request).await
    }

    /// The records of a shard, from the oldest on.
    async fn records(&self, stream: &str, shard: &str) -> Vec<Value> {
        let request = json!({ "StreamName": stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
        let mut iterator = self.ok("GetShardIterator", request).await["ShardIterator"].clone();
        let mut records = Vec::new();
        while iterator.is_string() {
            let mut answer = self.ok("GetRecords", json!({ "ShardIterator": iterator })).await;
            let more = answer["Records"].as_array_mut().unwrap();
            if more.is_empty() && answer["MillisBehindLatest"] == 0 {
                break;
            }
            records.append(answer["Records"].as_array_mut().unwrap());
            iterator = answer["NextShardIterator"].take();
        }
        records
    }

    /// All that can be read about everything.
    async fn everything(&self) -> Value {
        let mut all = json!({ "Account": self.ok("DescribeAccountSettings", json!({})).await });
        let streams = self.ok("ListStreams", json!({})).await;
        for name in streams["StreamNames"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()) {
            let (by_name, by_arn) = (json!({ "StreamName": name }), json!({ "StreamARN": arn::stream(name) }));
            let shards = self.ok("ListShards", by_name.clone()).await;
            let mut records = json!({});
            for shard in shards["Shards"].as_array().unwrap().iter().map(|shard| shard["ShardId"].as_str().unwrap()) {
                records[shard] = self.records(name, shard).await.into();
            }
            let consumers = self.ok("ListStreamConsumers", by_arn).await;
            let mut resources = vec![arn::stream(name)];
            resources.extend(
                consumers["Consumers"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|one| one["ConsumerARN"].as_str().unwrap().into()),
            );
            let (mut tags, mut policies) = (json!({}), json!({}));
            for resource in resources {
                let request = json!({ "ResourceARN": resource });
                tags[&resource] = self.ok("ListTagsForResource", request.clone()).await;
                policies[&resource] = self.ok("GetResourcePolicy", request).await;
            }
            all[name] = json!({
                "Description": self.ok("DescribeStream", by_name.clone()).await,
                "Summary": self.ok("DescribeStreamSummary", by_name).await,
                "Shards": shards, "Records": records, "Consumers": consumers, "Tags": tags, "Policies": policies,
            });
        }
        all["Streams"] = streams;
        all
    }

    /// The files whose names begin so.
    fn files(&self, kind: &str) -> Vec<PathBuf> {
        files(self.dir.path(), kind)
    }
}

fn files(dir: &Path, kind: &str) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(dir.join("kinesis")).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(kind)).collect()
}

fn create(name: &str, shards: u32) -> Value {
    json!({ "StreamName": name, "ShardCount": shards, "Tags": { "team": "lake" } })
}

#[tokio::test]
async fn every_setting_is_there_again() {
    let world = World::new();
    world.ok("UpdateAccountSettings", json!({ "MinimumThroughputBillingCommitment": { "Status": "ENABLED" } })).await;
    world.ok("CreateStream", create("orders", 2)).await;
    let on_demand = json!({ "StreamMode": "ON_DEMAND" });
    let request = json!({
        "StreamName": "clicks", "StreamModeDetails": on_demand, "MaxRecordSizeInKiB": 2048,
        "WarmThroughputMiBps": 6, "RecordDistributionStrategy": "AUTO",
    });
    world.ok("CreateStream", request).await;
    let orders = || json!({ "StreamName": "orders" });
    let with = |more: Value| {
        let mut request = orders();
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    world.put("orders", "a", b"before encryption").await;
    world.advance(Duration::from_secs(1));
    world.ok("IncreaseStreamRetentionPeriod", with(json!({ "RetentionPeriodHours": 48 }))).await;
    world.ok("EnableEnhancedMonitoring", with(json!({ "ShardLevelMetrics": ["IncomingBytes"] }))).await;
    world.ok("StartStreamEncryption", with(json!({ "EncryptionType": "KMS", "KeyId": "alias/a" }))).await;
    world.put("orders", "a", b"after").await;
    let stream = arn::stream("orders");
    let policy = |arn: &str| json!({ "ResourceARN": arn, "Policy": "{\"Version\":\"2012-10-17\"}" });
    world.ok("PutResourcePolicy", policy(&stream)).await;
    let request = json!({ "StreamARN": stream, "ConsumerName": "app", "Tags": { "a": "b" } });
    let consumer = world.ok("RegisterStreamConsumer", request).await["Consumer"]["ConsumerARN"].clone();
    world.ok("PutResourcePolicy", policy(consumer.as_str().unwrap())).await;
    let other = json!({ "StreamARN": stream, "ConsumerName": "other" });
    world.ok("RegisterStreamConsumer", other.clone()).await;
    world.ok("DeregisterStreamConsumer", other.clone()).await;
    world.ok("SplitShard", with(json!({ "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "9" }))).await;
    world.ok("CreateStream", create("gone", 1)).await;
    world.ok("DeleteStream", json!({ "StreamName": "gone" })).await;
    let before = world.everything().await;

    let world = world.reopen();

    assert_eq!(world.everything().await, before);
    assert_eq!(world.files("stream-").len(), 2);
    let (status, _) = send(&world.kinesis, "DescribeStreamSummary", json!({ "StreamName": "gone" })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    // The second of the ARN is never given again.
    let listed = world.ok("RegisterStreamConsumer", other).await;
    assert!(listed["Consumer"]["ConsumerARN"].as_str().unwrap().ends_with(":1700000003"), "{listed}");
}

#[tokio::test]
async fn states_that_pass_go_on_to_pass() {
    let dir = tempfile::tempdir().unwrap();
    let slow = |dir: &Path| Kinesis::open(clock(), &dir.join("kinesis"), false, Duration::from_secs(10)).unwrap();
    let world = World { kinesis: slow(dir.path()), dir };
    let status = async |world: &World| {
        let (code, answer) = send(&world.kinesis, "DescribeStream", json!({ "StreamName": "orders" })).await;
        if code.is_success() { answer["StreamDescription"]["StreamStatus"].clone() } else { Value::Null }
    };
    world.ok("CreateStream", create("orders", 1)).await;
    let world = world.reopen();
    assert_eq!(status(&world).await, "CREATING");
    world.advance(Duration::from_secs(10));
    assert_eq!(status(&world).await, "ACTIVE");
    drop(world.kinesis);
    let world = World { kinesis: slow(world.dir.path()), dir: world.dir };
    world.advance(Duration::from_secs(10));
    world.ok("DeleteStream", json!({ "StreamName": "orders" })).await;
    let world = world.reopen();
    assert_eq!(status(&world).await, "DELETING");
    world.advance(Duration::from_secs(10));
    assert_eq!(status(&world).await, Value::Null);
    assert_eq!(world.files("stream-").len(), 0, "what is gone in memory is gone on disk");
}

#[tokio::test]
async fn sequence_numbers_and_time_never_go_back() {
    let world = World::new();
    world.ok("CreateStream", create("orders", 1)).await;
    world.advance(Duration::from_secs(90_000));
    let first = world.put("orders", "a", b"1").await;

    let world = world.reopen();

    let second = world.put("orders", "a", b"2").await;
    assert!(first["SequenceNumber"].as_str() < second["SequenceNumber"].as_str(), "{first} {second}");
    let arrivals: Vec<_> = world.records("orders", "shardId-000000000000").await;
    assert_eq!(arrivals.len(), 2);
    assert!(arrivals.iter().all(|record| record["ApproximateArrivalTimestamp"] == 1_700_090_000.0), "{arrivals:?}");
}

#[tokio::test]
async fn what_is_trimmed_stays_gone_and_frees_its_files_and_numbers_go_on() {
    let day = Duration::from_secs(86_401);
    let world = World::new();
    world.ok("CreateStream", create("orders", 1)).await;
    world.put("orders", "a", b"old").await;
    world.advance(day);
    let world = {
        // Trimmed by a look, and by nothing else.
        assert!(world.records("orders", "shardId-000000000000").await.is_empty());
        world.reopen()
    };
    world.advance(day);
    world.ok("ListStreams", json!({})).await;
    assert!(world.records("orders", "shardId-000000000000").await.is_empty());
    let request = json!({ "StreamName": "orders", "RetentionPeriodHours": 8760 });
    world.ok("IncreaseStreamRetentionPeriod", request).await;

    let world = world.reopen();

    assert!(world.records("orders", "shardId-000000000000").await.is_empty(), "a longer retention revives nothing");
    assert!(world.files("segment-").is_empty(), "at the start, all that nobody needs goes");
    let record = world.put("orders", "a", b"new").await;
    let index = super::super::sequence::Sequence::parse(record["SequenceNumber"].as_str().unwrap()).unwrap().index;
    assert_eq!(index, 2, "the trimmed record keeps its number");
    let world = world.reopen();
    assert_eq!(world.records("orders", "shardId-000000000000").await.len(), 1);
}

#[tokio::test]
async fn a_deleted_stream_takes_its_files_along_and_a_later_one_of_its_name_is_empty() {
    let mut world = World::new();
    world.ok("CreateStream", create("orders", 1)).await;
    world.put("orders", "a", b"old").await;
    world.ok("DeleteStream", json!({ "StreamName": "orders" })).await;
    world.ok("CreateStream", create("orders", 1)).await;
    for _ in 0..2 {
        world = world.reopen();
        assert!(world.records("orders", "shardId-000000000000").await.is_empty());
        assert_eq!((world.files("stream-").len(), world.files("segment-").len()), (1, 0));
    }
}

#[tokio::test]
async fn restarts_fill_the_same_segments() {
    let mut world = World::new();
    world.ok("CreateStream", create("orders", 1)).await;
    for count in 1..6 {
        world.put("orders", "a", b"data").await;
        world = world.reopen();
        assert_eq!(world.records("orders", "shardId-000000000000").await.len(), count);
        assert_eq!(world.files("segment-").len(), 1);
    }
}
