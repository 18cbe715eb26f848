//! Several workers on one stream: shares, handoffs, deaths, and sleeps.

use crate::restart::records;
use alluvial_tests::{Daemon, RawRow, World, eventually, names};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Records a second while something happens to the fleet.
const RATE: u32 = 500;

/// Shards of each worker; those that are free or on their way are under "".
pub(crate) async fn shares(world: &World) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    let Ok(rows) = world.dynamodb().scan().table_name("enricher").consistent_read(true).send().await else {
        return shares;
    };
    for row in rows.items().iter().filter(|row| row.contains_key("leaseCounter")) {
        let text = |name: &str| row.get(name).and_then(|value| value.as_s().ok()).cloned();
        let owner = if row.contains_key("checkpointOwner") { None } else { text("leaseOwner") };
        *shares.entry(owner.unwrap_or_default()).or_default() += 1;
    }
    shares
}

/// Waits until the workers have these shares; says how long it took.
pub(crate) async fn until_shared(world: &World, wanted: &[(&str, usize)], limit: Duration) -> Duration {
    let began = Instant::now();
    let wanted: BTreeMap<String, usize> = wanted.iter().map(|(worker, count)| ((*worker).to_owned(), *count)).collect();
    eventually(&format!("shares of {wanted:?}"), limit, || async { (shares(world).await == wanted).then_some(()) })
        .await;
    began.elapsed()
}

/// Puts records at a steady rate while `acting`; returns how many, and what came of it.
fn while_records_flow<'a, T: 'a>(
    world: &'a World,
    acting: impl Future<Output = T> + 'a,
) -> Pin<Box<dyn Future<Output = (u32, T)> + 'a>> {
    let enough = CancellationToken::new();
    let stop = enough.clone();
    let putting = async move {
        let mut ticks = interval(Duration::from_millis(20));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut next, step) = (0, RATE / 50);
        while !stop.is_cancelled() {
            ticks.tick().await;
            world.put(records(next..next + step)).await;
            next += step;
        }
        next
    };
    Box::pin(async move {
        tokio::join!(putting, async {
            let done = acting.await;
            enough.cancel();
            done
        })
    })
}

