//! A Kinesis stream as the source.

use super::*;
use crate::kinesis::Format;

const ARN: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/events";

async fn kinesis(world: &World, operation: &str, body: Value) -> Value {
    let response = world.kinesis.call(operation, Format::Json, body.to_string().into()).await;
    assert!(response.status().is_success(), "{operation}: {response:?}");
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") }
}

async fn put(world: &World, key: u8, data: &[u8]) {
    // Explicit keys, so that it is known which shard takes the record: the first half of them goes to the first.
    let key = if key == 0 { "0".to_owned() } else { u128::MAX.to_string() };
    let record =
        json!({ "StreamName": "events", "PartitionKey": "k", "ExplicitHashKey": key, "Data": STANDARD.encode(data) });
    kinesis(world, "PutRecord", record).await;
}

async fn stream(world: &World, shards: u32) {
    kinesis(world, "CreateStream", json!({ "StreamName": "events", "ShardCount": shards })).await;
}

async fn follow(world: &World, seconds: u32) -> Value {
    let request = json!({
        "DeliveryStreamName": "orders",
        "DeliveryStreamType": "KinesisStreamAsSource",
        "KinesisStreamSourceConfiguration": { "KinesisStreamARN": ARN, "RoleARN": "reader" },
        "ExtendedS3DestinationConfiguration": {
            "RoleARN": "r",
            "BucketARN": "arn:aws:s3:::lake",
            "Prefix": "raw/",
            "BufferingHints": { "SizeInMBs": 1, "IntervalInSeconds": seconds },
        },
    });
    world.call("CreateDeliveryStream", request).await
}

/// All that was delivered within some minutes of paused time.
async fn delivered(world: &World) -> Vec<u8> {
    tokio::time::sleep(Duration::from_secs(300)).await;
    let mut objects = world.objects();
    // Names end in the second of the oldest record, then in a UUID.
    objects.sort_by_key(|(key, _)| key[..key.len() - 36].to_owned());
    objects.into_iter().flat_map(|(_, content)| content).collect()
}

#[tokio::test(start_paused = true)]
async fn records_are_read_from_creation_on_and_in_order() {
    let world = World::with_bucket();
    stream(&world, 1).await;
    put(&world, 0, b"before").await;
    assert!(follow(&world, 60).await["DeliveryStreamARN"].is_string());
    for number in 0..10 {
        put(&world, 0, format!("{number},").as_bytes()).await;
    }
    assert_eq!(delivered(&world).await, b"0,1,2,3,4,5,6,7,8,9,");
    world.firehose.stop().await;
}

#[tokio::test(start_paused = true)]
async fn children_are_read_after_their_parents_through_splits_and_merges() {
    let world = World::with_bucket();
    stream(&world, 1).await;
    follow(&world, 60).await;
    put(&world, 0, b"a").await;
    let middle = (u128::MAX / 2 + 1).to_string();
    let split = json!({ "StreamName": "events", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": middle });
    kinesis(&world, "SplitShard", split).await;
    put(&world, 0, b"b").await;
    put(&world, 1, b"b").await;
    let merge = json!({
        "StreamName": "events",
        "ShardToMerge": "shardId-000000000001",
        "AdjacentShardToMerge": "shardId-000000000002",
    });
    kinesis(&world, "MergeShards", merge).await;
    put(&world, 0, b"c").await;
    assert_eq!(delivered(&world).await, b"abbc");
    world.firehose.stop().await;
}

#[tokio::test(start_paused = true)]
async fn packed_records_are_unpacked() {
    use md5::{Digest as _, Md5};
    let world = World::with_bucket();
    stream(&world, 1).await;
    follow(&world, 60).await;
    let message = b"\x0a\x01k\x1a\x07\x08\x00\x1a\x03one\x1a\x07\x08\x00\x1a\x03two";
    put(&world, 0, &[&b"\xf3\x89\x9a\xc2"[..], message, &Md5::digest(message)[..]].concat()).await;
    assert_eq!(delivered(&world).await, b"onetwo");
    world.firehose.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_shard_waits_while_there_is_no_room() {
    let mut world = World::new();
    let inner = Arc::get_mut(&mut world.firehose.0).expect("the only copy");
    inner.budget = Arc::new(Budget::new(3 * MIB));
    stream(&world, 1).await;
    follow(&world, 60).await;
    for number in 0_u8..20 {
        put(&world, 0, &vec![number; MIB / 2]).await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!inner_budget(&world).take(MIB / 2 + 100), "what may be buffered is buffered");
    let world = world.and_bucket("lake");
    tokio::time::sleep(Duration::from_secs(300)).await;
    // All of one second, so that names do not tell their order: it is known by what they hold.
    let mut contents: Vec<_> = world.objects().into_iter().map(|(_, content)| content).collect();
    contents.sort();
    assert!(contents.concat() == (0_u8..20).flat_map(|number| vec![number; MIB / 2]).collect::<Vec<_>>());
    world.firehose.stop().await;
    assert!(inner_budget(&world).take(3 * MIB), "all is given back");
}

fn inner_budget(world: &World) -> &Budget {
    &world.firehose.0.budget
}

#[tokio::test(start_paused = true)]
async fn with_limits_a_shard_is_read_once_a_second() {
    let world = World::with(true, Duration::ZERO).and_bucket("lake");
    stream(&world, 1).await;
    follow(&world, 0).await;
    // Virtual time: it moves only when nothing else can, so the first look was in vain by then.
    tokio::time::sleep(Duration::from_millis(500)).await;
    put(&world, 0, b"one").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(world.objects(), []);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let contents: Vec<_> = world.objects().into_iter().map(|(_, content)| content).collect();
    assert_eq!(contents, [b"one".to_vec()]);
    world.firehose.stop().await;
}

#[tokio::test(start_paused = true)]
async fn reading_ends_with_the_delivery_stream_and_with_the_source() {
    let world = World::with_bucket();
    stream(&world, 2).await;
    follow(&world, 60).await;
    put(&world, 0, b"kept").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.call("DeleteDeliveryStream", json!({ "DeliveryStreamName": "orders" })).await;
    put(&world, 0, b"unread").await;
    assert_eq!(delivered(&world).await, b"kept");

    follow(&world, 60).await;
    put(&world, 1, b" last").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    kinesis(&world, "DeleteStream", json!({ "StreamName": "events" })).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let readers = {
        let mut tasks = lock(&world.firehose.0.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.len()
    };
    assert_eq!(readers, 1, "only the delivery is left");
    assert!(delivered(&world).await.ends_with(b" last"));
    world.firehose.stop().await;
}

#[tokio::test]
async fn a_source_is_described_and_lets_no_producer_in() {
    let world = World::with_bucket();
    let missing = follow(&world, 60).await;
    assert_eq!(missing["__type"], "InvalidArgumentException");
    assert!(missing["message"].as_str().is_some_and(|message| message.contains("Stream events")), "{missing}");
    stream(&world, 1).await;
    follow(&world, 60).await;
    let described = world.describe().await;
    assert_eq!(described["DeliveryStreamType"], "KinesisStreamAsSource");
    let source = &described["Source"]["KinesisStreamSourceDescription"];
    assert_eq!((&source["KinesisStreamARN"], &source["RoleARN"]), (&json!(ARN), &json!("reader")));
    assert_eq!(source["DeliveryStartTimestamp"], described["CreateTimestamp"]);
    let refused = world.put(&[b"x"]).await;
    assert_eq!(refused["__type"], "InvalidArgumentException");
    assert_eq!(refused["message"], "This operation is not permitted on KinesisStreamAsSource delivery stream type.");
    world.firehose.stop().await;
}
