//! A consumer against an emulator in memory, on a paused clock: hours pass in seconds. What the tests of long times share.

use alluvial_consumer::{
    Ack, Budget, Clients, Consumer, DynamoLeases, Error, LeaseTable, Losses, MemoryLeases, Settings, ShardFeed,
    ShardState, ShardStatus, StatusBoard,
};
use alluvial_emulator::{Connector, Control, InMemory};
use alluvial_runtime::clock::Clock;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Shard};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::retry::RetryConfig;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) const SUBSCRIBE: &str = "[[fault]]\non = { service = \"kinesis\", operation = \"SubscribeToShard\" }\n";
/// Longest wait, on the paused clock.
const LIMIT: Duration = Duration::from_secs(600);

/// An emulator with the stream `s`.
pub(crate) struct Site {
    emulator: InMemory,
    pub(crate) kinesis: Client,
    pub(crate) memory: MemoryLeases,
    _dir: tempfile::TempDir,
}

/// What a sink does with what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sink {
    /// It takes and acknowledges all.
    Works,
    /// It takes nothing more.
    Blocks,
    /// It takes a batch, and acknowledges nothing.
    Waits,
}

/// A record that was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) n: u64,
    pub(crate) key: String,
    pub(crate) shard: String,
    pub(crate) at: Instant,
}

/// A running consumer.
pub(crate) struct Reading {
    pub(crate) status: StatusBoard,
    pub(crate) losses: Losses,
    pub(crate) budget: Budget,
    pub(crate) sink: watch::Sender<Sink>,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: CancellationToken,
    running: JoinSet<Result<(), Error>>,
    _taking: JoinSet<()>,
}

/// A network that can be cut.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    through: Connector,
    cut: Arc<AtomicBool>,
}

impl HttpConnector for Line {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if self.cut.load(Ordering::Relaxed) {
            return HttpConnectorFuture::ready(Err(ConnectorError::io("the line is cut".into())));
        }
        self.through.call(request)
    }
}

impl Line {
    pub(crate) fn set_cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::Relaxed);
    }

    fn client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }
}

fn kinesis(line: &Line) -> Client {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url("http://emulator")
        .http_client(line.client());
    Client::from_conf(config.build())
}

