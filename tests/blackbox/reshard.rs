//! A split and a merge while records flow.

use crate::restart::{records, until_in_midstream};
use alluvial_tests::{RawRow, World, eventually, names};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The middle of the hash keys of a shard.
pub(crate) fn middle(shard: &aws_sdk_kinesis::types::Shard) -> String {
    let keys = shard.hash_key_range().unwrap();
    let (start, end): (u128, u128) =
        (keys.starting_hash_key().parse().unwrap(), keys.ending_hash_key().parse().unwrap());
    (start + (end - start) / 2).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_and_a_merge_under_load_lose_repeat_and_reorder_nothing() {
    let world = World::start(2).await;
    let daemon = world.daemon();
    world.put(records(0..2_000)).await;
    until_in_midstream(&world).await;
    let shards = world.shards().await;
    let split = world.kinesis().split_shard().stream_name("orders").shard_to_split(shards[0].shard_id());
    split.new_starting_hash_key(middle(&shards[0])).send().await.unwrap();
    world.put(records(2_000..4_000)).await;
    eventually("a child is being read", Duration::from_secs(30), || async {
        let leases = world.leases().await;
        leases
            .iter()
            .any(|(shard, (_, at))| shard.as_str() > "shardId-000000000001" && at.starts_with('4'))
            .then_some(())
    })
    .await;
    let merge = world.kinesis().merge_shards().stream_name("orders");
    // The upper child of the first shard lies beside the second shard.
    let open: Vec<_> = world
        .shards()
        .await
        .into_iter()
        .filter(|shard| shard.sequence_number_range().unwrap().ending_sequence_number().is_none())
        .collect();
    let mut by_key: Vec<_> = open
        .iter()
        .map(|shard| (shard.hash_key_range().unwrap().starting_hash_key().parse::<u128>().unwrap(), shard.shard_id()))
        .collect();
    by_key.sort_unstable();
    merge.shard_to_merge(by_key[1].1).adjacent_shard_to_merge(by_key[2].1).send().await.unwrap();
    world.put(records(4_000..6_000)).await;

    world.until_checkpointed(Duration::from_secs(60)).await;
    eventually("the parents at their end", Duration::from_secs(10), || async {
        let leases = world.leases().await;
        (leases.values().filter(|(_, at)| at == "SHARD_END").count() == 3).then_some(())
    })
    .await;
    let finished = daemon.terminate(Duration::from_secs(25)).await;
    assert_eq!(finished.code, Some(0), "{}", finished.log);
    world.flush_firehose().await;

    let rows = RawRow::read_all(&world.raw());
    let put = world.stream_records().await;
    assert_eq!(put.len(), 6_000);
    let delivered = names(&rows);
    assert!(delivered.values().all(|times| *times == 1));
    let wanted: BTreeSet<_> = put.iter().map(|record| (record.shard.clone(), record.sequence.clone())).collect();
    assert_eq!(delivered.into_keys().collect::<BTreeSet<_>>(), wanted);

    // `n` grows within a key, also where its records moved from parents to children.
    let keys: BTreeMap<_, _> = put.into_iter().map(|r| ((r.shard, r.sequence), r.partition_key)).collect();
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for row in &rows {
        let n = row.json["n"].as_u64().unwrap();
        let before = last.insert(&keys[&row.name], n);
        assert!(before.is_none_or(|before| before < n), "{n} came after {before:?}");
    }
}
