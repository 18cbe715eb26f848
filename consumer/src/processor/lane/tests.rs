use super::*;
use crate::feed::Kind;
use crate::metrics::Timings;
use crate::processor::{DeadLetters, Limits, OnError};
use alluvial_record::Position;
use std::sync::Mutex;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// What a processor saw: payloads of each call, and hooks by name.
type Seen = Arc<Mutex<Vec<String>>>;

/// Fails on payloads that begin with `bad`, panics on those with `panic`.
struct Picky(Seen);

impl Picky {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }
}

impl Processor for Picky {
    async fn process(&mut self, records: Records<'_>) -> Result<(), ProcessError> {
        let payloads: Vec<String> =
            records.iter().map(|record| String::from_utf8_lossy(&record.data).into_owned()).collect();
        assert!(payloads.iter().all(|payload| !payload.starts_with("panic")), "on purpose");
        if payloads.iter().any(|payload| payload.starts_with("bad")) {
            return Err(ProcessError::new("cannot be read"));
        }
        self.note(payloads.join(" "));
        Ok(())
    }

    async fn lease_gained(&mut self, shard: &ShardName) {
        self.note(format!("gained {shard}"));
    }

    async fn lease_lost(&mut self) {
        self.note("lost");
    }

    async fn shard_ended(&mut self) {
        self.note("ended");
    }

    async fn shutdown(&mut self) {
        self.note("shutdown");
    }
}

struct Bench {
    batches: mpsc::Sender<Batch>,
    acks: mpsc::Receiver<Ack>,
    abandon: CancellationToken,
    stopping: CancellationToken,
    stop: CancellationToken,
    ending: watch::Sender<Option<FeedEnd>>,
    seen: Seen,
    status: Arc<crate::status::ShardStatus>,
    lane: tokio::task::JoinHandle<Result<(), Error>>,
}

fn start(on_error: OnError, limits: Limits) -> Bench {
    let (batches, receiver) = mpsc::channel(8);
    let (acks, ack_receiver) = mpsc::channel(100);
    let (abandon, stop, seen) = (CancellationToken::new(), CancellationToken::new(), Seen::default());
    let (feed, ending) = ShardFeed::detached("a".into(), receiver, acks, abandon.clone());
    let (stopping, status) = (feed.stopping.clone(), Arc::clone(&feed.status));
    let timings = Timings { application: "app".into() };
    let plan = Arc::new(Plan { on_error, limits, timings, stop: stop.clone() });
    let lane = Lane::new(plan, feed, Picky(Arc::clone(&seen)), fastrand::Rng::with_seed(1));
    #[allow(clippy::disallowed_methods, reason = "the test awaits it")]
    let lane = tokio::spawn(lane.run());
    Bench { batches, acks: ack_receiver, abandon, stopping, stop, ending, seen, status, lane }
}

fn batch(first: u64, payloads: &[&str]) -> Batch {
    let record = |(ordinal, payload): (u64, &&str)| Record {
        position: Position::of((ordinal + 100).to_string().parse().unwrap()),
        partition_key: "k".into(),
        data: (*payload).to_owned().into(),
        arrived_millis: 4_000,
        kind: Kind::Plain,
    };
    Batch::unbudgeted(first, (first..).zip(payloads).map(record).collect())
}

impl Bench {
    /// Ends the feed; returns what was seen, the acknowledged ranges, and how the lane ended.
    async fn end(mut self, end: FeedEnd) -> (Vec<String>, Vec<(u64, u64)>, Result<(), Error>) {
        self.ending.send_replace(Some(end));
        drop(self.batches);
        let ended = self.lane.await.unwrap();
        let mut acks = Vec::new();
        while let Some(ack) = self.acks.recv().await {
            assert_eq!(ack.position.sequence.to_string(), (ack.last + 100).to_string());
            acks.push((ack.first, ack.last));
        }
        let seen = self.seen.lock().unwrap().clone();
        (seen, acks, ended)
    }
}

fn dead_letters(into: &Seen) -> OnError {
    let into = Arc::clone(into);
    OnError::dead_letter(move |letter: DeadLetter| {
        let text = String::from_utf8_lossy(&letter.record.data).into_owned();
        into.lock().unwrap().push(format!("{text} {} {}", letter.attempts, letter.reason));
        std::future::ready(Ok(()))
    })
}

