//! One application, several streams: one lease table with the keys of the Kinesis Client Library, shared out over all streams.

use alluvial_consumer::{ConsumerBuilder, ErrorKind, Mode, ProcessError, Processor, Records, ShardName, StartPosition};
use alluvial_emulator::Emulator;
use alluvial_runtime::aws::Aws;
use alluvial_tests::eventually;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(60);
const STREAMS: [&str; 4] = ["audit", "billing", "orders", "returns"];

/// Stream and payload of each record that was processed, and how often.
type Seen = Arc<Mutex<BTreeMap<(String, String), u32>>>;

struct Count(Seen, ShardName);

impl Processor for Count {
    async fn process(&mut self, records: Records<'_>) -> Result<(), ProcessError> {
        assert_eq!(*records.shard(), self.1, "a processor has one shard of one stream");
        let mut seen = self.0.lock().unwrap();
        for record in records {
            let payload = String::from_utf8_lossy(&record.data).into_owned();
            *seen.entry((self.1.stream.to_string(), payload)).or_default() += 1;
        }
        Ok(())
    }
}

/// The rows of the lease table.
async fn rows(aws: &Aws) -> Vec<HashMap<String, AttributeValue>> {
    let dynamodb = aws_sdk_dynamodb::Client::new(&aws.control);
    let scan = dynamodb.scan().table_name("app").consistent_read(true).send().await;
    scan.map(|scan| scan.items.unwrap_or_default()).unwrap_or_default()
}

fn text<'a>(row: &'a HashMap<String, AttributeValue>, name: &str) -> &'a str {
    row.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}

/// Leases of each worker; those that are free or on their way are under "".
async fn shares(aws: &Aws) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for row in rows(aws).await {
        let owner = if row.contains_key("checkpointOwner") { "" } else { text(&row, "leaseOwner") };
        *shares.entry(owner.to_owned()).or_default() += 1;
    }
    shares
}

async fn put(aws: &Aws, from: u32) {
    let kinesis = aws_sdk_kinesis::Client::new(&aws.control);
    for stream in STREAMS {
        let entry = |n: u32| {
            let data = Blob::new(format!("{stream}-{n}"));
            PutRecordsRequestEntry::builder().partition_key(n.to_string()).data(data).build().unwrap()
        };
        let entries = (from..from + 50).map(entry).collect();
        kinesis.put_records().stream_name(stream).set_records(Some(entries)).send().await.unwrap();
    }
}

fn worker(aws: &Aws, name: &str, stop: &CancellationToken) -> ConsumerBuilder {
    let builder =
        ConsumerBuilder::default().application("app").worker(name).aws(aws.control.clone()).stop_on(stop.clone());
    let builder = builder.failover(Duration::from_secs(3)).checkpoint_interval(Duration::from_millis(100));
    let builder = builder.tune(|settings| settings.list_interval = Duration::from_millis(300));
    STREAMS.into_iter().fold(builder, ConsumerBuilder::stream)
}

