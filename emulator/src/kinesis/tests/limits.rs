//! AWS's limits on rates, on a clock that stands still unless a test lets it pass.

use super::*;
use crate::kinesis::sync::{lock, read};
use futures_util::future::join_all;

const EXCEEDED: &str = "ProvisionedThroughputExceededException";
const MIB: usize = 1 << 20;

fn entry(shard: usize, data: &str) -> Value {
    let lowest = if shard == 0 { "0" } else { "170141183460469231731687303715884105728" };
    json!({ "PartitionKey": "k", "ExplicitHashKey": lowest, "Data": STANDARD.encode(data) })
}

/// Puts records and returns which of them were refused.
async fn put(service: &Service, records: Vec<Value>) -> Vec<bool> {
    let answer = service.ok("PutRecords", json!({ "StreamName": "orders", "Records": records })).await;
    let refused: Vec<_> =
        answer["Records"].as_array().unwrap().iter().map(|receipt| receipt["ErrorCode"] == EXCEEDED).collect();
    assert_eq!(answer["FailedRecordCount"], refused.iter().filter(|refused| **refused).count());
    refused
}

/// Fills the only shard with so many records of 1 MiB each, keys included, and leaves it alone until all is paid back.
async fn fill(service: &Service, records: usize) {
    for _ in 0..records {
        assert_eq!(put(service, vec![entry(0, &"x".repeat(MIB - 1))]).await, [false]);
        pass(1).await;
    }
}

