//! What a delivery stream is created as: a request read, checked, and refused where it asks for what the emulator
//! lacks.

use super::buffer::Hints;
use super::invalid;
use crate::api::{ACCOUNT, ApiError, REGION};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};

/// What Firehose calls an MB in `SizeInMBs`.
pub(super) const MIB: usize = 1024 * 1024;

/// The longest name of a delivery stream
/// (<https://docs.aws.amazon.com/firehose/latest/APIReference/API_CreateDeliveryStream.html>).
const MAX_NAME_CHARS: usize = 64;

/// The version of a delivery stream that was never changed.
const FIRST_VERSION: u32 = 1;

/// Buffering hints: defaults and bounds
/// (<https://docs.aws.amazon.com/firehose/latest/APIReference/API_BufferingHints.html>).
const DEFAULT_SIZE_MIB: i64 = 5;
const DEFAULT_INTERVAL_SECONDS: i64 = 300;
const MAX_SIZE_MIB: i64 = 128;
const MAX_INTERVAL_SECONDS: i64 = 900;

/// A delivery stream as it was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) version: u32,
    pub(super) bucket: String,
    pub(super) role_arn: String,
    pub(super) prefix: String,
    pub(super) error_prefix: Option<String>,
    pub(super) hints: Hints,
    pub(super) compression: Compression,
    pub(super) created: SystemTime,
}

/// What is done to a buffer before it becomes an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Uncompressed,
    Gzip,
}

impl Compression {
    /// The name that the API has for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Uncompressed => "UNCOMPRESSED",
            Self::Gzip => "GZIP",
        }
    }
}

/// A CreateDeliveryStream request; `rest` has the members that the emulator does not act on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateRequest {
    delivery_stream_name: String,
    delivery_stream_type: Option<String>,
    extended_s3_destination_configuration: Option<DestinationRequest>,
    s3_destination_configuration: Option<DestinationRequest>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DestinationRequest {
    #[serde(rename = "RoleARN")]
    role_arn: Option<String>,
    #[serde(rename = "BucketARN")]
    bucket_arn: Option<String>,
    prefix: Option<String>,
    error_output_prefix: Option<String>,
    buffering_hints: Option<HintsRequest>,
    compression_format: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
struct HintsRequest {
    #[serde(rename = "SizeInMBs")]
    size: Option<i64>,
    #[serde(rename = "IntervalInSeconds")]
    interval: Option<i64>,
}

impl Definition {
    /// Reads a request made at `created`.
    ///
    /// # Errors
    /// `InvalidArgumentException` with the member that is wrong, or that the emulator lacks.
    pub(super) fn check(request: CreateRequest, created: SystemTime) -> Result<Self, ApiError> {
        let name = check_name(request.delivery_stream_name)?;
        if request.delivery_stream_type.as_deref().is_some_and(|kind| kind != "DirectPut") {
            return Err(lacks("a DeliveryStreamType other than DirectPut"));
        }
        refuse_rest(&request.rest, &["Tags", "DirectPutSourceConfiguration"])?;
        let destination = request.extended_s3_destination_configuration.or(request.s3_destination_configuration);
        let destination = destination.ok_or_else(|| invalid("Exactly one destination configuration must be given"))?;
        destination.refuse_rest()?;
        let prefix = destination.prefix.unwrap_or_default();
        if prefix.contains("!{") {
            return Err(lacks("expressions such as !{timestamp:…} in Prefix"));
        }
        Ok(Self {
            name,
            version: FIRST_VERSION,
            bucket: bucket_of(destination.bucket_arn.as_deref())?,
            role_arn: destination.role_arn.ok_or_else(|| null("roleARN"))?,
            prefix,
            error_prefix: destination.error_output_prefix,
            hints: check_hints(destination.buffering_hints)?,
            compression: check_compression(destination.compression_format.as_deref())?,
            created,
        })
    }

    /// The Amazon Resource Name.
    pub(super) fn arn(&self) -> String {
        format!("arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/{}", self.name)
    }
}

impl DestinationRequest {
    /// Refuses what would change the objects. What is given but switched off is nothing.
    fn refuse_rest(&self) -> Result<(), ApiError> {
        let harmless = |member: &str, value: &Value| match member {
            "CloudWatchLoggingOptions" => true,
            "CustomTimeZone" => value == "UTC",
            "EncryptionConfiguration" => value.get("KMSEncryptionConfig").is_none_or(Value::is_null),
            "S3BackupMode" => value == "Disabled",
            "FileExtension" => value == "",
            _ => value.get("Enabled") == Some(&Value::Bool(false)),
        };
        match self.rest.iter().find(|(member, value)| !value.is_null() && !harmless(member, value)) {
            Some((member, _)) => Err(lacks(member)),
            None => Ok(()),
        }
    }
}

fn refuse_rest(rest: &Map<String, Value>, harmless: &[&str]) -> Result<(), ApiError> {
    match rest.iter().find(|(member, value)| !value.is_null() && !harmless.contains(&member.as_str())) {
        Some((member, _)) => Err(lacks(member)),
        None => Ok(()),
    }
}

fn check_name(name: String) -> Result<String, ApiError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if (1..=MAX_NAME_CHARS).contains(&name.len()) && name.chars().all(legal) {
        return Ok(name);
    }
    Err(invalid(format!(
        "1 validation error detected: Value '{name}' at 'deliveryStreamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+ and have length 1 to {MAX_NAME_CHARS}"
    )))
}

