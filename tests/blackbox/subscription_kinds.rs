//! Both ways to read a subscription, against the emulator over TLS and HTTP/2: what is put comes whole, and faults on the
//! way have the same outcome.

use alluvial_consumer::{RawSubscription, Record, SubscriptionKind};
use alluvial_emulator::{Emulator, Settings};
use alluvial_runtime::aws::Aws;
use alluvial_runtime::http2;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use std::time::Duration;
use tokio::time::timeout;

const KINDS: [SubscriptionKind; 2] = [SubscriptionKind::Sdk, SubscriptionKind::Direct];
const SHARD: &str = "shardId-000000000000";
const LIMIT: Duration = Duration::from_secs(30);

/// A stream of one shard with a consumer for each kind.
struct World {
    emulator: Emulator,
    control: Client,
    subscriptions: Client,
    consumers: Vec<String>,
    _dir: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let emulator = Emulator::start(Settings::new(dir.path())).await.unwrap();
        let aws = Aws::local(&emulator.endpoint(), "us-east-1", emulator.ca_bundle()).await.unwrap();
        let control = Client::new(&aws.control);
        let config = aws.subscriptions(http2::Settings::for_streams(1)).unwrap();
        let config = aws_sdk_kinesis::config::Builder::from(&config).retry_config(RetryConfig::disabled()).build();
        control.create_stream().stream_name("s").shard_count(1).send().await.unwrap();
        let summary = control.describe_stream_summary().stream_name("s").send().await.unwrap();
        let arn = summary.stream_description_summary.unwrap().stream_arn;
        let mut consumers = Vec::new();
        for kind in KINDS {
            let call = control.register_stream_consumer().stream_arn(&arn).consumer_name(format!("{kind:?}"));
            consumers.push(call.send().await.unwrap().consumer.unwrap().consumer_arn);
        }
        Self { emulator, control, subscriptions: Client::from_conf(config), consumers, _dir: dir }
    }

    async fn put(&self, records: &[(String, Vec<u8>)]) {
        let entry = |(key, data): &(String, Vec<u8>)| {
            PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data.clone())).build().unwrap()
        };
        let entries = records.iter().map(entry).collect();
        let answer = self.control.put_records().stream_name("s").set_records(Some(entries)).send().await.unwrap();
        assert_eq!(answer.failed_record_count, Some(0));
    }

    async fn open(&self, kind: usize) -> Result<RawSubscription, String> {
        let opening = RawSubscription::open(KINDS[kind], self.subscriptions.clone(), &self.consumers[kind], SHARD);
        timeout(LIMIT, Box::pin(opening)).await.expect("an answer")
    }

    /// What each kind reads until it has `wanted` records or the subscription ends, and how it ended.
    async fn read(&self, wanted: usize) -> [(Vec<Record>, String); 2] {
        let mut results = Vec::new();
        for kind in 0..KINDS.len() {
            let mut subscription = match self.open(kind).await {
                Ok(subscription) => subscription,
                Err(cause) => {
                    results.push((Vec::new(), cause));
                    continue;
                }
            };
            let mut records = Vec::new();
            let end = loop {
                if records.len() >= wanted {
                    break "all read".to_owned();
                }
                match timeout(LIMIT, subscription.next()).await.expect("an event or an end") {
                    Ok(Some((_, true))) => break "shard end".to_owned(),
                    Ok(Some((more, _))) => records.extend(more),
                    Ok(None) => break "expired".to_owned(),
                    Err(cause) => break cause,
                }
            };
            results.push((records, end));
        }
        results.try_into().unwrap_or_else(|_| panic!("one result for each kind"))
    }
}

/// As the records were put.
fn content(records: &[Record]) -> Vec<(String, Vec<u8>)> {
    records.iter().map(|record| (record.partition_key.to_string(), record.data.to_vec())).collect()
}

