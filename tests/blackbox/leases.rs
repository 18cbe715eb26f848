//! The lease table in DynamoDB keeps the promises of every lease table.

use alluvial_consumer::{DynamoLeases, LeaseTable, conformance};
use alluvial_tests::World;

#[tokio::test(flavor = "multi_thread")]
async fn dynamodb_keeps_the_promises_of_a_lease_table() {
    let world = World::start(1).await;
    conformance::lease_table(LeaseTable::Dynamo(DynamoLeases::new(world.dynamodb(), "leases"))).await;
    let rows = world.dynamodb().scan().table_name("leases").send().await.unwrap();
    let mut attributes: Vec<&String> = rows.items()[0].keys().collect();
    attributes.sort();
    // The names are those of the Kinesis Client Library, which must be able to go on from here.
    let wanted = [
        "checkpoint",
        "checkpointSubSequenceNumber",
        "childShardIds",
        "endingHashKey",
        "leaseCounter",
        "leaseKey",
        "ownerSwitchesSinceCheckpoint",
        "startingHashKey",
    ];
    assert_eq!(attributes, wanted);
}
