use super::*;

#[tokio::test(start_paused = true)]
async fn a_stream_lives_from_create_to_delete() {
    let service = Service::new();
    assert_eq!(service.ok("CreateStream", json!({ "StreamName": "orders", "ShardCount": 3 })).await, Value::Null);
    assert_eq!(
        service.refused("CreateStream", json!({ "StreamName": "orders", "ShardCount": 1 })).await,
        "ResourceInUseException"
    );

    let description = service.ok("DescribeStream", json!({ "StreamName": "orders" })).await["StreamDescription"].take();
    assert_eq!(description["StreamStatus"], "ACTIVE");
    assert_eq!(description["StreamARN"], "arn:aws:kinesis:us-east-1:000000000000:stream/orders");
    assert_eq!(description["StreamModeDetails"]["StreamMode"], "PROVISIONED");
    assert_eq!(description["RetentionPeriodHours"], 24);
    assert_eq!(description["HasMoreShards"], false);
    assert_eq!(ids(&description["Shards"]), ["0", "1", "2"]);
    assert_eq!(description["Shards"][0]["HashKeyRange"]["EndingHashKey"], "113427455640312821154458202477256070484");
    assert!(description["StreamCreationTimestamp"].as_f64().unwrap() > 1e9);

    let arn = description["StreamARN"].clone();
    let summary =
        service.ok("DescribeStreamSummary", json!({ "StreamARN": arn })).await["StreamDescriptionSummary"].take();
    assert_eq!(
        (&summary["OpenShardCount"], &summary["ConsumerCount"], &summary["MaxRecordSizeInKiB"]),
        (&json!(3), &json!(0), &json!(1024))
    );
    assert_eq!(service.0.shard_ids("orders").len(), 3);
    assert_eq!(service.ok("DescribeLimits", json!({})).await["OpenShardCount"], 3);

    service.ok("DeleteStream", json!({ "StreamName": "orders" })).await;
    for operation in ["DescribeStream", "DescribeStreamSummary", "DeleteStream", "ListShards"] {
        assert_eq!(
            service.refused(operation, json!({ "StreamName": "orders" })).await,
            "ResourceNotFoundException",
            "{operation}"
        );
    }
    assert_eq!(service.0.shard_ids("orders"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_stream_on_demand_has_four_shards_that_nobody_counts() {
    let service = Service::new();
    let on_demand = json!({ "StreamMode": "ON_DEMAND" });
    service.ok("CreateStream", json!({ "StreamName": "orders", "StreamModeDetails": on_demand })).await;
    assert_eq!(service.0.shard_ids("orders").len(), 4);
    let update = json!({ "StreamName": "orders", "TargetShardCount": 8, "ScalingType": "UNIFORM_SCALING" });
    assert_eq!(service.refused("UpdateShardCount", update).await, "ValidationException");
    let both = json!({ "StreamName": "other", "ShardCount": 2, "StreamModeDetails": on_demand });
    assert_eq!(service.refused("CreateStream", both).await, "ValidationException");
}

#[tokio::test(start_paused = true)]
async fn bad_requests_get_the_error_that_aws_gives() {
    let (service, _) = Service::with_stream(1).await;
    let name = "orders";
    for (operation, request, code) in [
        ("CreateStream", json!({}), "ValidationException"),
        ("CreateStream", json!({ "StreamName": "a b", "ShardCount": 1 }), "ValidationException"),
        ("CreateStream", json!({ "StreamName": "x".repeat(129), "ShardCount": 1 }), "ValidationException"),
        ("CreateStream", json!({ "StreamName": "x" }), "ValidationException"),
        ("CreateStream", json!({ "StreamName": "x", "ShardCount": 0 }), "ValidationException"),
        ("CreateStream", json!({ "StreamName": "x", "ShardCount": 30_000 }), "LimitExceededException"),
        ("CreateStream", json!({ "StreamName": 5 }), "SerializationException"),
        (
            "CreateStream",
            json!({ "StreamName": "x", "StreamModeDetails": { "StreamMode": "FREE" } }),
            "ValidationException",
        ),
        ("CreateStream", json!({ "StreamName": "x", "ShardCount": 1, "MaxRecordSizeInKiB": 1 }), "ValidationException"),
        ("DescribeStream", json!({}), "InvalidArgumentException"),
        (
            "DescribeStream",
            json!({ "StreamName": name, "StreamARN": super::super::arn::stream("b") }),
            "InvalidArgumentException",
        ),
        ("DescribeStream", json!({ "StreamARN": "arn:aws:sns:x" }), "ValidationException"),
        ("DescribeStream", json!({ "StreamName": name, "Limit": 0 }), "ValidationException"),
        ("DescribeStream", json!({ "StreamName": name, "ExclusiveStartShardId": "x" }), "ResourceNotFoundException"),
        ("IncreaseStreamRetentionPeriod", json!({ "StreamName": name }), "ValidationException"),
        (
            "IncreaseStreamRetentionPeriod",
            json!({ "StreamName": name, "RetentionPeriodHours": 8_761 }),
            "InvalidArgumentException",
        ),
        (
            "IncreaseStreamRetentionPeriod",
            json!({ "StreamName": name, "RetentionPeriodHours": 1 }),
            "InvalidArgumentException",
        ),
        (
            "DecreaseStreamRetentionPeriod",
            json!({ "StreamName": name, "RetentionPeriodHours": 25 }),
            "InvalidArgumentException",
        ),
        ("UpdateMaxRecordSize", json!({ "StreamARN": "x", "MaxRecordSizeInKiB": 10_241 }), "ValidationException"),
        ("ListStreams", json!({ "NextToken": "x" }), "InvalidArgumentException"),
        ("ListStreams", json!({ "NextToken": "" }), "ValidationException"),
        ("ListStreams", json!({ "ExclusiveStartStreamName": "a b" }), "ValidationException"),
        ("ListStreams", json!({ "Limit": 10_001 }), "ValidationException"),
        (
            "DescribeStream",
            json!({ "StreamARN": super::super::arn::consumer(name, "app", 1) }),
            "ResourceNotFoundException",
        ),
        ("DescribeStream", json!({ "StreamName": "" }), "ValidationException"),
        ("FlyToTheMoon", json!({}), "UnknownOperationException"),
    ] {
        assert_eq!(service.refused(operation, request.clone()).await, code, "{operation} {request}");
    }
    let response = service.0.call("ListStreams", Format::Json, "{".into()).await;
    assert_eq!(response.headers()["x-amzn-errortype"], "SerializationException");
    assert_eq!(service.0.call("ListStreams", Format::Json, "".into()).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn listing_goes_on_page_by_page() {
    let service = Service::new();
    for number in 0..7 {
        service.ok("CreateStream", json!({ "StreamName": format!("s{number}"), "ShardCount": 1 })).await;
    }
    let (mut names, mut request) = (Vec::new(), json!({ "Limit": 3 }));
    loop {
        let page = service.ok("ListStreams", request).await;
        assert_eq!(page["StreamSummaries"].as_array().unwrap().len(), page["StreamNames"].as_array().unwrap().len());
        names.extend(page["StreamNames"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()));
        if page["HasMoreStreams"] == false {
            assert_eq!(page["NextToken"], Value::Null);
            break;
        }
        request = json!({ "Limit": 3, "NextToken": page["NextToken"] });
    }
    assert_eq!(names, ["s0", "s1", "s2", "s3", "s4", "s5", "s6"]);
    let rest = service.ok("ListStreams", json!({ "ExclusiveStartStreamName": "s4" })).await;
    assert_eq!(rest["StreamNames"], json!(["s5", "s6"]));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_being_created_takes_no_records_yet() {
    let service = Service::slow(10);
    service.ok("CreateStream", json!({ "StreamName": "orders", "ShardCount": 1 })).await;
    let describe = json!({ "StreamName": "orders" });
    assert_eq!(
        service.ok("DescribeStreamSummary", describe.clone()).await["StreamDescriptionSummary"]["StreamStatus"],
        "CREATING"
    );
    let put = json!({ "StreamName": "orders", "PartitionKey": "k", "Data": "" });
    assert_eq!(service.refused("PutRecord", put).await, "ResourceNotFoundException");
    let split = json!({ "StreamName": "orders", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "5" });
    assert_eq!(service.refused("SplitShard", split).await, "ResourceInUseException");
    pass(10).await;
    assert_eq!(service.ok("DescribeStream", describe).await["StreamDescription"]["StreamStatus"], "ACTIVE");
    service.put("k", "").await;
}

#[tokio::test(start_paused = true)]
async fn tags_are_added_listed_and_removed() {
    let (service, _) = Service::with_stream(1).await;
    service.ok("AddTagsToStream", json!({ "StreamName": "orders", "Tags": { "b": "2", "a": "1", "c": "3" } })).await;
    service.ok("RemoveTagsFromStream", json!({ "StreamName": "orders", "TagKeys": ["b"] })).await;
    let tags = service.ok("ListTagsForStream", json!({ "StreamName": "orders", "Limit": 1 })).await;
    assert_eq!(tags, json!({ "Tags": [{ "Key": "a", "Value": "1" }], "HasMoreTags": true }));
    let tags = service.ok("ListTagsForStream", json!({ "StreamName": "orders", "ExclusiveStartTagKey": "a" })).await;
    assert_eq!(tags, json!({ "Tags": [{ "Key": "c", "Value": "3" }], "HasMoreTags": false }));
    let many: serde_json::Map<_, _> = (0..60).map(|number| (number.to_string(), json!(""))).collect();
    assert_eq!(
        service.refused("AddTagsToStream", json!({ "StreamName": "orders", "Tags": many })).await,
        "InvalidArgumentException"
    );
}

#[tokio::test(start_paused = true)]
async fn records_and_closed_shards_go_when_their_retention_is_over() {
    let (service, _) = Service::with_stream(1).await;
    service.put("k", "old").await;
    pass(3_600).await;
    service.put("k", "new").await;
    service
        .ok(
            "SplitShard",
            json!({ "StreamName": "orders", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "99" }),
        )
        .await;
    pass(23 * 3_600 + 1).await;
    assert_eq!(data(&service.get_all(0).await), ["new"]);
    pass(3_600).await;
    assert_eq!(service.0.shard_ids("orders"), ["shardId-000000000001", "shardId-000000000002"]);
    let iterator = json!({ "StreamName": "orders", "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST" });
    assert_eq!(service.refused("GetShardIterator", iterator).await, "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn a_longer_retention_keeps_records_longer() {
    let (service, _) = Service::with_stream(1).await;
    service.ok("IncreaseStreamRetentionPeriod", json!({ "StreamName": "orders", "RetentionPeriodHours": 48 })).await;
    service.put("k", "kept").await;
    pass(47 * 3_600).await;
    assert_eq!(data(&service.get_all(0).await), ["kept"]);
    service.ok("DecreaseStreamRetentionPeriod", json!({ "StreamName": "orders", "RetentionPeriodHours": 24 })).await;
    assert_eq!(data(&service.get_all(0).await), Vec::<String>::new());
}
