//! Describing and listing delivery streams.

use super::definition::Definition;
use super::invalid;
use crate::api::ApiError;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::SystemTime;

/// Names that one ListDeliveryStreams returns if it does not say how many, and the most it may ask for
/// (<https://docs.aws.amazon.com/firehose/latest/APIReference/API_ListDeliveryStreams.html>).
const DEFAULT_NAMES: usize = 10;
const MAX_NAMES: usize = 10_000;

/// A request that names one delivery stream.
#[derive(Deserialize)]
pub(super) struct Named {
    #[serde(rename = "DeliveryStreamName")]
    pub(super) name: String,
}

/// A ListDeliveryStreams request.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ListRequest {
    limit: Option<usize>,
    delivery_stream_type: Option<String>,
    exclusive_start_delivery_stream_name: Option<String>,
}

/// A page of `names`, which must be sorted.
pub(super) fn list<'a>(request: &ListRequest, names: impl Iterator<Item = &'a str>) -> Result<Value, ApiError> {
    let limit = request.limit.unwrap_or(DEFAULT_NAMES);
    if !(1..=MAX_NAMES).contains(&limit) {
        return Err(invalid(format!("Limit must be between 1 and {MAX_NAMES}, and is {limit}")));
    }
    let of_type = request.delivery_stream_type.as_deref().is_none_or(|wanted| wanted == "DirectPut");
    let after = request.exclusive_start_delivery_stream_name.as_deref();
    let mut names = names.filter(|name| of_type && after.is_none_or(|after| *name > after));
    let page: Vec<&str> = names.by_ref().take(limit).collect();
    Ok(json!({ "DeliveryStreamNames": page, "HasMoreDeliveryStreams": names.next().is_some() }))
}

/// The answer of DescribeDeliveryStream.
pub(super) fn describe(definition: &Definition) -> Value {
    let created = definition.created.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let plain = destination(definition);
    let mut extended = plain.clone();
    if let Some(members) = extended.as_object_mut() {
        members.insert("S3BackupMode".to_owned(), json!("Disabled"));
        members.insert("CustomTimeZone".to_owned(), json!("UTC"));
    }
    json!({ "DeliveryStreamDescription": {
        "DeliveryStreamName": definition.name,
        "DeliveryStreamARN": definition.arn(),
        "DeliveryStreamStatus": "ACTIVE",
        "DeliveryStreamType": "DirectPut",
        "DeliveryStreamEncryptionConfiguration": { "Status": "DISABLED" },
        "VersionId": definition.version.to_string(),
        "CreateTimestamp": created,
        "HasMoreDestinations": false,
        "Destinations": [{
            "DestinationId": "destinationId-000000000001",
            "S3DestinationDescription": plain,
            "ExtendedS3DestinationDescription": extended,
        }],
    }})
}

fn destination(definition: &Definition) -> Value {
    let mut destination = json!({
        "RoleARN": definition.role_arn,
        "BucketARN": format!("arn:aws:s3:::{}", definition.bucket),
        "Prefix": definition.prefix,
        "BufferingHints": {
            "SizeInMBs": definition.hints.bytes / super::definition::MIB,
            "IntervalInSeconds": definition.hints.interval.as_secs(),
        },
        "CompressionFormat": definition.compression.name(),
        "EncryptionConfiguration": { "NoEncryptionConfig": "NoEncryption" },
        "CloudWatchLoggingOptions": { "Enabled": false },
    });
    if let (Some(prefix), Some(members)) = (&definition.error_prefix, destination.as_object_mut()) {
        members.insert("ErrorOutputPrefix".to_owned(), json!(prefix));
    }
    destination
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["a", "b", "c"];

    fn page(request: Value) -> Value {
        let request: ListRequest = serde_json::from_value(request).expect("a request");
        list(&request, NAMES.into_iter()).expect("a page")
    }

    #[test]
    fn pages_follow_each_other() {
        let first = page(json!({ "Limit": 2 }));
        assert_eq!(first, json!({ "DeliveryStreamNames": ["a", "b"], "HasMoreDeliveryStreams": true }));
        let second = page(json!({ "Limit": 2, "ExclusiveStartDeliveryStreamName": "b" }));
        assert_eq!(second, json!({ "DeliveryStreamNames": ["c"], "HasMoreDeliveryStreams": false }));
    }

    #[test]
    fn all_delivery_streams_are_direct_put() {
        assert_eq!(page(json!({ "DeliveryStreamType": "DirectPut" }))["DeliveryStreamNames"], json!(NAMES));
        assert_eq!(page(json!({ "DeliveryStreamType": "KinesisStreamAsSource" }))["DeliveryStreamNames"], json!([]));
    }

    #[test]
    fn a_limit_of_zero_is_refused() {
        let request: ListRequest = serde_json::from_value(json!({ "Limit": 0 })).expect("a request");
        assert_eq!(list(&request, NAMES.into_iter()).expect_err("no page").code, "InvalidArgumentException");
    }
}
