//! States over time, on a clock that a test lets pass.

use super::*;

async fn status(service: &Service, name: &str) -> String {
    let summary = service.ok("DescribeStreamSummary", json!({ "StreamName": name })).await;
    summary["StreamDescriptionSummary"]["StreamStatus"].as_str().unwrap().to_owned()
}

/// A service whose states last ten seconds, with the stream `orders`, active.
async fn slow() -> Service {
    let service = Service::slow(10);
    service.ok("CreateStream", json!({ "StreamName": "orders", "ShardCount": 2 })).await;
    assert_eq!(status(&service, "orders").await, "CREATING");
    let described = service.ok("DescribeStream", json!({ "StreamName": "orders" })).await;
    assert_eq!(described["StreamDescription"]["Shards"], json!([]));
    let shards = service.refused("ListShards", json!({ "StreamName": "orders" })).await;
    assert_eq!(shards, "ResourceInUseException");
    let consumers = json!({ "StreamARN": crate::kinesis::arn::stream("orders") });
    assert_eq!(service.refused("ListStreamConsumers", consumers).await, "ResourceInUseException");
    pass(10).await;
    let shards = service.ok("ListShards", json!({ "StreamName": "orders" })).await;
    assert_eq!(ids(&shards["Shards"]), ["0", "1"]);
    service
}

