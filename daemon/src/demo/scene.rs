//! What the demo makes in the emulator, and the settings that it runs the daemon with.

use crate::config::{self, Checked};
use alluvial_runtime::aws::Aws;
use alluvial_runtime::exit::{Failure, chain};
use aws_sdk_firehose::types::{
    BufferingHints, CompressionFormat, DeliveryStreamType, ExtendedS3DestinationConfiguration,
};
use std::fmt::Write as _;
use std::path::Path;

pub(super) const REGION: &str = "us-east-1";
pub(super) const STREAM: &str = "demo";
pub(super) const DELIVERY_STREAM: &str = "demo-raw";
pub(super) const BUCKET: &str = "demo";
pub(super) const RAW_PREFIX: &str = "raw/";
/// Rows of the lookup table: the sensors of the `iot` template, and one more.
const SENSORS: u32 = 51;

fn failed<E: std::error::Error + 'static>(action: &str) -> impl Fn(E) -> Failure {
    move |error| Failure::internal(format!("emulator: {action}: {}", chain(&error)))
}

/// Makes stream, bucket and delivery stream.
pub(super) async fn create(aws: &Aws, shards: u32) -> Result<(), Failure> {
    let kinesis = aws_sdk_kinesis::Client::new(&aws.control);
    let shards = i32::try_from(shards).unwrap_or(i32::MAX);
    kinesis
        .create_stream()
        .stream_name(STREAM)
        .shard_count(shards)
        .send()
        .await
        .map_err(failed("create the stream"))?;
    let s3 = crate::service::s3_client(aws);
    s3.create_bucket().bucket(BUCKET).send().await.map_err(failed("create the bucket"))?;
    create_delivery_stream(aws).await
}

/// Makes the delivery stream: direct put, no compression of its own, objects of 32 MB or 5 s.
pub(super) async fn create_delivery_stream(aws: &Aws) -> Result<(), Failure> {
    let destination = ExtendedS3DestinationConfiguration::builder()
        .role_arn("arn:aws:iam::000000000000:role/demo")
        .bucket_arn(format!("arn:aws:s3:::{BUCKET}"))
        .prefix(RAW_PREFIX)
        .compression_format(CompressionFormat::Uncompressed)
        .buffering_hints(BufferingHints::builder().size_in_mbs(32).interval_in_seconds(5).build())
        .build()
        .map_err(failed("describe the delivery stream"))?;
    let firehose = aws_sdk_firehose::Client::new(&aws.control);
    let made = firehose
        .create_delivery_stream()
        .delivery_stream_name(DELIVERY_STREAM)
        .delivery_stream_type(DeliveryStreamType::DirectPut)
        .extended_s3_destination_configuration(destination);
    Box::pin(made.send()).await.map(drop).map_err(failed("create the delivery stream"))
}

/// Brings out what Firehose still holds: deleting a delivery stream of the emulator writes it to S3 first.
pub(super) async fn finish_delivery(aws: &Aws) -> Result<(), Failure> {
    let firehose = aws_sdk_firehose::Client::new(&aws.control);
    let deleted = firehose.delete_delivery_stream().delivery_stream_name(DELIVERY_STREAM).send().await;
    deleted.map(drop).map_err(failed("flush the delivery stream"))
}

/// The daemon's settings, as a file that is left in `dir` to be read. With `verbatim`, rows are as the records were, but
/// for the position columns.
pub(super) fn settings(dir: &Path, verbatim: bool) -> Result<Checked, Failure> {
    let written = |path: &Path, text: &str| {
        std::fs::write(path, text)
            .map_err(|error| Failure::internal(format!("cannot write {}: {error}", path.display())))
    };
    let mut text = format!(
        "[source]\nstream = \"{STREAM}\"\napplication = \"demo-enricher\"\ncheckpoint_interval = \"1s\"\n\n\
         [pack]\nmax_wait = \"1s\"\nmetadata = \"columns\"\n\n\
         [sink]\ntype = \"firehose\"\ndelivery_stream = \"{DELIVERY_STREAM}\"\n\n\
         [on_error]\ndead_letter = \"dead-letters\"\n"
    );
    if !verbatim {
        text.push_str(
            "\n[[transform]]\ntype = \"append\"\nfield = \"site\"\nvalue = { country = \"NO\", plant = 7 }\n\n\
             [[transform]]\ntype = \"lookup\"\nfield = \"sensorId\"\ntable = \"sensors.csv\"\ninto = \"sensor\"\n",
        );
        let mut table = String::from("sensorId,line,installed\n");
        for sensor in 0..SENSORS {
            writeln!(table, "{sensor},line-{},2026-{:02}-01", sensor % 7, sensor % 12 + 1).ok();
        }
        written(&dir.join("sensors.csv"), &table)?;
    }
    let path = dir.join("alluvial.toml");
    written(&path, &text)?;
    config::read(&path, &format!("demo-{}", std::process::id()))
}
