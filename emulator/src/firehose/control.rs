//! Describing and listing delivery streams.

use super::definition::{BACKUP, DESTINATION_ID, Definition, Destination, MIB, Source};
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

/// A page of the names in `streams`, which must be sorted and have their types with them.
pub(super) fn list<'a>(
    request: &ListRequest,
    streams: impl Iterator<Item = (&'a str, &'static str)>,
) -> Result<Value, ApiError> {
    let limit = request.limit.unwrap_or(DEFAULT_NAMES);
    if !(1..=MAX_NAMES).contains(&limit) {
        return Err(invalid(format!("Limit must be between 1 and {MAX_NAMES}, and is {limit}")));
    }
    let wanted = request.delivery_stream_type.as_deref();
    let after = request.exclusive_start_delivery_stream_name.as_deref();
    let mut names = streams
        .filter(|(name, kind)| wanted.is_none_or(|wanted| wanted == *kind) && after.is_none_or(|after| *name > after))
        .map(|(name, _)| name);
    let page: Vec<&str> = names.by_ref().take(limit).collect();
    Ok(json!({ "DeliveryStreamNames": page, "HasMoreDeliveryStreams": names.next().is_some() }))
}

/// The answer of DescribeDeliveryStream at `now`.
pub(super) fn describe(definition: &Definition, now: SystemTime) -> Value {
    let source = definition.source.as_ref();
    let mut description = json!({
        "DeliveryStreamName": definition.name,
        "DeliveryStreamARN": definition.arn(),
        "DeliveryStreamStatus": definition.status(now).name(),
        "DeliveryStreamType": Source::kind(source),
        "DeliveryStreamEncryptionConfiguration": definition.encryption.describe(now),
        "VersionId": definition.version.to_string(),
        "CreateTimestamp": seconds(definition.created),
        "HasMoreDestinations": false,
        "Destinations": [{
            "DestinationId": DESTINATION_ID,
            "S3DestinationDescription": destination(&definition.destination, &definition.members),
            "ExtendedS3DestinationDescription": extended(definition),
        }],
    });
    let updated = definition.updated.map(|updated| ("LastUpdateTimestamp", json!(seconds(updated))));
    let source = source.map(|source| {
        let described = json!({
            "KinesisStreamARN": source.stream_arn,
            "RoleARN": source.role_arn,
            "DeliveryStartTimestamp": seconds(source.started),
        });
        ("Source", json!({ "KinesisStreamSourceDescription": described }))
    });
    if let Some(members) = description.as_object_mut() {
        members.extend(updated.into_iter().chain(source).map(|(name, value)| (name.to_owned(), value)));
    }
    json!({ "DeliveryStreamDescription": description })
}

fn extended(definition: &Definition) -> Map<String, Value> {
    let mut extended = destination(&definition.destination, &definition.members);
    let backup = definition.destination.backup.as_deref();
    extended.insert("S3BackupMode".to_owned(), json!(if backup.is_some() { "Enabled" } else { "Disabled" }));
    if let (Some(backup), Some(members)) = (backup, definition.members.get(BACKUP).and_then(Value::as_object)) {
        extended.insert("S3BackupDescription".to_owned(), Value::Object(destination(backup, members)));
    }
    extended.insert("CustomTimeZone".to_owned(), json!(definition.destination.time_zone()));
    copy(&definition.members, &["FileExtension", "ProcessingConfiguration"], &mut extended);
    extended
}

/// A destination whose request had these `members`.
fn destination(destination: &Destination, members: &Map<String, Value>) -> Map<String, Value> {
    let mut described = Map::new();
    copy(members, &["Prefix", "ErrorOutputPrefix"], &mut described);
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
fn copy(members: &Map<String, Value>, names: &[&str], to: &mut Map<String, Value>) {
    let given = members.iter().filter(|(name, value)| names.contains(&name.as_str()) && !value.is_null());
    to.extend(given.map(|(name, value)| (name.clone(), value.clone())));
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAMS: [(&str, &str); 3] = [("a", "DirectPut"), ("b", "KinesisStreamAsSource"), ("c", "DirectPut")];

    fn page(request: Value) -> Value {
        let request: ListRequest = serde_json::from_value(request).expect("a request");
        list(&request, STREAMS.into_iter()).expect("a page")
    }

    #[test]
    fn pages_follow_each_other() {
        let first = page(json!({ "Limit": 2 }));
        assert_eq!(first, json!({ "DeliveryStreamNames": ["a", "b"], "HasMoreDeliveryStreams": true }));
        let second = page(json!({ "Limit": 2, "ExclusiveStartDeliveryStreamName": "b" }));
        assert_eq!(second, json!({ "DeliveryStreamNames": ["c"], "HasMoreDeliveryStreams": false }));
    }

    #[test]
    fn delivery_streams_are_listed_by_type() {
        for (kind, expected) in
            [("DirectPut", json!(["a", "c"])), ("KinesisStreamAsSource", json!(["b"])), ("MSKAsSource", json!([]))]
        {
            assert_eq!(page(json!({ "DeliveryStreamType": kind }))["DeliveryStreamNames"], expected);
        }
    }

    #[test]
    fn a_limit_of_zero_is_refused() {
        let request: ListRequest = serde_json::from_value(json!({ "Limit": 0 })).expect("a request");
        assert_eq!(list(&request, STREAMS.into_iter()).expect_err("no page").code, "InvalidArgumentException");
    }
}