fn same([sdk, direct]: &[(Vec<Record>, String); 2]) {
    let exact =
        |records: &[Record]| records.iter().map(|record| (record.position, record.arrived_millis)).collect::<Vec<_>>();
    assert_eq!(content(&sdk.0), content(&direct.0));
    assert_eq!(exact(&sdk.0), exact(&direct.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_is_read_byte_for_byte_to_the_end_of_the_shard() {
    let world = World::start().await;
    let mut random = fastrand::Rng::with_seed(1);
    let mut record = |key: &str, bytes: usize| {
        (key.to_owned(), std::iter::repeat_with(|| random.u8(..)).take(bytes).collect::<Vec<u8>>())
    };
    let mut put = vec![record("quote\" back\\slash", 10), record("æøå 🌍", 10), record("\u{1}\t", 1), record("k", 2)];
    put.extend((0..300).map(|n| record(&format!("key-{n}"), n * 7)));
    world.put(&put).await;
    let split = world.control.split_shard().stream_name("s").shard_to_split(SHARD);
    split.new_starting_hash_key((1_u128 << 127).to_string()).send().await.unwrap();
    let read = Box::pin(world.read(usize::MAX)).await;
    for (records, end) in &read {
        assert_eq!((content(records), end.as_str()), (put.clone(), "shard end"));
    }
    same(&read);
    world.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_record_arrives_whole() {
    let world = World::start().await;
    let data: Vec<u8> = (0..1 << 18).flat_map(u32::to_le_bytes).collect();
    let put = vec![("k".to_owned(), data[..data.len() - 1].to_vec())];
    world.put(&put).await;
    let read = Box::pin(world.read(1)).await;
    assert!(read.iter().all(|(records, _)| content(records) == put));
    same(&read);
    world.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_on_the_way_have_the_same_outcome_and_cost_no_whole_event() {
    for (effect, expected) in [
        (r#"error = { code = "ResourceInUseException", status = 500 }"#, "resource in use"),
        (r#"error = { code = "ResourceNotFoundException" }"#, "not found"),
        (r#"exception = { code = "ResourceInUseException", after_events = 1 }"#, "resource in use"),
        (r#"exception = { code = "ResourceNotFoundException" }"#, "not found"),
        (r#"exception = { code = "KMSThrottlingException", after_events = 1 }"#, "KMSThrottling"),
        (r#"exception = { code = "InternalFailureException", after_events = 1 }"#, "InternalFailure"),
        (r#"cut = { after_events = 1, in_frame = true }"#, ""),
        (r#"cut = { how = "tcp_reset", after_events = 1, in_frame = true }"#, ""),
        (r#"cut = { how = "fin", after_events = 1, in_frame = true }"#, ""),
        (r#"cut = { how = "goaway" }"#, ""),
        (r#"garble = { after_events = 1 }"#, ""),
    ] {
        let world = World::start().await;
        // Two events at least: an event has 128 KiB.
        let put: Vec<_> = (0..4).map(|n| (format!("key-{n}"), vec![n; 100_000])).collect();
        world.put(&put).await;
        let on = r#"{ service = "kinesis", operation = "SubscribeToShard" }"#;
        let plan = format!("[[fault]]\non = {on}\neffect = {{ {effect} }}\n");
        world.emulator.control().set_faults(&plan).unwrap_or_else(|error| panic!("{plan}: {error}"));
        let read = Box::pin(world.read(put.len())).await;
        for ((records, end), kind) in read.iter().zip(KINDS) {
            assert!(end.contains(expected), "{effect}: {kind:?} ended with {end:?}");
            // With GOAWAY, what is served already is served to its end.
            assert_eq!(end == "all read", effect.contains("goaway"), "{effect}: {kind:?} ended with {end:?}");
            let content = content(records);
            assert!(put.starts_with(&content), "{effect}: {kind:?} brought what was not put");
        }
        same(&read);
        world.emulator.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_brings_nothing_and_an_expiry_is_an_end() {
    let world = World::start().await;
    for (kind, name) in KINDS.iter().enumerate() {
        let mut subscription = world.open(kind).await.unwrap();
        // Nothing was put: the first event is a heartbeat, and comes in its own time.
        assert!(timeout(Duration::from_millis(300), subscription.next()).await.is_err(), "{name:?}");
        let (records, ended) = timeout(LIMIT, subscription.next()).await.unwrap().unwrap().expect("a heartbeat");
        assert!(records.is_empty() && !ended);
        world.emulator.control().expire_subscriptions();
        let end = loop {
            match timeout(LIMIT, subscription.next()).await.unwrap() {
                Ok(Some(_)) => {}
                end => break end,
            }
        };
        assert!(matches!(end, Ok(None)), "{name:?}: {end:?}");
    }
    world.emulator.stop().await;
}
