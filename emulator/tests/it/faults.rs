//! What faults look like to a client: the SDK over HTTP/2, in memory and on a paused clock.

use crate::memory::{Memory, Seen};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_firehose::types::{BufferingHints, ExtendedS3DestinationConfiguration, Record};
use aws_sdk_kinesis::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

fn event(payload: &str) -> Seen {
    Seen::Event(vec![payload.to_owned()])
}

fn plan(service: &str, operation: &str, effect: &str) -> String {
    format!(
        "[[fault]]\non = {{ service = \"{service}\", operation = \"{operation}\" }}\nwhen = {{ times = 1 }}\neffect = {{ {effect} }}\n"
    )
}

/// What a subscription shows under a fault, when three records are put one after the other.
async fn subscribed(effect: &str) -> (Vec<Seen>, Memory) {
    let memory = Memory::with_faults(&plan("kinesis", "SubscribeToShard", effect)).await;
    let seen = memory.subscribe(&["a", "b", "c"]).await;
    (seen, memory)
}

fn lines(ndjson: Vec<u8>) -> Vec<Value> {
    let text = String::from_utf8(ndjson).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn data(memory: &Memory) -> Vec<String> {
    let records = lines(memory.control().stream_records("orders").expect("the log"));
    records
        .iter()
        .map(|record| record["PartitionKey"].as_str().expect("what was built here is valid").to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn without_a_fault_a_subscription_lasts_five_minutes() {
    let began = Instant::now();
    let memory = Memory::with_faults("").await;
    assert_eq!(memory.subscribe(&["a", "b", "c"]).await, [event("a"), event("b"), event("c"), Seen::End]);
    assert_eq!(began.elapsed().as_secs(), 300);
    assert_eq!(memory.fired(), [""; 0]);
    memory.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_cut_behind_so_many_events() {
    for effect in ["cut = { after_events = 2 }", "cut = { after_events = 2, in_frame = true }"] {
        let (seen, memory) = subscribed(effect).await;
        assert_eq!(seen[..2], [event("a"), event("b")], "{effect}");
        assert!(matches!(&seen[2..], [Seen::Failed(_)]), "{effect}: {seen:?}");
        assert_eq!(memory.fired(), ["SubscribeToShard cut"]);
        let again = memory.kinesis().list_shards().stream_name("orders").send().await;
        again.expect("the connection lives on");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_in_each_way_that_it_can() {
    for how in ["tcp_reset", "fin", "goaway"] {
        let (seen, memory) = subscribed(&format!("cut = {{ how = \"{how}\", after_events = 1 }}")).await;
        assert_eq!(seen[0], event("a"), "{how}");
        assert!(matches!(seen.last(), Some(Seen::Failed(_))), "{how}: {seen:?}");
        let other = memory.kinesis().list_shards().stream_name("orders").send().await;
        other.expect("a new connection");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_stream_is_silent_and_others_go_on() {
    let (seen, memory) = subscribed("stall = { after_events = 1 }").await;
    assert_eq!(seen, [event("a"), Seen::Silence]);
    memory.put("still").await;
}

#[tokio::test(start_paused = true)]
async fn a_stalled_connection_is_silent_for_all() {
    let effect = "stall = { scope = \"connection\" }";
    let memory = Memory::with_faults(&plan("kinesis", "ListShards", effect)).await;
    let kinesis = memory.kinesis();
    for operation in ["the one that met the fault", "another one on the same connection"] {
        let list = kinesis.list_shards().stream_name("orders").send();
        let waited = tokio::time::timeout(Duration::from_secs(600), list).await;
        assert!(waited.is_err(), "{operation}: {waited:?}");
    }
    memory.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_comes_late_twice_or_broken() {
    let began = Instant::now();
    let (seen, _) = subscribed("delay = { for = \"40s\", after_events = 1 }").await;
    assert_eq!(seen[..3], [event("a"), event("b"), event("c")]);
    assert!(began.elapsed() >= Duration::from_secs(300));

    let (seen, _) = subscribed("duplicate = { after_events = 1 }").await;
    assert_eq!(seen[..4], [event("a"), event("b"), event("b"), event("c")]);

    let (seen, _) = subscribed("garble = { after_events = 1 }").await;
    assert_eq!(seen[0], event("a"));
    assert!(matches!(&seen[1..], [Seen::Failed(story)] if story.contains("checksum")), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_the_exception_that_a_plan_names() {
    let (seen, _) = subscribed("exception = { code = \"KMSThrottlingException\", after_events = 1 }").await;
    assert_eq!(seen[0], event("a"));
    assert!(matches!(&seen[1..], [Seen::Failed(story)] if story.contains("KmsThrottlingException")), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn an_error_before_applies_nothing_and_one_behind_applies_all() {
    let fault = "error = { code = \"InternalFailure\", applied = false }";
    let memory = Memory::with_faults(&plan("kinesis", "PutRecord", fault)).await;
    let put =
        |key: &str| memory.kinesis().put_record().stream_name("orders").partition_key(key).data(Blob::new("x")).send();
    assert_eq!(put("before").await.unwrap_err().code(), Some("InternalFailure"));
    assert_eq!(data(&memory), [""; 0]);
    put("plain").await.expect("a record: the fault has fired its one time");
    memory
        .control()
        .set_faults(&plan("kinesis", "PutRecord", &fault.replace("false", "true")))
        .expect("what was built here is valid");
    assert_eq!(put("applied").await.unwrap_err().code(), Some("InternalFailure"));
    assert_eq!(data(&memory), ["plain", "applied"]);
}

#[tokio::test(start_paused = true)]
async fn named_entries_of_a_batch_fail_and_the_others_are_there() {
    let fault = "partial = { code = \"ProvisionedThroughputExceededException\", indices = [0, 2] }";
    let memory = Memory::with_faults(&plan("kinesis", "PutRecords", fault)).await;
    let entry = |key: &str| {
        PutRecordsRequestEntry::builder()
            .partition_key(key)
            .data(Blob::new("x"))
            .build()
            .expect("what was built here is valid")
    };
    let entries = ["a", "b", "c", "d"].map(entry).to_vec();
    let put = memory
        .kinesis()
        .put_records()
        .stream_name("orders")
        .set_records(Some(entries))
        .send()
        .await
        .expect("what was built here is valid");
    let failed: Vec<bool> = put.records().iter().map(|record| record.error_code().is_some()).collect();
    assert_eq!((put.failed_record_count(), failed), (Some(2), vec![true, false, true, false]));
    assert!(put.records()[1].sequence_number() < put.records()[3].sequence_number());
    assert_eq!(data(&memory), ["b", "d"]);
}

async fn leases(memory: &Memory) -> aws_sdk_dynamodb::Client {
    let dynamodb = memory.dynamodb();
    let attribute = AttributeDefinition::builder()
        .attribute_name("leaseKey")
        .attribute_type(ScalarAttributeType::S)
        .build()
        .expect("what was built here is valid");
    let key = KeySchemaElement::builder()
        .attribute_name("leaseKey")
        .key_type(KeyType::Hash)
        .build()
        .expect("what was built here is valid");
    let create = dynamodb.create_table().table_name("leases").billing_mode(BillingMode::PayPerRequest);
    create.attribute_definitions(attribute).key_schema(key).send().await.expect("a table");
    dynamodb
}

#[tokio::test(start_paused = true)]
async fn a_conditional_write_is_applied_and_its_answer_lost() {
    let memory = Memory::with_faults("").await;
    let dynamodb = leases(&memory).await;
    for how in ["rst_stream", "tcp_reset"] {
        let fault = format!("lose_response = {{ how = \"{how}\" }}");
        memory.control().set_faults(&plan("dynamodb", "PutItem", &fault)).expect("what was built here is valid");
        let put = || {
            dynamodb
                .put_item()
                .table_name("leases")
                .item("leaseKey", AttributeValue::S(how.to_owned()))
                .condition_expression("attribute_not_exists(leaseKey)")
                .send()
        };
        let lost = put().await.unwrap_err();
        assert!(lost.as_service_error().is_none(), "{how}: {}", DisplayErrorContext(lost));
        let refused = put().await.unwrap_err();
        assert_eq!(refused.code(), Some("ConditionalCheckFailedException"), "{how}");
    }
    let history = lines(memory.control().table_history("leases").expect("what was built here is valid"));
    let story: Vec<_> = history
        .iter()
        .map(|line| {
            (
                line["Items"][0]["Key"]["leaseKey"]["S"].as_str().expect("what was built here is valid"),
                line["Error"].is_null(),
            )
        })
        .collect();
    assert_eq!(story, [("rst_stream", true), ("rst_stream", false), ("tcp_reset", true), ("tcp_reset", false)]);
    assert!(history[0]["Items"][0]["Before"].is_null() && !history[0]["Items"][0]["After"].is_null());
}

#[tokio::test(start_paused = true)]
async fn s3_breaks_off_in_a_body_and_hides_an_error_in_a_success() {
    let memory = Memory::with_faults("").await;
    let s3 = memory.s3();
    s3.create_bucket().bucket("lake").send().await.expect("a bucket");
    s3.put_object().bucket("lake").key("a").body(vec![7; 300_000].into()).send().await.expect("an object");
    memory
        .control()
        .set_faults(&plan("s3", "GetObject", "cut = { after_bytes = 100000 }"))
        .expect("what was built here is valid");
    let body = s3.get_object().bucket("lake").key("a").send().await.expect("headers").body;
    assert!(body.collect().await.is_err(), "a body of a third");
    let error = "<Error><Code>InternalError</Code><Message>m</Message></Error>";
    let replace = format!("replace = {{ status = 200, body = \"{error}\", content_type = \"application/xml\" }}");
    memory.control().set_faults(&plan("s3", "CopyObject", &replace)).expect("what was built here is valid");
    let copy = s3.copy_object().bucket("lake").key("b").copy_source("lake/a").send().await;
    assert_eq!(copy.unwrap_err().code(), Some("InternalError"));
}

#[tokio::test(start_paused = true)]
async fn firehose_writes_an_object_late_and_twice() {
    let memory = Memory::with_faults("").await;
    memory.s3().create_bucket().bucket("lake").send().await.expect("a bucket");
    let destination = ExtendedS3DestinationConfiguration::builder()
        .role_arn("arn:aws:iam::000000000000:role/test")
        .bucket_arn("arn:aws:s3:::lake")
        .buffering_hints(BufferingHints::builder().interval_in_seconds(60).size_in_mbs(1).build())
        .build()
        .expect("what was built here is valid");
    let firehose = memory.firehose();
    let create = firehose.create_delivery_stream().delivery_stream_name("raw");
    Box::pin(create.extended_s3_destination_configuration(destination).send()).await.expect("a delivery stream");
    let refused = plan("firehose", "Deliver", "error = { code = \"AccessDenied\" }");
    let twice = plan("firehose", "Deliver", "duplicate = {}").replace("times = 1", "nth = 2");
    memory.control().set_faults(&(refused + &twice)).expect("what was built here is valid");
    let record = Record::builder()
        .data(aws_sdk_firehose::primitives::Blob::new("row"))
        .build()
        .expect("what was built here is valid");
    firehose.put_record().delivery_stream_name("raw").record(record).send().await.expect("a record");
    tokio::time::sleep(Duration::from_secs(70)).await;
    let listed = memory.s3().list_objects_v2().bucket("lake").send().await.expect("a listing");
    assert_eq!(listed.key_count(), Some(2));
    assert_eq!(memory.fired(), ["Deliver error", "Deliver duplicate"]);
    let accepted = lines(memory.control().accepted_records("raw").expect("what was built here is valid"));
    assert_eq!((accepted.len(), accepted[0]["Data"].as_str()), (1, Some("cm93")));
}

#[tokio::test(start_paused = true)]
async fn a_fault_moves_the_clock() {
    let memory = Memory::with_faults(&plan("kinesis", "ListShards", "clock = { advance = \"5m\" }")).await;
    let before = memory.control().clock().now_millis();
    memory.kinesis().list_shards().stream_name("orders").send().await.expect("shards");
    assert_eq!(memory.control().clock().now_millis() - before, 300_000);
}

/// Everything that a run under chance shows: what the client saw, what was logged, what the stream holds.
async fn chance() -> (Vec<Seen>, Vec<String>, Vec<u8>, Vec<u8>) {
    let faults = "seed = 11\n\
        [[fault]]\non = { service = \"kinesis\", operation = \"PutRecord\" }\nwhen = { probability = 0.3 }\neffect = { duplicate = {} }\n\
        [[fault]]\non = { service = \"kinesis\", operation = \"PutRecord\" }\nwhen = { probability = 0.3 }\neffect = { delay = { for = \"700ms\" } }\n\
        [[fault]]\non = { service = \"kinesis\", operation = \"SubscribeToShard\" }\nwhen = { probability = 0.5 }\neffect = { cut = { after_events = 2 } }\n";
    let memory = Memory::with_faults(faults).await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.extend(memory.subscribe(&["a", "b", "c"]).await);
        tokio::time::sleep(Duration::from_secs(6)).await;
    }
    let control = memory.control();
    let trace = (
        seen,
        memory.fired(),
        control.fault_log(),
        control.stream_records("orders").expect("what was built here is valid"),
    );
    memory.stop().await;
    trace
}

#[tokio::test(start_paused = true)]
async fn a_seed_repeats_a_run_to_the_byte() {
    let (first, second) = (chance().await, chance().await);
    assert!(first.1.len() > 5, "too few faults to tell: {:?}", first.1);
    assert_eq!(first, second);
}
