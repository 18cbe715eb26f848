//! What is seen otherwise than by an answer.

use super::*;

#[tokio::test]
async fn the_children_that_a_subscription_tells_of_are_there_again() {
    let world = World::new();
    world.ok("CreateStream", create("orders", 1)).await;
    let request = json!({ "StreamARN": arn::stream("orders"), "ConsumerName": "app" });
    let consumer = world.ok("RegisterStreamConsumer", request).await["Consumer"]["ConsumerARN"].clone();
    let request = json!({
        "ConsumerARN": consumer, "ShardId": "shardId-000000000000", "StartingPosition": { "Type": "TRIM_HORIZON" },
    });
    let subscription = world.kinesis.call("SubscribeToShard", Format::Json, request.to_string().into()).await;
    let split = json!({ "StreamName": "orders", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "9" });
    // The process dies before it is answered.
    world.kinesis.split_shard(&super::super::super::parse(split.to_string().as_bytes()).unwrap()).unwrap();
    let told = subscription.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&told).contains("shardId-000000000002"), "{told:?}");

    let world = world.reopen();

    let shards = world.ok("ListShards", json!({ "StreamName": "orders" })).await;
    assert_eq!(shards["Shards"].as_array().unwrap().len(), 3, "{shards}");
}
