//! Processors, batches and lag of the consumer library, over an emulator: poison records, stops, acknowledgements.

use alluvial_consumer::{
    ConsumerBuilder, DeadLetter, Error, ErrorKind, LeaseTable, MemoryLeases, OnError, ProcessError, Processor, Records,
    ShardState, Status, Then,
};
use alluvial_emulator::Emulator;
use alluvial_record::Checkpoint;
use alluvial_runtime::aws::Aws;
use alluvial_tests::eventually;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use futures_util::StreamExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(30);

/// An emulator in this process, with a stream `s`, and leases in memory that outlive a consumer.
struct Bench {
    emulator: Emulator,
    kinesis: aws_sdk_kinesis::Client,
    aws: Aws,
    leases: LeaseTable,
    _dir: TempDir,
}

/// Payloads, in the order in which they were seen.
type Seen = Arc<Mutex<Vec<String>>>;

/// Keeps what it sees, and fails on what begins with `poison`.
#[derive(Clone)]
struct Keep(Seen);

impl Processor for Keep {
    async fn process(&mut self, records: Records<'_>) -> Result<(), ProcessError> {
        let texts: Vec<String> = records.iter().map(|record| text(&record.data)).collect();
        if texts.iter().any(|text| text.starts_with("poison")) {
            return Err(ProcessError::new("it is poison"));
        }
        self.0.lock().unwrap().extend(texts);
        Ok(())
    }
}

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

impl Bench {
    async fn start(shards: i32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let emulator = Emulator::start(alluvial_emulator::Settings::new(dir.path())).await.unwrap();
        let aws = Aws::local(&emulator.plain_endpoint(), "us-east-1", emulator.ca_bundle()).await.unwrap();
        let kinesis = aws_sdk_kinesis::Client::new(&aws.control);
        kinesis.create_stream().stream_name("s").shard_count(shards).send().await.unwrap();
        let leases = LeaseTable::Memory(MemoryLeases::default());
        Self { emulator, kinesis, aws, leases, _dir: dir }
    }

    /// Puts payloads in one call; returns their sequence numbers.
    async fn put(&self, payloads: &[&str]) -> Vec<String> {
        let entry = |payload: &&str| {
            let data = Blob::new(payload.as_bytes());
            PutRecordsRequestEntry::builder().partition_key(*payload).data(data).build().unwrap()
        };
        let put = self.kinesis.put_records().stream_name("s").set_records(Some(payloads.iter().map(entry).collect()));
        let put = put.send().await.unwrap();
        put.records.into_iter().map(|record| record.sequence_number.unwrap()).collect()
    }

    fn consumer(&self, stop: &CancellationToken) -> ConsumerBuilder {
        ConsumerBuilder::default()
            .stream("s")
            .application("app")
            .aws(self.aws.control.clone())
            .leases(self.leases.clone())
            .checkpoint_interval(Duration::from_millis(50))
            .stop_on(stop.clone())
    }

    /// Owner and checkpoint of each shard.
    async fn rows(&self) -> Vec<(Option<String>, Checkpoint)> {
        self.leases.list().await.unwrap().leases.into_iter().map(|lease| (lease.owner, lease.checkpoint)).collect()
    }
}

fn quick(then: Then) -> OnError {
    OnError { retries: 1, backoff: (Duration::from_millis(5), Duration::from_millis(20)), then, ..OnError::default() }
}

async fn until_seen(seen: &Seen, count: usize) {
    eventually("records processed", LIMIT, || async { (seen.lock().unwrap().len() >= count).then_some(()) }).await;
}

