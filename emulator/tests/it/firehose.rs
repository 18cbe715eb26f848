//! Firehose into S3 through the SDK.

use crate::world::{PATIENCE, World};
use alluvial_emulator::{Emulator, Settings};
use aws_sdk_firehose::Client;
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::builders::ExtendedS3DestinationConfigurationBuilder;
use aws_sdk_firehose::types::{
    BufferingHints, CompressionFormat, DeliveryStreamStatus, DeliveryStreamType, ExtendedS3DestinationConfiguration,
    ExtendedS3DestinationUpdate, KinesisStreamSourceConfiguration, ProcessingConfiguration, Processor,
    ProcessorParameter, ProcessorParameterName, ProcessorType, Record,
};
use std::io::Read as _;

pub(crate) async fn create(firehose: &Client, size_mib: i32, interval_seconds: i32) {
    create_with(firehose, destination(size_mib, interval_seconds)).await;
}

fn destination(size_mib: i32, interval_seconds: i32) -> ExtendedS3DestinationConfigurationBuilder {
    let hints = BufferingHints::builder().size_in_mbs(size_mib).interval_in_seconds(interval_seconds).build();
    ExtendedS3DestinationConfiguration::builder()
        .role_arn("arn:aws:iam::000000000000:role/firehose")
        .bucket_arn("arn:aws:s3:::lake")
        .prefix("raw/")
        .buffering_hints(hints)
}

async fn create_with(firehose: &Client, destination: ExtendedS3DestinationConfigurationBuilder) {
    let destination = destination.build().expect("a destination");
    let create = firehose.create_delivery_stream().delivery_stream_name("orders");
    // The SDK's future is some 30 KB.
    Box::pin(create.extended_s3_destination_configuration(destination).send()).await.expect("a delivery stream");
}

/// Appends a line feed to each record.
fn line_feeds() -> ProcessingConfiguration {
    let delimiter = ProcessorParameter::builder()
        .parameter_name(ProcessorParameterName::from("Delimiter"))
        .parameter_value("\\n")
        .build()
        .expect("a parameter");
    let processor = Processor::builder()
        .r#type(ProcessorType::AppendDelimiterToRecord)
        .parameters(delimiter)
        .build()
        .expect("a processor");
    ProcessingConfiguration::builder().enabled(true).processors(processor).build()
}

async fn put(firehose: &Client, records: &[Vec<u8>]) {
    let records = records.iter().map(|data| Record::builder().data(Blob::new(data.clone())).build().expect("a record"));
    let put = firehose.put_record_batch().delivery_stream_name("orders").set_records(Some(records.collect()));
    let answer = put.send().await.expect("a batch");
    assert_eq!(answer.failed_put_count, 0);
    assert!(answer.request_responses.iter().all(|response| response.record_id.is_some()));
}

/// Asks S3 until `count` objects are there, and returns their keys and contents.
async fn objects(s3: &aws_sdk_s3::Client, count: usize) -> Vec<(String, Vec<u8>)> {
    objects_below(s3, "raw/", count).await
}

async fn objects_below(s3: &aws_sdk_s3::Client, prefix: &str, count: usize) -> Vec<(String, Vec<u8>)> {
    let keys = async {
        loop {
            let listed = s3.list_objects_v2().bucket("lake").prefix(prefix).send().await.expect("a listing");
            if listed.contents().len() >= count {
                break listed.contents().iter().filter_map(|object| object.key.clone()).collect::<Vec<_>>();
            }
        }
    };
    let keys = tokio::time::timeout(PATIENCE, keys).await.expect("the objects are written");
    let mut objects = Vec::new();
    for key in keys {
        let got = s3.get_object().bucket("lake").key(&key).send().await.expect("an object");
        objects.push((key, got.body.collect().await.expect("a body").to_vec()));
    }
    objects
}

#[tokio::test]
async fn a_full_buffer_becomes_one_object_of_records_joined_verbatim() {
    let world = World::start().await;
    let (s3, firehose) = (world.s3_with_bucket().await, world.firehose());
    create(&firehose, 1, 900).await;
    let records = [vec![b'a'; 1_000_000], b"\x1f\x8b\n\0".to_vec(), vec![b'b'; 100_000]];
    put(&firehose, &records).await;
    let objects = objects(&s3, 1).await;
    assert_eq!(objects.len(), 1);
    let (key, content) = &objects[0];
    assert!(*content == records.concat());
    let parts: Vec<_> = key.split('/').collect();
    assert_eq!(parts.len(), 6, "{key}");
    assert!(parts[5].starts_with(&format!("orders-1-{}-{}-{}-{}-", parts[1], parts[2], parts[3], parts[4])), "{key}");
    assert!(!parts[5].contains('.'), "{key}");
    world.emulator.stop().await;
}

