//! Records, shards and streams that are gone before they were read.

use crate::reading::{LIMIT, Reading, Site};
use alluvial_consumer::{ErrorKind, LossReason, OnLoss, Settings};
use alluvial_tests::eventually;
use std::time::Duration;

const RETENTION: Duration = Duration::from_secs(24 * 3_600);

/// Reads the first hundred records, stops, and lets them and a hundred more pass out of retention.
async fn overrun(shards: i32) -> Site {
    let site = Site::start(shards, |_| {}).await;
    site.put(0..100).await;
    let mut reading = site.read(site.settings()).await;
    reading.until(100).await;
    reading.stop().await;
    site.put(100..200).await;
    site
}

fn carry_on(site: &Site) -> Settings {
    Settings { on_loss: OnLoss::Continue, ..site.settings() }
}

async fn loss(reading: &Reading) -> alluvial_consumer::LossEvent {
    tokio::time::timeout(LIMIT, reading.losses.more_than(0)).await.expect("a loss is told of");
    reading.losses.snapshot().remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_out_of_retention_is_a_loss_with_its_range_and_stops_the_consumer() {
    let site = overrun(1).await;
    site.control().clock().advance(RETENTION + Duration::from_secs(60)).unwrap();
    site.put(200..300).await;
    let mut reading = site.read(site.settings()).await;
    let error = reading.failure().await;
    assert_eq!(error.kind(), ErrorKind::Fatal);
    assert!(error.to_string().contains("on_loss"), "{error}");
    let event = loss(&reading).await;
    assert_eq!(event.reason, LossReason::Retention);
    assert!(event.from.to_string() < event.to.unwrap().to_string(), "{event}");
    assert!(reading.counts().is_empty());
    site.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_out_of_retention_is_told_of_and_reading_goes_on_if_that_is_wanted() {
    let site = overrun(1).await;
    site.control().clock().advance(RETENTION + Duration::from_secs(60)).unwrap();
    site.put(200..300).await;
    let mut reading = site.read(carry_on(&site)).await;
    reading.until(100).await;
    reading.assert_each_once(200..300);
    assert_eq!((loss(&reading).await.reason, reading.losses.count()), (LossReason::Retention, 1));
    site.put(300..400).await;
    reading.until(200).await;
    reading.stop().await;
    // The next start is past the loss.
    let mut reading = site.read(site.settings()).await;
    site.put(400..410).await;
    reading.until(10).await;
    reading.assert_each_once(400..410);
    assert_eq!(reading.losses.count(), 0);
    reading.stop().await;
    site.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_is_gone_before_its_end_is_a_loss_and_its_children_are_read() {
    let site = overrun(1).await;
    site.split(&site.shards().await[0]).await;
    site.control().clock().advance(RETENTION + Duration::from_secs(60)).unwrap();
    site.put(200..300).await;
    assert_eq!(site.shards().await.len(), 2, "the parent is gone");
    let mut halted = site.read(site.settings()).await;
    assert_eq!(halted.failure().await.kind(), ErrorKind::Fatal);
    assert_eq!(loss(&halted).await.reason, LossReason::ShardGone);
    let mut reading = site.read(carry_on(&site)).await;
    reading.until(100).await;
    reading.assert_each_once(200..300);
    let event = loss(&reading).await;
    assert_eq!((event.reason, event.shard.as_str()), (LossReason::ShardGone, "shardId-000000000000"));
    reading.stop().await;
    site.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_of_shards_that_came_and_went_unread_is_told_of() {
    let site = overrun(1).await;
    site.split(&site.shards().await[0]).await;
    let children: Vec<_> = site.shards().await.into_iter().skip(1).collect();
    for child in &children {
        site.split(child).await;
    }
    site.control().clock().advance(RETENTION + Duration::from_secs(60)).unwrap();
    site.put(200..300).await;
    assert_eq!(site.shards().await.len(), 4, "parent and children are gone");
    let mut halted = site.read(site.settings()).await;
    assert_eq!(halted.failure().await.kind(), ErrorKind::Fatal);
    let mut reading = site.read(carry_on(&site)).await;
    reading.until(100).await;
    reading.assert_each_once(200..300);
    eventually("all gaps", LIMIT, || async { (reading.losses.count() == 3).then_some(()) }).await;
    let mut told: Vec<_> = reading.losses.snapshot().into_iter().map(|event| (event.shard, event.reason)).collect();
    told.sort_by(|a, b| a.0.cmp(&b.0));
    let shard = |n: u32| format!("shardId-{n:012}").as_str().into();
    assert_eq!(
        told,
        [(shard(0), LossReason::ShardGone), (shard(1), LossReason::ParentGone), (shard(2), LossReason::ParentGone),]
    );
    reading.stop().await;
    site.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_deleted_stops_the_consumer_and_says_so() {
    let site = overrun(2).await;
    let mut reading = site.read(site.settings()).await;
    reading.until(100).await;
    site.kinesis.delete_stream().stream_name("s").enforce_consumer_deletion(true).send().await.unwrap();
    let error = reading.failure().await;
    assert_eq!(error.kind(), ErrorKind::Fatal);
    assert!(error.to_string().contains("does not exist any more"), "{error}");
    assert_eq!(reading.losses.count(), 0);
    site.emulator.stop().await;
}
