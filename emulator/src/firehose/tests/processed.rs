//! Records that are processed, copied, or fail.

use super::*;
use flate2::write::GzEncoder;
use std::io::Write as _;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

fn envelope(messages: &[&str]) -> Vec<u8> {
    let events: Vec<_> =
        messages.iter().map(|message| json!({ "id": "1", "timestamp": 1, "message": message })).collect();
    gzip(json!({ "messageType": "DATA_MESSAGE", "logEvents": events }).to_string().as_bytes())
}

fn logs() -> Value {
    let extract = json!([{ "ParameterName": "DataMessageExtraction", "ParameterValue": "true" }]);
    json!({
        "Enabled": true,
        "Processors": [
            { "Type": "Decompression" },
            { "Type": "CloudWatchLogProcessing", "Parameters": extract },
            { "Type": "AppendDelimiterToRecord" },
        ],
    })
}

#[tokio::test]
async fn records_that_cannot_be_processed_go_to_the_error_prefix_and_the_others_on() {
    let world = World::with_bucket();
    world
        .create_with(json!({
            "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/",
            "ProcessingConfiguration": logs(),
        }))
        .await;
    let (first, plain, other, last) =
        (envelope(&["one", "two"]), b"no gzip", gzip(b"no envelope"), envelope(&["three"]));
    let answer = world.put(&[&first, plain, &other, &last]).await;
    assert_eq!(answer["FailedPutCount"], 0, "Firehose took all of them: {answer}");
    world.firehose.stop().await;

    let objects = world.objects();
    let of = |prefix: &str| {
        let found: Vec<_> = objects.iter().filter(|(key, _)| key.starts_with(prefix)).collect();
        let [(key, content)] = found[..] else { panic!("{prefix}: {objects:?}") };
        (key.clone(), String::from_utf8(content.clone()).expect("text"))
    };
    assert_eq!(of("raw/20").1, "one\ntwo\nthree\n");
    for (kind, raw) in [("decompression-failed", &plain[..]), ("processing-failed", &other)] {
        let (key, content) = of(&format!("errors/{kind}/orders-1-20"));
        assert!(!key.contains('.'), "{key}");
        let line: Value = serde_json::from_str(content.strip_suffix('\n').expect("one line")).expect("JSON");
        assert_eq!(line["rawData"], STANDARD.encode(raw), "as it arrived");
    }
    assert_eq!(objects.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn failed_records_wait_for_their_bucket_as_others_do() {
    let world = World::new();
    world.create_with(json!({ "ProcessingConfiguration": logs() })).await;
    world.put(&[b"no gzip"]).await;
    tokio::time::sleep(Duration::from_secs(1_000)).await;
    let world = world.and_bucket("lake");
    tokio::time::sleep(Duration::from_secs(10)).await;
    let objects = world.objects();
    assert!(objects[0].0.starts_with("raw/decompression-failed/20"), "{objects:?}");
}

#[tokio::test]
async fn the_backup_has_what_arrived() {
    let world = World::with_bucket().and_bucket("pond");
    world
        .create_with(json!({
            "ProcessingConfiguration": logs(),
            "S3BackupMode": "Enabled",
            "S3BackupConfiguration": { "RoleARN": "b", "BucketARN": "arn:aws:s3:::pond", "Prefix": "copies/" },
        }))
        .await;
    let described = world.describe().await;
    let described = &described["Destinations"][0]["ExtendedS3DestinationDescription"];
    assert_eq!(
        (&described["S3BackupMode"], &described["S3BackupDescription"]["Prefix"]),
        (&json!("Enabled"), &json!("copies/"))
    );
    let record = envelope(&["one"]);
    world.put(&[&record, b"no gzip"]).await;
    world.firehose.stop().await;
    let copies = world.objects_in("pond");
    assert_eq!(copies.len(), 1);
    assert!(copies[0].0.starts_with("copies/20") && copies[0].1 == [&record[..], b"no gzip"].concat());
    let objects = world.objects();
    assert!(objects.iter().any(|(_, content)| content == b"one\n") && objects.len() == 2, "{objects:?}");
}

#[tokio::test(start_paused = true)]
async fn records_that_s3_refuses_are_lost_a_day_after_they_came_in() {
    let world = World::new();
    world.create("UNCOMPRESSED").await;
    assert_eq!(world.put(&[&[1; MIB / 2], &[1; MIB / 2]]).await["FailedPutCount"], 0);
    tokio::time::sleep(Duration::from_secs(12 * 3_600)).await;
    assert_eq!(world.put(&[&[2; MIB / 2], &[2; MIB / 2]]).await["FailedPutCount"], 0);
    // The first is given up a day after it came in; the second waited behind it, and is twelve hours old then.
    tokio::time::sleep(Duration::from_secs(12 * 3_600 + 60)).await;
    let world = world.and_bucket("lake");
    tokio::time::sleep(Duration::from_secs(10)).await;
    let contents: Vec<_> = world.objects().into_iter().map(|(_, content)| content[0]).collect();
    assert_eq!(contents, [2]);
}

#[tokio::test]
async fn what_grows_too_much_for_the_budget_is_refused_with_all_after_it() {
    let mut world = World::with_bucket();
    let inner = Arc::get_mut(&mut world.firehose.0).expect("the only copy");
    inner.budget = Arc::new(Budget::new(1_000));
    world
        .create_with(
            json!({ "ProcessingConfiguration": { "Enabled": true, "Processors": [{ "Type": "Decompression" }] } }),
        )
        .await;
    let answer = world.put(&[&gzip(b"small"), &gzip(&[0; 10_000]), &gzip(b"small")]).await;
    assert_eq!(answer["FailedPutCount"], 2);
    assert!(answer["RequestResponses"][0]["RecordId"].is_string(), "{answer}");
}

#[tokio::test]
async fn a_seed_gives_the_same_ids_and_names() {
    let run = async || {
        let world = World::with_bucket();
        world.create("UNCOMPRESSED").await;
        let answer = world.put(&[b"one", b"two"]).await;
        world.firehose.stop().await;
        let (key, _) = world.objects().swap_remove(0);
        (answer["RequestResponses"].clone(), key[key.len() - 36..].to_owned())
    };
    assert_eq!(run().await, run().await);
}
