//! The HTTP/2 pool under subscriptions, against the emulator in this process.

use alluvial_emulator::{Emulator, Settings};
use alluvial_runtime::aws::Aws;
use alluvial_runtime::http2;
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{
    PutRecordsRequestEntry, ShardIteratorType, StartingPosition, SubscribeToShardEventStream,
};
use std::time::Duration;
use tokio::time::timeout;

const SHARDS: usize = 8;
const LIMIT: Duration = Duration::from_secs(20);

struct Pooled {
    emulator: Emulator,
    control: aws_sdk_kinesis::Client,
    subscriptions: aws_sdk_kinesis::Client,
    consumer: String,
    _dir: tempfile::TempDir,
}

async fn pooled(settings: http2::Settings) -> Pooled {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(Settings::new(dir.path())).await.unwrap();
    let aws = Aws::local(&emulator.endpoint(), "us-east-1", emulator.ca_bundle()).await.unwrap();
    let control = aws_sdk_kinesis::Client::new(&aws.control);
    let subscriptions = aws_sdk_kinesis::Client::new(&aws.subscriptions(settings).unwrap());
    control.create_stream().stream_name("s").shard_count(i32::try_from(SHARDS).unwrap()).send().await.unwrap();
    let summary = control.describe_stream_summary().stream_name("s").send().await.unwrap();
    let arn = summary.stream_description_summary.unwrap().stream_arn;
    let consumer = control.register_stream_consumer().stream_arn(arn).consumer_name("c").send().await.unwrap();
    Pooled { emulator, control, subscriptions, consumer: consumer.consumer.unwrap().consumer_arn, _dir: dir }
}

impl Pooled {
    async fn subscribe(&self, shard: usize) -> SubscribeToShardOutput {
        let position = StartingPosition::builder().r#type(ShardIteratorType::TrimHorizon).build().unwrap();
        let call = self
            .subscriptions
            .subscribe_to_shard()
            .consumer_arn(&self.consumer)
            .shard_id(format!("shardId-{shard:012}"))
            .starting_position(position);
        timeout(LIMIT, call.send()).await.expect("a subscription opens").unwrap()
    }

    /// Puts `records` of 50 KB into one shard.
    async fn fill(&self, shard: usize, records: usize) {
        let width = u128::MAX / (SHARDS as u128);
        let key = (width * shard as u128 + width / 2).to_string();
        for _ in 0..records.div_ceil(50) {
            let entry = || {
                let entry = PutRecordsRequestEntry::builder().partition_key("k").explicit_hash_key(&key);
                entry.data(Blob::new(vec![b'x'; 50_000])).build().unwrap()
            };
            let entries = (0..records.min(50)).map(|_| entry()).collect();
            self.control.put_records().stream_name("s").set_records(Some(entries)).send().await.unwrap();
        }
    }
}

async fn records(subscription: &mut SubscribeToShardOutput, wanted: usize) {
    let mut seen = 0;
    while seen < wanted {
        let event = timeout(LIMIT, subscription.event_stream.recv()).await.expect("an event comes").unwrap().unwrap();
        let SubscribeToShardEventStream::SubscribeToShardEvent(event) = event else { panic!("{event:?}") };
        seen += event.records.len();
    }
}

/// With the stock client of the SDK, three subscriptions that are open and not read stop every other one (5 MiB of
/// connection window, 2 MiB a stream).
#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_that_are_not_read_do_not_starve_the_one_that_is() {
    let one = http2::Settings { connections: 1, ..http2::Settings::for_streams(SHARDS) };
    let pooled = pooled(one).await;
    let mut unread = Vec::new();
    for shard in 1..SHARDS {
        pooled.fill(shard, 100).await;
        unread.push(pooled.subscribe(shard).await);
    }
    let mut healthy = pooled.subscribe(0).await;
    for _ in 0..5 {
        pooled.fill(0, 50).await;
        records(&mut healthy, 50).await;
    }
    // What was not read is still there.
    for subscription in &mut unread {
        records(subscription, 100).await;
    }
    drop((healthy, unread));
    pooled.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_without_room_refuses_at_once_and_has_room_again_when_a_stream_is_dropped() {
    let small = http2::Settings { connections: 2, streams_per_connection: 1, ..http2::Settings::for_streams(2) };
    let pooled = pooled(small).await;
    let (first, second) = (pooled.subscribe(0).await, pooled.subscribe(1).await);
    let position = StartingPosition::builder().r#type(ShardIteratorType::Latest).build().unwrap();
    let retries = aws_smithy_types::retry::RetryConfig::disabled();
    let client =
        aws_sdk_kinesis::Client::from_conf(pooled.subscriptions.config().to_builder().retry_config(retries).build());
    let call = client.subscribe_to_shard().consumer_arn(&pooled.consumer).shard_id("shardId-000000000002");
    let refused = timeout(LIMIT, call.starting_position(position).send()).await.expect("no call hangs").unwrap_err();
    let text = alluvial_runtime::exit::chain(&refused);
    assert!(text.contains("raise the number of connections"), "{text}");
    drop(first);
    let third = pooled.subscribe(2).await;
    drop((second, third));
    pooled.emulator.stop().await;
}