#[tokio::test(start_paused = true)]
async fn every_change_is_updating_for_a_while_and_lets_no_other_begin() {
    let service = slow().await;
    let (name, arn) = ("orders", crate::kinesis::arn::stream("orders"));
    let on_demand = json!({ "StreamMode": "ON_DEMAND" });
    let provisioned = json!({ "StreamMode": "PROVISIONED" });
    let encrypt = json!({ "StreamName": name, "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis" });
    let changes = [
        (
            "SplitShard",
            json!({ "StreamName": name, "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "5" }),
        ),
        (
            "MergeShards",
            json!({
                "StreamName": name,
                "ShardToMerge": "shardId-000000000002",
                "AdjacentShardToMerge": "shardId-000000000003",
            }),
        ),
        ("UpdateShardCount", json!({ "StreamName": name, "TargetShardCount": 4, "ScalingType": "UNIFORM_SCALING" })),
        ("IncreaseStreamRetentionPeriod", json!({ "StreamName": name, "RetentionPeriodHours": 48 })),
        ("DecreaseStreamRetentionPeriod", json!({ "StreamName": name, "RetentionPeriodHours": 24 })),
        ("UpdateMaxRecordSize", json!({ "StreamARN": arn, "MaxRecordSizeInKiB": 2_048 })),
        ("StartStreamEncryption", encrypt.clone()),
        ("StopStreamEncryption", encrypt),
        ("EnableEnhancedMonitoring", json!({ "StreamName": name, "ShardLevelMetrics": ["ALL"] })),
        ("DisableEnhancedMonitoring", json!({ "StreamName": name, "ShardLevelMetrics": ["ALL"] })),
        ("UpdateStreamMode", json!({ "StreamARN": arn, "StreamModeDetails": on_demand })),
        ("UpdateStreamMode", json!({ "StreamARN": arn, "StreamModeDetails": provisioned })),
    ];
    for (operation, request) in &changes {
        service.ok(operation, request.clone()).await;
        assert_eq!(status(&service, name).await, "UPDATING", "{operation}");
        for (other, request) in &changes {
            assert_eq!(service.refused(other, request.clone()).await, "ResourceInUseException", "{operation}, {other}");
        }
        for (other, request) in [
            ("DeleteStream", json!({ "StreamName": name })),
            ("AddTagsToStream", json!({ "StreamName": name, "Tags": { "a": "1" } })),
            ("RegisterStreamConsumer", json!({ "StreamARN": arn, "ConsumerName": "late" })),
        ] {
            assert_eq!(service.refused(other, request).await, "ResourceInUseException", "{operation}, {other}");
        }
        service.put("k", operation).await;
        pass(10).await;
        assert_eq!(status(&service, name).await, "ACTIVE", "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_refused_leaves_the_stream_active() {
    let service = slow().await;
    let far = json!({ "StreamName": "orders", "TargetShardCount": 9, "ScalingType": "UNIFORM_SCALING" });
    assert_eq!(service.refused("UpdateShardCount", far).await, "InvalidArgumentException");
    assert_eq!(status(&service, "orders").await, "ACTIVE");
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_deleting_before_it_is_gone() {
    let service = slow().await;
    let arn = service.register("app").await;
    pass(10).await;
    let mut frames = service.subscribe(&arn, 0, json!({ "Type": "LATEST" })).await;
    let iterator = service.iterator(0, json!({ "ShardIteratorType": "LATEST" })).await;
    service.ok("DeleteStream", json!({ "StreamName": "orders", "EnforceConsumerDeletion": true })).await;
    assert_eq!(frames.next().await, Some(Frame::Exception("ResourceNotFoundException".to_owned())));

    assert_eq!(status(&service, "orders").await, "DELETING");
    let listed = service.ok("ListStreams", json!({})).await;
    assert_eq!(listed["StreamSummaries"][0]["StreamStatus"], "DELETING");
    let create = json!({ "StreamName": "orders", "ShardCount": 1 });
    assert_eq!(service.refused("CreateStream", create.clone()).await, "ResourceInUseException");
    assert_eq!(service.refused("DeleteStream", json!({ "StreamName": "orders" })).await, "ResourceInUseException");
    let put = json!({ "StreamName": "orders", "PartitionKey": "k", "Data": "" });
    assert_eq!(service.refused("PutRecord", put).await, "ResourceNotFoundException");
    assert_eq!(service.refused("GetRecords", json!({ "ShardIterator": iterator })).await, "ResourceNotFoundException");

    pass(10).await;
    assert_eq!(service.ok("ListStreams", json!({})).await["StreamNames"], json!([]));
    assert_eq!(service.refused("DescribeStream", json!({ "StreamName": "orders" })).await, "ResourceNotFoundException");
    assert_eq!(service.ok("DescribeLimits", json!({})).await["OpenShardCount"], 0);
    service.ok("CreateStream", create).await;
}

#[tokio::test(start_paused = true)]
async fn five_streams_may_be_created_at_a_time() {
    let service = Service::slow(10);
    let create = |name: &str| json!({ "StreamName": name, "ShardCount": 1 });
    for name in ["a", "b", "c", "d", "e"] {
        service.ok("CreateStream", create(name)).await;
    }
    assert_eq!(service.refused("CreateStream", create("f")).await, "LimitExceededException");
    pass(10).await;
    service.ok("CreateStream", create("f")).await;
}

#[tokio::test(start_paused = true)]
async fn a_consumer_is_creating_then_active_then_deleting_then_gone() {
    let service = slow().await;
    let arn = service.register("app").await;
    let status = async || {
        let found = service.ok("DescribeStreamConsumer", json!({ "ConsumerARN": arn })).await;
        found["ConsumerDescription"]["ConsumerStatus"].as_str().unwrap().to_owned()
    };
    assert_eq!(status().await, "CREATING");
    let tag = json!({ "ResourceARN": arn, "Tags": { "a": "1" } });
    assert_eq!(service.refused("TagResource", tag).await, "ResourceInUseException");
    pass(10).await;
    assert_eq!(status().await, "ACTIVE");
    let mut frames = service.subscribe(&arn, 0, json!({ "Type": "LATEST" })).await;
    service.ok("DeregisterStreamConsumer", json!({ "ConsumerARN": arn })).await;
    assert_eq!(frames.next().await, Some(Frame::Exception("ResourceNotFoundException".to_owned())));
    assert_eq!(status().await, "DELETING");
    let latest = json!({ "Type": "LATEST" });
    assert_eq!(service.subscribe_refused(&arn, "shardId-000000000000", latest).await, "ResourceInUseException");
    pass(10).await;
    let gone = service.refused("DescribeStreamConsumer", json!({ "ConsumerARN": arn })).await;
    assert_eq!(gone, "ResourceNotFoundException");
    service.register("app").await;
}
