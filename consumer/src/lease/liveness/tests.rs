use super::super::row::Heartbeat;
use super::*;
use crate::topology::Shard;
use alluvial_record::{Checkpoint, HashKeyRange};

const FAILOVER: Duration = Duration::from_secs(10);

fn lease(owner: Option<&str>, counter: u64) -> Lease {
    let shard = Shard { id: "a".into(), parents: vec![], hash_keys: HashKeyRange { start: 0, end: 9 }, open: true };
    Lease { owner: owner.map(str::to_owned), counter, ..Lease::new(&shard, Checkpoint::TrimHorizon) }
}

fn listing(leases: &[Lease], heartbeats: &[(&str, u64)]) -> Listing {
    let heartbeats =
        heartbeats.iter().map(|(worker, counter)| Heartbeat { worker: (*worker).to_owned(), counter: *counter });
    Listing { leases: leases.to_vec(), heartbeats: heartbeats.collect(), ..Listing::default() }
}

/// Seconds of a test; `start` is any moment.
fn at(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn an_owner_whose_counter_stands_still_is_dead_after_the_failover_time_by_our_clock() {
    let (mut seen, start) = (Liveness::new(FAILOVER), Instant::now());
    for (second, counter) in [(0, 5), (9, 6), (18, 6)] {
        seen.observe(&listing(&[lease(Some("one"), counter)], &[]), at(start, second));
        assert!(!seen.is_free(&lease(Some("one"), counter), at(start, second)), "second {second}");
    }
    let dead = listing(&[lease(Some("one"), 6)], &[]);
    seen.observe(&dead, at(start, 19));
    assert!(seen.is_free(&dead.leases[0], at(start, 19)));
    assert!(seen.living(&dead, at(start, 19)).is_empty());
    assert_eq!(seen.free_rounds(&dead.leases[0].shard), 0);
    seen.observe(&dead, at(start, 21));
    assert_eq!(seen.free_rounds(&dead.leases[0].shard), 1);
    assert!(seen.is_free(&lease(None, 6), start), "nobody's");
}

#[tokio::test(start_paused = true)]
async fn an_owner_with_a_heartbeat_lives_as_long_as_that_moves() {
    let (mut seen, start) = (Liveness::new(FAILOVER), Instant::now());
    for second in 0..60 {
        let table = listing(&[lease(Some("one"), 5)], &[("one", second), ("idle", second)]);
        seen.observe(&table, at(start, second));
        assert!(!seen.is_free(&table.leases[0], at(start, second)));
        assert!(seen.living(&table, at(start, second)).contains("idle"), "a worker without leases counts too");
    }
    let table = listing(&[lease(Some("one"), 5)], &[("one", 59), ("idle", 70)]);
    seen.observe(&table, at(start, 69));
    assert!(seen.is_free(&table.leases[0], at(start, 69)));
    assert_eq!(seen.long_dead(FAILOVER, at(start, 69)), ["one"]);
}

#[tokio::test(start_paused = true)]
async fn a_handoff_is_timed_from_its_first_sight_and_its_old_owner_keeps_it_alive() {
    let (mut seen, start) = (Liveness::new(FAILOVER), Instant::now());
    let handed = |counter| Lease { checkpoint_owner: Some("one".into()), ..lease(Some("two"), counter) };
    let shard = ShardId::from("a");
    for second in 0..30 {
        let table = listing(&[handed(second)], &[]);
        seen.observe(&table, at(start, second));
        assert_eq!(seen.handing_over_for(&shard, at(start, second)), Some(Duration::from_secs(second)));
        assert!(!seen.is_free(&table.leases[0], at(start, second)));
        assert_eq!(seen.living(&table, at(start, second)).len(), 2);
    }
    seen.observe(&listing(&[lease(Some("two"), 31)], &[]), at(start, 31));
    assert_eq!(seen.handing_over_for(&shard, at(start, 31)), None);
}

#[tokio::test(start_paused = true)]
async fn a_worker_of_the_other_mode_is_noticed_and_a_dead_one_is_not() {
    let (mut seen, start) = (Liveness::new(FAILOVER), Instant::now());
    for second in 0..6 {
        let table = listing(&[lease(Some("renews"), second)], &[("beats", second), ("me", second), ("dead", 1)]);
        seen.observe(&table, at(start, second));
    }
    let other = |mode, second| seen.in_another_mode(mode, "me", at(start, second));
    assert_eq!(other(LeaseMode::Kcl, 6), Some("beats"));
    assert_eq!(other(LeaseMode::Compact, 6), Some("renews"));
    assert_eq!((other(LeaseMode::Kcl, 30), other(LeaseMode::Compact, 30)), (None, None), "both are gone");
}

#[tokio::test(start_paused = true)]
async fn checkpoints_of_a_worker_with_a_heartbeat_are_not_renewals() {
    let (mut seen, start) = (Liveness::new(FAILOVER), Instant::now());
    for second in 0..20 {
        seen.observe(&listing(&[lease(Some("peer"), second)], &[("peer", second)]), at(start, second));
    }
    assert_eq!(seen.in_another_mode(LeaseMode::Compact, "me", at(start, 20)), None);
}
