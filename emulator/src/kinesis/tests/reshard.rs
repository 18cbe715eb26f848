use super::*;
use crate::kinesis::{hash, wire};

async fn split(service: &Service, shard: u32, at: u128) {
    let request =
        json!({ "StreamName": "orders", "ShardToSplit": wire::shard_id(shard), "NewStartingHashKey": at.to_string() });
    service.ok("SplitShard", request).await;
}

async fn merge(service: &Service, shard: u32, adjacent: u32) {
    let request = json!({ "StreamName": "orders", "ShardToMerge": wire::shard_id(shard), "AdjacentShardToMerge": wire::shard_id(adjacent) });
    service.ok("MergeShards", request).await;
}

async fn listed(service: &Service, filter: Value) -> Vec<String> {
    let page = service.ok("ListShards", json!({ "StreamName": "orders", "ShardFilter": filter })).await;
    ids(&page["Shards"]).into_iter().map(str::to_owned).collect()
}

/// The last event: no continuation, no records, but children.
fn assert_end(event: &Value, children: &[(&str, &[&str])]) {
    assert!(event.get("ContinuationSequenceNumber").is_none(), "{event}");
    assert_eq!(event["Records"], json!([]));
    let found: Vec<(&str, Vec<&str>)> = event["ChildShards"]
        .as_array()
        .unwrap()
        .iter()
        .map(|child| {
            let parents =
                child["ParentShards"].as_array().unwrap().iter().map(|parent| parent.as_str().unwrap()).collect();
            (child["ShardId"].as_str().unwrap(), parents)
        })
        .collect();
    assert_eq!(found, children.iter().map(|(child, parents)| (*child, parents.to_vec())).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_split_ends_the_subscription_with_the_children() {
    let (service, arn) = Service::with_stream(1).await;
    let mut frames = service.subscribe(&arn, 0, json!({ "Type": "TRIM_HORIZON" })).await;
    let last = service.put("k", "last").await;
    split(&service, 0, 1 << 127).await;
    let first_of_child = service.put("k", "child").await;
    assert!(last < first_of_child);

    assert_eq!(data(&frames.event().await), ["last"]);
    let end = frames.event().await;
    let parent: &[&str] = &["shardId-000000000000"];
    assert_end(&end, &[("shardId-000000000001", parent), ("shardId-000000000002", parent)]);
    assert_eq!(end["ChildShards"][1]["HashKeyRange"]["StartingHashKey"], (1u128 << 127).to_string());
    assert_eq!(frames.next().await, None);

    pass(5).await;
    for kind in ["LATEST", "TRIM_HORIZON"] {
        let mut again = service.subscribe(&arn, 0, json!({ "Type": kind })).await;
        if kind == "TRIM_HORIZON" {
            assert_eq!(data(&again.event().await), ["last"]);
        }
        assert_end(&again.event().await, &[("shardId-000000000001", parent), ("shardId-000000000002", parent)]);
        assert_eq!(again.next().await, None);
        pass(5).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_merge_ends_both_subscriptions_with_the_same_child() {
    let (service, arn) = Service::with_stream(2).await;
    let mut frames = [
        service.subscribe(&arn, 0, json!({ "Type": "LATEST" })).await,
        service.subscribe(&arn, 1, json!({ "Type": "LATEST" })).await,
    ];
    let [one, other] = &mut frames;
    let (one, other, ()) = tokio::join!(one.event(), other.event(), merge(&service, 0, 1));
    for end in [one, other] {
        assert_end(&end, &[("shardId-000000000002", &["shardId-000000000000", "shardId-000000000001"])]);
    }
    let shards = service.ok("ListShards", json!({ "StreamName": "orders" })).await["Shards"].take();
    assert_eq!(shards[2]["ParentShardId"], "shardId-000000000000");
    assert_eq!(shards[2]["AdjacentParentShardId"], "shardId-000000000001");
    let child = shards[2]["SequenceNumberRange"]["StartingSequenceNumber"].as_str().unwrap();
    assert!(
        [0, 1]
            .iter()
            .all(|&parent: &usize| shards[parent]["SequenceNumberRange"]["EndingSequenceNumber"].as_str().unwrap()
                < child)
    );
    assert_eq!(shards[2]["SequenceNumberRange"]["EndingSequenceNumber"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn get_records_ends_with_the_children_too() {
    let (service, _) = Service::with_stream(1).await;
    service.put("k", "one").await;
    let open = service.get_all(0).await;
    split(&service, 0, 5).await;
    for last in [
        service.ok("GetRecords", json!({ "ShardIterator": open["NextShardIterator"] })).await,
        service.get_all(0).await,
    ] {
        assert!(last["NextShardIterator"].is_null());
        assert_eq!(ids(&last["ChildShards"]), ["1", "2"]);
    }
    assert_eq!(data(&service.get_all(0).await), ["one"]);
}

#[tokio::test(start_paused = true)]
async fn splits_and_merges_that_do_not_fit_are_refused() {
    let (service, _) = Service::with_stream(3).await;
    split(&service, 0, 5).await;
    let split = |shard: u32, at: &str| json!({ "StreamName": "orders", "ShardToSplit": wire::shard_id(shard), "NewStartingHashKey": at });
    let merge = |one: u32, other: u32| json!({ "StreamName": "orders", "ShardToMerge": wire::shard_id(one), "AdjacentShardToMerge": wire::shard_id(other) });
    for (operation, request, code) in [
        ("SplitShard", split(0, "9"), "InvalidArgumentException"),
        ("SplitShard", split(1, "5"), "InvalidArgumentException"),
        ("SplitShard", split(3, "0"), "InvalidArgumentException"),
        ("SplitShard", split(4, "6"), "InvalidArgumentException"),
        ("SplitShard", split(2, &u128::MAX.to_string()), "InvalidArgumentException"),
        ("SplitShard", split(1, "x"), "ValidationException"),
        ("SplitShard", split(1, &"9".repeat(39)), "InvalidArgumentException"),
        ("SplitShard", split(77, "9"), "ResourceNotFoundException"),
        ("MergeShards", merge(3, 2), "InvalidArgumentException"),
        ("MergeShards", merge(0, 1), "InvalidArgumentException"),
        ("MergeShards", merge(1, 77), "ResourceNotFoundException"),
        ("MergeShards", json!({ "StreamName": "orders" }), "ValidationException"),
    ] {
        assert_eq!(service.refused(operation, request.clone()).await, code, "{operation} {request}");
    }
}

#[tokio::test(start_paused = true)]
async fn scaling_leaves_even_shards_and_a_true_lineage() {
    let (service, _) = Service::with_stream(2).await;
    let scale =
        |target: u32| json!({ "StreamName": "orders", "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING" });
    for (target, current) in [(3, 2), (6, 3), (5, 6), (3, 5)] {
        let answer = service.ok("UpdateShardCount", scale(target)).await;
        assert_eq!((&answer["CurrentShardCount"], &answer["TargetShardCount"]), (&json!(current), &json!(target)));
        let open =
            service.ok("ListShards", json!({ "StreamName": "orders", "ShardFilter": { "Type": "AT_LATEST" } })).await;
        let mut ranges: Vec<_> =
            open["Shards"].as_array().unwrap().iter().map(|shard| shard["HashKeyRange"].clone()).collect();
        ranges.sort_by_key(|range| hash::parse(range["StartingHashKey"].as_str().unwrap()));
        let expected: Vec<_> =
            hash::even_ranges(target).into_iter().map(|range| json!(wire::HashKeyRange::from(range))).collect();
        assert_eq!(ranges, expected);
    }
    for (target, code) in [
        (7, "InvalidArgumentException"),
        (1, "InvalidArgumentException"),
        (0, "ValidationException"),
        (10_001, "InvalidArgumentException"),
    ] {
        assert_eq!(service.refused("UpdateShardCount", scale(target)).await, code, "{target}");
    }
    let all = service.ok("ListShards", json!({ "StreamName": "orders" })).await["Shards"].take();
    let without_parent = all.as_array().unwrap().iter().filter(|shard| shard["ParentShardId"].is_null()).count();
    assert_eq!(without_parent, 2, "all but the first two come from a split or a merge");
}

#[tokio::test(start_paused = true)]
async fn list_shards_filters_by_lineage_and_time() {
    let (service, _) = Service::with_stream(1).await;
    let created = wire::seconds(service.0.inner.clock.now_millis());
    pass(10).await;
    split(&service, 0, 5).await;
    pass(10).await;
    merge(&service, 1, 2).await;
    for (filter, expected) in [
        (json!({ "Type": "AT_LATEST" }), vec!["3"]),
        (json!({ "Type": "AT_TRIM_HORIZON" }), vec!["0"]),
        (json!({ "Type": "FROM_TRIM_HORIZON" }), vec!["0", "1", "2", "3"]),
        (json!({ "Type": "AFTER_SHARD_ID", "ShardId": "shardId-000000000001" }), vec!["2", "3"]),
        (json!({ "Type": "AT_TIMESTAMP", "Timestamp": created + 15.0 }), vec!["1", "2"]),
        (json!({ "Type": "FROM_TIMESTAMP", "Timestamp": created + 15.0 }), vec!["1", "2", "3"]),
        (json!({ "Type": "FROM_TIMESTAMP", "Timestamp": 1 }), vec!["0", "1", "2", "3"]),
    ] {
        assert_eq!(listed(&service, filter.clone()).await, expected, "{filter}");
    }
    for (filter, code) in [
        (json!({}), "ValidationException"),
        (json!({ "Type": "SOME" }), "ValidationException"),
        (json!({ "Type": "AT_TIMESTAMP" }), "InvalidArgumentException"),
        (json!({ "Type": "AFTER_SHARD_ID" }), "InvalidArgumentException"),
        (json!({ "Type": "AFTER_SHARD_ID", "ShardId": "" }), "ValidationException"),
        (json!({ "Type": "AT_LATEST", "ShardId": "shardId-000000000000" }), "InvalidArgumentException"),
        (json!({ "Type": "AT_TRIM_HORIZON", "Timestamp": 5 }), "InvalidArgumentException"),
        (json!({ "Type": "FROM_TIMESTAMP", "Timestamp": -5 }), "SerializationException"),
    ] {
        assert_eq!(
            service.refused("ListShards", json!({ "StreamName": "orders", "ShardFilter": filter })).await,
            code,
            "{filter}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn list_shards_goes_on_page_by_page() {
    let (service, _) = Service::with_stream(5).await;
    let first = service
        .ok("ListShards", json!({ "StreamName": "orders", "MaxResults": 2, "ShardFilter": { "Type": "AT_LATEST" } }))
        .await;
    assert_eq!(ids(&first["Shards"]), ["0", "1"]);
    split(&service, 4, u128::MAX - 5).await;
    let second = service.ok("ListShards", json!({ "NextToken": first["NextToken"], "MaxResults": 2 })).await;
    assert_eq!(ids(&second["Shards"]), ["2", "3"]);
    let third = service.ok("ListShards", json!({ "NextToken": second["NextToken"] })).await;
    assert_eq!((ids(&third["Shards"]), &third["NextToken"]), (vec!["5", "6"], &Value::Null));
    let rest = service
        .ok("ListShards", json!({ "StreamName": "orders", "ExclusiveStartShardId": "shardId-000000000004" }))
        .await;
    assert_eq!(ids(&rest["Shards"]), ["5", "6"]);

    let both = json!({ "StreamName": "orders", "NextToken": first["NextToken"] });
    assert_eq!(service.refused("ListShards", both).await, "InvalidArgumentException");
    assert_eq!(service.refused("ListShards", json!({ "NextToken": "x" })).await, "InvalidArgumentException");
    let other_time = json!({ "StreamName": "orders", "StreamCreationTimestamp": 5 });
    assert_eq!(service.refused("ListShards", other_time).await, "ResourceNotFoundException");
    pass(301).await;
    assert_eq!(
        service.refused("ListShards", json!({ "NextToken": first["NextToken"] })).await,
        "ExpiredNextTokenException"
    );
}
