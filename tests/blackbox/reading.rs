//! A consumer in this process against an emulator in this process: what the tests of reading share.

use alluvial_consumer::{
    Ack, Clients, Consumer, Error, LeaseTable, Losses, MemoryLeases, Settings, ShardFeed, ShardStatus, StatusBoard,
};
use alluvial_emulator::{Control, Emulator};
use alluvial_runtime::aws::Aws;
use alluvial_runtime::clock::Clock;
use alluvial_runtime::http2;
use alluvial_tests::eventually;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Shard};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) const LIMIT: Duration = Duration::from_secs(25);

/// An emulator with the stream `s`, and clients of it.
pub(crate) struct Site {
    pub(crate) emulator: Emulator,
    pub(crate) kinesis: Client,
    pub(crate) leases: LeaseTable,
    aws: Aws,
    _dir: tempfile::TempDir,
}

/// A record that was handed out.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) n: u64,
    pub(crate) shard: String,
    pub(crate) at: Instant,
}

/// A running consumer.
pub(crate) struct Reading {
    pub(crate) status: StatusBoard,
    pub(crate) losses: Losses,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: CancellationToken,
    running: JoinSet<Result<(), Error>>,
    _taking: JoinSet<()>,
}

impl Site {
    /// Starts an emulator whose settings `change` may change, with a stream of `shards`.
    pub(crate) async fn start(shards: i32, change: impl FnOnce(&mut alluvial_emulator::Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = alluvial_emulator::Settings::new(dir.path());
        change(&mut settings);
        let emulator = Emulator::start(settings).await.unwrap();
        let aws = Aws::local(&emulator.endpoint(), "us-east-1", emulator.ca_bundle()).await.unwrap();
        let kinesis = Client::new(&aws.control);
        kinesis.create_stream().stream_name("s").shard_count(shards).send().await.unwrap();
        let leases = LeaseTable::Memory(MemoryLeases::default());
        let site = Self { emulator, kinesis, leases, aws, _dir: dir };
        eventually("the stream is ACTIVE", LIMIT, || async {
            let summary = site.kinesis.describe_stream_summary().stream_name("s").send().await.unwrap();
            (summary.stream_description_summary.unwrap().stream_status.as_str() == "ACTIVE").then_some(())
        })
        .await;
        site
    }

    pub(crate) fn control(&self) -> Control {
        self.emulator.control()
    }

    pub(crate) fn faults(&self, plan: &str) {
        self.control().set_faults(plan).unwrap();
    }

    /// Settings with deadlines for tests.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::new("s", "app", "worker");
        settings.open_deadline = Duration::from_secs(2);
        settings.registration_deadline = Duration::from_secs(10);
        settings.sync_interval = Duration::from_secs(1);
        settings.drain_grace = Duration::from_secs(1);
        settings
    }

    /// Puts a record for each number, under a key of its own.
    pub(crate) async fn put(&self, numbers: Range<u64>) {
        let numbers: Vec<u64> = numbers.collect();
        for some in numbers.chunks(500) {
            let entry = |n: &u64| {
                let entry = PutRecordsRequestEntry::builder().partition_key(format!("key-{n}"));
                entry.data(Blob::new(n.to_string())).build().unwrap()
            };
            let put = self.kinesis.put_records().stream_name("s").set_records(Some(some.iter().map(entry).collect()));
            assert_eq!(put.send().await.unwrap().failed_record_count, Some(0));
        }
    }

    pub(crate) async fn shards(&self) -> Vec<Shard> {
        self.kinesis.list_shards().stream_name("s").send().await.unwrap().shards.unwrap()
    }

    pub(crate) async fn split(&self, shard: &Shard) {
        let keys = shard.hash_key_range().unwrap();
        let (start, end): (u128, u128) =
            (keys.starting_hash_key().parse().unwrap(), keys.ending_hash_key().parse().unwrap());
        let split = self.kinesis.split_shard().stream_name("s").shard_to_split(shard.shard_id());
        split.new_starting_hash_key((start + (end - start) / 2).to_string()).send().await.unwrap();
    }

    pub(crate) async fn stream_arn(&self) -> String {
        let summary = self.kinesis.describe_stream_summary().stream_name("s").send().await.unwrap();
        summary.stream_description_summary.unwrap().stream_arn
    }

    pub(crate) async fn register(&self, name: &str) {
        let call = self.kinesis.register_stream_consumer().stream_arn(self.stream_arn().await).consumer_name(name);
        call.send().await.unwrap();
    }

    pub(crate) async fn deregister(&self, name: &str) {
        let call = self.kinesis.deregister_stream_consumer().stream_arn(self.stream_arn().await).consumer_name(name);
        call.send().await.unwrap();
    }

    pub(crate) async fn consumers(&self) -> Vec<String> {
        let list = self.kinesis.list_stream_consumers().stream_arn(self.stream_arn().await).send().await.unwrap();
        list.consumers.unwrap().into_iter().map(|consumer| consumer.consumer_arn).collect()
    }

