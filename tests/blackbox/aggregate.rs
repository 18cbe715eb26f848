//! Records that are packed as the Kinesis Producer Library packs them, from `loadgen` to Firehose.

use crate::reshard::middle;
use crate::restart::until_in_midstream;
use alluvial_consumer::{DynamoLeases, Lease, LeaseTable, Shard};
use alluvial_record::aggregate::Aggregator;
use alluvial_record::{Checkpoint, HashKeyRange, Position, hash_key};
use alluvial_tests::{Finished, RawRow, World, eventually, finish};
use aws_sdk_kinesis::primitives::Blob;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// The name of a user record: shard, sequence and sub-sequence number.
type UserName = (String, String, u64);

fn user_name(row: &RawRow) -> UserName {
    let (shard, sequence) = row.name.clone();
    (shard, sequence, row.json["_sub_sequence"].as_u64().unwrap())
}

fn n(row: &RawRow) -> u64 {
    row.json["n"].as_u64().unwrap()
}

/// Puts so many records with `loadgen`: each has its number in `n` and one of 40 keys in `k`.
async fn load(world: &World, records: u64, options: &[&str]) -> Finished {
    let template = world.path("template.json");
    std::fs::write(
        &template,
        r#"{"n":{{sequence}},"k":"key-{{random.number(39)}}","x":"{{random.alphaNumeric(100)}}"}"#,
    )
    .unwrap();
    let mut command = world.command("loadgen");
    command.args(["--stream", "orders", "--json", "--partition-key", "k", "--records", &records.to_string()]);
    command.args(options).arg("--template").arg(template);
    tokio::task::spawn_blocking(move || finish(&mut command)).await.unwrap()
}

/// Waits for what was read, stops the daemon in order, and reads what Firehose has.
async fn rows(world: &World, daemon: alluvial_tests::Daemon) -> (Vec<RawRow>, Finished) {
    world.until_checkpointed(Duration::from_secs(60)).await;
    let finished = daemon.terminate(Duration::from_secs(25)).await;
    assert_eq!(finished.code, Some(0), "{}", finished.log);
    world.flush_firehose().await;
    (RawRow::read_all(&world.raw()), finished)
}

/// How often each `n` occurs; all of `0..records` must.
#[track_caller]
fn assert_all(rows: &[RawRow], records: u64) -> BTreeMap<u64, u64> {
    let mut times: BTreeMap<u64, u64> = BTreeMap::new();
    rows.iter().for_each(|row| *times.entry(n(row)).or_default() += 1);
    let missing: Vec<u64> = (0..records).filter(|n| !times.contains_key(n)).collect();
    assert!(missing.is_empty(), "{} of {records} missing, such as {:?}", missing.len(), missing.first());
    times
}

