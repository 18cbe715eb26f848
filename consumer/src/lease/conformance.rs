//! One suite for every store: memory runs it here, DynamoDB in the black-box tests.

use super::{HeldLease, Lease, LeaseTable, StreamId, Written};
use crate::error::ErrorKind;
use crate::topology::Shard;
use alluvial_record::{Checkpoint, HashKeyRange};
use futures_util::FutureExt as _;
use std::time::Duration;

/// Long enough for any store.
const FAILOVER: Duration = Duration::from_secs(30);

fn shard(id: &str) -> Shard {
    Shard { id: id.into(), parents: vec![], hash_keys: HashKeyRange { start: 0, end: 9 }, open: true }
}

fn at(sequence: &str) -> Checkpoint {
    Checkpoint::from_attributes(sequence, 0).unwrap()
}

/// Checks that `table`, which must be new, keeps the promises of a lease table.
///
/// # Panics
/// When it does not.
pub async fn lease_table(table: LeaseTable) {
    table.ensure().await.unwrap();
    table.ensure().await.unwrap();
    let fresh = Lease::new(&shard("a"), Checkpoint::TrimHorizon);
    assert!(table.create(&fresh).await.unwrap());
    let altered = Lease { checkpoint: Checkpoint::Latest, ..fresh.clone() };
    assert!(!table.create(&altered).await.unwrap());
    assert_eq!(table.list().await.unwrap().leases, std::slice::from_ref(&fresh), "a second create changes nothing");

    let mine = table.take(&fresh, "one", Some(7)).await.unwrap().expect("the lease is free");
    assert_eq!(table.take(&fresh, "two", Some(7)).await.unwrap(), None, "the counter has moved on");

    let held = HeldLease::new(table.clone(), mine.clone(), FAILOVER);
    held.renew().await.unwrap();
    held.checkpoint(at("20"), &[]).await.unwrap();
    held.checkpoint(at("19"), &[]).await.unwrap();
    let row = table.list().await.unwrap().leases.remove(0);
    assert_eq!(row.checkpoint, at("20"), "a checkpoint never moves back");
    assert_eq!(row.counter, mine.counter + 3);

    // A repeated write that finds its own effect is a success: its first answer was lost.
    let again = row.renewed();
    assert_eq!(table.replace(&row, &again).await.unwrap(), Written::Done);
    assert_eq!(table.replace(&row, &again).await.unwrap(), Written::Done);

    // A renewal that was applied, and whose caller gave up before the answer, is not taken for another worker's.
    let held = HeldLease::new(table.clone(), again.clone(), FAILOVER);
    {
        let mut renewing = std::pin::pin!(held.renew());
        // Polled until the row has changed, and dropped without its answer being taken, where the store allows that.
        while table.list().await.unwrap().leases == [again.clone()] {
            if (&mut renewing).now_or_never().is_some() {
                break;
            }
        }
    }
    held.checkpoint(at("21"), &[]).await.unwrap();
    let again = table.list().await.unwrap().leases.remove(0);
    assert_eq!(again.checkpoint, at("21"));

    let stolen = table.take(&again, "two", None).await.unwrap().expect("taken with the right counter");
    let error = held.checkpoint(at("30"), &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LostLease);
    assert!(held.lost().is_cancelled());
    assert_eq!(table.list().await.unwrap().leases, std::slice::from_ref(&stolen), "a lost owner writes nothing");

    let held = HeldLease::new(table.clone(), stolen, FAILOVER);
    held.checkpoint(Checkpoint::ShardEnd, &["b".into()]).await.unwrap();
    held.checkpoint(at("40"), &[]).await.unwrap();
    held.release().await.unwrap();
    let row = table.list().await.unwrap().leases.remove(0);
    assert_eq!((row.owner.clone(), row.checkpoint), (None, Checkpoint::ShardEnd));
    assert_eq!((row.children.clone(), row.stream_created_millis), (vec!["b".into()], Some(7)));
    table.delete(&Lease { counter: row.counter - 1, ..row.clone() }).await.unwrap();
    assert_eq!(table.list().await.unwrap().leases.len(), 1, "it changed since it was read");
    table.delete(&row).await.unwrap();
    assert!(table.list().await.unwrap().leases.is_empty());
    handoff(&table).await;
    rows_that_are_gone(&table).await;
    heartbeats(&table).await;
}

