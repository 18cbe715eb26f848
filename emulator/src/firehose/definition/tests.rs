use super::*;
use crate::firehose::buffer::Hints;
use crate::firehose::compress::Compression;
use crate::firehose::processing::Pipeline;
use serde_json::json;
use std::time::Duration;

fn check(name: &str, destination: Value) -> Result<Definition, ApiError> {
    let request = json!({ "DeliveryStreamName": name, "ExtendedS3DestinationConfiguration": destination });
    Definition::check(serde_json::from_value(request).expect("a request"), SystemTime::UNIX_EPOCH, Duration::ZERO)
}

fn with(member: &str, value: Value) -> Result<Definition, ApiError> {
    let mut destination = json!({ "RoleARN": "arn:aws:iam::000000000000:role/r", "BucketARN": "arn:aws:s3:::lake" });
    destination.as_object_mut().expect("an object").insert(member.to_owned(), value);
    check("orders", destination)
}

#[test]
fn what_is_left_out_has_the_defaults_of_aws() {
    let definition = with("Prefix", json!("raw/")).expect("a definition");
    let destination = &definition.destination;
    assert_eq!(destination.bucket, "lake");
    assert_eq!(destination.hints, Hints { bytes: 5 * MIB, interval: Duration::from_secs(300) });
    assert_eq!(destination.compression, Compression::Uncompressed);
    assert_eq!((destination.time_zone(), destination.extension()), ("UTC", ""));
    assert_eq!((&destination.pipeline, &destination.backup), (&Pipeline::default(), &None));
    assert_eq!(definition.arn(), "arn:aws:firehose:us-east-1:000000000000:deliverystream/orders");
}

#[test]
fn hints_are_taken_within_their_bounds() {
    for (size, interval) in [(1, 0), (128, 900)] {
        let hints = json!({ "SizeInMBs": size, "IntervalInSeconds": interval });
        with("BufferingHints", hints).unwrap_or_else(|error| panic!("{size} {interval}: {error}"));
    }
    for hints in [
        json!({ "SizeInMBs": 0, "IntervalInSeconds": 60 }),
        json!({ "SizeInMBs": 129, "IntervalInSeconds": 60 }),
        json!({ "SizeInMBs": 1, "IntervalInSeconds": 901 }),
        json!({ "SizeInMBs": 1, "IntervalInSeconds": -1 }),
        json!({ "SizeInMBs": 1 }),
        json!({ "IntervalInSeconds": 60 }),
    ] {
        assert_eq!(with("BufferingHints", hints).expect_err("a refusal").code, "InvalidArgumentException");
    }
}

#[test]
fn what_the_emulator_lacks_is_named() {
    let cases = [
        (
            "ProcessingConfiguration",
            json!({ "Enabled": true, "Processors": [{ "Type": "Lambda" }] }),
            "lacks the processor Lambda",
        ),
        ("Prefix", json!("!{partitionKeyFromLambda:a}/"), "lacks !{partitionKeyFromLambda:a}"),
        ("DynamicPartitioningConfiguration", json!({ "Enabled": true }), "lacks DynamicPartitioningConfiguration"),
        ("DataFormatConversionConfiguration", json!({}), "lacks DataFormatConversionConfiguration"),
        ("EncryptionConfiguration", json!({ "KMSEncryptionConfig": {} }), "lacks EncryptionConfiguration"),
    ];
    for (member, value, expected) in cases {
        let error = with(member, value).expect_err(member);
        assert!(error.message.contains(expected), "{error}");
        assert_eq!(error.code, "InvalidArgumentException");
    }
}

#[test]
fn what_is_switched_off_is_nothing() {
    for (member, value) in [
        ("ProcessingConfiguration", json!({ "Enabled": false, "Processors": [] })),
        ("CloudWatchLoggingOptions", json!({ "Enabled": true, "LogGroupName": "g" })),
        ("CustomTimeZone", json!("")),
        ("FileExtension", json!("")),
        ("EncryptionConfiguration", json!({ "NoEncryptionConfig": "NoEncryption" })),
        ("S3BackupConfiguration", Value::Null),
    ] {
        with(member, value).unwrap_or_else(|error| panic!("{member}: {error}"));
    }
}

#[test]
fn names_and_buckets_are_checked() {
    let destination = json!({ "RoleARN": "r", "BucketARN": "arn:aws:s3:::lake" });
    for name in ["", "a b", "é", &"x".repeat(65)] {
        check(name, destination.clone()).expect_err(name);
    }
    check(&"x".repeat(64), destination).expect("the longest name");
    for arn in ["lake", "arn:aws:s3:::", "arn:aws:s3:::../up", "arn:aws:s3:::lake/key"] {
        check("orders", json!({ "RoleARN": "r", "BucketARN": arn })).expect_err(arn);
    }
}