#[track_caller]
fn assert_ordered(rows: &[RawRow]) {
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for row in rows {
        let before = last.insert(row.json["k"].as_str().unwrap(), n(row));
        assert!(before.is_none_or(|before| before < n(row)), "{} came after {before:?}", n(row));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_user_record_is_delivered_once_with_its_place_in_the_aggregate() {
    let world = World::start(3).await;
    let daemon = world.daemon();
    let loaded = load(&world, 6_000, &["--rate", "4000/s", "--aggregate"]).await;
    assert_eq!(loaded.code, Some(0), "{}", loaded.log);
    let report: serde_json::Value = serde_json::from_str(&loaded.stdout).unwrap();
    assert_eq!((&report["accepted"], &report["lost"]), (&6_000.into(), &0.into()));
    let (rows, _) = rows(&world, daemon).await;
    assert_all(&rows, 6_000);
    assert_eq!(rows.len(), 6_000, "none twice");
    assert_ordered(&rows);

    let mut places: BTreeMap<(String, String), Vec<u64>> = BTreeMap::new();
    for (shard, sequence, sub_sequence) in rows.iter().map(user_name) {
        places.entry((shard, sequence)).or_default().push(sub_sequence);
    }
    assert!(places.values().all(|subs| subs.iter().copied().eq(0..subs.len() as u64)), "0, 1, 2, … in each");
    let put = world.stream_records().await;
    assert!(put.len() < 600, "{} Kinesis records for 6,000", put.len());
    assert_eq!(report["kinesis_records"], put.len());
    assert!(put.iter().all(|record| places.contains_key(&(record.shard.clone(), record.sequence.clone()))));
}

/// The checkpoints: shard → sequence and sub-sequence number.
async fn checkpoints(world: &World) -> BTreeMap<String, Position> {
    let table = LeaseTable::Dynamo(DynamoLeases::new(world.dynamodb(), "enricher"));
    let at = |lease: Lease| match lease.checkpoint {
        Checkpoint::At(position) => Some((lease.shard.to_string(), position)),
        _ => None,
    };
    table.list().await.unwrap().leases.into_iter().filter_map(at).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_midstream_loses_no_user_record_and_repeats_none_before_the_checkpoint() {
    let world = World::start(2).await;
    let daemon = world.daemon();
    let crash = async {
        until_in_midstream(&world).await;
        daemon.kill_9();
        (checkpoints(&world).await, world.daemon())
    };
    let (loaded, (killed_at, daemon)) =
        tokio::join!(load(&world, 12_000, &["--rate", "3000/s", "--aggregate=20KiB"]), crash);
    assert_eq!(loaded.code, Some(0), "{}", loaded.log);
    let (rows, _) = rows(&world, daemon).await;
    assert_all(&rows, 12_000);

    let mut times: BTreeMap<UserName, u64> = BTreeMap::new();
    rows.iter().for_each(|row| *times.entry(user_name(row)).or_default() += 1);
    assert_eq!(times.len(), 12_000);
    let done = |(shard, sequence, sub_sequence): &UserName| {
        let position = Position { sequence: sequence.parse().unwrap(), sub_sequence: *sub_sequence };
        killed_at.get(shard).is_some_and(|at| position <= *at)
    };
    let before: Vec<_> = times.iter().filter(|(name, _)| done(name)).collect();
    assert!(!before.is_empty() && before.len() < 12_000, "the kill was in midstream: {killed_at:?}");
    assert!(before.iter().all(|(_, times)| **times == 1), "what was checkpointed came again");
}

/// User records with these numbers, and keys that belong to `range`.
fn aggregate(numbers: Range<u64>, range: HashKeyRange) -> Vec<u8> {
    let mut keys = (0..).map(|key| format!("key-{key}")).filter(|key| range.contains(hash_key(key)));
    let mut aggregator = Aggregator::new(1 << 20);
    for n in numbers {
        let key = keys.next().unwrap();
        assert!(aggregator.try_add(&key, None, format!("{{\"n\":{n},\"k\":\"{key}\"}}").as_bytes()));
    }
    aggregator.finish().unwrap().to_vec()
}

fn range(shard: &aws_sdk_kinesis::types::Shard) -> HashKeyRange {
    let keys = shard.hash_key_range().unwrap();
    HashKeyRange::parse(keys.starting_hash_key(), keys.ending_hash_key()).unwrap()
}

/// Puts one record under a hash key, as the library does; returns its sequence number.
async fn put(world: &World, hash_key: u128, data: Vec<u8>) -> String {
    let put = world.kinesis().put_record().stream_name("orders").partition_key("a").data(Blob::new(data));
    put.explicit_hash_key(hash_key.to_string()).send().await.unwrap().sequence_number
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_another_client_wrote_within_an_aggregate_is_resumed_right_after_it() {
    let world = World::start(1).await;
    let sequence = put(&world, 0, aggregate(0..10, HashKeyRange::ALL)).await;
    put(&world, 0, b"{\"n\":10}".to_vec()).await;
    put(&world, 0, aggregate(11..14, HashKeyRange::ALL)).await;
    let mut damaged = aggregate(0..3, HashKeyRange::ALL);
    damaged[20] ^= 1;
    put(&world, 0, damaged).await;
    let last = put(&world, 0, aggregate(14..15, HashKeyRange::ALL)).await;
    let shard = &world.shards().await[0];
    let at = Position { sequence: sequence.parse().unwrap(), sub_sequence: 3 };
    let shard = Shard { id: shard.shard_id().into(), parents: vec![], hash_keys: range(shard), open: true };
    let table = LeaseTable::Dynamo(DynamoLeases::new(world.dynamodb(), "enricher"));
    table.ensure().await.unwrap();
    table.create(&Lease::new(&shard, Checkpoint::At(at))).await.unwrap();

    let daemon = world.daemon();
    world.until_checkpointed(Duration::from_secs(60)).await;
    let finished = daemon.terminate(Duration::from_secs(25)).await;
    assert_eq!(finished.code, Some(3), "the damaged aggregate is a dead letter: {}", finished.log);
    world.flush_firehose().await;
    let rows = RawRow::read_all(&world.raw());
    assert_eq!(rows.iter().map(n).collect::<Vec<_>>(), (4..15).collect::<Vec<_>>());
    assert_eq!(user_name(&rows[0]), (shard.id.to_string(), sequence, 4));
    assert_eq!(checkpoints(&world).await[shard.id.as_str()], Position::of(last.parse().unwrap()));
    let folder = world.dead_letters().join("orders").join(shard.id.as_str());
    let dead: Vec<_> = folder.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
    let dead: serde_json::Value = serde_json::from_slice(&std::fs::read(&dead[0]).unwrap()).unwrap();
    assert!(dead["reason"].as_str().unwrap().starts_with("corrupt aggregate"), "{dead}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_split_each_user_record_still_comes_exactly_once() {
    let world = World::start(2).await;
    let daemon = world.daemon();
    let parent = world.shards().await.remove(0);
    let whole = range(&parent);
    let split = async {
        until_in_midstream(&world).await;
        let split = world.kinesis().split_shard().stream_name("orders").shard_to_split(parent.shard_id());
        split.new_starting_hash_key(middle(&parent)).send().await.unwrap();
    };
    let (loaded, ()) = tokio::join!(load(&world, 8_000, &["--rate", "2000/s", "--aggregate=10KiB"]), split);
    assert_eq!(loaded.code, Some(0), "{}", loaded.log);
    eventually("the parent closed", Duration::from_secs(10), || async {
        (world.shards().await.len() == 4).then_some(())
    })
    .await;
    // Packed for the parent and put after the split: the library puts it to one child, sees where it came, and puts what
    // does not belong there again. Here both children get the whole of it.
    let late = aggregate(8_000..8_060, whole);
    put(&world, whole.start, late.clone()).await;
    put(&world, whole.end, late).await;
    let (rows, finished) = rows(&world, daemon).await;
    let times = assert_all(&rows, 8_060);
    assert_eq!(times.values().max(), Some(&1), "none twice");
    assert_ordered(&rows.into_iter().filter(|row| n(row) < 8_000).collect::<Vec<_>>());
    assert!(finished.log.contains("user records of other shards left out"), "{}", finished.log);
}