    pub(crate) async fn try_read(&self, settings: Settings) -> Result<Reading, Error> {
        self.read_with(settings, None).await
    }

    pub(crate) async fn read(&self, settings: Settings) -> Reading {
        self.try_read(settings).await.unwrap()
    }

    /// Reads; records of the shard that `blocked` names are not taken while it does.
    pub(crate) async fn read_with(
        &self,
        settings: Settings,
        blocked: Option<watch::Receiver<String>>,
    ) -> Result<Reading, Error> {
        let subscriptions = self.aws.subscriptions(http2::Settings::for_streams(64)).unwrap();
        let clients = Clients::new(&self.aws.control, &subscriptions, self.leases.clone());
        let random = fastrand::Rng::with_seed(7);
        let (consumer, mut feeds) = Consumer::connect(settings, clients, Clock::system(), random).await?;
        let (status, losses) = (consumer.status(), consumer.status().losses().clone());
        let (stop, seen) = (CancellationToken::new(), Arc::new(Mutex::new(Vec::new())));
        let (mut running, mut taking) = (JoinSet::new(), JoinSet::new());
        running.spawn(Box::pin(consumer.run(stop.clone())));
        let seen_by_all = Arc::clone(&seen);
        taking.spawn(async move {
            let mut takers = JoinSet::new();
            while let Some(feed) = feeds.recv().await {
                takers.spawn(take(feed, Arc::clone(&seen_by_all), blocked.clone()));
            }
            while takers.join_next().await.is_some() {}
        });
        Ok(Reading { status, losses, seen, stop, running, _taking: taking })
    }
}

async fn take(mut feed: ShardFeed, seen: Arc<Mutex<Vec<Seen>>>, mut blocked: Option<watch::Receiver<String>>) {
    while let Some(batch) = feed.batches.recv().await {
        if let Some(blocked) = &mut blocked {
            blocked.wait_for(|shard| shard != feed.shard.as_str()).await.unwrap();
        }
        let last = batch.records.last().unwrap().position;
        let at = Instant::now();
        seen.lock().unwrap().extend(batch.records.iter().map(|record| {
            let n = std::str::from_utf8(&record.data).unwrap().parse().unwrap();
            Seen { n, shard: feed.shard.as_str().to_owned(), at }
        }));
        let ack = Ack { first: batch.first, last: batch.first + batch.records.len() as u64 - 1, position: last };
        if feed.acks.send(ack).await.is_err() {
            return;
        }
    }
}

impl Reading {
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How often each number was handed out.
    pub(crate) fn counts(&self) -> BTreeMap<u64, u64> {
        let mut counts = BTreeMap::new();
        self.seen.lock().unwrap().iter().for_each(|seen| *counts.entry(seen.n).or_default() += 1);
        counts
    }

    /// Waits until so many different records were handed out.
    pub(crate) async fn until(&mut self, records: usize) {
        let deadline = Instant::now() + LIMIT;
        while self.counts().len() < records {
            if let Some(ended) = self.running.try_join_next() {
                panic!("the consumer ended: {:?}", ended.unwrap());
            }
            assert!(Instant::now() < deadline, "{} of {records}: {:?}", self.counts().len(), self.reasons());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Each of the numbers was handed out, and none twice.
    pub(crate) fn assert_each_once(&self, numbers: Range<u64>) {
        let counts = self.counts();
        let missing: Vec<u64> = numbers.clone().filter(|n| !counts.contains_key(n)).collect();
        assert!(missing.is_empty(), "{} missing, such as {:?}", missing.len(), missing.first());
        let repeated: Vec<_> = counts.iter().filter(|(_, times)| **times > 1).collect();
        assert!(repeated.is_empty(), "{} repeated, such as {:?}", repeated.len(), repeated.first());
        assert_eq!(counts.len() as u64, numbers.end - numbers.start);
    }

    pub(crate) fn shard(&self, index: usize) -> Arc<ShardStatus> {
        Arc::clone(&self.status.snapshot()[index].1)
    }

    /// How often reading ended, by reason, over all shards.
    pub(crate) fn reasons(&self) -> BTreeMap<&'static str, u64> {
        let mut reasons = BTreeMap::new();
        for (_, status) in self.status.snapshot() {
            status.resubscriptions().into_iter().for_each(|(reason, n)| *reasons.entry(reason).or_default() += n);
        }
        reasons
    }

    pub(crate) fn reason(&self, reason: &str) -> u64 {
        self.reasons().get(reason).copied().unwrap_or(0)
    }

    /// Stops in good order.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        self.running.join_next().await.unwrap().unwrap().unwrap();
    }

    /// Waits for the consumer to end by itself, and returns why.
    pub(crate) async fn failure(&mut self) -> Error {
        let ended = tokio::time::timeout(LIMIT, self.running.join_next()).await;
        ended.expect("the consumer ends by itself").unwrap().unwrap().unwrap_err()
    }
}
