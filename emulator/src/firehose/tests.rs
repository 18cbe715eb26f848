//! Firehose over its S3, without HTTP.

mod processed;
mod quotas;
mod sourced;

use super::definition::{Definition, MIB};
use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// A delivery stream that writes to the bucket `lake`, with what `destination` adds to that.
pub(super) fn definition(name: &str, mut destination: Value) -> Definition {
    destination["RoleARN"] = json!("arn:aws:iam::000000000000:role/firehose");
    destination["BucketARN"] = json!("arn:aws:s3:::lake");
    let request = json!({ "DeliveryStreamName": name, "ExtendedS3DestinationConfiguration": destination });
    let request = serde_json::from_value(request).expect("a request");
    Definition::check(request, SystemTime::UNIX_EPOCH, Duration::ZERO).expect("a definition")
}

struct World {
    firehose: Firehose,
    clock: Clock,
    kinesis: Kinesis,
    root: TempDir,
}

impl World {
    fn new() -> Self {
        Self::with(false, Duration::ZERO)
    }

    fn with(limits: bool, state_delay: Duration) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let (s3, clock) = (S3::open(root.path()).expect("an S3"), Clock::new(1.0).expect("a clock"));
        let kinesis = Kinesis::new(clock.clone(), None, limits, state_delay);
        let random = Random::seeded(7);
        let (faults, journals) = (Faults::new(clock.clone()), Journals::new(None));
        let setup =
            Setup { clock: clock.clone(), s3, kinesis: kinesis.clone(), random, faults, journals, limits, state_delay };
        Self { firehose: Firehose::new(setup), clock, kinesis, root }
    }

    fn with_bucket() -> Self {
        Self::new().and_bucket("lake")
    }

    fn and_bucket(self, name: &str) -> Self {
        std::fs::create_dir(self.root.path().join(name)).expect("a bucket");
        self
    }

    async fn call(&self, operation: &str, body: Value) -> Value {
        let response = self.firehose.call(operation, body.to_string().as_bytes()).await;
        let status = response.status();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let value: Value = serde_json::from_slice(&body).expect("JSON");
        assert!(status.is_success() || value["__type"].is_string(), "{status}: {value}");
        value
    }

    async fn create(&self, compression: &str) {
        self.create_with(json!({ "CompressionFormat": compression })).await;
    }

    async fn create_with(&self, mut destination: Value) {
        destination["RoleARN"] = json!("r");
        destination["BucketARN"] = json!("arn:aws:s3:::lake");
        destination["Prefix"] = json!("raw/");
        destination["BufferingHints"] = json!({ "SizeInMBs": 1, "IntervalInSeconds": 900 });
        let request = json!({ "DeliveryStreamName": "orders", "ExtendedS3DestinationConfiguration": destination });
        let created = self.call("CreateDeliveryStream", request).await;
        assert_eq!(created["DeliveryStreamARN"], "arn:aws:firehose:us-east-1:000000000000:deliverystream/orders");
    }

    async fn update(&self, version: &str, changes: Value) -> Value {
        let request = json!({
            "DeliveryStreamName": "orders",
            "CurrentDeliveryStreamVersionId": version,
            "DestinationId": "destinationId-000000000001",
            "ExtendedS3DestinationUpdate": changes,
        });
        self.call("UpdateDestination", request).await
    }

    async fn describe(&self) -> Value {
        let described = self.call("DescribeDeliveryStream", json!({ "DeliveryStreamName": "orders" })).await;
        described["DeliveryStreamDescription"].clone()
    }

    async fn put(&self, records: &[&[u8]]) -> Value {
        let records: Vec<_> = records.iter().map(|record| json!({ "Data": STANDARD.encode(record) })).collect();
        self.call("PutRecordBatch", json!({ "DeliveryStreamName": "orders", "Records": records })).await
    }

    /// The contents of all objects in `lake`, by their keys.
    fn objects(&self) -> Vec<(String, Vec<u8>)> {
        self.objects_in("lake")
    }

    fn objects_in(&self, bucket: &str) -> Vec<(String, Vec<u8>)> {
        let bucket = self.root.path().join(bucket);
        let mut found: Vec<_> = files(&bucket)
            .into_iter()
            .map(|path| {
                let key = path.strip_prefix(&bucket).expect("below the bucket").display().to_string();
                (key, std::fs::read(path).expect("an object"))
            })
            .collect();
        found.sort();
        found
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn deleting_writes_the_buffer_as_one_object_of_records_joined_verbatim() {
    let world = World::with_bucket();
    world.create("UNCOMPRESSED").await;
    let answer = world.put(&[b"one\n", b"", b"\x1f\x8b\0two"]).await;
    assert_eq!(answer["FailedPutCount"], 0);
    assert_eq!(answer["RequestResponses"].as_array().map(Vec::len), Some(3));
    let single = json!({ "DeliveryStreamName": "orders", "Record": { "Data": STANDARD.encode("three") } });
    assert!(world.call("PutRecord", single).await["RecordId"].is_string());

    world.call("DeleteDeliveryStream", json!({ "DeliveryStreamName": "orders" })).await;

    let objects = world.objects();
    assert_eq!(objects.len(), 1, "{objects:?}");
    let (key, content) = &objects[0];
    assert!(key.starts_with("raw/20") && key.contains("/orders-1-20"), "{key}");
    assert_eq!(content, b"one\n\x1f\x8b\0twothree");
    assert_eq!(world.put(&[b"late"]).await["__type"], "ResourceNotFoundException");
}

#[tokio::test]
async fn stopping_writes_every_buffer() {
    let world = World::with_bucket();
    world.create("UNCOMPRESSED").await;
    world.put(&[b"kept"]).await;
    world.firehose.stop().await;
    let contents: Vec<_> = world.objects().into_iter().map(|(_, content)| content).collect();
    assert_eq!(contents, [b"kept".to_vec()]);
}

#[tokio::test]
async fn objects_that_close_by_size_keep_the_order_of_acceptance() {
    let world = World::with_bucket();
    world.create("UNCOMPRESSED").await;
    let mut sent = Vec::new();
    for round in 0_u8..8 {
        let records: Vec<Vec<u8>> = (0_u8..4).map(|index| vec![round * 4 + index; 100_000]).collect();
        world.put(&records.iter().map(Vec::as_slice).collect::<Vec<_>>()).await;
        sent.extend(records.concat());
    }
    world.firehose.stop().await;

    // Object names end in a random part, so they are put in order by what they hold: the first byte counts up.
    let mut contents: Vec<_> = world.objects().into_iter().map(|(_, content)| content).collect();
    contents.sort();
    let sizes: Vec<_> = contents.iter().map(Vec::len).collect();
    assert_eq!(sizes, [1_100_000, 1_100_000, 1_000_000]);
    assert_eq!(contents.concat(), sent);
}

#[tokio::test]
async fn gzip_makes_one_member_of_the_buffer() {
    use std::io::Read as _;
    let world = World::with_bucket();
    world.create("GZIP").await;
    world.put(&[b"one\n", b"two\n"]).await;
    world.firehose.stop().await;
    let objects = world.objects();
    let (key, content) = objects.first().expect("an object");
    assert!(key.ends_with(".gz"), "{key}");
    let (mut decoder, mut text) = (flate2::read::GzDecoder::new(content.as_slice()), String::new());
    decoder.read_to_string(&mut text).expect("a gzip member");
    assert_eq!(text, "one\ntwo\n");
}

#[tokio::test]
async fn a_full_budget_refuses_single_records_and_gives_back_what_was_written() {
    let mut world = World::with_bucket();
    let inner = Arc::get_mut(&mut world.firehose.0).expect("the only copy");
    inner.budget = Arc::new(Budget::new(1_000));
    world.create("UNCOMPRESSED").await;
    let answer = world.put(&[&[1; 800], &[2; 800], &[3; 50]]).await;
    assert_eq!(answer["FailedPutCount"], 1);
    assert_eq!(answer["RequestResponses"][1]["ErrorCode"], "ServiceUnavailableException");
    assert!(answer["RequestResponses"][2]["RecordId"].is_string(), "{answer}");
    let single = json!({ "DeliveryStreamName": "orders", "Record": { "Data": STANDARD.encode([4; 800]) } });
    assert_eq!(world.call("PutRecord", single).await["__type"], "ServiceUnavailableException");

    world.call("DeleteDeliveryStream", json!({ "DeliveryStreamName": "orders" })).await;
    world.create("UNCOMPRESSED").await;
    assert_eq!(world.put(&[&[5; 800]]).await["FailedPutCount"], 0);
}

#[tokio::test]
async fn a_missing_bucket_does_not_hold_up_deleting_or_stopping() {
    let world = World::new();
    world.create("UNCOMPRESSED").await;
    world.put(&[b"lost"]).await;
    world.call("DeleteDeliveryStream", json!({ "DeliveryStreamName": "orders" })).await;
    world.create("UNCOMPRESSED").await;
    world.put(&[b"lost as well"]).await;
    world.firehose.stop().await;
    assert!(!world.root.path().join("lake").exists(), "a write must not make the bucket");
}

#[tokio::test(start_paused = true)]
async fn a_bucket_made_late_still_gets_its_object() {
    let world = World::new();
    world.create("UNCOMPRESSED").await;
    world.put(&[&[7; MIB / 2], &[7; MIB / 2]]).await;
    // Virtual time: it moves only when nothing else can, so the first write has failed by then.
    tokio::time::sleep(Duration::from_secs(1)).await;
    std::fs::create_dir(world.root.path().join("lake")).expect("a bucket");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(world.objects().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_buffer_is_written_when_its_interval_has_passed() {
    let world = World::with_bucket();
    world.create("UNCOMPRESSED").await;
    world.put(&[b"one "]).await;
    tokio::time::sleep(Duration::from_secs(899)).await;
    world.put(&[b"two"]).await;
    assert_eq!(world.objects(), []);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let contents: Vec<_> = world.objects().into_iter().map(|(_, content)| content).collect();
    assert_eq!(contents, [b"one two".to_vec()]);
}

#[tokio::test]
async fn describing_tells_what_was_asked_for() {
    let world = World::with_bucket();
    let processing = json!({ "Enabled": true, "Processors": [{ "Type": "AppendDelimiterToRecord" }] });
    world
        .create_with(json!({
            "CompressionFormat": "GZIP",
            "FileExtension": ".json.gz",
            "CustomTimeZone": "Asia/Tokyo",
            "ErrorOutputPrefix": "errors/",
            "ProcessingConfiguration": processing,
        }))
        .await;
    let description = world.describe().await;
    assert_eq!(description["DeliveryStreamStatus"], "ACTIVE");
    assert_eq!(description["LastUpdateTimestamp"], Value::Null);
    let destination = &description["Destinations"][0]["ExtendedS3DestinationDescription"];
    assert_eq!(destination["BufferingHints"], json!({ "SizeInMBs": 1, "IntervalInSeconds": 900 }));
    for (member, expected) in [
        ("CompressionFormat", json!("GZIP")),
        ("BucketARN", json!("arn:aws:s3:::lake")),
        ("Prefix", json!("raw/")),
        ("ErrorOutputPrefix", json!("errors/")),
        ("FileExtension", json!(".json.gz")),
        ("CustomTimeZone", json!("Asia/Tokyo")),
        ("ProcessingConfiguration", processing),
    ] {
        assert_eq!(destination[member], expected, "{member}");
    }
}

#[tokio::test]
async fn a_delimiter_follows_each_record() {
    let world = World::with_bucket();
    let processor = json!({
        "Type": "AppendDelimiterToRecord",
        "Parameters": [{ "ParameterName": "Delimiter", "ParameterValue": "\\n" }],
    });
    world.create_with(json!({ "ProcessingConfiguration": { "Enabled": true, "Processors": [processor] } })).await;
    world.put(&[b"one", b"", b"two\n"]).await;
    world.firehose.stop().await;
    let contents: Vec<_> = world.objects().into_iter().map(|(_, content)| content).collect();
    assert_eq!(contents, [b"one\n\ntwo\n\n".to_vec()]);
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_nothing_else() {
    let world = World::with_bucket();
    world.create("GZIP").await;
    world.put(&[b"buffered before "]).await;
    assert_eq!(world.update("1", json!({ "CompressionFormat": "UNCOMPRESSED", "Prefix": null })).await, json!({}));
    world.put(&[b"and after"]).await;
    let description = world.describe().await;
    assert_eq!(description["VersionId"], "2");
    assert!(description["LastUpdateTimestamp"].is_number());

    world.firehose.stop().await;
    let objects = world.objects();
    let (key, content) = objects.first().expect("an object");
    assert!(key.starts_with("raw/20") && key.contains("/orders-2-20"), "{key}");
    assert_eq!(content, b"buffered before and after");
}

#[tokio::test]
async fn an_update_that_is_refused_changes_nothing() {
    let world = World::with_bucket();
    world.create("GZIP").await;
    let before = world.describe().await;
    let stale = world.update("2", json!({ "CompressionFormat": "ZIP" })).await;
    assert_eq!(stale["__type"], "ConcurrentModificationException");
    for changes in [json!({ "CompressionFormat": "LZ4" }), json!({ "S3BackupMode": "Enabled" }), json!({ "Other": 1 })]
    {
        assert_eq!(world.update("1", changes).await["__type"], "InvalidArgumentException");
    }
    assert_eq!(world.describe().await, before);
}

#[tokio::test(start_paused = true)]
async fn another_bucket_takes_what_waits_for_one_that_is_missing() {
    let world = World::new();
    world.create("UNCOMPRESSED").await;
    world.put(&[&[7; MIB / 2], &[7; MIB / 2]]).await;
    // Virtual time: it moves only when nothing else can, so the first write has failed by then.
    tokio::time::sleep(Duration::from_secs(1)).await;
    std::fs::create_dir(world.root.path().join("pond")).expect("a bucket");
    assert_eq!(world.update("1", json!({ "BucketARN": "arn:aws:s3:::pond" })).await, json!({}));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(files(&world.root.path().join("pond")).len(), 1);
}

#[tokio::test]
async fn errors_have_the_names_that_sdks_know() {
    let world = World::with_bucket();
    world.create("UNCOMPRESSED").await;
    let again = json!({
        "DeliveryStreamName": "orders",
        "S3DestinationConfiguration": { "RoleARN": "r", "BucketARN": "arn:aws:s3:::lake" },
    });
    assert_eq!(world.call("CreateDeliveryStream", again).await["__type"], "ResourceInUseException");
    let missing = json!({ "DeliveryStreamName": "none" });
    for operation in ["DescribeDeliveryStream", "DeleteDeliveryStream"] {
        assert_eq!(world.call(operation, missing.clone()).await["__type"], "ResourceNotFoundException");
    }
    assert_eq!(world.call("MoveDeliveryStream", missing).await["__type"], "UnknownOperationException");
    assert_eq!(world.call("CreateDeliveryStream", json!([])).await["__type"], "SerializationException");
}