#[tokio::test]
async fn an_old_buffer_becomes_an_object() {
    let world = World::at_speed(1_000.0).await;
    let (s3, firehose) = (world.s3_with_bucket().await, world.firehose());
    create(&firehose, 128, 60).await;
    put(&firehose, &[b"one\n".to_vec(), b"two\n".to_vec()]).await;
    let objects = objects(&s3, 1).await;
    assert_eq!(objects[0].1, b"one\ntwo\n");
    world.emulator.stop().await;
}

#[tokio::test]
async fn a_delivery_stream_is_described_as_it_was_made() {
    let world = World::start().await;
    let firehose = world.firehose();
    create(&firehose, 3, 120).await;
    let described = firehose.describe_delivery_stream().delivery_stream_name("orders").send().await.expect("an answer");
    let described = described.delivery_stream_description.expect("a description");
    assert_eq!(described.delivery_stream_status, DeliveryStreamStatus::Active);
    assert_eq!(described.version_id, "1");
    let destination = described.destinations[0].extended_s3_destination_description.as_ref().expect("a destination");
    assert_eq!(destination.compression_format, CompressionFormat::Uncompressed);
    let hints = destination.buffering_hints.as_ref().expect("hints");
    assert_eq!((hints.size_in_mbs, hints.interval_in_seconds), (Some(3), Some(120)));
    let listed = firehose.list_delivery_streams().send().await.expect("a list");
    assert_eq!(listed.delivery_stream_names, ["orders"]);

    let record = Record::builder().data(Blob::new("x")).build().expect("a record");
    let error =
        firehose.put_record().delivery_stream_name("none").record(record.clone()).send().await.expect_err("no stream");
    assert!(error.into_service_error().is_resource_not_found_exception());
    let error =
        firehose.put_record_batch().delivery_stream_name("orders").set_records(Some(vec![record; 501])).send().await;
    assert!(error.expect_err("501 records").into_service_error().is_invalid_argument_exception());
    world.emulator.stop().await;
}

#[tokio::test]
async fn expressions_extension_and_delimiter_make_an_object_that_readers_know() {
    let world = World::at_speed(1_000.0).await;
    let (s3, firehose) = (world.s3_with_bucket().await, world.firehose());
    let destination = destination(128, 60)
        .prefix("raw/dt=!{timestamp:yyyy-MM-dd}/!{firehose:random-string}/")
        .error_output_prefix("errors/!{firehose:error-output-type}/")
        .compression_format(CompressionFormat::Gzip)
        .file_extension(".json.gz")
        .processing_configuration(line_feeds());
    create_with(&firehose, destination).await;
    put(&firehose, &[b"{}".to_vec(), b"[]".to_vec()]).await;

    let objects = objects(&s3, 1).await;
    let (key, content) = &objects[0];
    let parts: Vec<_> = key.split('/').collect();
    let ["raw", day, random, name] = parts[..] else { panic!("{key}") };
    let day = day.strip_prefix("dt=").expect("the day");
    assert_eq!((day.len(), random.len()), (10, 11), "{key}");
    assert!(name.starts_with(&format!("orders-1-{day}-")) && name.ends_with(".json.gz"), "{key}");
    let head = s3.head_object().bucket("lake").key(key).send().await.expect("the object's headers");
    assert_eq!((head.content_encoding(), head.content_type()), (Some("gzip"), Some("application/octet-stream")));
    let mut text = String::new();
    flate2::read::GzDecoder::new(content.as_slice()).read_to_string(&mut text).expect("a gzip member");
    assert_eq!(text, "{}\n[]\n");
    world.emulator.stop().await;
}

#[tokio::test]
async fn a_destination_is_updated_by_its_version() {
    let world = World::start().await;
    let firehose = world.firehose();
    create(&firehose, 3, 120).await;
    let update = |version: &'static str| {
        let zip = ExtendedS3DestinationUpdate::builder().compression_format(CompressionFormat::Zip).build();
        let update =
            firehose.update_destination().delivery_stream_name("orders").current_delivery_stream_version_id(version);
        Box::pin(update.destination_id("destinationId-000000000001").extended_s3_destination_update(zip).send())
    };
    update("1").await.expect("an update");
    let stale = update("1").await.expect_err("a stale version").into_service_error();
    assert!(stale.is_concurrent_modification_exception(), "{stale}");

    let described = firehose.describe_delivery_stream().delivery_stream_name("orders").send().await.expect("an answer");
    let described = described.delivery_stream_description.expect("a description");
    assert_eq!(described.version_id, "2");
    let destination = described.destinations[0].extended_s3_destination_description.as_ref().expect("a destination");
    assert_eq!(
        (&destination.compression_format, destination.prefix.as_deref()),
        (&CompressionFormat::Zip, Some("raw/"))
    );
    world.emulator.stop().await;
}

async fn put_into_kinesis(kinesis: &aws_sdk_kinesis::Client, hash_key: u128, data: &str) {
    let put = kinesis.put_record().stream_name("events").partition_key("k").explicit_hash_key(hash_key.to_string());
    put.data(aws_sdk_kinesis::primitives::Blob::new(data)).send().await.expect("a record");
}

