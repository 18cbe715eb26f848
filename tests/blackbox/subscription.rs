//! Subscriptions that end: by their five minutes, by a takeover, and in silence.

use crate::restart::records;
use alluvial_consumer::{Ack, Clients, Consumer, LeaseTable, MemoryLeases, Settings, ShardFeed};
use alluvial_emulator::Emulator;
use alluvial_runtime::aws::Aws;
use alluvial_runtime::clock::Clock;
use alluvial_runtime::http2;
use alluvial_tests::{RawRow, World, names};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType, StartingPosition};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Each record of the stream once in the raw objects.
async fn assert_each_once(world: &World) {
    world.until_checkpointed(Duration::from_secs(60)).await;
    world.flush_firehose().await;
    let rows = names(&RawRow::read_all(&world.raw()));
    let put = world.stream_records().await;
    assert_eq!(rows.len(), put.len());
    assert!(put.into_iter().all(|record| rows.get(&(record.shard, record.sequence)) == Some(&1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_that_expire_are_followed_without_gap_and_without_repetition() {
    // Five minutes take five seconds.
    let world = World::start_at_speed(2, 60).await;
    let daemon = world.daemon();
    for round in 0..24 {
        world.put(records(round * 100..(round + 1) * 100)).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_each_once(&world).await;
    let log = daemon.log();
    assert!(log.matches("subscription expired").count() >= 4, "two shards, twelve seconds: {log}");
    assert_eq!(daemon.terminate(Duration::from_secs(25)).await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_was_taken_over_is_opened_again_where_it_stopped() {
    let world = World::start_at_speed(1, 60).await;
    let daemon = world.daemon();
    world.put(records(0..100)).await;
    world.until_checkpointed(Duration::from_secs(30)).await;
    let summary = world.kinesis().describe_stream_summary().stream_name("orders").send().await.unwrap();
    let stream = summary.stream_description_summary.unwrap().stream_arn;
    let consumers = world.kinesis().list_stream_consumers().stream_arn(stream).send().await.unwrap();
    let position = StartingPosition::builder().r#type(ShardIteratorType::Latest).build().unwrap();
    let subscriptions = world.aws.subscriptions(http2::Settings::for_streams(1)).unwrap();
    let thief = aws_sdk_kinesis::Client::new(&subscriptions)
        .subscribe_to_shard()
        .consumer_arn(consumers.consumers()[0].consumer_arn());
    let stolen = thief.shard_id("shardId-000000000000").starting_position(position).send().await.unwrap();
    world.put(records(100..200)).await;
    drop(stolen);
    assert_each_once(&world).await;
    assert!(daemon.log().contains("resource in use"), "{}", daemon.log());
    assert_eq!(daemon.terminate(Duration::from_secs(25)).await.code, Some(0));
}

/// Forwards connections to `target`. Those that are open when `freeze` is called stay open and carry nothing more.
struct Proxy {
    endpoint: String,
    freeze: watch::Sender<u64>,
    _forwarding: tokio::task::JoinSet<()>,
}

impl Proxy {
    async fn start(target: &str) -> Self {
        let target = target.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (freeze, frozen) = watch::channel(0);
        let mut forwarding = tokio::task::JoinSet::new();
        forwarding.spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let (target, mut frozen) = (target.clone(), frozen.clone());
                frozen.mark_unchanged();
                connections.spawn(async move {
                    let mut far = TcpStream::connect(target).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = frozen.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self { endpoint, freeze, _forwarding: forwarding }
    }

    fn freeze(&self) {
        self.freeze.send_modify(|times| *times += 1);
    }
}

/// Acknowledges all records, and passes on their payloads.
async fn take(mut feed: ShardFeed, seen: mpsc::Sender<Vec<u8>>) {
    while let Some(batch) = feed.batches.recv().await {
        let last = batch.records.last().unwrap();
        let ack =
            Ack { first: batch.first, last: batch.first + batch.records.len() as u64 - 1, position: last.position };
        for record in &batch.records {
            seen.send(record.data.to_vec()).await.unwrap();
        }
        feed.acks.send(ack).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_falls_silent_is_left_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(alluvial_emulator::Settings::new(dir.path())).await.unwrap();
    let proxy = Proxy::start(&emulator.plain_endpoint()).await;
    let control = Aws::local(&emulator.endpoint(), "us-east-1", emulator.ca_bundle()).await.unwrap().control;
    let proxied = Aws::local(&proxy.endpoint, "us-east-1", emulator.ca_bundle()).await.unwrap();
    let subscriptions = proxied.subscriptions(http2::Settings::for_streams(1)).unwrap();
    let kinesis = aws_sdk_kinesis::Client::new(&control);
    kinesis.create_stream().stream_name("s").shard_count(1).send().await.unwrap();
    let mut settings = Settings::new("s", "app", "worker");
    // A heartbeat comes every 5 s.
    settings.silence_deadline = Duration::from_secs(7);
    settings.open_deadline = Duration::from_secs(2);
    let clients = Clients::new(&control, &subscriptions, LeaseTable::Memory(MemoryLeases::default()));
    let (consumer, mut feeds) =
        Consumer::connect(settings, clients, Clock::system(), fastrand::Rng::with_seed(1)).await.unwrap();
    let status = consumer.status();
    let stop = CancellationToken::new();
    let (seen_tx, seen) = mpsc::channel(1_000);
    let seen = Arc::new(Mutex::new(seen));
    let taking = async {
        let feed = feeds.recv().await.unwrap();
        take(feed, seen_tx).await;
    };
    let acting = async {
        let put = |n: u32| {
            let entry =
                PutRecordsRequestEntry::builder().partition_key("k").data(Blob::new(n.to_string())).build().unwrap();
            kinesis.put_records().stream_name("s").records(entry).send()
        };
        let next = || async {
            tokio::time::timeout(Duration::from_secs(30), seen.lock().await.recv()).await.expect("a record").unwrap()
        };
        put(0).await.unwrap();
        assert_eq!(next().await, b"0");
        proxy.freeze();
        put(1).await.unwrap();
        assert_eq!(next().await, b"1", "delivered by a new connection");
        put(2).await.unwrap();
        assert_eq!(next().await, b"2", "nothing is repeated");
        stop.cancel();
    };
    let (consumed, (), ()) = tokio::join!(consumer.run(stop.clone()), taking, acting);
    consumed.unwrap();
    assert!(status.snapshot()[0].1.subscriptions() >= 2);
    emulator.stop().await;
}
