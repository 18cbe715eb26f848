//! What breaks under a subscription, and how reading goes on.

use crate::reading::{LIMIT, Site};
use alluvial_consumer::{ErrorKind, ShardState};
use alluvial_emulator::Http2;
use alluvial_tests::eventually;
use std::time::Duration;
use tokio::sync::watch;

const SUBSCRIBE: &str = "[[fault]]\non = { service = \"kinesis\", operation = \"SubscribeToShard\" }\n";

/// The first subscription meets `effect`; reading goes on, each record comes once, and the reason is counted as `reason`.
async fn goes_on_after(effect: &str, reason: &str) {
    // A heartbeat comes every half second.
    let site = Site::start(1, |emulator| emulator.clock_speed = 10.0).await;
    // Several events: each holds a thousand records at most.
    site.put(0..3_000).await;
    site.faults(&format!("{SUBSCRIBE}when = {{ times = 1 }}\neffect = {{ {effect} }}\n"));
    let mut settings = site.settings();
    settings.silence_deadline = Duration::from_secs(2);
    let mut reading = site.read(settings).await;
    reading.until(3_000).await;
    let log = String::from_utf8(site.control().fault_log()).unwrap();
    assert_eq!(log.lines().count(), 1, "{effect}: {log}");
    // A connection that stalls as a whole is met again, until a ping tells that it is dead. One that is going away ends later.
    eventually(effect, LIMIT, || async { (reading.reason(reason) >= 1).then_some(()) }).await;
    site.put(3_000..3_100).await;
    reading.until(3_100).await;
    reading.assert_each_once(0..3_100);
    reading.stop().await;
    site.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_goes_on_after_exceptions_in_midstream() {
    tokio::join!(
        goes_on_after("exception = { code = \"InternalFailureException\", after_events = 1 }", "failed"),
        goes_on_after("exception = { code = \"ResourceInUseException\", after_events = 1 }", "resource_in_use"),
        goes_on_after("exception = { code = \"KMSThrottlingException\", after_events = 1 }", "encryption_key"),
        goes_on_after("exception = { code = \"ResourceNotFoundException\", after_events = 1 }", "not_found"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_goes_on_after_refusals_whatever_their_status() {
    tokio::join!(
        goes_on_after("error = { code = \"ResourceInUseException\", status = 500 }", "resource_in_use"),
        goes_on_after("error = { code = \"LimitExceededException\" }", "throttled"),
        goes_on_after("error = { code = \"KMSDisabledException\" }", "encryption_key"),
        goes_on_after("error = { code = \"InternalFailureException\", status = 500 }", "failed"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_goes_on_after_connections_that_break() {
    tokio::join!(
        goes_on_after("cut = { how = \"rst_stream\", after_events = 1, in_frame = true }", "failed"),
        goes_on_after("cut = { how = \"tcp_reset\", after_events = 1 }", "failed"),
        goes_on_after("cut = { how = \"goaway\" }", "failed"),
        goes_on_after("garble = { after_events = 1 }", "failed"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_goes_on_after_streams_that_fall_silent() {
    tokio::join!(
        goes_on_after("stall = { after_events = 1 }", "silent"),
        goes_on_after("stall = { scope = \"connection\", after_events = 1 }", "silent"),
        goes_on_after("stall = {}", "silent"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_disabled_holds_the_position_until_it_is_there_again() {
    let site = Site::start(1, |_| {}).await;
    site.put(0..100).await;
    site.faults(&format!("{SUBSCRIBE}effect = {{ exception = {{ code = \"KMSDisabledException\" }} }}\n"));
    let mut reading = site.read(site.settings()).await;
    eventually("a reason with a name", LIMIT, || async {
        let shards = reading.status.snapshot();
        shards.first().is_some_and(|(_, status)| status.state() == ShardState::KeyUnavailable).then_some(())
    })
    .await;
    assert!(reading.counts().is_empty());
    site.faults("");
    reading.until(100).await;
    reading.assert_each_once(0..100);
    assert_eq!(reading.losses.count(), 0);
    reading.stop().await;
    site.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_shards_than_a_connection_may_carry_are_read_all_the_same() {
    let site =
        Site::start(12, |emulator| emulator.http2 = Http2 { max_concurrent_streams: 2, ..Http2::default() }).await;
    let mut reading = site.read(site.settings()).await;
    site.put(0..600).await;
    reading.until(600).await;
    reading.assert_each_once(0..600);
    reading.stop().await;
    site.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_subscribe_is_told_which_permission_is_missing() {
    let site = Site::start(1, |_| {}).await;
    site.faults(&format!("{SUBSCRIBE}effect = {{ error = {{ code = \"AccessDeniedException\" }} }}\n"));
    let mut reading = site.read(site.settings()).await;
    let error = reading.failure().await;
    assert_eq!(error.kind(), ErrorKind::Fatal);
    assert!(error.to_string().contains("kinesis:SubscribeToShard"), "{error}");
    site.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_shard_that_is_blocked_for_long_is_dropped_starves_no_other_and_goes_on_where_it_was() {
    let site = Site::start(8, |_| {}).await;
    let mut settings = site.settings();
    settings.held_back_limit = Duration::from_secs(1);
    let (block, blocked) = watch::channel("shardId-000000000003".to_owned());
    let reading = site.read_with(settings, Some(blocked)).await.unwrap();
    site.put(0..8_000).await;
    eventually("the blocked shard is given up", LIMIT, || async {
        // Its queue takes some batches before it is blocked.
        let next = 8_000 + reading.counts().len() as u64 * 1_000;
        site.put(1_000_000 + next * 100..1_000_000 + next * 100 + 800).await;
        let status = reading.status.snapshot();
        let state = status.iter().find(|(shard, _)| shard.as_str().ends_with('3')).map(|(_, s)| s.state());
        (state == Some(ShardState::BlockedOnSink)).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    site.put(100_000..108_000).await;
    eventually("the others go on", Duration::from_secs(10), || async {
        let others = reading.seen().iter().filter(|seen| (100_000..108_000).contains(&seen.n)).count();
        (others >= 6_000).then_some(())
    })
    .await;
    assert!(reading.seen().iter().all(|seen| !seen.shard.ends_with('3')));
    block.send_replace(String::new());
    eventually("the blocked shard goes on", LIMIT, || async {
        let counts = reading.counts();
        (100_000..108_000).chain(0..8_000).all(|n| counts.contains_key(&n)).then_some(())
    })
    .await;
    assert!(reading.counts().values().all(|times| *times == 1), "nothing comes twice");
    assert_eq!(reading.reason("held_back"), 1, "{:?}", reading.reasons());
    reading.stop().await;
    site.emulator.stop().await;
}