/// A lease that is new in `table`, taken by "one".
/// Checks that `table`, which must be new, keeps the leases of several streams apart, and each as those of one.
///
/// # Panics
/// When it does not.
pub async fn several_streams(table: LeaseTable) {
    let stream = |name: &str| StreamId::new("000000000000", name, 1_795_000_000_000);
    let all = [stream("one"), stream("two")];
    let (one, two) = (table.of_stream(stream("one"), &all), table.of_stream(stream("two"), &all));
    let stranger = table.of_stream(stream("three"), &[stream("three")]);
    two.ensure().await.unwrap();
    let shards = [shard("p"), Shard { parents: vec!["p".into()], ..shard("q") }];
    let leases = shards.each_ref().map(|shard| Lease::new(shard, Checkpoint::TrimHorizon));
    for lease in &leases {
        assert!(two.create(lease).await.unwrap());
    }
    assert!(stranger.create(&leases[0]).await.unwrap(), "the same shard of another stream is another lease");
    assert_eq!(two.list().await.unwrap().leases, leases);
    let seen = one.list().await.unwrap();
    assert!(seen.leases.is_empty() && seen.garbled.is_empty(), "{seen:?}");
    let names: Vec<&str> = seen.siblings.iter().map(|lease| lease.shard.as_str()).collect();
    assert_eq!(names, ["000000000000:two:1795000000:p", "000000000000:two:1795000000:q"], "strangers do not count");
    assert_eq!(seen.siblings[1].parents, ["000000000000:two:1795000000:p".into()]);
    let error = table.list().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Fatal && error.to_string().contains("several streams"), "{error}");
    for lease in &leases {
        let lease = two.take(lease, "worker", None).await.unwrap().expect("it is free");
        let held = HeldLease::new(two.clone(), lease, FAILOVER);
        held.checkpoint(Checkpoint::ShardEnd, &[]).await.unwrap();
        held.release().await.unwrap();
    }
    for lease in two.list().await.unwrap().leases {
        two.delete(&lease).await.unwrap();
    }
    // And all else, as if there were one.
    lease_table(one).await;
    assert_eq!(stranger.list().await.unwrap().leases.len(), 1);
}

async fn taken(table: &LeaseTable, id: &str) -> Lease {
    let free = Lease::new(&shard(id), Checkpoint::TrimHorizon);
    table.create(&free).await.unwrap();
    table.take(&free, "one", None).await.unwrap().expect("the lease is free")
}

async fn row(table: &LeaseTable, id: &str) -> Lease {
    let mut leases = table.list().await.unwrap().leases;
    leases.retain(|lease| lease.shard == id.into());
    leases.remove(0)
}

/// A lease is asked for without counting, goes on being renewed and checkpointed by its old owner alone, and is given.
async fn handoff(table: &LeaseTable) {
    let mine = taken(table, "handed").await;
    let held = HeldLease::new(table.clone(), mine.clone(), FAILOVER);
    held.set_rate(4_096);
    held.renew().await.unwrap();
    assert!(table.ask(&mine, "two").await.unwrap(), "the owner is the same, whatever the counter");
    assert!(table.ask(&mine, "two").await.unwrap(), "a repeated write finds its own effect");
    assert!(!table.ask(&mine, "three").await.unwrap(), "another one asked before");
    let asked = row(table, "handed").await;
    assert_eq!((asked.owner.as_deref(), asked.checkpoint_owner.as_deref()), (Some("two"), Some("one")));
    assert_eq!((asked.counter, asked.bytes_per_second), (mine.counter + 1, Some(4_096)));
    assert!(!held.asked_for().is_cancelled());
    held.checkpoint(at("20"), &[]).await.unwrap();
    assert!(held.asked_for().is_cancelled() && !held.lost().is_cancelled());
    held.release().await.unwrap();
    let given = row(table, "handed").await;
    assert_eq!((given.owner.as_deref(), given.checkpoint_owner.as_deref()), (Some("two"), None));
    assert_eq!((given.counter, given.checkpoint), (mine.counter + 3, at("20")));
    let theirs = table.take(&given, "two", None).await.unwrap().expect("it was given to them");
    assert_eq!(theirs.switches, given.switches);

    // A handoff that does not end is ended by taking the lease, also by one who read the row before the handoff began.
    assert!(table.ask(&theirs, "three").await.unwrap());
    let ended = table.take(&theirs, "four", None).await.unwrap().expect("the counter is the same");
    assert_eq!(row(table, "handed").await, ended);
    assert_eq!(ended.actual_owner(), Some("four"));
}

/// A row that was deleted under its owner comes back as it was; one that was made anew by somebody else is set right.
async fn rows_that_are_gone(table: &LeaseTable) {
    let held = HeldLease::new(table.clone(), taken(table, "gone").await, FAILOVER);
    held.checkpoint(Checkpoint::ShardEnd, &["c".into()]).await.unwrap();
    table.delete(&row(table, "gone").await).await.unwrap();
    held.renew().await.unwrap();
    assert_eq!(row(table, "gone").await.checkpoint, Checkpoint::ShardEnd);
    held.renew().await.unwrap();
    table.delete(&row(table, "gone").await).await.unwrap();
    let anew = taken(table, "gone").await;
    held.renew().await.unwrap();
    assert_eq!(row(table, "gone").await.checkpoint, Checkpoint::ShardEnd);
    let fooled = HeldLease::new(table.clone(), anew, FAILOVER);
    assert_eq!(fooled.renew().await.unwrap_err().kind(), ErrorKind::LostLease);
}

async fn heartbeats(table: &LeaseTable) {
    table.beat("one").await.unwrap();
    table.beat("two").await.unwrap();
    table.beat("one").await.unwrap();
    let mut beats: Vec<(String, u64)> =
        table.list().await.unwrap().heartbeats.into_iter().map(|beat| (beat.worker, beat.counter)).collect();
    beats.sort();
    assert_eq!(beats, [("one".into(), 2), ("two".into(), 1)]);
    table.forget("one").await.unwrap();
    table.forget("one").await.unwrap();
    assert_eq!(table.list().await.unwrap().heartbeats.len(), 1);
}

#[cfg(test)]
#[tokio::test]
async fn memory_keeps_the_promises_of_a_lease_table() {
    lease_table(LeaseTable::Memory(super::MemoryLeases::default())).await;
    several_streams(LeaseTable::Memory(super::MemoryLeases::default())).await;
}