#[test]
fn role_bucket_and_destination_are_required() {
    check("orders", json!({ "BucketARN": "arn:aws:s3:::lake" })).expect_err("no role");
    check("orders", json!({ "RoleARN": "r" })).expect_err("no bucket");
    let none = serde_json::from_value(json!({ "DeliveryStreamName": "orders" })).expect("a request");
    Definition::check(none, SystemTime::UNIX_EPOCH, Duration::ZERO).expect_err("no destination");
}

#[test]
fn another_source_or_destination_is_refused() {
    for (member, value) in [
        ("DeliveryStreamType", json!("MSKAsSource")),
        ("DeliveryStreamType", json!("KinesisStreamAsSource")),
        ("KinesisStreamSourceConfiguration", json!({ "KinesisStreamARN": "s", "RoleARN": "r" })),
        ("SplunkDestinationConfiguration", json!({})),
    ] {
        let mut request = json!({ "DeliveryStreamName": "orders", "S3DestinationConfiguration": { "RoleARN": "r", "BucketARN": "arn:aws:s3:::lake" } });
        request.as_object_mut().expect("an object").insert(member.to_owned(), value);
        let request = serde_json::from_value(request).expect("a request");
        let error = Definition::check(request, SystemTime::UNIX_EPOCH, Duration::ZERO).expect_err(member);
        assert!(error.message.contains(member), "{error}");
    }
}

#[test]
fn time_zones_are_utc_or_the_machines_own() {
    let zone = with("CustomTimeZone", json!("Asia/Tokyo")).expect("a time zone");
    assert_eq!(zone.destination.time_zone(), "Asia/Tokyo");
    assert_eq!(zone.destination.local_time(SystemTime::UNIX_EPOCH).to_string(), "1970-01-01T09:00:00");
    let long = "a".repeat(51);
    for name in ["EST", "asia/tokyo", "Europe/Atlantis", "Etc/GMT+5", "../etc/passwd", long.as_str()] {
        let error = with("CustomTimeZone", json!(name)).expect_err(name);
        assert!(error.message.contains("CustomTimeZone"), "{error}");
    }
}

#[test]
fn file_extensions_have_the_characters_of_aws() {
    let longest = format!(".{}", "x".repeat(127));
    for extension in [".json.gz", ".a1!-_*'()", longest.as_str()] {
        let definition = with("FileExtension", json!(extension)).unwrap_or_else(|error| panic!("{extension}: {error}"));
        assert_eq!(definition.destination.extension(), extension);
    }
    for extension in ["json", ".", ".JSON", ".a/b", ".a b", &format!("{longest}x")] {
        let error = with("FileExtension", json!(extension)).expect_err(extension);
        assert!(error.message.contains("FileExtension"), "{error}");
    }
}

#[test]
fn a_prefix_is_measured_when_it_is_evaluated() {
    // The hour's path after it has 14 characters.
    with("Prefix", json!("x".repeat(498))).expect("the longest prefix");
    let error = with("Prefix", json!("x".repeat(499))).expect_err("a prefix that is too long");
    assert!(error.message.contains("more than 512 characters"), "{error}");
    let error = with("ErrorOutputPrefix", json!("x".repeat(490))).expect_err("an error prefix that is too long");
    assert!(error.message.contains("ErrorOutputPrefix has more than 512 characters"), "{error}");
}

#[test]
fn a_member_of_the_wrong_type_is_a_serialisation_error() {
    for (member, value) in [("Prefix", json!(1)), ("ProcessingConfiguration", json!("on"))] {
        assert_eq!(with(member, value).expect_err(member).code, "SerializationException");
    }
}

