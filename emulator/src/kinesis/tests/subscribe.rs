use super::*;
use crate::kinesis::sync::{lock, read};
use std::sync::Arc;
use tokio::time::Instant;

const FIRST: &str = "shardId-000000000000";

fn latest() -> Value {
    json!({ "Type": "LATEST" })
}

fn trim_horizon() -> Value {
    json!({ "Type": "TRIM_HORIZON" })
}

fn after(sequence: &Value) -> Value {
    json!({ "Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": sequence })
}

#[tokio::test(start_paused = true)]
async fn a_put_reaches_a_waiting_subscriber_without_delay() {
    let (service, arn) = Service::with_stream(1).await;
    service.put("k", "before").await;
    let mut frames = service.subscribe(&arn, 0, latest()).await;
    let before = Instant::now();
    let (event, sequence) = tokio::join!(frames.event(), service.put("k", "live"));
    assert_eq!(Instant::now(), before, "the clock stands still unless somebody sleeps");
    assert_eq!(data(&event), ["live"]);
    assert_eq!(event["ContinuationSequenceNumber"], sequence);
    assert_eq!(event["Records"][0]["SequenceNumber"], sequence);
    assert_eq!(event["Records"][0]["PartitionKey"], "k");
    assert_eq!(event["MillisBehindLatest"], 0);
    assert_eq!(event["ChildShards"], Value::Null);
    assert!(event["Records"][0]["ApproximateArrivalTimestamp"].is_f64());
}