impl Site {
    /// Starts an emulator whose settings `change` may change, with a stream of `shards`.
    pub(crate) async fn start(shards: i32, change: impl FnOnce(&mut alluvial_emulator::Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = alluvial_emulator::Settings::new(dir.path());
        settings.seed = Some(7);
        settings.starts_at = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        change(&mut settings);
        let emulator = InMemory::start(&settings).unwrap();
        let line = Line { through: emulator.http_client(), cut: Arc::default() };
        let kinesis = kinesis(&line);
        kinesis.create_stream().stream_name("s").shard_count(shards).send().await.unwrap();
        Self { emulator, kinesis, memory: MemoryLeases::default(), _dir: dir }
    }

    pub(crate) fn control(&self) -> Control {
        self.emulator.control()
    }

    pub(crate) fn faults(&self, plan: &str) {
        self.control().set_faults(plan).unwrap();
    }

    /// A network of its own.
    pub(crate) fn line(&self) -> Line {
        Line { through: self.emulator.http_client(), cut: Arc::default() }
    }

    /// Leases that all workers of this site share.
    pub(crate) fn leases(&self) -> LeaseTable {
        LeaseTable::Memory(self.memory.clone())
    }

    /// Leases in DynamoDB, over a network of their own.
    pub(crate) fn dynamo(&self, line: &Line) -> LeaseTable {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .region(aws_sdk_dynamodb::config::Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url("http://emulator")
            .http_client(line.client());
        LeaseTable::Dynamo(DynamoLeases::new(aws_sdk_dynamodb::Client::from_conf(config.build()), "app"))
    }

    /// Puts a record for each number, under one of 50 keys.
    pub(crate) async fn put(&self, numbers: Range<u64>) {
        let numbers: Vec<u64> = numbers.collect();
        for some in numbers.chunks(500) {
            let entry = |n: &u64| {
                let entry = PutRecordsRequestEntry::builder().partition_key(format!("key-{}", n % 50));
                entry.data(Blob::new(n.to_string())).build().unwrap()
            };
            let put = self.kinesis.put_records().stream_name("s").set_records(Some(some.iter().map(entry).collect()));
            assert_eq!(put.send().await.unwrap().failed_record_count, Some(0));
        }
    }

    /// The shards that take records, by their hash keys.
    pub(crate) async fn open_shards(&self) -> Vec<(Shard, u128)> {
        let shards = self.kinesis.list_shards().stream_name("s").send().await.unwrap().shards.unwrap();
        let open = |shard: &Shard| shard.sequence_number_range().unwrap().ending_sequence_number().is_none();
        let first = |shard: &Shard| shard.hash_key_range().unwrap().starting_hash_key().parse::<u128>().unwrap();
        let mut open: Vec<(Shard, u128)> =
            shards.into_iter().filter(open).map(|shard| (shard.clone(), first(&shard))).collect();
        open.sort_by_key(|(_, first)| *first);
        open
    }

    pub(crate) async fn split(&self, shard: &(Shard, u128)) {
        let end: u128 = shard.0.hash_key_range().unwrap().ending_hash_key().parse().unwrap();
        let split = self.kinesis.split_shard().stream_name("s").shard_to_split(shard.0.shard_id());
        split.new_starting_hash_key((shard.1 + (end - shard.1) / 2).to_string()).send().await.unwrap();
    }

    pub(crate) async fn merge(&self, one: &Shard, next: &Shard) {
        let merge = self.kinesis.merge_shards().stream_name("s").shard_to_merge(one.shard_id());
        merge.adjacent_shard_to_merge(next.shard_id()).send().await.unwrap();
    }

    pub(crate) async fn read(&self, settings: Settings) -> Reading {
        self.read_over(settings, &self.line(), self.leases()).await
    }

    /// As [`Site::read`], with a network and leases of its own.
    pub(crate) async fn read_over(&self, settings: Settings, line: &Line, leases: LeaseTable) -> Reading {
        let control = kinesis(line);
        let once = control.config().to_builder().retry_config(RetryConfig::disabled()).build();
        let clients = Clients { control, subscriptions: Client::from_conf(once), leases };
        let (time, random) = (self.control().clock().clone(), fastrand::Rng::with_seed(7));
        let (consumer, mut feeds) =
            Consumer::connect(settings, clients, Clock::from_fn(move || time.now()), random).await.unwrap();
        let (status, losses, budget) = (consumer.status(), consumer.status().losses().clone(), consumer.budget());
        let (stop, seen) = (CancellationToken::new(), Arc::new(Mutex::new(Vec::new())));
        let (sink, sinks) = watch::channel(Sink::Works);
        let (mut running, mut taking) = (JoinSet::new(), JoinSet::new());
        running.spawn(Box::pin(consumer.run(stop.clone())));
        let seen_by_all = Arc::clone(&seen);
        taking.spawn(async move {
            let mut takers = JoinSet::new();
            while let Some(feed) = feeds.recv().await {
                takers.spawn(take(feed, Arc::clone(&seen_by_all), sinks.clone()));
            }
            while takers.join_next().await.is_some() {}
        });
        Reading { status, losses, budget, sink, seen, stop, running, _taking: taking }
    }

    pub(crate) async fn stop(self) {
        self.emulator.stop().await;
    }
}

async fn take(mut feed: ShardFeed, seen: Arc<Mutex<Vec<Seen>>>, mut sink: watch::Receiver<Sink>) {
    let abandon = feed.abandon.clone();
    let taking = async {
        loop {
            sink.wait_for(|sink| *sink != Sink::Blocks).await.unwrap();
            let Some(batch) = feed.batches.recv().await else { return };
            sink.wait_for(|sink| *sink != Sink::Blocks).await.unwrap();
            let (last, at) = (batch.records.last().unwrap().position, Instant::now());
            seen.lock().unwrap().extend(batch.records.iter().map(|record| Seen {
                n: std::str::from_utf8(&record.data).unwrap().parse().unwrap(),
                key: record.partition_key.to_string(),
                shard: feed.shard.as_str().to_owned(),
                at,
            }));
            sink.wait_for(|sink| *sink == Sink::Works).await.unwrap();
            let ack = Ack { first: batch.first, last: batch.first + batch.records.len() as u64 - 1, position: last };
            if feed.acks.send(ack).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = taking => {}
        () = abandon.cancelled() => {}
    }
}

/// Waits until `check` is true, on the paused clock.
pub(crate) async fn until(what: &str, mut check: impl FnMut() -> bool) {
    let waiting = async {
        while !check() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LIMIT, waiting).await.unwrap_or_else(|_| panic!("{what}: not within {LIMIT:?}"));
}

impl Reading {
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until so many records were handed out.
    pub(crate) async fn until(&mut self, records: usize) {
        let waiting = async {
            while self.seen.lock().unwrap().len() < records {
                if let Some(ended) = self.running.try_join_next() {
                    panic!("the consumer ended: {:?}", ended.unwrap());
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        if timeout(LIMIT, waiting).await.is_err() {
            panic!("{} of {records}: {:?}", self.seen().len(), self.reasons());
        }
    }

    /// Each of the numbers was handed out, none twice, and those of a key in their order.
    #[track_caller]
    pub(crate) fn assert_once_in_order(&self, numbers: Range<u64>) {
        let seen = self.seen();
        let mut sorted: Vec<u64> = seen.iter().map(|seen| seen.n).collect();
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(numbers.clone()), "{} records, not once each {numbers:?}", sorted.len());
        let mut last: BTreeMap<&str, u64> = BTreeMap::new();
        for Seen { n, key, shard, .. } in &seen {
            let before = last.insert(key, *n);
            assert!(before.is_none_or(|before| before < *n), "{n} of {shard} came after {before:?}");
        }
    }

    pub(crate) fn shard(&self, index: usize) -> Arc<ShardStatus> {
        Arc::clone(&self.status.snapshot()[index].1)
    }

    pub(crate) async fn until_state(&self, index: usize, state: ShardState) {
        until(state.name(), || self.status.snapshot().get(index).is_some_and(|(_, shard)| shard.state() == state))
            .await;
    }

    /// How often reading ended, by reason, over all shards.
    pub(crate) fn reasons(&self) -> BTreeMap<&'static str, u64> {
        let mut reasons = BTreeMap::new();
        for (_, status) in self.status.snapshot() {
            status.resubscriptions().into_iter().for_each(|(reason, n)| *reasons.entry(reason).or_default() += n);
        }
        reasons
    }

    /// Stops in good order.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        self.running.join_next().await.unwrap().unwrap().unwrap();
    }

    /// Ends as SIGKILL would.
    pub(crate) fn kill(self) {}
}