#[test]
fn a_kinesis_stream_is_a_source_that_encrypts_by_itself() {
    let request = |more: Value| {
        let mut request = json!({
            "DeliveryStreamName": "orders",
            "DeliveryStreamType": "KinesisStreamAsSource",
            "KinesisStreamSourceConfiguration": { "KinesisStreamARN": "s", "RoleARN": "reader" },
            "S3DestinationConfiguration": { "RoleARN": "r", "BucketARN": "arn:aws:s3:::lake" },
        });
        request.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let request = serde_json::from_value(request).expect("a request");
        Definition::check(request, SystemTime::UNIX_EPOCH, Duration::from_secs(30))
    };
    let definition = request(json!({})).expect("a definition");
    let expected =
        Source { stream_arn: "s".to_owned(), role_arn: "reader".to_owned(), started: SystemTime::UNIX_EPOCH };
    assert_eq!(definition.source, Some(expected));
    let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    assert_eq!((definition.status(at(29)), definition.status(at(30))), (Status::Creating, Status::Active));
    assert_eq!(definition.check_active(at(29)).expect_err("too early").code, "ResourceInUseException");
    let encrypted = request(json!({ "DeliveryStreamEncryptionConfigurationInput": { "KeyType": "AWS_OWNED_CMK" } }));
    assert!(encrypted.expect_err("encryption").message.contains("not permitted on KinesisStreamAsSource"));
}

#[test]
fn a_backup_needs_a_place_and_has_neither_backup_nor_processors() {
    let place = json!({ "RoleARN": "r", "BucketARN": "arn:aws:s3:::pond", "Prefix": "copies/" });
    let backup = |mode: Value, place: Value| {
        let destination = json!({ "RoleARN": "r", "BucketARN": "arn:aws:s3:::lake", "S3BackupMode": mode, "S3BackupConfiguration": place });
        check("orders", destination)
    };
    let definition = backup(json!("Enabled"), place.clone()).expect("a backup");
    assert_eq!(definition.destination_of(Lane::Backup).bucket, "pond");
    assert_eq!(definition.destination_of(Lane::Data).bucket, "lake");
    assert_eq!(backup(json!("Disabled"), place.clone()).expect("none").destination.backup, None);
    backup(json!("Enabled"), Value::Null).expect_err("no place");
    backup(json!("FailedDataOnly"), place.clone()).expect_err("no such mode");
    for member in ["S3BackupMode", "S3BackupConfiguration", "ProcessingConfiguration"] {
        let mut place = place.clone();
        place[member] = json!({});
        assert!(backup(json!("Enabled"), place).expect_err(member).message.contains(member));
    }
}

#[test]
fn a_backup_is_changed_by_its_members_and_not_switched_off() {
    let place = json!({ "RoleARN": "r", "BucketARN": "arn:aws:s3:::pond", "Prefix": "copies/" });
    let definition = with("S3BackupMode", json!("Disabled")).expect("none");
    let change = |definition: &Definition, changes: Value| {
        let request = json!({
            "DeliveryStreamName": "orders",
            "CurrentDeliveryStreamVersionId": definition.version.to_string(),
            "DestinationId": DESTINATION_ID,
            "ExtendedS3DestinationUpdate": changes,
        });
        definition.changed(serde_json::from_value(request).expect("a request"), SystemTime::UNIX_EPOCH)
    };
    let on = change(&definition, json!({ "S3BackupMode": "Enabled", "S3BackupUpdate": place })).expect("a backup");
    let moved = change(&on, json!({ "S3BackupUpdate": { "BucketARN": "arn:aws:s3:::sea" } })).expect("another bucket");
    let backup = moved.destination_of(Lane::Backup);
    assert_eq!((backup.bucket.as_str(), moved.members[BACKUP]["Prefix"].as_str()), ("sea", Some("copies/")));
    change(&moved, json!({ "S3BackupMode": "Disabled" })).expect_err("it stays on");
}

#[test]
fn encryption_takes_its_time_and_the_key_that_fits() {
    let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    let request = |value: Value| serde_json::from_value::<EncryptionRequest>(value).expect("a request");
    let owned = Encryption::enabled(request(json!({})), at(10)).expect("the default");
    assert_eq!(owned.describe(at(9)), json!({ "Status": "ENABLING", "KeyType": "AWS_OWNED_CMK" }));
    assert_eq!((owned.holds(at(9)), owned.holds(at(10))), (false, true));
    let managed = json!({ "KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": "k" });
    let described = Encryption::enabled(request(managed), at(0)).expect("a key").describe(at(0));
    assert_eq!(described, json!({ "Status": "ENABLED", "KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": "k" }));
    assert_eq!(Encryption::disabled(at(5)).describe(at(4)), json!({ "Status": "DISABLING" }));
    for wrong in [
        json!({ "KeyType": "CUSTOMER_MANAGED_CMK" }),
        json!({ "KeyType": "AWS_OWNED_CMK", "KeyARN": "k" }),
        json!({ "KeyType": "OWN" }),
    ] {
        Encryption::enabled(request(wrong), at(0)).expect_err("a refusal");
    }
}