#[tokio::test]
async fn a_kinesis_stream_is_read_through_a_split_from_creation_on() {
    let world = World::at_speed(1_000.0).await;
    let (s3, firehose, kinesis) = (world.s3_with_bucket().await, world.firehose(), world.kinesis());
    kinesis.create_stream().stream_name("events").shard_count(1).send().await.expect("a stream");
    put_into_kinesis(&kinesis, 0, "before").await;
    let stream = "arn:aws:kinesis:us-east-1:000000000000:stream/events";
    let source = KinesisStreamSourceConfiguration::builder().kinesis_stream_arn(stream).role_arn("reader").build();
    let create = firehose
        .create_delivery_stream()
        .delivery_stream_name("orders")
        .delivery_stream_type(DeliveryStreamType::KinesisStreamAsSource)
        .kinesis_stream_source_configuration(source.expect("a source"))
        .extended_s3_destination_configuration(destination(1, 900).build().expect("a destination"));
    Box::pin(create.send()).await.expect("a delivery stream");

    put_into_kinesis(&kinesis, 0, "parent,").await;
    let middle = (u128::MAX / 2 + 1).to_string();
    let split = kinesis.split_shard().stream_name("events").shard_to_split("shardId-000000000000");
    split.new_starting_hash_key(middle).send().await.expect("a split");
    put_into_kinesis(&kinesis, 0, "child,").await;
    put_into_kinesis(&kinesis, u128::MAX, "child,").await;
    // A busy machine may make more than one object of it; their names are in the order of their seconds.
    let (expected, mut delivered) = ("parent,child,child,", String::new());
    for count in 1.. {
        let contents: Vec<_> = objects(&s3, count).await.into_iter().map(|(_, content)| content).collect();
        delivered = String::from_utf8(contents.concat()).expect("text");
        if delivered.len() >= expected.len() {
            break;
        }
    }
    assert_eq!(delivered, expected);

    let described = firehose.describe_delivery_stream().delivery_stream_name("orders").send().await.expect("an answer");
    let described = described.delivery_stream_description.expect("a description");
    assert_eq!(described.delivery_stream_type, DeliveryStreamType::KinesisStreamAsSource);
    let source = described.source.and_then(|source| source.kinesis_stream_source_description).expect("a source");
    assert_eq!((source.kinesis_stream_arn.as_deref(), source.role_arn.as_deref()), (Some(stream), Some("reader")));
    assert!(source.delivery_start_timestamp.is_some());
    let record = Record::builder().data(Blob::new("x")).build().expect("a record");
    let refused = firehose.put_record().delivery_stream_name("orders").record(record).send().await;
    let refused = refused.expect_err("no direct put").into_service_error();
    assert!(refused.is_invalid_argument_exception(), "{refused}");
    tokio::time::timeout(PATIENCE, world.emulator.stop()).await.expect("the emulator stops while shards are read");
}

#[tokio::test]
async fn quotas_hold_when_limits_are_asked_for() {
    let dir = tempfile::tempdir().expect("a folder");
    // A clock that stands still: its second never ends.
    let settings = Settings { limits: true, clock_speed: 0.0, ..Settings::new(dir.path()) };
    let world = World { emulator: Emulator::start(settings).await.expect("an emulator"), dir };
    let firehose = world.firehose();
    create(&firehose, 128, 900).await;
    let record = Record::builder().data(Blob::new(vec![b'x'; 1_000_000])).build().expect("a record");
    for failed in [0, 3] {
        let records = Some(vec![record.clone(); 4]);
        let put = firehose.put_record_batch().delivery_stream_name("orders").set_records(records);
        let answer = put.send().await.expect("an answer");
        assert_eq!(answer.failed_put_count, failed, "5 MiB a second");
        let codes = answer.request_responses.iter().filter_map(|response| response.error_code.as_deref());
        assert!(codes.into_iter().all(|code| code == "ServiceUnavailableException"));
    }
    world.emulator.stop().await;
}

#[tokio::test]
async fn what_cannot_be_decompressed_lies_under_the_error_prefix() {
    let world = World::at_speed(1_000.0).await;
    let (s3, firehose) = (world.s3_with_bucket().await, world.firehose());
    let decompression = Processor::builder().r#type(ProcessorType::Decompression).build().expect("a processor");
    let processing = ProcessingConfiguration::builder().enabled(true).processors(decompression).build();
    let destination = destination(128, 60)
        .error_output_prefix("errors/!{firehose:error-output-type}/!{timestamp:yyyy}/")
        .processing_configuration(processing);
    create_with(&firehose, destination).await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, b"plain text").expect("memory");
    put(&firehose, &[gzip.finish().expect("memory"), b"no gzip".to_vec()]).await;

    assert_eq!(objects(&s3, 1).await[0].1, b"plain text");
    let failed = objects_below(&s3, "errors/decompression-failed/20", 1).await;
    let line: serde_json::Value = serde_json::from_slice(&failed[0].1).expect("one line of JSON");
    assert_eq!(line["rawData"], "bm8gZ3ppcA==");
    world.emulator.stop().await;
}
