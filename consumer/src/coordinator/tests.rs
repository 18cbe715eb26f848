//! Whole workers on a paused clock, against leases in memory and a Kinesis of which only the control plane answers.

use crate::{Clients, Consumer, ErrorKind, LeaseMode, LeaseTable, MemoryLeases, Settings, ShardFeed, ShardState};
use alluvial_record::ShardId;
use alluvial_runtime::clock::Clock;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

const FAILOVER: Duration = Duration::from_secs(10);

/// The control plane of a stream; subscriptions never open.
#[derive(Debug, Clone)]
struct Kinesis {
    shards: usize,
    created_seconds: u64,
}

impl HttpConnector for Kinesis {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
        let body = match operation {
            "DescribeStreamSummary" => format!(
                r#"{{"StreamDescriptionSummary": {{"StreamName": "s", "StreamARN": "{arn}", "StreamStatus": "ACTIVE",
                "RetentionPeriodHours": 24, "StreamCreationTimestamp": {}, "EnhancedMonitoring": [], "OpenShardCount": 1}}}}"#,
                self.created_seconds
            ),
            "DescribeStreamConsumer" => format!(
                r#"{{"ConsumerDescription": {{"ConsumerName": "app", "ConsumerARN": "{arn}/consumer/app:1", "ConsumerStatus": "ACTIVE",
                "ConsumerCreationTimestamp": 1, "StreamARN": "{arn}"}}}}"#
            ),
            "ListShards" => {
                let shard = |number| {
                    format!(
                        r#"{{"ShardId": "shardId-{number:012}", "HashKeyRange": {{"StartingHashKey": "{number}", "EndingHashKey": "{number}"}},
                        "SequenceNumberRange": {{"StartingSequenceNumber": "1"}}}}"#
                    )
                };
                format!(r#"{{"Shards": [{}]}}"#, (0..self.shards).map(shard).collect::<Vec<_>>().join(","))
            }
            _ => return HttpConnectorFuture::new(std::future::pending()),
        };
        let status = 200.try_into().expect("a status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body))))
    }
}

impl Kinesis {
    fn client(&self) -> aws_sdk_kinesis::Client {
        let connector = SharedHttpConnector::new(self.clone());
        let http: SharedHttpClient = http_client_fn(move |_, _| connector.clone());
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url("http://kinesis")
            .http_client(http)
            .build();
        aws_sdk_kinesis::Client::from_conf(config)
    }
}

/// Workers by the shards that they read.
type Reading = Arc<Mutex<BTreeMap<ShardId, BTreeSet<String>>>>;

struct World {
    kinesis: Kinesis,
    memory: MemoryLeases,
    reading: Reading,
    /// While it is set, workers do not finish what they read.
    stuck: CancellationToken,
    tasks: JoinSet<()>,
}

struct Worker {
    stop: CancellationToken,
    task: AbortHandle,
}

impl World {
    fn new(shards: usize) -> Self {
        let stuck = CancellationToken::new();
        stuck.cancel();
        let kinesis = Kinesis { shards, created_seconds: 1_795_000_000 };
        Self { kinesis, memory: MemoryLeases::default(), reading: Reading::default(), stuck, tasks: JoinSet::new() }
    }

