//! What becomes of one record: what the destination gets, what its backup, and what the error prefix.

use super::buffer;
use super::definition::Destination;
use super::lane::Lane;
use super::processing::Failed;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::json;
use std::time::SystemTime;

/// What `record`, which arrived at `arrival`, adds to the buffers.
pub(super) fn process(
    destination: &Destination,
    record: Bytes,
    arrival: SystemTime,
    now: SystemTime,
) -> Vec<(Lane, Bytes)> {
    let backup = destination.backup.is_some().then(|| (Lane::Backup, record.clone()));
    let processed = match destination.pipeline.apply(record.clone()) {
        Ok(records) => records.into_iter().map(|record| (Lane::Data, record)).collect(),
        Err(failed) => vec![(Lane::Failed(failed.stage), line(&failed, &record, arrival, now))],
    };
    backup.into_iter().chain(processed).collect()
}

/// What they take from the budget.
pub(super) fn cost(items: &[(Lane, Bytes)]) -> usize {
    items.iter().map(|(_, item)| buffer::cost(item)).sum()
}

/// A failed record as the error prefix gets it: one line of JSON, without the `lambdaArn` where no Lambda function is
/// (<https://docs.aws.amazon.com/firehose/latest/dev/data-transformation-failure-handling.html>).
fn line(failed: &Failed, record: &[u8], arrival: SystemTime, now: SystemTime) -> Bytes {
    let line = json!({
        "attemptsMade": 1,
        "arrivalTimestamp": millis(arrival),
        "errorCode": failed.code,
        "errorMessage": failed.message,
        "attemptEndingTimestamp": millis(now),
        "rawData": STANDARD.encode(record),
    });
    Bytes::from(format!("{line}\n"))
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firehose::lane::Stage;
    use crate::firehose::tests::definition;
    use serde_json::Value;
    use std::time::Duration;

    #[test]
    fn a_record_that_fails_is_one_line_with_all_that_is_known() {
        let processing = json!({ "Enabled": true, "Processors": [{ "Type": "Decompression" }] });
        let definition = definition("orders", json!({ "ProcessingConfiguration": processing }));
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        let items = process(&definition.destination, Bytes::from_static(b"pl\nain"), at(1_500), at(2_000));
        let [(Lane::Failed(Stage::Decompression), line)] = &items[..] else { panic!("{items:?}") };
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let line: Value = serde_json::from_slice(line).expect("JSON");
        assert_eq!(line["rawData"], STANDARD.encode("pl\nain"));
        assert_eq!(
            (&line["attemptsMade"], &line["arrivalTimestamp"], &line["attemptEndingTimestamp"]),
            (&json!(1), &json!(1_500), &json!(2_000))
        );
        assert_eq!(line["errorCode"], "DecompressionFailed");
        assert!(line["errorMessage"].as_str().is_some_and(|message| message.contains("no gzip")), "{line}");
        assert!(cost(&items) > 0);
    }

    #[test]
    fn the_backup_gets_what_arrived_and_the_destination_what_became_of_it() {
        let definition = definition(
            "orders",
            json!({
                "ProcessingConfiguration": { "Enabled": true, "Processors": [{ "Type": "AppendDelimiterToRecord" }] },
                "S3BackupMode": "Enabled",
                "S3BackupConfiguration": { "RoleARN": "r", "BucketARN": "arn:aws:s3:::pond" },
            }),
        );
        let epoch = SystemTime::UNIX_EPOCH;
        let items = process(&definition.destination, Bytes::from_static(b"one"), epoch, epoch);
        let expected = [(Lane::Backup, Bytes::from_static(b"one")), (Lane::Data, Bytes::from_static(b"one\n"))];
        assert_eq!(items, expected);
    }
}
