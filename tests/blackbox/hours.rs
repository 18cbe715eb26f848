//! Hours of a consumer on a paused clock: slow sinks, silences, outages, idle shards.

use crate::paused::{Reading, SUBSCRIBE, Sink, Site, until};
use alluvial_consumer::{Lease, LossReason, Mode, OnLoss, Settings, ShardState, StartPosition};
use alluvial_record::{Checkpoint, HashKeyRange};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn settings() -> Settings {
    Settings { sync_interval: Duration::from_secs(2), ..Settings::new("s", "app", "worker") }
}

/// Looks at tables and lists rarely, for tests of many hours.
fn calm() -> Settings {
    Settings {
        failover: 2 * MINUTE,
        list_interval: MINUTE,
        sync_interval: 10 * MINUTE,
        checkpoint_interval: Duration::from_secs(10),
        ..settings()
    }
}

async fn checkpoint(site: &Site, shard: &str) -> Checkpoint {
    let listing = site.leases().list().await.unwrap();
    listing.leases.iter().find(|lease| lease.shard.as_str() == shard).expect("a lease").checkpoint
}

const FIRST: &str = "shardId-000000000000";

/// Twenty events wait for a sink that takes nothing, more than are ever on their way at once, and `ending` ends their
/// subscription meanwhile.
async fn a_slow_sink_meets(site: Site, ending: &str) {
    site.put(0..20_000).await;
    let mut reading = site.read(settings()).await;
    reading.sink.send_replace(Sink::Blocks);
    reading.until_state(0, ShardState::BlockedOnSink).await;
    match ending {
        "expired" => site.control().expire_subscriptions(),
        "shard end" => site.split(&site.open_shards().await[0]).await,
        _ => {}
    }
    site.put(20_000..20_100).await;
    sleep(MINUTE / 2).await;
    reading.sink.send_replace(Sink::Works);
    reading.until(20_100).await;
    sleep(MINUTE).await;
    reading.assert_once_in_order(0..20_100);
    if ending != "shard end" {
        assert_eq!(reading.reasons(), BTreeMap::from([(ending, 1)]));
    }
    reading.stop().await;
    site.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_slow_sink_comes_once_and_in_order_whatever_ends_its_subscription() {
    for (ending, effect) in [
        ("expired", None),
        ("shard end", None),
        ("failed", Some("exception = { code = \"InternalFailureException\", after_events = 8 }")),
        ("resource_in_use", Some("exception = { code = \"ResourceInUseException\", after_events = 8 }")),
        ("failed", Some("cut = { after_events = 8, in_frame = true }")),
        ("silent", Some("stall = { after_events = 8 }")),
    ] {
        let site = Site::start(1, |_| {}).await;
        if let Some(effect) = effect {
            site.faults(&format!("{SUBSCRIBE}when = {{ nth = 1 }}\neffect = {{ {effect} }}\n"));
        }
        a_slow_sink_meets(site, ending).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_shard_is_checkpointed_when_all_is_acknowledged_and_its_children_come_after() {
    let site = Site::start(1, |_| {}).await;
    site.put(0..100).await;
    let mut reading = site.read(settings()).await;
    reading.sink.send_replace(Sink::Waits);
    reading.until(100).await;
    site.split(&site.open_shards().await[0]).await;
    site.put(100..200).await;
    sleep(5 * MINUTE).await;
    assert_eq!(checkpoint(&site, FIRST).await, Checkpoint::TrimHorizon, "nothing is acknowledged");
    assert_eq!(reading.seen().len(), 100, "no child is read");
    reading.sink.send_replace(Sink::Works);
    reading.until(200).await;
    assert_eq!(checkpoint(&site, FIRST).await, Checkpoint::ShardEnd);
    let (parent, child) = (reading.shard(0), reading.shard(1));
    let before = (parent.subscriptions(), child.subscriptions());
    sleep(HOUR).await;
    reading.assert_once_in_order(0..200);
    assert_eq!(parent.subscriptions(), before.0, "a shard that has ended is not subscribed to again");
    assert!(child.subscriptions() >= before.1 + 11, "once in five minutes at least");
    assert_eq!(reading.reasons().keys().collect::<Vec<_>>(), [&"renewed"]);
    reading.stop().await;
    site.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_shard_that_was_not_written_is_found_again_without_any_record() {
    let site = Site::start(1, |_| {}).await;
    site.put(0..100).await;
    let mut reading = site.read(settings()).await;
    reading.until(100).await;
    reading.stop().await;
    site.split(&site.open_shards().await[0]).await;
    site.put(100..200).await;
    assert!(matches!(checkpoint(&site, FIRST).await, Checkpoint::At(_)), "at the last record of a closed shard");
    let mut reading = site.read(settings()).await;
    reading.until(100).await;
    sleep(MINUTE).await;
    reading.assert_once_in_order(100..200);
    assert_eq!(checkpoint(&site, FIRST).await, Checkpoint::ShardEnd);
    reading.stop().await;
    site.stop().await;
}

#[tokio::test(start_paused = true)]
async fn children_without_leases_of_a_shard_that_is_done_are_found_and_read_from_their_oldest_record() {
    let site = Site::start(1, |_| {}).await;
    let parent = site.open_shards().await[0].0.shard_id().to_owned();
    site.split(&site.open_shards().await[0]).await;
    site.put(0..100).await;
    let hash_keys = HashKeyRange { start: 0, end: u128::MAX };
    let shard = alluvial_consumer::Shard { id: parent.as_str().into(), parents: vec![], hash_keys, open: false };
    site.leases().create(&Lease::new(&shard, Checkpoint::ShardEnd)).await.unwrap();
    let mut reading = site.read(Settings { start: StartPosition::Latest, ..settings() }).await;
    reading.until(100).await;
    reading.assert_once_in_order(0..100);
    reading.stop().await;
    site.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_falls_silent_again_and_again_is_opened_anew_each_time_and_delays_no_other() {
    let site = Site::start(4, |_| {}).await;
    site.faults(
        "[[fault]]\non = { service = \"kinesis\", operation = \"SubscribeToShard\", shard = \"shardId-000000000003\" }\n\
         when = { times = 3 }\neffect = { stall = { after_events = 1 } }\n",
    );
    let mut reading = site.read(settings()).await;
    let mut put = Vec::new();
    for n in 0..2_000 {
        put.push(Instant::now());
        site.put(n..n + 1).await;
        sleep(Duration::from_millis(50)).await;
    }
    reading.until(2_000).await;
    reading.assert_once_in_order(0..2_000);
    for seen in reading.seen() {
        let waited = seen.at - put[usize::try_from(seen.n).unwrap()];
        let most = if seen.shard.ends_with('3') { 70 } else { 1 };
        assert!(waited < Duration::from_secs(most), "{seen:?} after {waited:?}");
    }
    assert_eq!(reading.reasons(), BTreeMap::from([("silent", 3)]));
    reading.stop().await;
    site.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_after_the_deadline_of_opening_disturbs_nothing() {
    let site = Site::start(1, |_| {}).await;
    site.put(0..100).await;
    site.faults(&format!(
        "{SUBSCRIBE}when = {{ nth = 1 }}\neffect = {{ delay = {{ for = \"13s\", at = \"response\" }} }}\n"
    ));
    let mut reading = site.read(settings()).await;
    reading.until(100).await;
    sleep(MINUTE).await;
    site.put(100..200).await;
    reading.until(200).await;
    reading.assert_once_in_order(0..200);
    assert_eq!((reading.shard(0).subscriptions(), reading.reasons()), (1, BTreeMap::from([("silent", 1)])));
    reading.stop().await;
    site.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_is_idle_for_longer_than_retention_keeps_its_place() {
    let site = Site::start(1, |_| {}).await;
    site.put(0..10).await;
    let mut reading = site.read(calm()).await;
    reading.until(10).await;
    sleep(MINUTE).await;
    let before = checkpoint(&site, FIRST).await;
    sleep(26 * HOUR).await;
    let after = checkpoint(&site, FIRST).await;
    let (Checkpoint::At(before), Checkpoint::At(after)) = (before, after) else { panic!("{before} {after}") };
    assert!(before < after, "moved without a record");
    assert_eq!(reading.reasons().keys().collect::<Vec<_>>(), [&"renewed"]);
    reading.stop().await;
    site.put(10..20).await;
    let mut reading = site.read(calm()).await;
    reading.until(10).await;
    reading.assert_once_in_order(10..20);
    assert_eq!(reading.losses.count(), 0);
    reading.stop().await;
    site.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_at_latest_that_is_killed_before_any_record_skips_nothing_after_it() {
    let site = Site::start(2, |_| {}).await;
    site.put(0..100).await;
    sleep(MINUTE).await;
    let latest = || Settings { start: StartPosition::Latest, ..settings() };
    let reading = site.read(latest()).await;
    reading.until_state(0, ShardState::Streaming).await;
    reading.until_state(1, ShardState::Streaming).await;
    reading.kill();
    sleep(MINUTE).await;
    site.put(100..200).await;
    sleep(MINUTE).await;
    let mut reading = site.read(latest()).await;
    reading.until(100).await;
    reading.assert_once_in_order(100..200);
    reading.stop().await;
    site.stop().await;
}

#[tokio::test(start_paused = true)]
async fn records_that_are_trimmed_while_their_shard_is_held_back_are_a_loss_and_reading_goes_on() {
    let site = Site::start(1, |_| {}).await;
    site.put(0..20_000).await;
    let mut reading = site.read(Settings { on_loss: OnLoss::Continue, ..calm() }).await;
    reading.sink.send_replace(Sink::Blocks);
    reading.until_state(0, ShardState::BlockedOnSink).await;
    sleep(25 * HOUR).await;
    site.put(20_000..20_100).await;
    reading.sink.send_replace(Sink::Works);
    until("the newest record", || reading.seen().iter().any(|seen| seen.n == 20_099)).await;
    let lost = reading.losses.snapshot();
    assert_eq!((lost.len(), lost[0].reason), (1, LossReason::Retention), "{lost:?}");
    let Checkpoint::At(from) = lost[0].from else { panic!("{}", lost[0]) };
    assert!(from.sequence < lost[0].to.unwrap(), "{}", lost[0]);
    let mut numbers: Vec<u64> = reading.seen().iter().map(|seen| seen.n).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "nothing twice, and in order");
    assert!(numbers.len() < 20_000, "what was not read before is gone");
    numbers.retain(|n| *n >= 20_000);
    assert_eq!(numbers.len(), 100);
    reading.until(1).await;
    reading.stop().await;
    site.stop().await;
}

#[tokio::test(start_paused = true)]
async fn polling_that_begins_at_the_end_of_retention_tells_of_a_loss() {
    let site = Site::start(1, |_| {}).await;
    let polling = || Settings { mode: Mode::Polling, on_loss: OnLoss::Continue, ..settings() };
    site.put(0..10).await;
    let mut reading = site.read(polling()).await;
    reading.until(10).await;
    reading.stop().await;
    for n in 10..200 {
        sleep(10 * MINUTE).await;
        site.put(n..n + 1).await;
    }
    let mut reading = site.read(polling()).await;
    until("the newest record", || reading.seen().iter().any(|seen| seen.n == 199)).await;
    let first = reading.seen()[0].n;
    assert!((40..60).contains(&first), "24 hours are 144 records: {first}");
    assert_eq!(reading.losses.snapshot().iter().map(|loss| loss.reason).collect::<Vec<_>>(), [LossReason::Retention]);
    reading.until(144).await;
    reading.stop().await;
    site.stop().await;
}

/// Records that were handed out and not acknowledged.
fn in_flight(reading: &Reading) -> u64 {
    let shards = reading.status.snapshot();
    shards.iter().map(|(_, status)| status.received().saturating_sub(status.acknowledged())).sum()
}

/// Each shard has so many times 500 records of 100 bytes, and for so long no record is taken.
async fn behind_a_sink_that_blocks(shards: i32, puts: usize, stall: Duration) {
    let site = Site::start(shards, |_| {}).await;
    // Keys are the only thing that tells the shards apart.
    for (shard, first) in site.open_shards().await {
        let entry = |n: u64| {
            let entry = aws_sdk_kinesis::types::PutRecordsRequestEntry::builder().partition_key(shard.shard_id());
            let data = aws_sdk_kinesis::primitives::Blob::new(format!("{n:0100}"));
            entry.explicit_hash_key(first.to_string()).data(data).build().unwrap()
        };
        for _ in 0..puts {
            let put = site.kinesis.put_records().stream_name("s").set_records(Some((0..500).map(entry).collect()));
            put.send().await.unwrap();
        }
    }
    // Less than one event of each.
    let mut reading = site.read(Settings { budget_bytes: 2 * 1024 * 1024, ..settings() }).await;
    reading.sink.send_replace(Sink::Blocks);
    let stalled = Instant::now();
    while stalled.elapsed() < stall {
        sleep(Duration::from_secs(3)).await;
        assert!(reading.budget.used_bytes() <= reading.budget.limit_bytes());
        // A record has a hundred bytes at least, and one batch in each hand is out of the queue.
        assert!(in_flight(&reading) * 100 <= 2 * 1024 * 1024, "{} records in flight", in_flight(&reading));
    }
    reading.sink.send_replace(Sink::Works);
    let began = Instant::now();
    let (all, each) = (usize::try_from(shards).unwrap(), puts * 500);
    reading.until(all * each).await;
    let seen = reading.seen();
    let mut first: BTreeMap<&str, Instant> = BTreeMap::new();
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for seen in &seen {
        first.entry(&seen.shard).or_insert(seen.at);
        *count.entry(&seen.shard).or_default() += 1;
    }
    assert!(count.len() == all && count.values().all(|count| *count == each), "{count:?}");
    assert!(first.values().all(|at| *at - began < MINUTE), "a shard starved");
    reading.stop().await;
    site.stop().await;
}

#[tokio::test(start_paused = true)]
async fn sixty_shards_behind_a_sink_that_blocks_stay_within_the_budget_and_none_starves() {
    behind_a_sink_that_blocks(60, 10, 5 * MINUTE).await;
}

/// Heartbeats of all of them go on, in small frames that are not read: older HTTP/2 libraries took that for abuse.
#[tokio::test(start_paused = true)]
async fn two_hundred_shards_behind_a_sink_that_stands_for_half_an_hour_go_on() {
    behind_a_sink_that_blocks(200, 3, 30 * MINUTE).await;
}

#[tokio::test(start_paused = true)]
async fn three_hours_without_the_lease_table_are_delivered_and_checkpointed_when_it_is_back() {
    let site = Site::start(2, |_| {}).await;
    site.put(0..10).await;
    let mut reading = site.read(settings()).await;
    reading.until(10).await;
    sleep(MINUTE).await;
    let before = checkpoint(&site, FIRST).await;
    site.memory.set_out_of_reach(true);
    for n in 1..=180 {
        site.put(n * 10..n * 10 + 10).await;
        sleep(MINUTE).await;
        assert_eq!(reading.seen().len() as u64, n * 10 + 10, "minute {n}");
    }
    site.memory.set_out_of_reach(false);
    sleep(MINUTE).await;
    assert_ne!(checkpoint(&site, FIRST).await, before);
    reading.stop().await;
    site.put(1_810..1_820).await;
    let mut reading = site.read(settings()).await;
    reading.until(10).await;
    reading.assert_once_in_order(1_810..1_820);
    reading.stop().await;
    site.stop().await;
}