/// Records of an answer or event; MiB if [`fill`] made them.
fn count(answer: &Value) -> usize {
    answer["Records"].as_array().unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn records_past_a_thousand_a_second_fail_singly_and_pass_a_second_later() {
    let (service, _) = Service::limited(2).await;
    for _ in 0..2 {
        assert_eq!(put(&service, vec![entry(0, "one"); 500]).await, [false; 500]);
    }
    let late = vec![entry(0, "late"), entry(1, "other shard"), entry(0, "late")];
    let answer = service.ok("PutRecords", json!({ "StreamName": "orders", "Records": late })).await;
    assert_eq!(
        answer["Records"][0],
        json!({
            "ErrorCode": EXCEEDED,
            "ErrorMessage": "Rate exceeded for shard shardId-000000000000 in stream orders under account 000000000000.",
        })
    );
    assert_eq!(answer["Records"][1]["ShardId"], "shardId-000000000001");
    assert_eq!((&answer["Records"][2]["ErrorCode"], &answer["FailedRecordCount"]), (&json!(EXCEEDED), &json!(2)));
    let single = json!({ "StreamName": "orders", "PartitionKey": "k", "ExplicitHashKey": "0", "Data": "" });
    assert_eq!(service.refused("PutRecord", single.clone()).await, EXCEEDED);

    pass(1).await;
    service.ok("PutRecord", single).await;
    assert_eq!(put(&service, late).await, [false; 3]);
    let got = data(&service.get_all(0).await);
    assert_eq!((got.len(), &got[1_000..]), (1_003, ["", "late", "late"].map(str::to_owned).as_slice()));
    assert_eq!(data(&service.get_all(1).await), ["other shard"; 2]);
}

#[tokio::test(start_paused = true)]
async fn of_a_request_that_is_too_large_for_its_shard_what_fits_is_stored() {
    let (service, _) = Service::limited(1).await;
    let records = [("a", 600_000), ("b", 400_000), ("c", 600_000), ("d", 10_000)];
    let records: Vec<_> = records.iter().map(|(letter, length)| letter.repeat(*length)).collect();
    let entries: Vec<_> = records.iter().map(|data| entry(0, data)).collect();
    assert_eq!(put(&service, entries.clone()).await, [false, false, true, false]);
    pass(1).await;
    assert_eq!(put(&service, entries[2..3].to_vec()).await, [false]);
    assert!(data(&service.get_all(0).await) == [0, 1, 3, 2].map(|place| records[place].clone()));
}

#[tokio::test(start_paused = true)]
async fn a_record_larger_than_a_second_passes_and_is_paid_back() {
    let (service, _) = Service::limited(1).await;
    let arn = crate::kinesis::arn::stream("orders");
    service.ok("UpdateMaxRecordSize", json!({ "StreamARN": arn, "MaxRecordSizeInKiB": 10_240 })).await;
    assert_eq!(put(&service, vec![entry(0, &"x".repeat(4 * MIB - 1)), entry(0, "")]).await, [false, true]);
    pass(3).await;
    assert_eq!(put(&service, vec![entry(0, "")]).await, [true]);
    pass(1).await;
    assert_eq!(put(&service, vec![entry(0, "")]).await, [false]);
}

#[tokio::test(start_paused = true)]
async fn a_read_of_ten_mib_closes_the_shard_to_readers_for_five_seconds() {
    let (service, _) = Service::limited(1).await;
    fill(&service, 11).await;
    let first = service.get_all(0).await;
    assert_eq!(count(&first), 10);
    let next = json!({ "ShardIterator": first["NextShardIterator"] });
    tokio::time::advance(Duration::from_millis(4_999)).await;
    assert_eq!(service.refused("GetRecords", next.clone()).await, EXCEEDED);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(count(&service.ok("GetRecords", next).await), 1);
}

#[tokio::test(start_paused = true)]
async fn five_reads_and_five_iterators_a_second_pass() {
    let (service, _) = Service::limited(2).await;
    let latest = json!({ "StreamName": "orders", "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST" });
    let iterator = service.iterator(0, latest.clone()).await;
    let read = json!({ "ShardIterator": iterator });
    for _ in 0..4 {
        service.ok("GetShardIterator", latest.clone()).await;
    }
    assert_eq!(service.refused("GetShardIterator", latest.clone()).await, EXCEEDED);
    for _ in 0..5 {
        service.ok("GetRecords", read.clone()).await;
    }
    assert_eq!(service.refused("GetRecords", read.clone()).await, EXCEEDED);
    service.get_all(1).await;
    tokio::time::advance(Duration::from_millis(200)).await;
    service.ok("GetShardIterator", latest).await;
    service.ok("GetRecords", read).await;
}

#[tokio::test(start_paused = true)]
async fn polling_consumers_share_two_mib_a_second_and_fan_out_consumers_have_them_each() {
    let (service, app) = Service::limited(1).await;
    fill(&service, 12).await;

    let mut iterators = Vec::new();
    for _ in 0..3 {
        iterators.push(service.iterator(0, json!({ "ShardIteratorType": "TRIM_HORIZON" })).await);
    }
    let mut polled = [0; 3];
    // Four seconds, each consumer five times a second.
    for round in 0..20 {
        for turn in 0..3 {
            let consumer = (round + turn) % 3;
            let request = json!({ "ShardIterator": iterators[consumer], "Limit": 1 });
            let (status, answer) = service.send("GetRecords", &request).await;
            if status == StatusCode::OK {
                polled[consumer] += count(&answer);
                iterators[consumer] = answer["NextShardIterator"].as_str().unwrap().to_owned();
            } else {
                assert_eq!(answer["__type"], EXCEEDED);
            }
        }
        tokio::time::advance(Duration::from_millis(200)).await;
    }
    assert_eq!(polled.iter().sum::<usize>(), 8, "{polled:?}");

    let mut consumers = vec![app];
    for name in ["second", "third"] {
        consumers.push(service.register(name).await);
    }
    let streamed = consumers.iter().map(|arn| async {
        let mut frames = service.subscribe(arn, 0, json!({ "Type": "TRIM_HORIZON" })).await;
        let mut got = 0;
        let reading = async {
            loop {
                got += count(&frames.event().await);
            }
        };
        // Just short of the fourth second: one second's worth is there at once.
        tokio::time::timeout(Duration::from_millis(3_999), reading).await.unwrap_err();
        got
    });
    for got in join_all(streamed).await {
        assert!((8..=9).contains(&got), "{got} MiB");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_has_to_wait_beats_until_its_event_may_go() {
    let (service, arn) = Service::limited(1).await;
    service.put("k", "late").await;
    let stream = read(&service.0.inner.streams)["orders"].clone();
    let now = service.0.inner.clock.now_millis();
    // 13 seconds' worth beyond the burst, as nothing but a larger record than AWS's could take.
    let meter = lock(&stream.registry).meter("app", 0, now);
    lock(&meter).send(now, 28 << 20).unwrap();
    let mut frames = service.subscribe(&arn, 0, json!({ "Type": "TRIM_HORIZON" })).await;
    for behind in [5, 10] {
        let beat = frames.event().await;
        assert_eq!((count(&beat), beat["MillisBehindLatest"].as_u64().unwrap() / 1_000), (0, behind));
    }
    service.put("k", "later").await;
    assert_eq!(data(&frames.event().await), ["late", "later"]);
    assert_eq!((service.0.inner.clock.now_millis() - now) / 1_000, 13);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_may_subscribe_to_a_shard_once_a_second() {
    let (service, arn) = Service::limited(2).await;
    let (first, latest) = ("shardId-000000000000", json!({ "Type": "LATEST" }));
    service.subscribe(&arn, 0, latest.clone()).await;
    service.subscribe(&arn, 1, latest.clone()).await;
    assert_eq!(service.subscribe_refused(&arn, first, latest.clone()).await, "LimitExceededException");
    pass(1).await;
    assert_eq!(service.subscribe_refused(&arn, first, latest.clone()).await, "ResourceInUseException");
    pass(4).await;
    service.subscribe(&arn, 0, latest).await;
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted_by_account_or_by_stream() {
    let (service, _) = Service::limited(1).await;
    service.ok("CreateStream", json!({ "StreamName": "other", "ShardCount": 1 })).await;
    let [orders, other] = ["orders", "other"].map(|name| json!({ "StreamARN": crate::kinesis::arn::stream(name) }));
    for _ in 0..5 {
        service.ok("ListStreamConsumers", orders.clone()).await;
    }
    let (_, refused) = service.send("ListStreamConsumers", &orders).await;
    assert_eq!(refused["message"], "Rate exceeded for stream orders under account 000000000000.");
    service.ok("ListStreamConsumers", other.clone()).await;
    for request in [&orders, &other].iter().cycle().take(20) {
        service.ok("DescribeStreamSummary", (*request).clone()).await;
    }
    assert_eq!(service.refused("DescribeStreamSummary", other.clone()).await, "LimitExceededException");
    pass(1).await;
    service.ok("DescribeStreamSummary", other).await;
    service.ok("ListStreamConsumers", orders).await;
}
