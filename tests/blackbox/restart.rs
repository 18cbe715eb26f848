//! Stops of the daemon: in order, and not.

use alluvial_tests::{RawRow, World, eventually, finish, names};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Small JSON records under 50 keys.
pub(crate) fn records(range: std::ops::Range<u32>) -> impl Iterator<Item = (String, Vec<u8>)> {
    range.map(|n| (format!("key-{}", n % 50), format!("{{\"n\":{n},\"text\":\"{}\"}}", "x".repeat(100)).into_bytes()))
}

/// Puts records in small calls, one after the other, until `enough` is cancelled: whatever happens to the daemon meanwhile
/// happens in midstream.
async fn put_until(world: &World, enough: &CancellationToken) {
    let mut next = 0;
    while !enough.is_cancelled() {
        world.put(records(next..next + 20)).await;
        next += 20;
    }
}

/// True when records lie in the stream beyond the checkpoints: the daemon was stopped in the middle of its work.
async fn behind(world: &World) -> bool {
    let leases = world.leases().await;
    let last: std::collections::BTreeMap<_, _> =
        world.stream_records().await.into_iter().map(|record| (record.shard, record.sequence)).collect();
    last.iter().any(|(shard, sequence)| leases.get(shard).is_none_or(|(_, at)| at != sequence))
}

/// Waits until some record is checkpointed.
pub(crate) async fn until_in_midstream(world: &World) {
    eventually("a first checkpoint", Duration::from_secs(30), || async {
        world.leases().await.values().any(|(_, at)| at.starts_with('4')).then_some(())
    })
    .await;
}

async fn assert_nothing_missing(world: &World) -> u64 {
    let rows = RawRow::read_all(&world.raw());
    let delivered = names(&rows);
    let put: BTreeSet<_> = world.stream_records().await.into_iter().map(|r| (r.shard, r.sequence)).collect();
    let missing: Vec<_> = put.iter().filter(|name| !delivered.contains_key(*name)).collect();
    assert!(missing.is_empty(), "{} of {} missing, such as {:?}", missing.len(), put.len(), missing.first());
    assert!(delivered.keys().all(|name| put.contains(name)), "a row of a record that nobody put");
    delivered.values().map(|times| times - 1).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_midstream_loses_nothing() {
    let world = World::start(4).await;
    let daemon = world.daemon();
    let enough = CancellationToken::new();
    let crash = async {
        until_in_midstream(&world).await;
        daemon.kill_9();
        assert!(behind(&world).await, "the kill came after all was done");
        enough.cancel();
        world.daemon()
    };
    let ((), daemon) = tokio::join!(put_until(&world, &enough), crash);
    world.until_checkpointed(Duration::from_secs(60)).await;
    let finished = daemon.terminate(Duration::from_secs(25)).await;
    assert_eq!(finished.code, Some(0), "{}", finished.log);
    assert!(finished.log.contains("previous_owner=Some"), "the restart took over the leases of the dead worker");
    world.flush_firehose().await;
    let repeated = assert_nothing_missing(&world).await;
    // Only what was delivered after the last checkpoint comes again.
    let put = u64::try_from(world.stream_records().await.len()).unwrap();
    assert!(repeated < put, "all {put} rows came twice: the checkpoints were of no use");

    // Labels of members tell what came again.
    let (raw, table) = (world.raw(), world.path("table"));
    let compacted = finish(world.command("compact").arg("run").args([raw, table]).args(["--dedupe-members", "--json"]));
    assert_eq!(compacted.code, Some(0), "{}", compacted.log);
    let report: serde_json::Value = serde_json::from_str(&compacted.stdout).unwrap();
    assert_eq!((&report["rows"], &report["duplicate_rows"]), (&put.into(), &repeated.into()), "{report}");
    assert_eq!(report["overlapping_members"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_delivers_and_checkpoints_what_was_read_and_the_next_start_repeats_nothing() {
    let world = World::start(4).await;
    let daemon = world.daemon();
    let enough = CancellationToken::new();
    let stop = async {
        until_in_midstream(&world).await;
        let finished = daemon.terminate(Duration::from_secs(25)).await;
        assert!(behind(&world).await, "the stop came after all was done");
        enough.cancel();
        finished
    };
    let ((), finished) = tokio::join!(put_until(&world, &enough), stop);
    assert_eq!(finished.code, Some(0), "{}", finished.log);
    assert!(finished.log.contains("not_delivered=0"), "{}", finished.log);
    let leases = world.leases().await;
    assert!(leases.values().all(|(owner, _)| owner.is_none()), "leases are given back: {leases:?}");

    let daemon = world.daemon();
    world.until_checkpointed(Duration::from_secs(60)).await;
    assert_eq!(daemon.terminate(Duration::from_secs(25)).await.code, Some(0));
    world.flush_firehose().await;
    assert_eq!(assert_nothing_missing(&world).await, 0, "nothing comes twice after a stop in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_with_aws_out_of_reach_ends_in_time_all_the_same() {
    let mut world = World::start(4).await;
    let daemon = world.daemon();
    let enough = CancellationToken::new();
    let midstream = async {
        until_in_midstream(&world).await;
        enough.cancel();
    };
    tokio::join!(put_until(&world, &enough), midstream);
    world.kill_emulator();
    let finished = daemon.terminate(Duration::from_secs(15)).await;
    assert_eq!(finished.code, Some(0), "{}", finished.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_before_anything_came_ends_at_once() {
    let world = World::start(2).await;
    let daemon = world.daemon();
    eventually("both leases taken", Duration::from_secs(30), || async {
        let leases = world.leases().await;
        (leases.len() == 2 && leases.values().all(|(owner, _)| owner.is_some())).then_some(())
    })
    .await;
    let finished = daemon.terminate(Duration::from_secs(10)).await;
    assert_eq!(finished.code, Some(0), "{}", finished.log);
}
