use super::*;
use crate::lease::MemoryLeases;
use crate::topology::Shard;
use alluvial_record::HashKeyRange;

const FAILOVER: Duration = Duration::from_secs(10);

fn at(sequence: &str) -> Checkpoint {
    Checkpoint::from_attributes(sequence, 0).unwrap()
}

/// A table with one lease, taken by "one".
async fn held() -> (MemoryLeases, LeaseTable, HeldLease) {
    let memory = MemoryLeases::default();
    let table = LeaseTable::Memory(memory.clone());
    let shard = Shard { id: "a".into(), parents: vec![], hash_keys: HashKeyRange { start: 0, end: 9 }, open: true };
    let free = Lease::new(&shard, Checkpoint::TrimHorizon);
    table.create(&free).await.unwrap();
    let taken = table.take(&free, "one", None).await.unwrap().unwrap();
    let held = HeldLease::new(table.clone(), taken, FAILOVER);
    (memory, table, held)
}

async fn row(table: &LeaseTable) -> Lease {
    table.list().await.unwrap().leases.remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_sleep_longer_than_the_failover_time_closes_the_gate_until_a_write_succeeds() {
    let (_, _, held) = held().await;
    assert!(held.can_deliver());
    tokio::time::advance(FAILOVER).await;
    assert!(!held.can_deliver());
    let (delivered, renewed) = tokio::join!(held.may_deliver(), held.renew());
    let ((), ()) = (delivered, renewed.unwrap());
    assert!(held.can_deliver());
}

#[tokio::test(start_paused = true)]
async fn a_lease_taken_during_a_sleep_never_opens_the_gate_again() {
    let (_, table, held) = held().await;
    tokio::time::advance(FAILOVER * 6).await;
    table.take(&row(&table).await, "two", None).await.unwrap().unwrap();
    assert_eq!(held.renew().await.unwrap_err().kind(), ErrorKind::LostLease);
    assert!(held.lost().is_cancelled() && !held.can_deliver());
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_table_leaves_the_gate_open_as_long_as_we_are_awake() {
    let (memory, _, held) = held().await;
    memory.set_out_of_reach(true);
    for _ in 0..20 {
        tokio::time::advance(FAILOVER / 3).await;
        assert_eq!(held.renew().await.unwrap_err().kind(), ErrorKind::Wait);
        assert!(held.can_deliver());
    }
    tokio::time::advance(FAILOVER * 6).await;
    assert_eq!(held.renew().await.unwrap_err().kind(), ErrorKind::Wait);
    assert!(!held.can_deliver(), "asleep and out of reach: nobody can tell whose the lease is");
    memory.set_out_of_reach(false);
    held.renew().await.unwrap();
    assert!(held.can_deliver());
}

#[tokio::test]
async fn a_row_deleted_under_a_running_shard_is_made_again_at_its_checkpoint() {
    let (memory, table, held) = held().await;
    held.checkpoint(at("20"), &[]).await.unwrap();
    memory.remove(held.shard());
    held.renew().await.unwrap();
    assert_eq!((row(&table).await.checkpoint, row(&table).await.owner.as_deref()), (at("20"), Some("one")));

    // A peer found no row, took the shard for a new one, and began it from the start.
    memory.remove(held.shard());
    let shard = Shard { id: "a".into(), parents: vec![], hash_keys: HashKeyRange { start: 0, end: 9 }, open: true };
    let anew = Lease::new(&shard, Checkpoint::TrimHorizon);
    table.create(&anew).await.unwrap();
    let peer = HeldLease::new(table.clone(), table.take(&anew, "two", None).await.unwrap().unwrap(), FAILOVER);
    held.checkpoint(at("30"), &[]).await.unwrap();
    assert_eq!((row(&table).await.checkpoint, row(&table).await.owner.as_deref()), (at("30"), Some("one")));
    assert_eq!(peer.checkpoint(at("2"), &[]).await.unwrap_err().kind(), ErrorKind::LostLease);
}

#[tokio::test(start_paused = true)]
async fn a_row_deleted_while_we_slept_is_not_ours_to_make() {
    let (memory, table, held) = held().await;
    tokio::time::advance(FAILOVER).await;
    memory.remove(held.shard());
    assert_eq!(held.renew().await.unwrap_err().kind(), ErrorKind::LostLease);
    assert!(table.list().await.unwrap().leases.is_empty());
}

#[tokio::test]
async fn a_peer_that_asks_is_seen_at_the_next_write_or_listing_and_gets_the_lease_at_the_last_checkpoint() {
    let (_, table, held) = held().await;
    assert!(table.ask(&row(&table).await, "two").await.unwrap());
    assert!(!held.asked_for().is_cancelled());
    held.renew().await.unwrap();
    assert!(held.asked_for().is_cancelled() && !held.lost().is_cancelled());
    held.checkpoint(at("20"), &[]).await.unwrap();
    assert_eq!(row(&table).await.actual_owner(), Some("one"), "the new owner waits for the old one");
    held.release().await.unwrap();
    let given = row(&table).await;
    assert_eq!((given.owner.as_deref(), given.checkpoint_owner.as_deref()), (Some("two"), None));
    assert_eq!(given.checkpoint, at("20"));
    // What is left of the old owner cannot write any more, nor take the lease from the new one.
    table.take(&given, "two", None).await.unwrap().unwrap();
    assert_eq!(held.checkpoint(at("21"), &[]).await.unwrap_err().kind(), ErrorKind::LostLease);
}

#[tokio::test]
async fn a_listing_shows_what_a_worker_that_writes_no_renewals_would_not_see() {
    let (_, table, held) = held().await;
    let old = row(&table).await;
    held.renew().await.unwrap();
    held.observe(&old);
    assert!(!held.lost().is_cancelled(), "a listing from before our last write says nothing");
    table.ask(&row(&table).await, "two").await.unwrap();
    held.observe(&row(&table).await);
    assert!(held.asked_for().is_cancelled() && !held.lost().is_cancelled());
    table.take(&row(&table).await, "three", None).await.unwrap().unwrap();
    held.observe(&row(&table).await);
    assert!(held.lost().is_cancelled());
}
