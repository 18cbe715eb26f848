//! What an owner sets about streams, consumers and the account.

use super::*;
use crate::kinesis::arn;
use std::collections::BTreeSet;

async fn summary(service: &Service) -> Value {
    service.ok("DescribeStreamSummary", json!({ "StreamName": "orders" })).await["StreamDescriptionSummary"].take()
}

async fn commit(service: &Service, status: &str) -> Value {
    let request = json!({ "MinimumThroughputBillingCommitment": { "Status": status } });
    service.ok("UpdateAccountSettings", request).await["MinimumThroughputBillingCommitment"].take()
}

fn mode(mode: &str) -> Value {
    json!({ "StreamARN": arn::stream("orders"), "StreamModeDetails": { "StreamMode": mode } })
}

#[tokio::test(start_paused = true)]
async fn records_say_whether_they_were_encrypted_when_they_arrived() {
    let (service, app) = Service::with_stream(1).await;
    let key = |key: &str| json!({ "StreamName": "orders", "EncryptionType": "KMS", "KeyId": key });
    let put = json!({ "StreamName": "orders", "PartitionKey": "k", "Data": "" });
    let puts = json!({ "StreamName": "orders", "Records": [{ "PartitionKey": "k", "Data": "" }] });
    for (change, expected) in [
        (None, Value::Null),
        (Some(("StartStreamEncryption", "alias/aws/kinesis")), json!("KMS")),
        (Some(("StartStreamEncryption", "alias/other")), json!("KMS")),
        (Some(("StopStreamEncryption", "alias/other")), Value::Null),
        (Some(("StopStreamEncryption", "alias/other")), Value::Null),
    ] {
        pass(1).await;
        if let Some((operation, id)) = change {
            service.ok(operation, key(id)).await;
        }
        let described = service.ok("DescribeStream", json!({ "StreamName": "orders" })).await;
        for description in [&described["StreamDescription"], &summary(&service).await] {
            let expected_key = change.filter(|_| !expected.is_null()).map(|(_, id)| id);
            assert_eq!(description["KeyId"].as_str(), expected_key);
            assert_eq!(description["EncryptionType"], if expected.is_null() { "NONE" } else { "KMS" });
        }
        assert_eq!(service.ok("PutRecord", put.clone()).await["EncryptionType"], expected);
        assert_eq!(service.ok("PutRecords", puts.clone()).await["EncryptionType"], expected);
    }
    let types = |answer: &Value| -> Vec<bool> {
        let records = answer["Records"].as_array().unwrap();
        records.iter().map(|record| record["EncryptionType"] == "KMS").collect()
    };
    let expected = [[false; 2], [true; 2], [true; 2], [false; 2], [false; 2]].concat();
    assert_eq!(types(&service.get_all(0).await), expected);
    let mut frames = service.subscribe(&app, 0, json!({ "Type": "TRIM_HORIZON" })).await;
    assert_eq!(types(&frames.event().await), expected);

    let name = "orders";
    for (request, code) in [
        (json!({ "StreamName": name, "KeyId": "k" }), "ValidationException"),
        (json!({ "StreamName": name, "EncryptionType": "KMS" }), "ValidationException"),
        (json!({ "StreamName": name, "EncryptionType": "KMS", "KeyId": "" }), "ValidationException"),
        (json!({ "StreamName": name, "EncryptionType": "AES", "KeyId": "k" }), "ValidationException"),
        (json!({ "StreamName": name, "EncryptionType": "NONE", "KeyId": "k" }), "InvalidArgumentException"),
        (json!({ "StreamName": "none", "EncryptionType": "KMS", "KeyId": "k" }), "ResourceNotFoundException"),
    ] {
        assert_eq!(service.refused("StartStreamEncryption", request.clone()).await, code, "{request}");
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_are_enabled_and_disabled_by_name_or_all() {
    let (service, _) = Service::with_stream(1).await;
    let request = |metrics: Value| json!({ "StreamName": "orders", "ShardLevelMetrics": metrics });
    let enabled = service.ok("EnableEnhancedMonitoring", request(json!(["OutgoingBytes", "IncomingBytes"]))).await;
    assert_eq!(
        enabled,
        json!({
            "StreamName": "orders",
            "StreamARN": arn::stream("orders"),
            "CurrentShardLevelMetrics": [],
            "DesiredShardLevelMetrics": ["IncomingBytes", "OutgoingBytes"],
        })
    );
    let enabled = service.ok("EnableEnhancedMonitoring", request(json!(["ALL"]))).await;
    assert_eq!(enabled["DesiredShardLevelMetrics"].as_array().unwrap().len(), 7);
    let disabled = service.ok("DisableEnhancedMonitoring", request(json!(["IncomingBytes"]))).await;
    assert_eq!(disabled["CurrentShardLevelMetrics"], enabled["DesiredShardLevelMetrics"]);
    let left = &summary(&service).await["EnhancedMonitoring"][0]["ShardLevelMetrics"];
    assert_eq!((left, left.as_array().unwrap().len()), (&disabled["DesiredShardLevelMetrics"], 6));
    for bad in [json!([]), json!(["Some"]), json!(vec!["ALL"; 8])] {
        assert_eq!(service.refused("EnableEnhancedMonitoring", request(bad)).await, "ValidationException");
    }
}

#[tokio::test(start_paused = true)]
async fn streams_and_consumers_are_tagged_by_arn() {
    let service = Service::new();
    service.ok("CreateStream", json!({ "StreamName": "orders", "ShardCount": 1, "Tags": { "at": "birth" } })).await;
    let register = json!({ "StreamARN": arn::stream("orders"), "ConsumerName": "app", "Tags": { "at": "birth" } });
    let registered = service.ok("RegisterStreamConsumer", register).await;
    let consumer = registered["Consumer"]["ConsumerARN"].as_str().unwrap().to_owned();
    for resource in [arn::stream("orders"), consumer.clone()] {
        let on = json!({ "ResourceARN": resource });
        service.ok("TagResource", json!({ "ResourceARN": resource, "Tags": { "b": "2", "ä ö": "" } })).await;
        service.ok("UntagResource", json!({ "ResourceARN": resource, "TagKeys": ["b", "none"] })).await;
        let expected = json!({ "Tags": [{ "Key": "at", "Value": "birth" }, { "Key": "ä ö", "Value": "" }] });
        assert_eq!(service.ok("ListTagsForResource", on).await, expected);
        let many: BTreeSet<_> = (0..49).map(|number| number.to_string()).collect();
        let many: serde_json::Map<_, _> = many.into_iter().map(|key| (key, json!(""))).collect();
        for (tags, code) in [
            (json!({}), "ValidationException"),
            (json!({ "": "" }), "ValidationException"),
            (json!({ "k".repeat(129): "" }), "ValidationException"),
            (json!({ "k": "v".repeat(257) }), "ValidationException"),
            (json!({ "aws:k": "" }), "InvalidArgumentException"),
            (json!({ "k": "<" }), "InvalidArgumentException"),
            (json!(many), "InvalidArgumentException"),
        ] {
            let request = json!({ "ResourceARN": resource, "Tags": tags });
            assert_eq!(service.refused("TagResource", request.clone()).await, code, "{request}");
        }
        let none = json!({ "ResourceARN": resource, "TagKeys": [] });
        assert_eq!(service.refused("UntagResource", none).await, "ValidationException");
    }
    for (bad, code) in [
        (json!(null), "ValidationException"),
        (json!("orders"), "ValidationException"),
        (json!(format!("{}/consumer/app", arn::stream("orders"))), "ValidationException"),
        (json!(arn::stream("none")), "ResourceNotFoundException"),
        (json!(arn::consumer("orders", "app", 1)), "ResourceNotFoundException"),
        (json!(consumer.replace("orders", "none")), "ResourceNotFoundException"),
    ] {
        let request = json!({ "ResourceARN": bad });
        assert_eq!(service.refused("ListTagsForResource", request).await, code, "{bad}");
    }
}

#[tokio::test(start_paused = true)]
async fn policies_are_kept_for_streams_and_consumers() {
    let (service, app) = Service::with_stream(1).await;
    for resource in [arn::stream("orders"), app] {
        let on = json!({ "ResourceARN": resource });
        assert_eq!(service.ok("GetResourcePolicy", on.clone()).await["Policy"], "{}");
        assert_eq!(service.refused("DeleteResourcePolicy", on.clone()).await, "ResourceNotFoundException");
        let policy = "{\"Version\": \"2012-10-17\", \"Statement\": []}";
        service.ok("PutResourcePolicy", json!({ "ResourceARN": resource, "Policy": policy })).await;
        assert_eq!(service.ok("GetResourcePolicy", on.clone()).await["Policy"], policy);
        service.ok("DeleteResourcePolicy", on.clone()).await;
        assert_eq!(service.ok("GetResourcePolicy", on).await["Policy"], "{}");
        for bad in ["", "[]", "x", &format!("{{\"a\": \"{}\"}}", "x".repeat(20_480))] {
            let request = json!({ "ResourceARN": resource, "Policy": bad });
            assert_eq!(service.refused("PutResourcePolicy", request).await, "ValidationException");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_on_demand_is_warmed_by_those_who_are_committed() {
    let (service, _) = Service::with_stream(2).await;
    let warm = |mibps: i64| json!({ "StreamName": "orders", "WarmThroughputMiBps": mibps });
    assert_eq!(service.refused("UpdateStreamWarmThroughput", warm(8)).await, "ValidationException");
    service.ok("UpdateStreamMode", mode("ON_DEMAND")).await;
    assert_eq!(service.refused("UpdateStreamWarmThroughput", warm(8)).await, "ValidationException");
    assert_eq!(summary(&service).await["WarmThroughput"], Value::Null);
    assert_eq!(service.ok("DescribeLimits", json!({})).await["OnDemandStreamCount"], 1);

    assert_eq!(commit(&service, "ENABLED").await["Status"], "ENABLED");
    assert_eq!(summary(&service).await["WarmThroughput"], json!({ "TargetMiBps": 2, "CurrentMiBps": 2 }));
    let warmed = service.ok("UpdateStreamWarmThroughput", warm(8)).await;
    assert_eq!(warmed["WarmThroughput"], json!({ "TargetMiBps": 8, "CurrentMiBps": 2 }));
    let found = summary(&service).await;
    assert_eq!((&found["OpenShardCount"], &found["WarmThroughput"]["TargetMiBps"]), (&json!(8), &json!(8)));
    for (bad, code) in [(-1, "ValidationException"), (10_241, "LimitExceededException")] {
        assert_eq!(service.refused("UpdateStreamWarmThroughput", warm(bad)).await, code);
    }
    let split = json!({ "StreamName": "orders", "ShardToSplit": "shardId-000000000003", "NewStartingHashKey": "5" });
    assert_eq!(service.refused("SplitShard", split).await, "ValidationException");

    for number in 1..50 {
        service.register(&format!("app-{number}")).await;
    }
    let one_more = json!({ "StreamARN": arn::stream("orders"), "ConsumerName": "one-more" });
    assert_eq!(service.refused("RegisterStreamConsumer", one_more).await, "LimitExceededException");
    assert_eq!(commit(&service, "DISABLED").await["Status"], "ENABLED_UNTIL_EARLIEST_ALLOWED_END");
    pass(24 * 3_600).await;
    let settings = service.ok("DescribeAccountSettings", json!({})).await;
    assert_eq!(settings["MinimumThroughputBillingCommitment"]["Status"], "DISABLED");
    assert_eq!(service.refused("UpdateAccountSettings", json!({})).await, "ValidationException");

    let created = json!({
        "StreamName": "warm", "StreamModeDetails": { "StreamMode": "ON_DEMAND" }, "WarmThroughputMiBps": 6,
    });
    assert_eq!(service.refused("CreateStream", created.clone()).await, "ValidationException");
    commit(&service, "ENABLED").await;
    service.ok("CreateStream", created).await;
    assert_eq!(service.0.shard_ids("warm").len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_spread_its_records_whatever_their_keys() {
    let (service, _) = Service::with_stream(2).await;
    let spread = |strategy: &str| json!({ "StreamARN": arn::stream("orders"), "RecordDistributionStrategy": strategy });
    let refused = service.refused("UpdateStreamRecordDistributionStrategy", spread("AUTO")).await;
    assert_eq!(refused, "InvalidArgumentException");
    service.ok("UpdateStreamMode", mode("ON_DEMAND")).await;
    assert_eq!(summary(&service).await["RecordDistributionStrategy"], "USER_PARTITION_KEY");
    service.ok("UpdateStreamRecordDistributionStrategy", spread("AUTO")).await;
    assert_eq!(summary(&service).await["RecordDistributionStrategy"], "AUTO");
    let records = vec![json!({ "Data": "", "PartitionKey": "same", "ExplicitHashKey": "0" }); 6];
    service.ok("PutRecords", json!({ "StreamName": "orders", "Records": records })).await;
    service.ok("PutRecord", json!({ "StreamName": "orders", "Data": "" })).await;
    let mut counts = [data(&service.get_all(0).await).len(), data(&service.get_all(1).await).len()];
    counts.sort_unstable();
    assert_eq!(counts, [3, 4]);
    service.ok("UpdateStreamMode", mode("PROVISIONED")).await;
    let keyless = json!({ "StreamName": "orders", "Data": "" });
    assert_eq!(service.refused("PutRecord", keyless).await, "ValidationException");
    assert_eq!(summary(&service).await["RecordDistributionStrategy"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn an_account_has_fifty_streams_on_demand() {
    let (service, _) = Service::with_stream(1).await;
    let create = |name: String| json!({ "StreamName": name, "StreamModeDetails": { "StreamMode": "ON_DEMAND" } });
    for number in 0..50 {
        service.ok("CreateStream", create(format!("s{number}"))).await;
    }
    assert_eq!(service.refused("CreateStream", create("one-more".to_owned())).await, "LimitExceededException");
    assert_eq!(service.refused("UpdateStreamMode", mode("ON_DEMAND")).await, "LimitExceededException");
    service.ok("DeleteStream", json!({ "StreamName": "s0" })).await;
    service.ok("UpdateStreamMode", mode("ON_DEMAND")).await;
}

#[tokio::test(start_paused = true)]
async fn some_changes_may_be_made_so_often_a_day() {
    let (service, _) = Service::limited(1).await;
    let modes = ["ON_DEMAND", "PROVISIONED", "ON_DEMAND"].map(mode);
    let scale =
        |target: u32| json!({ "StreamName": "orders", "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING" });
    let key = json!({ "StreamName": "orders", "EncryptionType": "KMS", "KeyId": "k" });
    for request in &modes[..2] {
        service.ok("UpdateStreamMode", request.clone()).await;
    }
    assert_eq!(service.refused("UpdateStreamMode", modes[2].clone()).await, "LimitExceededException");
    service.ok("UpdateStreamMode", modes[1].clone()).await;
    for round in 0..10 {
        service.ok("UpdateShardCount", scale(2 - round % 2)).await;
        pass(1).await;
    }
    assert_eq!(service.refused("UpdateShardCount", scale(2)).await, "LimitExceededException");
    for _ in 0..25 {
        service.ok("StartStreamEncryption", key.clone()).await;
        service.ok("StopStreamEncryption", key.clone()).await;
    }
    assert_eq!(service.refused("StartStreamEncryption", key.clone()).await, "LimitExceededException");
    pass(24 * 3_600).await;
    service.ok("UpdateShardCount", scale(2)).await;
    service.ok("StartStreamEncryption", key).await;
    service.ok("UpdateStreamMode", modes[2].clone()).await;
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_checks_all_and_does_nothing() {
    let (service, app) = Service::with_stream(1).await;
    let iterator = service.iterator(0, json!({ "ShardIteratorType": "TRIM_HORIZON" })).await;
    let shard = "shardId-000000000000";
    let from = json!({ "Type": "LATEST" });
    for (operation, good, bad, code) in [
        (
            "PutRecord",
            json!({ "StreamName": "orders", "PartitionKey": "k", "Data": "" }),
            json!({ "StreamName": "orders", "PartitionKey": "", "Data": "" }),
            "ValidationException",
        ),
        (
            "PutRecords",
            json!({ "StreamName": "orders", "Records": [{ "PartitionKey": "k", "Data": "" }] }),
            json!({ "StreamName": "orders", "Records": [] }),
            "ValidationException",
        ),
        (
            "GetShardIterator",
            json!({ "StreamName": "orders", "ShardId": shard, "ShardIteratorType": "LATEST" }),
            json!({ "StreamName": "orders", "ShardId": shard, "ShardIteratorType": "AT_TIMESTAMP" }),
            "InvalidArgumentException",
        ),
        (
            "GetRecords",
            json!({ "ShardIterator": iterator }),
            json!({ "ShardIterator": "AAAA" }),
            "InvalidArgumentException",
        ),
        (
            "SubscribeToShard",
            json!({ "ConsumerARN": app, "ShardId": shard, "StartingPosition": from }),
            json!({ "ConsumerARN": app, "ShardId": "shardId-000000000007", "StartingPosition": from }),
            "ResourceNotFoundException",
        ),
    ] {
        for (mut request, code) in [(good, "DryRunOperationException"), (bad, code)] {
            request["DryRun"] = true.into();
            assert_eq!(service.refused(operation, request.clone()).await, code, "{operation} {request}");
        }
    }
    assert_eq!(data(&service.get_all(0).await), Vec::<String>::new());
    service.subscribe(&app, 0, json!({ "Type": "LATEST" })).await;
}

#[tokio::test(start_paused = true)]
async fn a_longer_retention_brings_nothing_back() {
    let (service, _) = Service::with_stream(1).await;
    service.put("k", "old").await;
    pass(25 * 3_600).await;
    service.ok("IncreaseStreamRetentionPeriod", json!({ "StreamName": "orders", "RetentionPeriodHours": 48 })).await;
    assert_eq!(data(&service.get_all(0).await), Vec::<String>::new());
}