/// Stops all workers, and checks that every record arrived, and first arrived in the order of its key. Returns how many
/// came again.
async fn assert_all_arrived(world: &World, workers: Vec<Daemon>) -> u64 {
    world.until_checkpointed(Duration::from_secs(30)).await;
    for worker in workers {
        let finished = worker.terminate(Duration::from_secs(25)).await;
        assert_eq!(finished.code, Some(0), "{}", finished.log);
    }
    world.flush_firehose().await;
    let (rows, put) = (RawRow::read_all(&world.raw()), world.stream_records().await);
    let delivered = names(&rows);
    let missing: Vec<_> =
        put.iter().filter(|r| !delivered.contains_key(&(r.shard.clone(), r.sequence.clone()))).collect();
    assert!(missing.is_empty(), "{} of {} missing, such as {:?}", missing.len(), put.len(), missing.first());
    let keys: BTreeMap<_, _> = put.into_iter().map(|r| ((r.shard, r.sequence), r.partition_key)).collect();
    let (mut last, mut seen): (BTreeMap<&str, u64>, BTreeSet<_>) = (BTreeMap::new(), BTreeSet::new());
    for row in rows.iter().filter(|row| seen.insert(&row.name)) {
        let n = row.json["n"].as_u64().unwrap();
        let before = last.insert(&keys[&row.name], n);
        assert!(before.is_none_or(|before| before < n), "{n} of {:?} came after {before:?}", row.name);
    }
    delivered.values().map(|times| times - 1).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn newcomers_get_their_share_and_a_worker_that_stops_gives_its_own_back_and_nothing_comes_twice() {
    let world = World::start(6).await;
    let (_, (one, three)) = while_records_flow(&world, async {
        let one = world.worker("one", "");
        until_shared(&world, &[("one", 6)], Duration::from_secs(20)).await;
        let (two, three) = (world.worker("two", ""), world.worker("three", ""));
        let took = until_shared(&world, &[("one", 2), ("two", 2), ("three", 2)], Duration::from_secs(25)).await;
        eprintln!("two newcomers got their shares of six shards in {took:?}");
        let stopped = two.terminate(Duration::from_secs(10)).await;
        assert_eq!(stopped.code, Some(0), "{}", stopped.log);
        let took = until_shared(&world, &[("one", 3), ("three", 3)], Duration::from_secs(8)).await;
        eprintln!("the peers had the shards of a worker {took:?} after its end");
        (one, three)
    })
    .await;
    let logs = [one.log(), three.log()];
    assert!(logs[0].contains("a peer asked for the lease") && logs[1].contains("asked the owner of a lease"));
    assert!(logs.iter().all(|log| !log.contains("lease lost")), "{logs:?}");
    assert_eq!(assert_all_arrived(&world, vec![one, three]).await, 0, "records came twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_of_a_worker_that_was_killed_are_taken_after_the_failover_time() {
    let world = World::start(6).await;
    let (put, (one, three)) = while_records_flow(&world, async {
        let (one, two, three) = (world.worker("one", ""), world.worker("two", ""), world.worker("three", ""));
        until_shared(&world, &[("one", 2), ("two", 2), ("three", 2)], Duration::from_secs(25)).await;
        two.kill_9();
        let took = until_shared(&world, &[("one", 3), ("three", 3)], Duration::from_secs(10)).await;
        assert!(took >= Duration::from_secs(1), "taken from a worker that might have lived: {took:?}");
        eprintln!("the shards of a dead worker were taken {took:?} after its death");
        (one, three)
    })
    .await;
    let repeated = assert_all_arrived(&world, vec![one, three]).await;
    assert!(
        repeated < u64::from(put.min(2 * RATE)),
        "{repeated} of {put} came again: more than since the last checkpoints"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_slept_delivers_nothing_of_what_its_peer_has_by_now() {
    let world = World::start(4).await;
    let (put, (one, two)) = while_records_flow(&world, async {
        let (one, two) = (world.worker("one", ""), world.worker("two", ""));
        until_shared(&world, &[("one", 2), ("two", 2)], Duration::from_secs(25)).await;
        // The table names it as the owner a moment before it knows, and reads.
        eventually("two leases taken", Duration::from_secs(10), || async {
            (one.log().matches("lease taken").count() >= 2).then_some(())
        })
        .await;
        one.signal("STOP");
        until_shared(&world, &[("two", 4)], Duration::from_secs(15)).await;
        // Its sockets hold what Kinesis sent before the peer took over.
        one.signal("CONT");
        until_shared(&world, &[("one", 2), ("two", 2)], Duration::from_secs(25)).await;
        (one, two)
    })
    .await;
    let log = one.log();
    assert!(log.contains("this process slept") && log.contains("lease lost"), "{log}");
    let repeated = assert_all_arrived(&world, vec![one, two]).await;
    eprintln!("{repeated} of {put} records came again after the sleep");
    // Half of the records are of its shards, and what came again are those since its checkpoint before the sleep.
    assert!(repeated < u64::from(RATE), "{repeated} of {put} came again");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_and_throttling_of_dynamodb_cost_neither_a_lease_nor_a_record() {
    let world = World::start(4).await;
    world
        .set_faults(
            r#"
            [[fault]]
            name = "lost"
            on = { service = "dynamodb", operation = "UpdateItem", table = "enricher" }
            when = { every = 5 }
            effect = { lose_response = { how = "rst_stream" } }
            [[fault]]
            name = "throttled"
            on = { service = "dynamodb", table = "enricher", operation = "UpdateItem" }
            when = { probability = 0.2 }
            effect = { error = { code = "ProvisionedThroughputExceededException" } }
            "#,
        )
        .await;
    let (_, (one, two)) = while_records_flow(&world, async {
        let one = world.worker("one", "");
        until_shared(&world, &[("one", 4)], Duration::from_secs(20)).await;
        let two = world.worker("two", "");
        until_shared(&world, &[("one", 2), ("two", 2)], Duration::from_secs(25)).await;
        (one, two)
    })
    .await;
    assert!(!one.log().contains("lease lost") && !two.log().contains("lease lost"), "{}\n{}", one.log(), two.log());
    assert_eq!(assert_all_arrived(&world, vec![one, two]).await, 0, "records came twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_dynamodb_what_runs_is_delivered_on_and_nothing_comes_twice_when_it_is_back() {
    let world = World::start(2).await;
    let one = world.worker("one", "");
    world.put(records(0..500)).await;
    world.until_checkpointed(Duration::from_secs(30)).await;
    let plan = r#"
        [[fault]]
        on = { service = "dynamodb", table = "enricher" }
        effect = { error = { code = "InternalServerError", status = 500 } }
    "#;
    world.set_faults(plan).await;
    // Three times the failover time, with records all the while.
    let began = Instant::now();
    let mut next = 500;
    while began.elapsed() < Duration::from_secs(6) {
        world.put(records(next..next + 100)).await;
        next += 100;
        let wanted = usize::try_from(next).unwrap();
        eventually("delivered without a checkpoint", Duration::from_secs(20), || async {
            (world.delivered_rows().await >= wanted).then_some(())
        })
        .await;
    }
    world.end_faults().await;
    assert!(one.log().contains("lease not renewed"), "{}", one.log());
    assert_eq!(assert_all_arrived(&world, vec![one]).await, 0, "records came twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_heartbeat_a_worker_a_fleet_shares_dies_and_refuses_workers_that_renew() {
    let world = World::start(4).await;
    let compact = "lease_mode = \"compact\"";
    let (put, (one, three)) = while_records_flow(&world, async {
        let (one, two) = (world.worker("one", compact), world.worker("two", compact));
        until_shared(&world, &[("one", 2), ("two", 2)], Duration::from_secs(25)).await;

        let mut renewing = world.worker("renewing", "lease_mode = \"kcl\"");
        assert_eq!(renewing.wait(Duration::from_secs(15)).await.code(), Some(4));
        let log = renewing.log();
        assert!(log.contains("lease_mode = \"compact\"") && log.contains("must have the same"), "{log}");

        two.kill_9();
        let three = world.worker("three", compact);
        until_shared(&world, &[("one", 2), ("three", 2)], Duration::from_secs(25)).await;
        (one, three)
    })
    .await;
    let repeated = assert_all_arrived(&world, vec![one, three]).await;
    assert!(repeated < u64::from(put.min(2 * RATE)), "{repeated} of {put} came again");
    let rows = world.dynamodb().scan().table_name("enricher").send().await.unwrap();
    let beats: Vec<_> = rows.items().iter().filter(|row| !row.contains_key("leaseCounter")).collect();
    assert_eq!(beats.len(), 1, "only that of the worker that was killed is left: {beats:?}");
}