#[tokio::test(start_paused = true)]
async fn records_come_in_parts_within_the_limits_and_are_acknowledged_in_order() {
    let bench = start(OnError::default(), Limits { max_records: 2, max_bytes: 1_000 });
    bench.batches.send(batch(0, &["a", "b", "c"])).await.unwrap();
    bench.batches.send(batch(3, &["d"])).await.unwrap();
    let (seen, acks, ended) = bench.end(FeedEnd::ShardEnded).await;
    assert_eq!(seen, ["gained s/a", "a b", "c", "d", "ended"]);
    assert_eq!(acks, [(0, 1), (2, 2), (3, 3)]);
    ended.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_poison_record_and_a_panic_become_dead_letters_and_their_neighbours_are_processed() {
    let dead = Seen::default();
    let bench = start(dead_letters(&dead), Limits::NONE);
    bench.batches.send(batch(0, &["a", "b", "bad", "c", "panic", "d"])).await.unwrap();
    let (status, (seen, acks, ended)) = (Arc::clone(&bench.status), bench.end(FeedEnd::Stopped).await);
    assert_eq!(seen, ["gained s/a", "a", "b", "c", "d", "shutdown"]);
    let dead = dead.lock().unwrap();
    assert_eq!(dead[0], "bad 6 cannot be read");
    assert_eq!(dead[1], "panic 6 the processor panicked: on purpose");
    let ordinals: Vec<u64> = acks.iter().flat_map(|(first, last)| *first..=*last).collect();
    assert_eq!(ordinals, (0..6).collect::<Vec<_>>());
    ended.unwrap();
    let counts = [&status.processing.processed, &status.processing.dead_lettered, &status.processing.skipped];
    assert_eq!(counts.map(|count| count.load(Ordering::Relaxed)), [4, 2, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_acknowledged_only_once_it_is_stored() {
    let (tries, failures) = (Arc::new(AtomicU64::new(0)), 7);
    let counter = Arc::clone(&tries);
    let store = DeadLetters::new(move |_| {
        let failing = counter.fetch_add(1, Ordering::Relaxed) < failures;
        std::future::ready(if failing { Err(ProcessError::new("the bucket is gone")) } else { Ok(()) })
    });
    let policy = OnError { retries: 0, then: Then::DeadLetter(store), ..OnError::default() };
    let bench = start(policy, Limits::NONE);
    bench.batches.send(batch(0, &["bad", "a"])).await.unwrap();
    let (_, acks, ended) = bench.end(FeedEnd::Stopped).await;
    assert_eq!((tries.load(Ordering::Relaxed), acks), (8, vec![(0, 0), (1, 1)]));
    ended.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_default_stops_the_consumer_and_acknowledges_nothing_from_the_record_on() {
    let bench = start(OnError::default(), Limits::NONE);
    bench.batches.send(batch(0, &["a", "b", "bad", "c"])).await.unwrap();
    let stop = bench.stop.clone();
    stop.cancelled().await;
    let (seen, acks, ended) = bench.end(FeedEnd::Stopped).await;
    assert_eq!((seen.last().unwrap().as_str(), acks), ("shutdown", vec![(0, 1)]));
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Processing);
    let text = error.to_string();
    assert!(text.contains("s/a") && text.contains("102") && text.contains("cannot be read"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_stands_still_takes_no_more_and_ends_when_the_consumer_stops() {
    let bench = start(OnError { then: Then::StopShard, ..OnError::default() }, Limits::NONE);
    bench.batches.send(batch(0, &["bad", "a"])).await.unwrap();
    bench.batches.send(batch(2, &["b"])).await.unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(!bench.stop.is_cancelled() && !bench.lane.is_finished(), "the others go on");
    assert!(bench.batches.is_closed(), "the reading ends, and what was read frees the budget");
    assert_eq!(bench.status.state(), crate::ShardState::Halted);
    bench.stopping.cancel();
    let (seen, acks, ended) = bench.end(FeedEnd::Stopped).await;
    assert_eq!((seen, acks), (vec!["gained s/a".to_owned(), "shutdown".to_owned()], vec![]));
    ended.unwrap();
}

#[tokio::test(start_paused = true)]
async fn skipping_is_counted_and_goes_on() {
    let bench = start(OnError { then: Then::Skip, ..OnError::default() }, Limits::NONE);
    bench.batches.send(batch(0, &["bad", "a"])).await.unwrap();
    let (status, (seen, acks, _)) = (Arc::clone(&bench.status), bench.end(FeedEnd::Stopped).await);
    assert_eq!((seen[1].as_str(), acks), ("a", vec![(0, 0), (1, 1)]));
    assert_eq!(status.processing.skipped.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_ends_even_a_lane_that_waits_to_try_again() {
    let policy = OnError { backoff: (Duration::from_secs(3600), Duration::from_secs(3600)), ..OnError::default() };
    let bench = start(policy, Limits::NONE);
    bench.batches.send(batch(0, &["bad"])).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    bench.abandon.cancel();
    let (seen, acks, ended) = bench.end(FeedEnd::HandedOver).await;
    assert_eq!((seen.last().unwrap().as_str(), acks.len()), ("lost", 0));
    ended.unwrap();
}
