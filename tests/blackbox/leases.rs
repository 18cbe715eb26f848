//! The lease table in DynamoDB keeps the promises of every lease table.

use alluvial_consumer::{DynamoLeases, HeldLease, Lease, LeaseTable, Shard, conformance};
use alluvial_record::{Checkpoint, HashKeyRange};
use alluvial_tests::World;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn dynamodb_keeps_the_promises_of_a_lease_table() {
    let world = World::start(1).await;
    conformance::lease_table(LeaseTable::Dynamo(DynamoLeases::new(world.dynamodb(), "leases"))).await;
    conformance::several_streams(LeaseTable::Dynamo(DynamoLeases::new(world.dynamodb(), "several"))).await;
    let table = LeaseTable::Dynamo(DynamoLeases::new(world.dynamodb(), "attributes"));
    table.ensure().await.unwrap();
    let hash_keys = HashKeyRange { start: 0, end: 9 };
    let shard = Shard { id: "b".into(), parents: vec!["a".into()], hash_keys, open: true };
    let free = Lease::new(&shard, Checkpoint::TrimHorizon);
    table.create(&free).await.unwrap();
    let held = table.take(&free, "one", Some(7)).await.unwrap().unwrap();
    HeldLease::new(table, held, Duration::from_secs(10)).checkpoint(Checkpoint::ShardEnd, &["c".into()]).await.unwrap();
    let rows = world.dynamodb().scan().table_name("attributes").send().await.unwrap();
    let mut attributes: Vec<&String> = rows.items()[0].keys().collect();
    attributes.sort();
    // The names are those of the Kinesis Client Library, which must be able to go on from here; and one of ours.
    let wanted = [
        "checkpoint",
        "checkpointSubSequenceNumber",
        "childShardIds",
        "endingHashKey",
        "entityType",
        "leaseCounter",
        "leaseKey",
        "leaseOwner",
        "ownerSwitchesSinceCheckpoint",
        "parentShardId",
        "startingHashKey",
        "streamCreationMillis",
    ];
    assert_eq!(attributes, wanted);
}