    async fn consumer(&self, name: &str, change: impl FnOnce(&mut Settings)) -> (Consumer, mpsc::Receiver<ShardFeed>) {
        let mut settings = Settings::new("s", "app", name);
        change(&mut settings);
        let leases = LeaseTable::Memory(self.memory.clone());
        let clients = Clients { control: self.kinesis.client(), subscriptions: self.kinesis.client(), leases };
        let clock = Clock::from_fn(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_100));
        let seed = name.bytes().map(u64::from).sum();
        Consumer::connect(settings, clients, clock, fastrand::Rng::with_seed(seed)).await.unwrap()
    }

    /// Starts a worker whose pipeline lets go of a shard as soon as its batches end, if it is not stuck.
    async fn join(&mut self, name: &str, mode: LeaseMode) -> Worker {
        let (consumer, feeds) = self.consumer(name, |settings| settings.lease_mode = mode).await;
        let stop = CancellationToken::new();
        let (token, reading, stuck, name) =
            (stop.clone(), Arc::clone(&self.reading), self.stuck.clone(), name.to_owned());
        let task = self.tasks.spawn(async move {
            let (ended, ()) = tokio::join!(consumer.run(token), pipeline(feeds, name, reading, stuck));
            ended.unwrap();
        });
        Worker { stop, task }
    }

    /// Ends a worker as SIGKILL would.
    fn kill(&self, worker: &Worker, name: &str) {
        worker.task.abort();
        self.reading.lock().unwrap().values_mut().for_each(|workers| {
            workers.remove(name);
        });
    }

    /// Shards that each worker reads. No shard is read by two.
    fn shares(&self) -> BTreeMap<String, usize> {
        let mut shares = BTreeMap::new();
        for (shard, workers) in self.reading.lock().unwrap().iter() {
            assert!(workers.len() <= 1, "{shard} is read by {workers:?}");
            workers.iter().for_each(|worker| *shares.entry(worker.clone()).or_default() += 1);
        }
        shares
    }

    async fn until_shared(&self, wanted: &[(&str, usize)], limit: Duration) -> Duration {
        let began = Instant::now();
        let wanted: BTreeMap<String, usize> = wanted.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let shared = timeout(limit, async {
            while self.shares() != wanted {
                sleep(Duration::from_millis(50)).await;
            }
        });
        shared.await.unwrap_or_else(|_| panic!("{wanted:?} wanted, not {:?}", self.shares()));
        began.elapsed()
    }
}

