//! One suite for every store: memory runs it here, DynamoDB in the black-box tests.

use super::{HeldLease, Lease, LeaseTable, Written};
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
    table.create(&fresh).await.unwrap();
    let altered = Lease { checkpoint: Checkpoint::Latest, ..fresh.clone() };
    table.create(&altered).await.unwrap();
    assert_eq!(table.list().await.unwrap(), std::slice::from_ref(&fresh), "a second create changes nothing");

    let mine = table.take(&fresh, "one").await.unwrap().expect("the lease is free");
    assert_eq!(table.take(&fresh, "two").await.unwrap(), None, "the counter has moved on");

    let held = HeldLease::new(table.clone(), mine.clone(), FAILOVER);
    held.renew().await.unwrap();
    held.checkpoint(at("20"), &[]).await.unwrap();
    held.checkpoint(at("19"), &[]).await.unwrap();
    let row = table.list().await.unwrap().remove(0);
    assert_eq!(row.checkpoint, at("20"), "a checkpoint never moves back");
    assert_eq!(row.counter, mine.counter + 3);

    // A repeated write that finds its own effect is a success: its first answer was lost.
    let again = row.renewed();
    assert_eq!(table.replace(row.counter, &again).await.unwrap(), Written::Done);
    assert_eq!(table.replace(row.counter, &again).await.unwrap(), Written::Done);

    // A renewal that was applied, and whose caller gave up before the answer, is not taken for another worker's.
    let held = HeldLease::new(table.clone(), again.clone(), FAILOVER);
    {
        let mut renewing = std::pin::pin!(held.renew());
        // Polled until the row has changed, and dropped without its answer being taken, where the store allows that.
        while table.list().await.unwrap() == [again.clone()] {
            if (&mut renewing).now_or_never().is_some() {
                break;
            }
        }
    }
    held.checkpoint(at("21"), &[]).await.unwrap();
    let again = table.list().await.unwrap().remove(0);
    assert_eq!(again.checkpoint, at("21"));

    let stolen = table.take(&again, "two").await.unwrap().expect("taken with the right counter");
    let error = held.checkpoint(at("30"), &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LostLease);
    assert!(held.lost().is_cancelled());
    assert_eq!(table.list().await.unwrap(), std::slice::from_ref(&stolen), "a lost owner writes nothing");

    let held = HeldLease::new(table.clone(), stolen, FAILOVER);
    held.checkpoint(Checkpoint::ShardEnd, &["b".into()]).await.unwrap();
    held.checkpoint(at("40"), &[]).await.unwrap();
    held.release().await.unwrap();
    let row = table.list().await.unwrap().remove(0);
    assert_eq!((row.owner, row.checkpoint, row.children), (None, Checkpoint::ShardEnd, vec!["b".into()]));
}

#[cfg(test)]
#[tokio::test]
async fn memory_keeps_the_promises_of_a_lease_table() {
    lease_table(LeaseTable::Memory(super::MemoryLeases::default())).await;
}