async fn until_seen(seen: &Seen, each: u32) {
    let wanted = STREAMS.len() * usize::try_from(each).unwrap();
    eventually("all records of all streams", LIMIT, || async { (seen.lock().unwrap().len() == wanted).then_some(()) })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_share_a_table_and_workers_share_the_streams() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(alluvial_emulator::Settings::new(dir.path())).await.unwrap();
    let aws = Aws::local(&emulator.plain_endpoint(), "us-east-1", emulator.ca_bundle()).await.unwrap();
    let kinesis = aws_sdk_kinesis::Client::new(&aws.control);
    for stream in STREAMS {
        // One shard each: shared out by stream, all four would be the first worker's.
        kinesis.create_stream().stream_name(stream).shard_count(1).send().await.unwrap();
    }
    put(&aws, 0).await;
    let (seen, stop_a, stop_b) = (Seen::default(), CancellationToken::new(), CancellationToken::new());
    let make = |seen: &Seen| {
        let seen = Arc::clone(seen);
        move |shard: &ShardName| Count(Arc::clone(&seen), shard.clone())
    };
    let a = worker(&aws, "a", &stop_a).run(make(&seen));
    let b = async {
        until_seen(&seen, 50).await;
        assert_eq!(shares(&aws).await, BTreeMap::from([("a".to_owned(), 4)]));
        worker(&aws, "b", &stop_b).run(make(&seen)).await
    };
    let acting = async {
        let even = BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 2)]);
        eventually("two leases each", LIMIT, || async { (shares(&aws).await == even).then_some(()) }).await;
        put(&aws, 50).await;
        until_seen(&seen, 100).await;
        stop_a.cancel();
        eventually("all leases with the other", LIMIT, || async {
            (shares(&aws).await == BTreeMap::from([("b".to_owned(), 4)])).then_some(())
        })
        .await;
        put(&aws, 100).await;
        until_seen(&seen, 150).await;
        stop_b.cancel();
    };
    let (a, b, ()) = tokio::join!(a, b, acting);
    a.unwrap();
    b.unwrap();
    assert!(seen.lock().unwrap().values().all(|times| *times == 1), "handoffs repeat nothing");
    for row in rows(&aws).await {
        let (key, stream, shard) = (text(&row, "leaseKey"), text(&row, "streamName"), text(&row, "shardId"));
        assert_eq!((key, shard), (format!("{stream}:{shard}").as_str(), "shardId-000000000000"));
        let parts: Vec<&str> = stream.split(':').collect();
        assert!(parts[0] == "000000000000" && STREAMS.contains(&parts[1]), "{stream}");
        assert!(parts[2].parse::<u64>().unwrap() > 1_700_000_000, "seconds since 1970: {stream}");
    }
    let single = ConsumerBuilder::default().application("app").stream("orders").aws(aws.control.clone());
    let error = single.stop_on(CancellationToken::new()).run(make(&seen)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fatal);
    assert!(error.to_string().contains("lease_table"), "{error}");
    emulator.stop().await;
}

/// As a stream of another account must be. The emulator has one account; that every call has the ARN, and no name, is
/// what a test of the consumer shows.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_read_by_its_arn() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(alluvial_emulator::Settings::new(dir.path())).await.unwrap();
    let aws = Aws::local(&emulator.plain_endpoint(), "us-east-1", emulator.ca_bundle()).await.unwrap();
    let kinesis = aws_sdk_kinesis::Client::new(&aws.control);
    for stream in STREAMS {
        kinesis.create_stream().stream_name(stream).shard_count(2).send().await.unwrap();
    }
    put(&aws, 0).await;
    for mode in [Mode::FanOut, Mode::Polling] {
        let (seen, stop) = (Seen::default(), CancellationToken::new());
        let builder = ConsumerBuilder::default()
            .application(format!("app-{mode:?}"))
            .stream("arn:aws:kinesis:us-east-1:000000000000:stream/orders")
            .aws(aws.control.clone())
            .start(StartPosition::TrimHorizon)
            .mode(mode)
            .stop_on(stop.clone());
        let counted = Arc::clone(&seen);
        let run = builder.run(move |shard: &ShardName| Count(Arc::clone(&counted), shard.clone()));
        let acting = async {
            eventually("all records", LIMIT, || async { (seen.lock().unwrap().len() == 50).then_some(()) }).await;
            stop.cancel();
        };
        let mut run = std::pin::pin!(run);
        tokio::select! {
            ended = &mut run => panic!("{mode:?} ended: {ended:?}"),
            () = acting => run.await.unwrap(),
        }
        let seen = seen.lock().unwrap();
        assert!(seen.iter().all(|((stream, payload), times)| {
            stream.ends_with(":stream/orders") && payload.starts_with("orders-") && *times == 1
        }));
    }
    emulator.stop().await;
}
