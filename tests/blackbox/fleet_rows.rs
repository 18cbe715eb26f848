//! Rows of the lease table that a person deleted or broke, and a stream that was made anew.

use crate::fleet::until_shared;
use crate::restart::records;
use alluvial_tests::{RawRow, World, eventually, names};
use aws_sdk_dynamodb::types::AttributeValue;
use std::time::Duration;

const FIRST: &str = "shardId-000000000000";

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_deleted_under_a_running_shard_is_made_again_and_nothing_comes_twice() {
    let world = World::start(2).await;
    let daemon = world.worker("one", "");
    world.put(records(0..500)).await;
    world.until_checkpointed(Duration::from_secs(30)).await;
    let before = world.leases().await[FIRST].clone();
    let delete = world.dynamodb().delete_item().table_name("enricher").key("leaseKey", text(FIRST));
    delete.send().await.unwrap();
    eventually("the row is there again", Duration::from_secs(10), || async {
        (world.leases().await.get(FIRST) == Some(&before)).then_some(())
    })
    .await;
    world.put(records(500..1_000)).await;
    world.until_checkpointed(Duration::from_secs(30)).await;
    assert!(daemon.log().contains("row was deleted"), "{}", daemon.log());
    assert_eq!(daemon.terminate(Duration::from_secs(20)).await.code, Some(0));
    world.flush_firehose().await;
    let rows = names(&RawRow::read_all(&world.raw()));
    assert!(rows.len() == 1_000 && rows.values().all(|times| *times == 1), "{} rows", rows.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_garbled_row_stops_its_shard_and_no_other_until_it_is_mended() {
    let world = World::start(2).await;
    let daemon = world.worker("one", "");
    world.put(records(0..500)).await;
    world.until_checkpointed(Duration::from_secs(30)).await;
    assert_eq!(daemon.terminate(Duration::from_secs(20)).await.code, Some(0));
    let set = |value: AttributeValue| {
        let update = world.dynamodb().update_item().table_name("enricher").key("leaseKey", text(FIRST));
        update.update_expression("SET checkpoint = :it").expression_attribute_values(":it", value).send()
    };
    let good = world.leases().await[FIRST].1.clone();
    set(text("half")).await.unwrap();

    let daemon = world.worker("two", "start = \"latest\"");
    world.put(records(500..1_000)).await;
    eventually("the complaint, and the other shard's records", Duration::from_secs(30), || async {
        let log = daemon.log();
        let complained = log.contains(FIRST) && log.contains("\"half\" is not a checkpoint");
        let others: Vec<_> = world.stream_records().await.into_iter().filter(|record| record.shard != FIRST).collect();
        let leases = world.leases().await;
        (complained && leases["shardId-000000000001"].1 == others.last().unwrap().sequence).then_some(())
    })
    .await;
    assert_eq!(world.leases().await[FIRST].1, "half", "it is a person's to mend");
    set(text(&good)).await.unwrap();
    world.until_checkpointed(Duration::from_secs(30)).await;
    assert_eq!(daemon.terminate(Duration::from_secs(20)).await.code, Some(0));
    world.flush_firehose().await;
    let rows = names(&RawRow::read_all(&world.raw()));
    assert!(rows.len() == 1_000 && rows.values().all(|times| *times == 1), "{} rows", rows.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_of_a_stream_that_was_deleted_are_refused_by_its_successor() {
    let world = World::start(2).await;
    let daemon = world.worker("one", "");
    until_shared(&world, &[("one", 2)], Duration::from_secs(20)).await;
    assert_eq!(daemon.terminate(Duration::from_secs(20)).await.code, Some(0));
    let kinesis = world.kinesis();
    kinesis.delete_stream().stream_name("orders").enforce_consumer_deletion(true).send().await.unwrap();
    kinesis.create_stream().stream_name("orders").shard_count(2).send().await.unwrap();
    let mut daemon = world.worker("two", "");
    assert_eq!(daemon.wait(Duration::from_secs(20)).await.code(), Some(4));
    let log = daemon.log();
    assert!(log.contains("was deleted and made anew") && log.contains(FIRST), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_vanishes_stops_the_worker() {
    let world = World::start(2).await;
    let mut daemon = world.worker("one", "");
    until_shared(&world, &[("one", 2)], Duration::from_secs(20)).await;
    world.dynamodb().delete_table().table_name("enricher").send().await.unwrap();
    assert_eq!(daemon.wait(Duration::from_secs(20)).await.code(), Some(4));
    assert!(daemon.log().contains("enricher"), "{}", daemon.log());
}
