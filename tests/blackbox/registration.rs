//! The registration for enhanced fan-out, in every state that it can be in.

use crate::reading::Site;
use alluvial_consumer::{ErrorKind, Mode, Settings};
use std::time::Duration;

const REGISTER: &str = "[[fault]]\non = { service = \"kinesis\", operation = \"RegisterStreamConsumer\" }\n";

fn fan_out(site: &Site) -> Settings {
    Settings { mode: Mode::FanOut, ..site.settings() }
}

/// Reads ten records by fan-out.
async fn reads(site: &Site, settings: Settings) {
    let mut reading = site.read(settings).await;
    site.put(0..10).await;
    reading.until(10).await;
    reading.assert_each_once(0..10);
    let status = reading.shard(0);
    assert!(status.subscriptions() >= 1 && status.polls() == 0);
    reading.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_exists_is_used_and_one_that_is_missing_is_registered() {
    let site = Site::start(1, |_| {}).await;
    site.register("app").await;
    let before = site.consumers().await;
    reads(&site, fan_out(&site)).await;
    assert_eq!(site.consumers().await, before);
    site.emulator.stop().await;
    let site = Site::start(1, |_| {}).await;
    reads(&site, fan_out(&site)).await;
    assert_eq!(site.consumers().await.len(), 1);
    site.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_created_or_deleted_is_waited_for() {
    let delayed = || Site::start(1, |emulator| emulator.state_delay = Duration::from_secs(2));
    let (creating, deleting) = tokio::join!(delayed(), delayed());
    creating.register("app").await;
    reads(&creating, fan_out(&creating)).await;
    assert_eq!(creating.consumers().await.len(), 1);
    deleting.register("app").await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let before = deleting.consumers().await;
    deleting.deregister("app").await;
    reads(&deleting, fan_out(&deleting)).await;
    assert_ne!(deleting.consumers().await, before, "registered anew, when the old one was gone");
    creating.emulator.stop().await;
    deleting.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_faster_and_calls_that_are_throttled_do_no_harm() {
    let race = "when = { nth = 1 }\neffect = { error = { code = \"ResourceInUseException\", applied = true } }\n";
    let site = Site::start(1, |_| {}).await;
    site.faults(&format!("{REGISTER}{race}"));
    reads(&site, fan_out(&site)).await;
    site.emulator.stop().await;
    // More often than the SDK tries by itself.
    let throttled = "when = { times = 4 }\neffect = { error = { code = \"LimitExceededException\" } }\n";
    let site = Site::start(1, |_| {}).await;
    let describe = REGISTER.replace("RegisterStreamConsumer", "DescribeStreamConsumer");
    site.faults(&format!("{REGISTER}{throttled}{describe}{throttled}"));
    let settings = Settings { registration_deadline: Duration::from_secs(25), ..fan_out(&site) };
    reads(&site, settings).await;
    site.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fan_out_alone_fails_with_the_reason_when_it_is_refused() {
    let site = Site::start(1, |_| {}).await;
    site.faults(&format!("{REGISTER}effect = {{ error = {{ code = \"AccessDeniedException\" }} }}\n"));
    let denied = site.try_read(fan_out(&site)).await.err().unwrap();
    assert_eq!(denied.kind(), ErrorKind::Fatal);
    assert!(denied.to_string().contains("kinesis:RegisterStreamConsumer"), "{denied}");
    site.faults("");
    for n in 0..20 {
        site.register(&format!("other-{n}")).await;
    }
    let full = site.try_read(fan_out(&site)).await.err().unwrap();
    assert_eq!(full.kind(), ErrorKind::Fatal);
    assert!(full.to_string().contains("as many registered consumers"), "{full}");
    site.emulator.stop().await;
    let site = Site::start(1, |emulator| emulator.state_delay = Duration::from_secs(1)).await;
    site.control().clock().set_speed(0.01).unwrap();
    let settings = Settings { registration_deadline: Duration::from_secs(2), ..fan_out(&site) };
    let stuck = site.try_read(settings).await.err().unwrap();
    assert_eq!(stuck.kind(), ErrorKind::Wait);
    assert!(stuck.to_string().contains("not ACTIVE"), "{stuck}");
    site.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_deregistered_under_us_is_registered_again_for_all_shards() {
    let site = Site::start(4, |_| {}).await;
    let mut reading = site.read(fan_out(&site)).await;
    site.put(0..100).await;
    reading.until(100).await;
    let before = site.consumers().await;
    site.deregister("app").await;
    site.put(100..200).await;
    reading.until(200).await;
    reading.assert_each_once(0..200);
    let after = site.consumers().await;
    assert_eq!(after.len(), 1);
    assert_ne!(after, before);
    assert_eq!(reading.losses.count(), 0);
    reading.stop().await;
    site.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_a_peer_registered_anew_is_used_by_its_new_arn() {
    let site = Site::start(4, |_| {}).await;
    let mut reading = site.read(fan_out(&site)).await;
    site.put(0..100).await;
    reading.until(100).await;
    // Our own call is refused, since the peer's was a moment earlier.
    let before = site.consumers().await;
    let race = "effect = { error = { code = \"ResourceInUseException\", applied = true } }\n";
    site.faults(&format!("{REGISTER}when = {{ nth = 1 }}\n{race}"));
    site.deregister("app").await;
    site.put(100..200).await;
    reading.until(200).await;
    reading.assert_each_once(0..200);
    let after = site.consumers().await;
    assert!(after.len() == 1 && after != before);
    reading.stop().await;
    site.emulator.stop().await;
}
