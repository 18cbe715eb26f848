use super::*;
use crate::lease::{Lease, Liveness, MemoryLeases};
use crate::status::StatusBoard;
use crate::topology::Shard;
use alluvial_record::{Checkpoint, HashKeyRange};

const FAILOVER: Duration = Duration::from_secs(10);
const LEASES: u64 = 100;

/// A table, and a hundred leases of it in the hands of "one".
async fn hundred() -> (MemoryLeases, LeaseTable, Held) {
    let memory = MemoryLeases::default();
    let (table, held, board) = (LeaseTable::Memory(memory.clone()), Held::default(), StatusBoard::default());
    for number in 0..LEASES {
        let id = format!("shardId-{number:012}");
        let hash_keys = HashKeyRange { start: 0, end: 9 };
        let shard = Shard { id: id.as_str().into(), parents: vec![], hash_keys, open: true };
        let free = Lease::new(&shard, Checkpoint::TrimHorizon);
        table.create(&free).await.unwrap();
        let taken = table.take(&free, "one", None).await.unwrap().unwrap();
        let lease = HeldLease::new(table.clone(), taken, FAILOVER);
        held.with(|held| held.insert(free.shard.clone(), Holding::new(lease, board.of(&free.shard))));
    }
    (memory, table, held)
}

/// Writes of one minute, in which every lease stays confirmed.
async fn writes_of_a_minute(mode: LeaseMode) -> u64 {
    let (memory, table, held) = hundred().await;
    let before = memory.writes();
    let watching = async {
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(held.leases().iter().all(HeldLease::can_deliver));
        }
    };
    tokio::select! {
        () = renew_all(table, "one".into(), mode, held.clone(), FAILOVER) => panic!("the renewer ended"),
        () = watching => memory.writes() - before,
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_leases_cost_a_hundredth_of_the_writes_with_one_heartbeat_for_all() {
    let (kcl, compact) = (writes_of_a_minute(LeaseMode::Kcl).await, writes_of_a_minute(LeaseMode::Compact).await);
    assert!((1_700..=1_900).contains(&kcl), "three renewals of each lease in ten seconds: {kcl}");
    assert!(compact * 10 <= kcl && compact >= 17, "{compact} against {kcl}");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_slept_confirms_each_lease_by_itself_and_finds_those_that_were_taken() {
    let (memory, table, held) = hundred().await;
    let leases = held.leases();
    let renewing = renew_all(table.clone(), "one".into(), LeaseMode::Compact, held, FAILOVER);
    let sleeping = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        memory.set_out_of_reach(true);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(leases.iter().all(|lease| !lease.can_deliver()), "before the first write after the sleep");
        memory.set_out_of_reach(false);
        let row = table.list().await.unwrap().leases.remove(0);
        table.take(&row, "two", None).await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_secs(4)).await;
    };
    tokio::select! {
        () = renewing => panic!("the renewer ended"),
        () = sleeping => {}
    }
    assert!(leases[0].lost().is_cancelled() && !leases[0].can_deliver());
    assert!(leases[1..].iter().all(|lease| lease.can_deliver() && !lease.lost().is_cancelled()));
}

#[tokio::test(start_paused = true)]
async fn peers_see_a_worker_live_in_either_mode_and_find_it_dead_after_the_failover_time() {
    for mode in [LeaseMode::Kcl, LeaseMode::Compact] {
        let (_, table, held) = hundred().await;
        let mut seen = Liveness::new(FAILOVER);
        let watching = async {
            for _ in 0..30 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let listing = table.list().await.unwrap();
                seen.observe(&listing, Instant::now());
                assert!(listing.leases.iter().all(|lease| !seen.is_free(lease, Instant::now())), "{mode:?}");
            }
        };
        tokio::select! {
            () = renew_all(table.clone(), "one".into(), mode, held, FAILOVER) => panic!("the renewer ended"),
            () = watching => {}
        }
        tokio::time::sleep(FAILOVER).await;
        let listing = table.list().await.unwrap();
        assert!(listing.leases.iter().all(|lease| seen.is_free(lease, Instant::now())), "{mode:?}");
    }
}
