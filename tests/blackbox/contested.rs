//! Records, shards and leases that are contested: on a paused clock.

use crate::paused::{SUBSCRIBE, Sink, Site, until};
use alluvial_consumer::{LeaseTable, Settings, ShardState};
use alluvial_record::Checkpoint;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const MINUTE: Duration = Duration::from_secs(60);

fn settings(worker: &str) -> Settings {
    Settings { sync_interval: Duration::from_secs(2), ..Settings::new("s", "app", worker) }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_was_put_twice_comes_twice_and_an_event_that_kinesis_repeats_comes_once() {
    let site = Site::start(1, |_| {}).await;
    site.faults("[[fault]]\non = { service = \"kinesis\", operation = \"PutRecords\" }\neffect = { duplicate = {} }\n");
    site.put(0..10).await;
    site.faults(&format!("{SUBSCRIBE}when = {{ nth = 1 }}\neffect = {{ duplicate = {{ after_events = 1 }} }}\n"));
    let mut reading = site.read(settings("one")).await;
    reading.until(20).await;
    site.put(10..20).await;
    reading.until(30).await;
    site.put(20..30).await;
    reading.until(40).await;
    sleep(MINUTE).await;
    let mut times: BTreeMap<u64, u32> = BTreeMap::new();
    reading.seen().iter().for_each(|seen| *times.entry(seen.n).or_default() += 1);
    assert!((0..30).all(|n| times[&n] == if n < 10 { 2 } else { 1 }), "{times:?}");
    let log = String::from_utf8(site.control().fault_log()).unwrap();
    assert_eq!(log.lines().filter(|line| line.contains("SubscribeToShard")).count(), 1, "{log}");
    reading.stop().await;
    site.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_lease_was_taken_in_midst_of_a_batch_reads_no_more_and_checkpoints_nothing() {
    let site = Site::start(1, |_| {}).await;
    site.put(0..10).await;
    let mut reading = site.read(settings("one")).await;
    reading.sink.send_replace(Sink::Waits);
    reading.until(10).await;
    let subscriptions = reading.shard(0).subscriptions();
    let row = site.leases().list().await.unwrap().leases.remove(0);
    let taken = site.leases().take(&row, "two", None).await.unwrap().expect("with the right counter");
    site.put(10..20).await;
    reading.until_state(0, ShardState::WaitingLease).await;
    reading.sink.send_replace(Sink::Works);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(site.leases().list().await.unwrap().leases, [taken], "the row is its new owner's");
    assert_eq!((reading.seen().len(), reading.shard(0).subscriptions()), (10, subscriptions));
    reading.stop().await;
    site.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_alone_is_cut_off_from_the_lease_table_yields_to_its_successor_and_does_not_fight_it() {
    let site = Site::start(1, |_| {}).await;
    let (line, other) = (site.line(), site.line());
    let (tables, networks): ([LeaseTable; 2], _) = ([site.dynamo(&line), site.dynamo(&other)], site.line());
    let [mine, theirs] = tables;
    let mut one = site.read_over(settings("one"), &networks, mine).await;
    site.put(0..10).await;
    one.until(10).await;
    sleep(MINUTE).await;
    line.set_cut(true);
    let two = site.read_over(settings("two"), &other, theirs).await;
    let began = Instant::now();
    let mut next = 10;
    while two.seen().is_empty() {
        site.put(next..next + 1).await;
        next += 1;
        sleep(Duration::from_millis(100)).await;
        assert!(began.elapsed() < MINUTE, "nobody takes over: {:?}", one.shard(0).state());
    }
    let (taken_over, delivered) = (Instant::now(), one.seen().len());
    let subscriptions = one.shard(0).subscriptions();
    for _ in 0..100 {
        site.put(next..next + 1).await;
        next += 1;
        sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(one.seen().len(), delivered, "it delivers nothing after {taken_over:?}");
    assert_eq!(one.shard(0).subscriptions(), subscriptions, "and does not take the shard back");
    assert_eq!(one.shard(0).state(), ShardState::LeaseUnconfirmed);
    assert_eq!(two.reasons(), BTreeMap::new());
    let mut numbers: Vec<u64> = one.seen().iter().chain(&two.seen()).map(|seen| seen.n).collect();
    let all = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert!(numbers.iter().copied().eq(0..next), "nothing is lost");
    assert!(all - numbers.len() <= 250, "{} came again: more than since the last checkpoint", all - numbers.len());
    line.set_cut(false);
    until("the loss is known", || one.shard(0).state() != ShardState::LeaseUnconfirmed).await;
    two.stop().await;
    one.stop().await;
    site.stop().await;
}

/// Splits and merges that follow one another faster than they are read, while subscriptions break.
async fn resharded(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let site = Site::start(2, |emulator| emulator.limits = true).await;
    site.faults(&format!(
        "seed = {seed}\n\
         {SUBSCRIBE}when = {{ probability = 0.2 }}\neffect = {{ exception = {{ code = \"InternalFailureException\", after_events = 1 }} }}\n\
         {SUBSCRIBE}when = {{ probability = 0.1 }}\neffect = {{ error = {{ code = \"LimitExceededException\" }} }}\n\
         {SUBSCRIBE}when = {{ probability = 0.1 }}\neffect = {{ cut = {{ after_events = 1, in_frame = true }} }}\n"
    ));
    let mut reading = site.read(settings("one")).await;
    let mut next = 0;
    for _ in 0..8 {
        site.put(next..next + 300).await;
        next += 300;
        let open = site.open_shards().await;
        let at = random.usize(..open.len());
        if open.len() > 1 && random.bool() {
            let at = at.min(open.len() - 2);
            site.merge(&open[at].0, &open[at + 1].0).await;
        } else {
            site.split(&open[at]).await;
        }
        sleep(Duration::from_millis(random.u64(200..3_000))).await;
    }
    site.put(next..next + 300).await;
    next += 300;
    reading.until(usize::try_from(next).unwrap()).await;
    reading.assert_once_in_order(0..next);
    sleep(MINUTE).await;
    let leases = site.leases().list().await.unwrap().leases;
    let ended = leases.iter().filter(|lease| lease.checkpoint == Checkpoint::ShardEnd).count();
    let open = site.open_shards().await.len();
    assert_eq!(leases.len(), ended + open, "every shard that closed is done, and every other has a lease, seed {seed}");
    reading.stop().await;
    site.stop().await;
}

#[tokio::test(start_paused = true)]
async fn splits_and_merges_within_one_another_lose_repeat_and_reorder_nothing_while_subscriptions_break() {
    for seed in 1..=6 {
        resharded(seed).await;
    }
}
