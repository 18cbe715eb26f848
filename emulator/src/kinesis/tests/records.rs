use super::*;
use crate::kinesis::hash;

fn entry(key: &str, text: &str) -> Value {
    json!({ "PartitionKey": key, "Data": STANDARD.encode(text) })
}

#[tokio::test(start_paused = true)]
async fn records_come_back_in_order_from_the_shard_of_their_key() {
    let (service, _) = Service::with_stream(3).await;
    let keys: Vec<String> = (0..100).map(|number| format!("key-{number} \"é\"")).collect();
    let records: Vec<_> = keys.iter().map(|key| entry(key, key)).collect();
    let answer = service.ok("PutRecords", json!({ "StreamName": "orders", "Records": records })).await;
    assert_eq!(answer["FailedRecordCount"], 0);
    let receipts = answer["Records"].as_array().unwrap();
    for shard in 0..3 {
        let id = crate::kinesis::wire::shard_id(shard);
        let range = hash::even_ranges(3)[shard as usize];
        let got = service.get_all(shard).await;
        let expected: Vec<_> = keys
            .iter()
            .filter(|key| (range.start..=range.end).contains(&hash::of_partition_key(key)))
            .cloned()
            .collect();
        assert_eq!(data(&got), expected);
        let of_shard = receipts.iter().filter(|receipt| receipt["ShardId"] == id);
        let numbers: Vec<_> = of_shard.map(|receipt| &receipt["SequenceNumber"]).collect();
        let records = got["Records"].as_array().unwrap();
        assert_eq!(records.iter().map(|record| &record["SequenceNumber"]).collect::<Vec<_>>(), numbers);
        assert!(records.iter().zip(&expected).all(|(record, key)| record["PartitionKey"] == *key));
        assert_eq!(got["MillisBehindLatest"], 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_explicit_hash_key_overrides_the_partition_key() {
    let (service, _) = Service::with_stream(2).await;
    for (hash_key, shard) in
        [("0", 0), ("170141183460469231731687303715884105727", 0), ("170141183460469231731687303715884105728", 1)]
    {
        let request =
            json!({ "StreamName": "orders", "PartitionKey": "same", "Data": "", "ExplicitHashKey": hash_key });
        assert_eq!(
            service.ok("PutRecord", request).await["ShardId"],
            crate::kinesis::wire::shard_id(shard),
            "{hash_key}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_with_one_bad_record_stores_none() {
    let (service, _) = Service::with_stream(1).await;
    let good = entry("k", "good");
    for (bad, code) in [
        (json!({ "PartitionKey": "k" }), "ValidationException"),
        (json!({ "Data": "" }), "ValidationException"),
        (json!({ "PartitionKey": "", "Data": "" }), "ValidationException"),
        (json!({ "PartitionKey": "k".repeat(257), "Data": "" }), "ValidationException"),
        (json!({ "PartitionKey": "k", "Data": "no base64" }), "SerializationException"),
        (json!({ "PartitionKey": "k", "Data": "", "ExplicitHashKey": "-1" }), "ValidationException"),
        (
            json!({ "PartitionKey": "k", "Data": "", "ExplicitHashKey": "340282366920938463463374607431768211456" }),
            "InvalidArgumentException",
        ),
        (entry("k", &"x".repeat(1024 * 1024)), "InvalidArgumentException"),
        (entry("k", &"x".repeat(10 * 1024 * 1024 + 1)), "ValidationException"),
    ] {
        let request = json!({ "StreamName": "orders", "Records": [good, bad] });
        assert_eq!(service.refused("PutRecords", request).await, code);
    }
    let too_many = vec![good.clone(); 501];
    for records in [json!([]), json!(too_many)] {
        assert_eq!(
            service.refused("PutRecords", json!({ "StreamName": "orders", "Records": records })).await,
            "ValidationException"
        );
    }
    let ordering = |number: &str| json!({ "StreamName": "orders", "PartitionKey": "k", "Data": "", "SequenceNumberForOrdering": number });
    for (number, code) in [("1", "InvalidArgumentException"), ("x", "ValidationException")] {
        assert_eq!(service.refused("PutRecord", ordering(number)).await, code);
    }
    assert_eq!(data(&service.get_all(0).await), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn records_may_be_as_large_as_the_stream_allows() {
    let (service, _) = Service::with_stream(1).await;
    service.put("k", &"x".repeat(1024 * 1024 - 1)).await;
    let arn = crate::kinesis::arn::stream("orders");
    service.ok("UpdateMaxRecordSize", json!({ "StreamARN": arn, "MaxRecordSizeInKiB": 10_240 })).await;
    let large = "y".repeat(10 * 1024 * 1024 - 1);
    service.put("k", &large).await;
    let request = json!({ "StreamName": "orders", "Records": [entry("k", &large), entry("k", "")] });
    assert_eq!(service.refused("PutRecords", request).await, "InvalidArgumentException");

    let first = service.get_all(0).await;
    assert_eq!(data(&first)[0].len(), 1024 * 1024 - 1, "the second record does not fit in the same answer");
    let second = service.ok("GetRecords", json!({ "ShardIterator": first["NextShardIterator"] })).await;
    assert_eq!(data(&second), [large]);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_nobody_reads_forgets_expired_records_when_it_is_written_to() {
    let (service, _) = Service::with_stream(1).await;
    let shard = crate::kinesis::sync::read(&service.0.inner.streams)["orders"].shards(0).remove(0);
    for _ in 0..3 {
        service.put("k", "old").await;
    }
    pass(25 * 3_600).await;
    assert_eq!(shard.first(), 1);
    service.put("k", "new").await;
    assert_eq!((shard.first(), shard.next()), (4, 5));
    assert_eq!(data(&service.get_all(0).await), ["new"]);
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_iterator_starts_where_it_says() {
    let (service, _) = Service::with_stream(1).await;
    let start = service.0.inner.clock.now_millis();
    service.put("k", "one").await;
    pass(10).await;
    let two = service.put("k", "two").await;
    let latest = service.iterator(0, json!({ "ShardIteratorType": "LATEST" })).await;
    pass(10).await;
    service.put("k", "three").await;
    let time = |millis: u64| json!({ "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": crate::kinesis::wire::seconds(millis) });
    for (position, expected) in [
        (json!({ "ShardIteratorType": "TRIM_HORIZON" }), vec!["one", "two", "three"]),
        (json!({ "ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": two }), vec!["two", "three"]),
        (json!({ "ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": two }), vec!["three"]),
        (time(start), vec!["one", "two", "three"]),
        (time(start + 10_000), vec!["two", "three"]),
        (time(start + 10_001), vec!["three"]),
        (json!({ "ShardIteratorType": "LATEST" }), vec![]),
    ] {
        let iterator = service.iterator(0, position.clone()).await;
        let got = service.ok("GetRecords", json!({ "ShardIterator": iterator })).await;
        assert_eq!(data(&got), expected, "{position}");
    }
    assert_eq!(data(&service.ok("GetRecords", json!({ "ShardIterator": latest })).await), ["three"]);
}

#[tokio::test(start_paused = true)]
async fn iterators_lead_on_and_expire() {
    let (service, _) = Service::with_stream(1).await;
    for text in ["one", "two"] {
        service.put("k", text).await;
    }
    pass(2).await;
    let iterator = service.iterator(0, json!({ "ShardIteratorType": "TRIM_HORIZON" })).await;
    let first = service.ok("GetRecords", json!({ "ShardIterator": iterator, "Limit": 1 })).await;
    assert_eq!((data(&first), &first["MillisBehindLatest"]), (vec!["one".to_owned()], &json!(2_000)));
    let second = service.ok("GetRecords", json!({ "ShardIterator": first["NextShardIterator"] })).await;
    assert_eq!((data(&second), &second["MillisBehindLatest"]), (vec!["two".to_owned()], &json!(0)));
    let third = service.ok("GetRecords", json!({ "ShardIterator": second["NextShardIterator"] })).await;
    assert_eq!(data(&third), Vec::<String>::new());
    assert!(third["NextShardIterator"].is_string());

    for limit in [0, 10_001] {
        let code = if limit == 0 { "ValidationException" } else { "InvalidArgumentException" };
        assert_eq!(service.refused("GetRecords", json!({ "ShardIterator": iterator, "Limit": limit })).await, code);
    }
    assert_eq!(service.refused("GetRecords", json!({ "ShardIterator": "AAAA" })).await, "InvalidArgumentException");
    for length in [0, 513] {
        let request = json!({ "ShardIterator": "A".repeat(length) });
        assert_eq!(service.refused("GetRecords", request).await, "ValidationException");
    }
    pass(298).await;
    service.ok("GetRecords", json!({ "ShardIterator": first["NextShardIterator"] })).await;
    pass(3).await;
    assert_eq!(service.refused("GetRecords", json!({ "ShardIterator": iterator })).await, "ExpiredIteratorException");
}

#[tokio::test(start_paused = true)]
async fn an_iterator_does_not_outlive_its_stream() {
    let (service, _) = Service::with_stream(1).await;
    let iterator = service.iterator(0, json!({ "ShardIteratorType": "LATEST" })).await;
    service.ok("DeleteStream", json!({ "StreamName": "orders", "EnforceConsumerDeletion": true })).await;
    assert_eq!(service.refused("GetRecords", json!({ "ShardIterator": iterator })).await, "ResourceNotFoundException");
    pass(1).await;
    service.ok("CreateStream", json!({ "StreamName": "orders", "ShardCount": 1 })).await;
    assert_eq!(service.refused("GetRecords", json!({ "ShardIterator": iterator })).await, "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn records_that_cannot_be_written_fail_one_by_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let service =
        Service(Kinesis::new(Clock::new(1.0).unwrap(), Some(file.path().join("below-a-file")), false, Duration::ZERO));
    service.ok("CreateStream", json!({ "StreamName": "orders", "ShardCount": 1 })).await;
    let request = json!({ "StreamName": "orders", "Records": [entry("a", "1"), entry("b", "2")] });
    let answer = service.ok("PutRecords", request).await;
    assert_eq!(answer["FailedRecordCount"], 2);
    assert!(answer["Records"].as_array().unwrap().iter().all(|receipt| receipt["ErrorCode"] == "InternalFailure"));
    let put = json!({ "StreamName": "orders", "PartitionKey": "k", "Data": "" });
    assert_eq!(service.send("PutRecord", &put).await.0, StatusCode::INTERNAL_SERVER_ERROR);
}