async fn pipeline(mut feeds: mpsc::Receiver<ShardFeed>, name: String, reading: Reading, stuck: CancellationToken) {
    let mut lanes = JoinSet::new();
    while let Some(mut feed) = feeds.recv().await {
        reading.lock().unwrap().entry(feed.shard.clone()).or_default().insert(name.clone());
        let (reading, name, stuck) = (Arc::clone(&reading), name.clone(), stuck.clone());
        lanes.spawn(async move {
            while feed.batches.recv().await.is_some() {}
            tokio::select! {
                () = stuck.cancelled() => {}
                () = feed.abandon.cancelled() => {}
            }
            reading.lock().unwrap().entry(feed.shard.clone()).or_default().remove(&name);
            // The whole of it, and not before: its end tells the consumer that nothing more will be acknowledged.
            drop(feed);
        });
    }
    while lanes.join_next().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn workers_share_join_stop_and_die_and_no_shard_is_read_by_two() {
    for mode in [LeaseMode::Kcl, LeaseMode::Compact] {
        let mut world = World::new(12);
        let one = world.join("one", mode).await;
        world.until_shared(&[("one", 12)], Duration::from_secs(1)).await;
        let _two = world.join("two", mode).await;
        let took = world.until_shared(&[("one", 6), ("two", 6)], Duration::from_secs(5)).await;
        assert!(took <= Duration::from_secs(5), "{took:?}");
        let three = world.join("three", mode).await;
        world.until_shared(&[("one", 4), ("two", 4), ("three", 4)], Duration::from_secs(5)).await;
        sleep(Duration::from_secs(60)).await;
        world.until_shared(&[("one", 4), ("two", 4), ("three", 4)], Duration::from_millis(1)).await;
        one.stop.cancel();
        let took = world.until_shared(&[("two", 6), ("three", 6)], Duration::from_secs(6)).await;
        assert!(mode == LeaseMode::Compact || took <= Duration::from_millis(2_500), "{took:?}");
        world.kill(&three, "three");
        let took = world.until_shared(&[("two", 12)], FAILOVER * 2).await;
        assert!(took >= FAILOVER / 2, "{mode:?}: taken after {took:?} from a worker that might have lived");
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_owner_that_cannot_finish_abandons_the_shard_at_the_deadline_of_its_handoff() {
    let mut world = World::new(2);
    world.stuck = CancellationToken::new();
    let _one = world.join("one", LeaseMode::Kcl).await;
    world.until_shared(&[("one", 2)], Duration::from_secs(1)).await;
    let _two = world.join("two", LeaseMode::Kcl).await;
    let took = world.until_shared(&[("one", 1), ("two", 1)], Duration::from_secs(60)).await;
    assert!((30..40).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_handoff_whose_old_owner_hangs_is_ended_by_the_new_one_and_one_between_two_dead_workers_by_anybody() {
    let mut world = World::new(2);
    let table = LeaseTable::Memory(world.memory.clone());
    let _one = world.join("one", LeaseMode::Kcl).await;
    world.until_shared(&[("one", 2)], Duration::from_secs(1)).await;
    // Asked for by a worker that is gone: "one" gives it, and takes it back after the failover time.
    let lease = table.list().await.unwrap().leases.remove(0);
    assert!(table.ask(&lease, "gone").await.unwrap());
    world.until_shared(&[("one", 1)], Duration::from_secs(5)).await;
    let took = world.until_shared(&[("one", 2)], FAILOVER * 2).await;
    assert!(took >= FAILOVER / 2, "{took:?}");
    // From one that is gone to another that is gone, with a counter that somebody keeps moving.
    let lease = table.list().await.unwrap().leases.remove(0);
    let mut row = table.take(&lease, "hangs", None).await.unwrap().unwrap();
    assert!(table.ask(&row, "gone").await.unwrap());
    row = table.list().await.unwrap().leases.remove(0);
    let began = Instant::now();
    while let Ok(crate::Written::Done) = table.replace(&row, &row.renewed()).await {
        row = row.renewed();
        sleep(Duration::from_secs(2)).await;
        assert!(began.elapsed() < Duration::from_secs(70), "nobody ended it");
    }
    assert!(began.elapsed() >= Duration::from_secs(45), "the time of a handoff, and twice the failover time");
    world.until_shared(&[("one", 2)], Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_of_another_mode_stops_and_the_fleet_goes_on() {
    for (mode, other) in [(LeaseMode::Kcl, LeaseMode::Compact), (LeaseMode::Compact, LeaseMode::Kcl)] {
        let mut world = World::new(4);
        let _one = world.join("one", mode).await;
        sleep(FAILOVER * 6).await;
        let (consumer, _feeds) = world.consumer("two", |settings| settings.lease_mode = other).await;
        let ended = timeout(FAILOVER * 5, consumer.run(CancellationToken::new())).await.expect("it stops by itself");
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fatal);
        assert!(error.to_string().contains("\"one\"") && error.to_string().contains(mode.name()), "{error}");
        world.until_shared(&[("one", 4)], Duration::from_secs(30)).await;
        assert!(!world.tasks.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn leases_of_a_stream_that_was_made_anew_are_refused() {
    let mut world = World::new(2);
    let one = world.join("one", LeaseMode::Kcl).await;
    world.until_shared(&[("one", 2)], Duration::from_secs(1)).await;
    one.stop.cancel();
    world.tasks.join_next().await.unwrap().unwrap();
    world.kinesis.created_seconds += 60;
    let (consumer, _feeds) = world.consumer("two", |_| {}).await;
    let error = consumer.run(CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fatal);
    assert!(error.to_string().contains("made anew") && error.to_string().contains("1795000060000"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_worker_takes_no_more_leases_than_it_may_and_says_what_the_others_wait_for() {
    let world = World::new(5);
    let (consumer, mut feeds) = world.consumer("one", |settings| settings.max_leases = 2).await;
    let (status, stop) = (consumer.status(), CancellationToken::new());
    let stopping = async {
        sleep(Duration::from_secs(30)).await;
        let states: Vec<ShardState> = status.snapshot().iter().map(|(_, shard)| shard.state()).collect();
        assert_eq!(states.iter().filter(|state| **state == ShardState::WaitingLease).count(), 3, "{states:?}");
        stop.cancel();
        let mut taken = Vec::new();
        while let Some(feed) = feeds.recv().await {
            taken.push(feed.shard);
        }
        assert_eq!(taken.len(), 2);
    };
    let (ended, ()) = tokio::join!(consumer.run(stop.clone()), stopping);
    ended.unwrap();
}
