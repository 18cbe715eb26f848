//! Quotas and states, by a clock that stands still unless it is told to move.

use super::*;

fn batch(count: usize, bytes: usize) -> Value {
    let record = json!({ "Data": STANDARD.encode(vec![b'x'; bytes]) });
    json!({ "DeliveryStreamName": "orders", "Records": vec![record; count] })
}

async fn limited() -> World {
    let world = World::with(true, Duration::ZERO).and_bucket("lake");
    world.clock.set_speed(0.0).expect("a speed");
    world.create("UNCOMPRESSED").await;
    world
}

#[tokio::test]
async fn bytes_past_the_second_fail_one_by_one_until_the_next() {
    let world = limited().await;
    assert_eq!(world.call("PutRecordBatch", batch(4, 1_024_000)).await["FailedPutCount"], 0);
    let answer = world.call("PutRecordBatch", batch(4, 1_024_000)).await;
    assert_eq!(answer["FailedPutCount"], 3, "5 MiB are five of the largest records");
    let refused = json!({ "ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down." });
    assert_eq!(answer["RequestResponses"][1], refused);
    let single = json!({ "DeliveryStreamName": "orders", "Record": { "Data": STANDARD.encode([0; 1_024_000]) } });
    let response = world.firehose.call("PutRecord", single.to_string().as_bytes()).await;
    assert_eq!(response.status(), 503);
    world.clock.advance(Duration::from_secs(1)).expect("a second");
    assert_eq!(world.call("PutRecordBatch", batch(4, 1_024_000)).await["FailedPutCount"], 0);
    world.firehose.stop().await;
    assert_eq!(world.objects().iter().map(|(_, content)| content.len()).sum::<usize>(), 9 * 1_024_000);
}

#[tokio::test]
async fn calls_past_the_second_are_refused_whole() {
    let world = limited().await;
    for _ in 0..2_000 {
        assert_eq!(world.call("PutRecordBatch", batch(1, 0)).await["FailedPutCount"], 0);
    }
    let refused = world.call("PutRecordBatch", batch(1, 0)).await;
    assert_eq!(
        (&refused["__type"], &refused["message"]),
        (&json!("ServiceUnavailableException"), &json!("Slow down."))
    );
    world.clock.advance(Duration::from_millis(1)).expect("a millisecond");
    assert_eq!(world.call("PutRecordBatch", batch(1, 0)).await["FailedPutCount"], 0, "two calls each millisecond");
}

#[tokio::test]
async fn managing_is_throttled_at_five_calls_a_second() {
    let world = limited().await;
    for _ in 0..5 {
        world.describe().await;
    }
    let named = json!({ "DeliveryStreamName": "orders" });
    assert_eq!(world.call("DescribeDeliveryStream", named.clone()).await["__type"], "ThrottlingException");
    assert_eq!(world.call("ListTagsForDeliveryStream", named).await["HasMoreTags"], false, "another operation");
    world.clock.advance(Duration::from_secs(1)).expect("a second");
    world.describe().await;
}

#[tokio::test]
async fn without_limits_nothing_is_throttled() {
    let world = World::with_bucket();
    world.clock.set_speed(0.0).expect("a speed");
    world.create("UNCOMPRESSED").await;
    for _ in 0..20 {
        assert_eq!(world.call("PutRecordBatch", batch(4, 1_024_000)).await["FailedPutCount"], 0);
        world.describe().await;
    }
}

#[tokio::test]
async fn a_delivery_stream_is_made_before_it_takes_records_or_changes() {
    let world = World::with(false, Duration::from_secs(30)).and_bucket("lake");
    world.clock.set_speed(0.0).expect("a speed");
    world.create("UNCOMPRESSED").await;
    assert_eq!(world.describe().await["DeliveryStreamStatus"], "CREATING");
    let named = json!({ "DeliveryStreamName": "orders" });
    assert_eq!(world.put(&[b"early"]).await["__type"], "ResourceNotFoundException");
    assert_eq!(world.update("1", json!({ "Prefix": "x" })).await["__type"], "ResourceInUseException");
    for operation in ["DeleteDeliveryStream", "StartDeliveryStreamEncryption"] {
        assert_eq!(world.call(operation, named.clone()).await["__type"], "ResourceInUseException", "{operation}");
    }
    world.clock.advance(Duration::from_secs(30)).expect("half a minute");
    assert_eq!(world.describe().await["DeliveryStreamStatus"], "ACTIVE");
    assert_eq!(world.put(&[b"in time"]).await["FailedPutCount"], 0);
    assert_eq!(world.call("DeleteDeliveryStream", named).await, json!({}));
}

#[tokio::test]
async fn encryption_is_told_of_once_it_is_on() {
    let world = World::with(false, Duration::from_secs(30)).and_bucket("lake");
    world.clock.set_speed(0.0).expect("a speed");
    world.create("UNCOMPRESSED").await;
    world.clock.advance(Duration::from_secs(30)).expect("half a minute");
    let named = json!({ "DeliveryStreamName": "orders" });
    assert_eq!(world.put(&[b"plain"]).await["Encrypted"], false);
    assert_eq!(world.call("StartDeliveryStreamEncryption", named.clone()).await, json!({}));
    assert_eq!(world.describe().await["DeliveryStreamEncryptionConfiguration"]["Status"], "ENABLING");
    assert_eq!(world.call("StopDeliveryStreamEncryption", named.clone()).await["__type"], "ResourceInUseException");
    world.clock.advance(Duration::from_secs(30)).expect("half a minute");
    assert_eq!(world.put(&[b"encrypted"]).await["Encrypted"], true);
    assert_eq!(world.call("StopDeliveryStreamEncryption", named).await, json!({}));
    assert_eq!(world.describe().await["DeliveryStreamEncryptionConfiguration"], json!({ "Status": "DISABLING" }));
}

#[tokio::test]
async fn tags_are_kept_from_creation_on() {
    let world = World::with_bucket();
    let created = json!({
        "DeliveryStreamName": "orders",
        "S3DestinationConfiguration": { "RoleARN": "r", "BucketARN": "arn:aws:s3:::lake" },
        "Tags": [{ "Key": "team", "Value": "data" }],
    });
    world.call("CreateDeliveryStream", created).await;
    let tag = json!({ "DeliveryStreamName": "orders", "Tags": [{ "Key": "cost", "Value": "1" }] });
    assert_eq!(world.call("TagDeliveryStream", tag).await, json!({}));
    let untag = json!({ "DeliveryStreamName": "orders", "TagKeys": ["team", "none"] });
    assert_eq!(world.call("UntagDeliveryStream", untag).await, json!({}));
    let listed = world.call("ListTagsForDeliveryStream", json!({ "DeliveryStreamName": "orders" })).await;
    assert_eq!(listed["Tags"], json!([{ "Key": "cost", "Value": "1" }]));
}
