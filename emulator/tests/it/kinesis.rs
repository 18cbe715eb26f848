//! Enhanced fan-out through the SDK, over TLS and HTTP/2; the rest of Kinesis is tested beside its code.

use crate::world::{PATIENCE, World};
use alluvial_emulator::{Emulator, Settings};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{
    PutRecordsRequestEntry, ShardIteratorType, StartingPosition, SubscribeToShardEventStream,
};

async fn create(kinesis: &Client) -> String {
    kinesis.create_stream().stream_name("events").shard_count(1).send().await.expect("a stream");
    let described = kinesis.describe_stream_summary().stream_name("events").send().await.expect("a summary");
    described.stream_description_summary.expect("a summary").stream_arn
}

async fn put(kinesis: &Client, data: &str) {
    let put = kinesis.put_record().stream_name("events").partition_key("k").data(Blob::new(data));
    put.send().await.expect("a record");
}

#[tokio::test]
async fn a_subscription_gets_what_is_put_before_and_after_it_opens_and_ends_with_the_emulator() {
    let world = World::start().await;
    let kinesis = world.kinesis();
    let stream = create(&kinesis).await;
    let registered = kinesis.register_stream_consumer().stream_arn(stream).consumer_name("reader").send().await;
    let consumer = registered.expect("a consumer").consumer.expect("a consumer").consumer_arn;
    put(&kinesis, "before").await;

    let from = StartingPosition::builder().r#type(ShardIteratorType::TrimHorizon).build().expect("a position");
    let subscribe = kinesis.subscribe_to_shard().consumer_arn(consumer).shard_id("shardId-000000000000");
    let mut events = subscribe.starting_position(from).send().await.expect("a subscription").event_stream;
    let seen = async {
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let event = events.recv().await.expect("an event").expect("an open subscription");
            if let SubscribeToShardEventStream::SubscribeToShardEvent(event) = event {
                let records =
                    event.records.iter().map(|record| String::from_utf8_lossy(record.data.as_ref()).into_owned());
                let first = seen.is_empty();
                seen.extend(records);
                if first && !seen.is_empty() {
                    put(&kinesis, "after").await;
                }
            }
        }
        seen
    };
    let seen = tokio::time::timeout(PATIENCE, seen).await.expect("both records");
    assert_eq!(seen, ["before", "after"]);

    tokio::time::timeout(PATIENCE, world.emulator.stop()).await.expect("the emulator stops with a subscription open");
    // How a cut stream looks is the client's affair; that it ends is ours.
    let ended = async { while let Ok(Some(_)) = events.recv().await {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("the subscription ends");
}

#[tokio::test]
async fn limits_hold_when_they_are_asked_for() {
    let dir = tempfile::tempdir().expect("a folder");
    // A clock that hardly moves: the shard's second lasts longer than the test.
    let settings = Settings { limits: true, clock_speed: 1e-6, ..Settings::new(dir.path()) };
    let world = World { emulator: Emulator::start(settings).await.expect("an emulator"), dir };
    let kinesis = world.kinesis();
    create(&kinesis).await;
    let entry = PutRecordsRequestEntry::builder().partition_key("k").data(Blob::new("one")).build().expect("a record");
    for failed in [0, 0, 500] {
        let put = kinesis.put_records().stream_name("events").set_records(Some(vec![entry.clone(); 500]));
        assert_eq!(put.send().await.expect("an answer").failed_record_count, Some(failed));
    }
    world.emulator.stop().await;
}