const BATCH: [&str; 9] = ["a", "b", "c", "d", "poison", "e", "f", "g", "h"];
const GOOD: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_record_in_the_middle_becomes_a_dead_letter_and_the_others_are_delivered() {
    let bench = Bench::start(1).await;
    let sequences = bench.put(&BATCH).await;
    let (stop, seen, dead) = (CancellationToken::new(), Seen::default(), Arc::new(Mutex::new(Vec::new())));
    let letters = Arc::clone(&dead);
    let policy = OnError {
        then: OnError::dead_letter(move |letter: DeadLetter| {
            letters.lock().unwrap().push(letter);
            std::future::ready(Ok(()))
        })
        .then,
        ..quick(Then::Stop)
    };
    let running = bench.consumer(&stop).on_error(policy).run(|_| Keep(Arc::clone(&seen)));
    let (ended, ()) = tokio::join!(running, async {
        until_seen(&seen, GOOD.len()).await;
        stop.cancel();
    });
    ended.unwrap();
    assert_eq!(*seen.lock().unwrap(), GOOD);
    let dead = dead.lock().unwrap().clone();
    assert_eq!(dead.len(), 1);
    assert_eq!((text(&dead[0].record.data).as_str(), dead[0].reason.as_str()), ("poison", "it is poison"));
    assert_eq!(dead[0].record.position.sequence.to_string(), sequences[4]);
    let (owner, checkpoint) = bench.rows().await.remove(0);
    assert_eq!((owner, checkpoint.to_string()), (None, sequences[8].clone()), "all is settled");
    bench.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_halts_before_the_record_and_a_new_start_begins_with_it() {
    let bench = Bench::start(1).await;
    let sequences = bench.put(&BATCH).await;
    let (stop, seen) = (CancellationToken::new(), Seen::default());
    let error = bench.consumer(&stop).on_error(quick(Then::Stop)).run(|_| Keep(Arc::clone(&seen))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Processing);
    assert!(error.to_string().contains(&sequences[4]), "{error}");
    assert!(!stop.is_cancelled(), "the token is the caller's");
    assert_eq!(*seen.lock().unwrap(), BATCH[..4]);
    let (owner, checkpoint) = bench.rows().await.remove(0);
    assert_eq!((owner, checkpoint.to_string()), (None, sequences[3].clone()), "right before the record");

    let again = Seen::default();
    let all = Arc::clone(&again);
    let running = bench.consumer(&stop).run_each(move |record| {
        all.lock().unwrap().push(text(&record.data));
        std::future::ready(Ok(()))
    });
    let (ended, ()) = tokio::join!(running, async {
        until_seen(&again, 5).await;
        stop.cancel();
    });
    ended.unwrap();
    assert_eq!(*again.lock().unwrap(), BATCH[4..]);
    bench.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_shard_stands_still_and_the_others_go_on() {
    let bench = Bench::start(4).await;
    // As large as a record may be, and as the whole budget: while it is held, no other shard could read anything.
    let poison = format!("poison{}", "x".repeat(1024 * 1024 - 7));
    let put = bench.kinesis.put_record().stream_name("s").partition_key("p").data(Blob::new(poison));
    put.send().await.unwrap();
    let (stop, seen) = (CancellationToken::new(), Seen::default());
    let builder = bench.consumer(&stop).on_error(quick(Then::StopShard)).budget_bytes(1024 * 1024);
    let application = builder.connect().await.unwrap();
    let status = application.status();
    let acting = async {
        eventually("a shard that stands still", LIMIT, || async { (halted(&status) == 1).then_some(()) }).await;
        // Keys of one byte spread over the shards; those of the shard that stands still do not come.
        let letters: Vec<String> = ('a'..='z').map(String::from).collect();
        bench.put(&letters.iter().map(String::as_str).collect::<Vec<_>>()).await;
        until_seen(&seen, 10).await;
        let lag = status.lag();
        assert!(lag.oldest_unacknowledged.is_some(), "what stands still is what the lag tells: {lag:?}");
        assert_eq!(halted(&status), 1);
        let owned = bench.rows().await.iter().filter(|(owner, _)| owner.is_some()).count();
        assert_eq!(owned, 4, "no peer may run into the same record");
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(application.run(|_| Keep(Arc::clone(&seen))), acting);
    ended.unwrap();
    assert!(bench.rows().await.iter().all(|(owner, _)| owner.is_none()));
    bench.emulator.stop().await;
}

fn halted(status: &Status) -> usize {
    let shards = status.boards().iter().flat_map(|(_, board)| board.snapshot());
    shards.filter(|(_, shard)| shard.state() == ShardState::Halted).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_acknowledged_by_hand_move_the_checkpoint_only_to_the_first_hole() {
    let bench = Bench::start(1).await;
    let sequences = bench.put(&GOOD).await;
    let stop = CancellationToken::new();
    let mut batches = bench.consumer(&stop).max_records(1).batches().await.unwrap();
    let status = batches.status();
    let mut held = Vec::new();
    for wanted in GOOD {
        let batch = batches.next().await.unwrap().unwrap();
        assert_eq!((batch.records().len(), text(&batch.records()[0].data).as_str()), (1, wanted));
        held.push(batch);
    }
    // Backwards, all but the third record.
    for batch in held.split_off(3).into_iter().rev() {
        batch.ack().await;
    }
    let third = held.pop().unwrap();
    for batch in held {
        batch.ack().await;
    }
    let at = |sequence: &str| {
        let sequence = sequence.to_owned();
        let bench = &bench;
        async move {
            eventually("a checkpoint", LIMIT, || async {
                let rows = bench.rows().await;
                (rows[0].1.to_string() == sequence).then_some(())
            })
            .await;
        }
    };
    at(&sequences[1]).await;
    assert!(status.lag().oldest_unacknowledged.is_some());
    third.ack().await;
    at(&sequences[7]).await;
    assert_eq!(status.lag().oldest_unacknowledged, None);
    batches.stop();
    assert!(batches.next().await.is_none(), "it ends without an error");
    assert_eq!(bench.rows().await[0].0, None, "the lease is given back");
    bench.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_at_aws_is_named_before_anything_runs() {
    let bench = Bench::start(1).await;
    let connected: Result<_, Error> = bench.consumer(&CancellationToken::new()).stream("nowhere").connect().await;
    let error = connected.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fatal);
    assert!(error.to_string().contains("\"nowhere\" does not exist"), "{error}");
    bench.emulator.stop().await;
}