fn bucket_of(arn: Option<&str>) -> Result<String, ApiError> {
    let arn = arn.ok_or_else(|| null("bucketARN"))?;
    match arn.split_once(":s3:::") {
        Some((partition, bucket)) if partition.starts_with("arn:") && s3s::path::check_bucket_name(bucket) => {
            Ok(bucket.to_owned())
        }
        _ => Err(invalid(format!("BucketARN must be like arn:aws:s3:::bucket, and is {arn:?}"))),
    }
}

fn check_hints(request: Option<HintsRequest>) -> Result<Hints, ApiError> {
    let request = request.unwrap_or_default();
    if request.size.is_some() != request.interval.is_some() {
        return Err(invalid("BufferingHints must have both SizeInMBs and IntervalInSeconds, or neither"));
    }
    let size = in_range("SizeInMBs", request.size.unwrap_or(DEFAULT_SIZE_MIB), 1, MAX_SIZE_MIB)?;
    let interval = request.interval.unwrap_or(DEFAULT_INTERVAL_SECONDS);
    let interval = in_range("IntervalInSeconds", interval, 0, MAX_INTERVAL_SECONDS)?;
    Ok(Hints { bytes: usize::try_from(size).unwrap_or_default() * MIB, interval: Duration::from_secs(interval) })
}

fn in_range(member: &str, value: i64, least: i64, most: i64) -> Result<u64, ApiError> {
    match u64::try_from(value) {
        Ok(number) if (least..=most).contains(&value) => Ok(number),
        _ => Err(invalid(format!("{member} must be between {least} and {most}, and is {value}"))),
    }
}

fn check_compression(format: Option<&str>) -> Result<Compression, ApiError> {
    match format {
        None | Some("UNCOMPRESSED") => Ok(Compression::Uncompressed),
        Some("GZIP") => Ok(Compression::Gzip),
        Some(format @ ("ZIP" | "Snappy" | "HADOOP_SNAPPY")) => Err(lacks(&format!("CompressionFormat {format}"))),
        Some(format) => Err(invalid(format!(
            "CompressionFormat {format:?} is none of UNCOMPRESSED, GZIP, ZIP, Snappy, HADOOP_SNAPPY"
        ))),
    }
}

fn null(member: &str) -> ApiError {
    invalid(format!(
        "1 validation error detected: Value null at 's3DestinationConfiguration.{member}' failed to satisfy constraint: Member must not be null"
    ))
}

fn lacks(what: &str) -> ApiError {
    invalid(format!("the emulator's Firehose lacks {what}: leave it out"))
}

#[cfg(test)]
mod tests;
