//! Describing and listing delivery streams.

use super::definition::{DESTINATION_ID, Definition, MIB};
use super::invalid;
use crate::api::ApiError;
use serde::Deserialize;
use serde_json::{Map, Value, json};
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
    let plain = destination(definition);
    let mut extended = plain.clone();
    extended.insert("S3BackupMode".to_owned(), json!("Disabled"));
    extended.insert("CustomTimeZone".to_owned(), json!(definition.destination.time_zone()));
    copy(definition, &["FileExtension", "ProcessingConfiguration"], &mut extended);
    let mut description = json!({
        "DeliveryStreamName": definition.name,
        "DeliveryStreamARN": definition.arn(),
        "DeliveryStreamStatus": "ACTIVE",
        "DeliveryStreamType": "DirectPut",
        "DeliveryStreamEncryptionConfiguration": { "Status": "DISABLED" },
        "VersionId": definition.version.to_string(),
        "CreateTimestamp": seconds(definition.created),
        "HasMoreDestinations": false,
        "Destinations": [{
            "DestinationId": DESTINATION_ID,
            "S3DestinationDescription": plain,
            "ExtendedS3DestinationDescription": extended,
        }],
    });
    if let (Some(updated), Some(members)) = (definition.updated, description.as_object_mut()) {
        members.insert("LastUpdateTimestamp".to_owned(), json!(seconds(updated)));
    }
    json!({ "DeliveryStreamDescription": description })
}

fn destination(definition: &Definition) -> Map<String, Value> {
    let destination = &definition.destination;
    let mut described = Map::new();
    copy(definition, &["Prefix", "ErrorOutputPrefix"], &mut described);
    described.entry("Prefix").or_insert_with(|| json!(""));
    let members = [
        ("RoleARN", json!(destination.role_arn)),
        ("BucketARN", json!(format!("arn:aws:s3:::{}", destination.bucket))),
        (
            "BufferingHints",
            json!({
                "SizeInMBs": destination.hints.bytes / MIB,
                "IntervalInSeconds": destination.hints.interval.as_secs(),
            }),
        ),
        ("CompressionFormat", json!(destination.compression.name())),
        ("EncryptionConfiguration", json!({ "NoEncryptionConfig": "NoEncryption" })),
        ("CloudWatchLoggingOptions", json!({ "Enabled": false })),
    ];
    described.extend(members.map(|(name, value)| (name.to_owned(), value)));
    described
}

/// Members that are told as they were given.
fn copy(definition: &Definition, names: &[&str], to: &mut Map<String, Value>) {
    let given = definition.members.iter().filter(|(name, value)| names.contains(&name.as_str()) && !value.is_null());
    to.extend(given.map(|(name, value)| (name.clone(), value.clone())));
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
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
