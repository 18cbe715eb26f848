//! Reading by GetRecords, alone and in the place of fan-out.

use crate::reading::{LIMIT, Site};
use alluvial_consumer::{Mode, Settings};
use alluvial_tests::eventually;
use std::time::Duration;

const GET: &str = "[[fault]]\non = { service = \"kinesis\", operation = \"GetRecords\" }\n";
const REGISTER: &str = "[[fault]]\non = { service = \"kinesis\", operation = \"RegisterStreamConsumer\" }\n";
const DENIED: &str = "effect = { error = { code = \"AccessDeniedException\" } }\n";

fn polling(site: &Site) -> Settings {
    Settings { mode: Mode::Polling, ..site.settings() }
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_reads_each_record_once_and_follows_a_split_without_any_consumer() {
    let site = Site::start(2, |emulator| emulator.limits = true).await;
    site.put(0..500).await;
    let mut reading = site.read(polling(&site)).await;
    reading.until(500).await;
    site.split(&site.shards().await[0]).await;
    site.put(500..1_000).await;
    reading.until(1_000).await;
    reading.assert_each_once(0..1_000);
    assert!(site.consumers().await.is_empty());
    let shards = reading.status.snapshot();
    assert_eq!(shards.len(), 4);
    assert!(shards.iter().all(|(_, status)| status.subscriptions() == 0 && status.polls() >= 1));
    reading.stop().await;
    // A stop in order is followed without repetition.
    site.put(1_000..1_100).await;
    let mut reading = site.read(polling(&site)).await;
    reading.until(100).await;
    reading.assert_each_once(1_000..1_100);
    reading.stop().await;
    site.emulator.stop().await;
}

/// A later call meets `effect`; polling goes on, and the reason is counted.
async fn goes_on_after(effect: &str, reason: &str) {
    let site = Site::start(1, |_| {}).await;
    site.put(0..100).await;
    site.faults(&format!("{GET}when = {{ nth = 2 }}\neffect = {{ {effect} }}\n"));
    let mut reading = site.read(polling(&site)).await;
    reading.until(100).await;
    eventually(effect, LIMIT, || async { (reading.reason(reason) == 1).then_some(()) }).await;
    site.put(100..200).await;
    reading.until(200).await;
    reading.assert_each_once(0..200);
    reading.stop().await;
    site.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_goes_on_after_everything_that_a_call_may_meet() {
    tokio::join!(
        goes_on_after("error = { code = \"ExpiredIteratorException\" }", "expired"),
        goes_on_after("error = { code = \"ProvisionedThroughputExceededException\" }", "throttled"),
        goes_on_after("error = { code = \"KMSThrottlingException\" }", "encryption_key"),
        goes_on_after("error = { code = \"InternalFailure\", status = 500 }", "failed"),
        goes_on_after("cut = { how = \"tcp_reset\" }", "failed"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_stands_in_for_fan_out_that_is_refused_and_ends_when_it_is_there() {
    let site = Site::start(4, |_| {}).await;
    site.faults(&format!("{REGISTER}{DENIED}"));
    site.put(0..200).await;
    let settings = Settings { fan_out_retry: Duration::from_secs(2), ..site.settings() };
    let mut reading = site.read(settings).await;
    reading.until(200).await;
    assert!(reading.status.snapshot().iter().all(|(_, status)| status.polls() >= 1 && status.subscriptions() == 0));
    site.faults("");
    let mut next = 200;
    eventually("all shards are read by fan-out", LIMIT, || {
        let numbers = next..next + 20;
        next += 20;
        let (site, reading) = (&site, &reading);
        async move {
            site.put(numbers).await;
            reading.status.snapshot().iter().all(|(_, status)| status.subscriptions() >= 1).then_some(())
        }
    })
    .await;
    site.put(next..next + 100).await;
    let all = next + 100;
    reading.until(usize::try_from(all).unwrap()).await;
    reading.assert_each_once(0..all);
    assert_eq!(reading.reason("switched"), 4);
    // And into polling again, when the consumer goes and may not come back.
    site.faults(&format!("{REGISTER}{DENIED}"));
    site.deregister("app").await;
    site.put(all..all + 100).await;
    reading.until(usize::try_from(all).unwrap() + 100).await;
    reading.assert_each_once(0..all + 100);
    reading.stop().await;
    site.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_stands_in_on_a_stream_with_all_its_consumers_and_for_one_that_never_becomes_active() {
    let full = Site::start(1, |_| {}).await;
    for n in 0..20 {
        full.register(&format!("other-{n}")).await;
    }
    let stuck = Site::start(1, |emulator| emulator.state_delay = Duration::from_millis(500)).await;
    stuck.control().clock().set_speed(0.01).unwrap();
    for site in [full, stuck] {
        let settings = Settings { registration_deadline: Duration::from_secs(2), ..site.settings() };
        let mut reading = site.read(settings).await;
        site.put(0..100).await;
        reading.until(100).await;
        reading.assert_each_once(0..100);
        assert_eq!((reading.shard(0).subscriptions(), reading.shard(0).polls()), (0, 1));
        reading.stop().await;
        site.emulator.stop().await;
    }
}
