//! Firehose into S3 through the SDK.

use crate::world::{PATIENCE, World};
use aws_sdk_firehose::Client;
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::builders::ExtendedS3DestinationConfigurationBuilder;
use aws_sdk_firehose::types::{
    BufferingHints, CompressionFormat, DeliveryStreamStatus, ExtendedS3DestinationConfiguration,
    ExtendedS3DestinationUpdate, ProcessingConfiguration, Processor, ProcessorParameter, ProcessorParameterName,
    ProcessorType, Record,
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
    let keys = async {
        loop {
            let listed = s3.list_objects_v2().bucket("lake").prefix("raw/").send().await.expect("a listing");
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