#[tokio::test(start_paused = true)]
async fn an_idle_shard_sends_a_heartbeat_whose_continuation_moves() {
    let (service, arn) = Service::with_stream(1).await;
    let record = service.put("k", "one").await;
    let mut frames = service.subscribe(&arn, 0, trim_horizon()).await;
    assert_eq!(data(&frames.event().await), ["one"]);
    let mut last = record;
    for _ in 0..3 {
        let before = Instant::now();
        let beat = frames.event().await;
        assert_eq!((data(&beat), &beat["MillisBehindLatest"]), (vec![], &json!(0)));
        assert_eq!(before.elapsed().as_secs(), 5);
        let continuation = beat["ContinuationSequenceNumber"].as_str().unwrap().to_owned();
        assert!(last < continuation, "{last} {continuation}");
        last = continuation;
    }
    assert!(last < service.put("k", "two").await);
    assert_eq!(data(&frames.event().await), ["two"]);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_cleanly_after_five_minutes() {
    let (service, arn) = Service::with_stream(1).await;
    let start = Instant::now();
    let mut frames = service.subscribe(&arn, 0, latest()).await;
    let mut beats = 0;
    while let Some(frame) = frames.next().await {
        assert!(matches!(frame, Frame::Event(_)));
        beats += 1;
    }
    assert_eq!((start.elapsed().as_secs(), beats), (300, 59));
    service.subscribe(&arn, 0, latest()).await;
}

#[tokio::test(start_paused = true)]
async fn a_faster_clock_brings_the_end_earlier() {
    let service = Service(Kinesis::new(Clock::new(60.0).unwrap(), None, false, Duration::ZERO));
    service.ok("CreateStream", json!({ "StreamName": "orders", "ShardCount": 1 })).await;
    let arn = service.register("app").await;
    let start = Instant::now();
    let mut frames = service.subscribe(&arn, 0, latest()).await;
    while frames.next().await.is_some() {}
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn expiry_can_be_forced_and_frees_the_shard() {
    let (service, arn) = Service::with_stream(1).await;
    let mut frames = service.subscribe(&arn, 0, latest()).await;
    let (end, ()) = tokio::join!(frames.next(), async { service.0.expire_subscriptions() });
    assert_eq!(end, None);
    assert_eq!(frames.next().await, None);
    service.subscribe(&arn, 0, latest()).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_subscription_is_refused_and_after_five_seconds_takes_over() {
    let (service, arn) = Service::with_stream(2).await;
    let mut first = service.subscribe(&arn, 0, latest()).await;
    tokio::time::advance(Duration::from_millis(4_999)).await;
    assert_eq!(service.subscribe_refused(&arn, FIRST, latest()).await, "ResourceInUseException");
    service.subscribe(&arn, 1, latest()).await;
    let other = service.register("other").await;
    service.subscribe(&other, 0, latest()).await;

    tokio::time::advance(Duration::from_millis(1)).await;
    let mut second = service.subscribe(&arn, 0, latest()).await;
    assert_eq!(first.next().await, Some(Frame::Exception("ResourceInUseException".to_owned())));
    assert_eq!(first.next().await, None);
    let (event, _) = tokio::join!(second.event(), service.put("k", "to the second or to shard 1"));
    assert!(event["ContinuationSequenceNumber"].is_string());
}

#[tokio::test(start_paused = true)]
async fn an_ended_subscription_counts_for_its_five_seconds_too() {
    let (service, arn) = Service::with_stream(1).await;
    drop(service.subscribe(&arn, 0, latest()).await);
    assert_eq!(service.subscribe_refused(&arn, FIRST, latest()).await, "ResourceInUseException");
    pass(5).await;
    service.subscribe(&arn, 0, latest()).await;
}

#[tokio::test(start_paused = true)]
async fn bad_requests_open_nothing() {
    let (service, arn) = Service::with_stream(2).await;
    let sequence = service.put("k", "somewhere").await;
    let other = u8::from(!sequence.is_empty() && data(&service.get_all(0).await).len() == 1);
    let other_shard = crate::kinesis::wire::shard_id(u32::from(other));
    for (arn, shard, position, code) in [
        (arn.as_str(), "shardId-000000000009", latest(), "ResourceNotFoundException"),
        (&arn, "nonsense", latest(), "ResourceNotFoundException"),
        (&arn, "", latest(), "ValidationException"),
        (&arn, FIRST, json!({}), "ValidationException"),
        (&arn, FIRST, json!({ "Type": "NOW" }), "ValidationException"),
        (&arn, FIRST, json!({ "Type": "AT_SEQUENCE_NUMBER" }), "InvalidArgumentException"),
        (&arn, FIRST, json!({ "Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": "" }), "ValidationException"),
        (&arn, FIRST, json!({ "Type": "AT_TIMESTAMP" }), "InvalidArgumentException"),
        (&arn, &other_shard, after(&json!(sequence)), "InvalidArgumentException"),
        (
            "arn:aws:kinesis:us-east-1:000000000000:stream/orders/consumer/app:1",
            FIRST,
            latest(),
            "ResourceNotFoundException",
        ),
        (
            "arn:aws:kinesis:us-east-1:000000000000:stream/none/consumer/app:1",
            FIRST,
            latest(),
            "ResourceNotFoundException",
        ),
    ] {
        assert_eq!(service.subscribe_refused(arn, shard, position.clone()).await, code, "{arn} {shard} {position}");
    }
    for request in [json!({}), json!({ "ConsumerARN": arn }), json!({ "ConsumerARN": arn, "ShardId": FIRST })] {
        assert_eq!(service.refused("SubscribeToShard", request).await, "ValidationException");
    }
    // None of them counted as a success.
    service.subscribe(&arn, 0, latest()).await;
}

#[tokio::test(start_paused = true)]
async fn a_position_behind_trimmed_records_is_refused() {
    let (service, arn) = Service::with_stream(1).await;
    let (old, kept) = (service.put("k", "old").await, service.put("k", "kept").await);
    let at = |sequence: &str| json!({ "Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": sequence });
    pass(25 * 3_600).await;
    service.put("k", "new").await;
    for position in [at(&old), at(&kept), after(&json!(old))] {
        assert_eq!(service.subscribe_refused(&arn, FIRST, position).await, "InvalidArgumentException");
    }
    let mut frames = service.subscribe(&arn, 0, after(&json!(kept))).await;
    assert_eq!(data(&frames.event().await), ["new"]);
}

#[tokio::test(start_paused = true)]
async fn each_starting_position_starts_where_it_says() {
    let (service, arn) = Service::with_stream(1).await;
    let start = service.0.inner.clock.now_millis();
    service.put("k", "one").await;
    pass(10).await;
    let two = service.put("k", "two").await;
    for (position, expected) in [
        (trim_horizon(), vec!["one", "two"]),
        (json!({ "Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": two }), vec!["two"]),
        (after(&json!(two)), vec![]),
        (latest(), vec![]),
        (json!({ "Type": "AT_TIMESTAMP", "Timestamp": crate::kinesis::wire::seconds(start) }), vec!["one", "two"]),
        (json!({ "Type": "AT_TIMESTAMP", "Timestamp": crate::kinesis::wire::seconds(start + 1) }), vec!["two"]),
    ] {
        let mut frames = service.subscribe(&arn, 0, position.clone()).await;
        assert_eq!(data(&frames.event().await), expected, "{position}");
        pass(5).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_backlog_comes_in_bounded_events_that_tell_how_far_behind_they_are() {
    let (service, arn) = Service::with_stream(1).await;
    for number in 0..5 {
        service.put("k", &number.to_string().repeat(50 * 1024)).await;
    }
    pass(3).await;
    let mut frames = service.subscribe(&arn, 0, trim_horizon()).await;
    let mut sizes = Vec::new();
    for behind in [3_000, 3_000, 0] {
        let event = frames.event().await;
        sizes.push(data(&event).len());
        assert_eq!(event["MillisBehindLatest"], behind);
    }
    assert_eq!(sizes, [2, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_record_larger_than_an_event_comes_alone() {
    let (service, arn) = Service::with_stream(1).await;
    let records = ["small".to_owned(), "x".repeat(1024 * 1024 - 1), "last".to_owned()];
    for record in &records {
        service.put("k", record).await;
    }
    let mut frames = service.subscribe(&arn, 0, trim_horizon()).await;
    for record in records {
        assert!(data(&frames.event().await) == [record]);
    }
}

#[tokio::test(start_paused = true)]
async fn resuming_from_the_last_continuation_misses_and_repeats_nothing() {
    let (service, arn) = Service::with_stream(1).await;
    let mut random = fastrand::Rng::with_seed(11);
    let (mut put, mut seen, mut position) = (Vec::new(), Vec::new(), trim_horizon());
    for _ in 0..60 {
        let mut frames = service.subscribe(&arn, 0, position.clone()).await;
        for _ in 0..random.usize(0..4) {
            for _ in 0..random.usize(0..3) {
                put.push(put.len().to_string());
                service.put("k", &put[put.len() - 1]).await;
            }
            let event = frames.event().await;
            seen.extend(data(&event));
            position = after(&event["ContinuationSequenceNumber"]);
        }
        pass(random.u64(5..20)).await;
    }
    let mut frames = service.subscribe(&arn, 0, position).await;
    while seen.len() < put.len() {
        seen.extend(data(&frames.event().await));
    }
    assert_eq!(seen, put);
}

#[tokio::test(start_paused = true)]
async fn a_continuation_without_records_works_at_and_after() {
    let (service, arn) = Service::with_stream(1).await;
    let mut frames = service.subscribe(&arn, 0, latest()).await;
    let continuation = frames.event().await["ContinuationSequenceNumber"].take();
    service.put("k", "later").await;
    for kind in ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"] {
        let mut frames = service.subscribe(&arn, 0, json!({ "Type": kind, "SequenceNumber": continuation })).await;
        assert_eq!(data(&frames.event().await), ["later"], "{kind}");
        pass(5).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_consumer_or_the_stream_is_told_in_the_stream() {
    let (service, arn) = Service::with_stream(1).await;
    let other = service.register("other").await;
    let (mut first, mut second) =
        (service.subscribe(&arn, 0, latest()).await, service.subscribe(&other, 0, latest()).await);
    let gone = Some(Frame::Exception("ResourceNotFoundException".to_owned()));
    let (end, _) = tokio::join!(first.next(), service.ok("DeregisterStreamConsumer", json!({ "ConsumerARN": arn })));
    assert_eq!((end, first.next().await), (gone, None));
    let delete = json!({ "StreamName": "orders", "EnforceConsumerDeletion": true });
    let (end, _) = tokio::join!(second.next(), service.ok("DeleteStream", delete));
    assert_eq!((end, second.next().await), (Some(Frame::Exception("ResourceNotFoundException".to_owned())), None));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    let (service, arn) = Service::with_stream(1).await;
    let stream = Arc::clone(&read(&service.0.inner.streams)["orders"]);
    let shard = stream.shards(0).remove(0);
    let (streams, shards) = (Arc::strong_count(&stream), Arc::strong_count(&shard));
    let mut frames = service.subscribe(&arn, 0, latest()).await;
    let waiting = tokio::time::timeout(Duration::from_secs(1), frames.next()).await;
    assert!(waiting.is_err(), "nothing is due yet");
    assert!(Arc::strong_count(&stream) > streams && Arc::strong_count(&shard) > shards);
    drop(frames);
    assert_eq!((Arc::strong_count(&stream), Arc::strong_count(&shard)), (streams, shards));
    assert_eq!(lock(&stream.registry).consumers(service.0.now()).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_nobody_reads_holds_no_records() {
    let (service, arn) = Service::with_stream(1).await;
    let mut frames = service.subscribe(&arn, 0, latest()).await;
    for number in 0..50 {
        service.put("k", &number.to_string()).await;
    }
    pass(299).await;
    assert_eq!(data(&frames.event().await).len(), 50);
    pass(2).await;
    assert_eq!(frames.next().await, None);
}
