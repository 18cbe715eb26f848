//! How Firehose names an object (<https://docs.aws.amazon.com/firehose/latest/dev/s3-object-name.html>).

use super::definition::Definition;
use super::lane::Lane;
use std::time::SystemTime;
use uuid::Uuid;

/// `PREFIX` `STREAM-VERSION-YYYY-MM-DD-HH-MM-SS-UUID` `EXTENSION`, by the arrival of the oldest record, in the time zone
/// of the destination. Random strings in the prefix follow from `id`, so that they are as random as it is. Failed records
/// are not compressed, and have no extension.
pub(super) fn object_key(definition: &Definition, lane: Lane, oldest: SystemTime, id: Uuid) -> String {
    let destination = definition.destination_of(lane);
    let oldest = destination.local_time(oldest);
    let mut rng = fastrand::Rng::with_seed(id.as_u64_pair().0);
    let (prefix, extension) = match lane {
        Lane::Failed(stage) => (destination.error_prefix.evaluate(oldest, stage.error_output_type(), &mut rng), ""),
        Lane::Data | Lane::Backup => (destination.prefix.evaluate(oldest, &mut rng), destination.extension()),
    };
    let (stream, version) = (&definition.name, definition.version);
    format!("{prefix}{stream}-{version}-{}-{id}{extension}", oldest.strftime("%Y-%m-%d-%H-%M-%S"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firehose::lane::Stage;
    use crate::firehose::tests::definition;
    use serde_json::{Value, json};
    use std::time::Duration;

    const ID: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);

    /// The key of an object of the second 2026-11-23T05:06:07Z.
    fn key(destination: Value) -> String {
        key_in(Lane::Data, destination)
    }

    fn key_in(lane: Lane, destination: Value) -> String {
        let oldest = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_410_367);
        object_key(&definition("orders", destination), lane, oldest, ID)
    }

    #[test]
    fn the_key_has_the_hour_the_stream_and_the_second() {
        assert_eq!(
            key(json!({ "Prefix": "raw/" })),
            "raw/2026/11/23/05/orders-1-2026-11-23-05-06-07-01234567-89ab-cdef-0123-456789abcdef"
        );
    }

    #[test]
    fn a_prefix_without_a_slash_is_glued_to_the_date() {
        let key = key(json!({ "Prefix": "raw" }));
        assert!(key.starts_with("raw2026/11/23/05/orders-1-2026-11-23-05-06-07-"), "{key}");
    }

    #[test]
    fn expressions_take_the_place_of_the_date() {
        let key = key(json!({
            "Prefix": "dt=!{timestamp:yyyy-MM-dd}/",
            "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/",
        }));
        assert!(key.starts_with("dt=2026-11-23/orders-1-2026-11-23-05-06-07-"), "{key}");
    }

    #[test]
    fn a_time_zone_moves_the_prefix_and_the_suffix() {
        let key = key(json!({ "CustomTimeZone": "America/New_York" }));
        assert!(key.starts_with("2026/11/23/00/orders-1-2026-11-23-00-06-07-"), "{key}");
    }

    #[test]
    fn extensions_come_with_compression_and_give_way_to_another() {
        for (format, extension) in [
            ("UNCOMPRESSED", "f"),
            ("GZIP", "f.gz"),
            ("ZIP", "f.zip"),
            ("Snappy", "f.snappy"),
            ("HADOOP_SNAPPY", "f.snappy"),
        ] {
            let plain = key(json!({ "CompressionFormat": format }));
            assert!(plain.ends_with(&format!("456789abcde{extension}")), "{plain}");
            let own = key(json!({ "CompressionFormat": format, "FileExtension": ".json.gz" }));
            assert!(own.ends_with("456789abcdef.json.gz"), "{own}");
        }
    }

    #[test]
    fn failed_records_go_to_the_error_prefix_without_an_extension_and_copies_to_the_backup() {
        let destination = json!({
            "Prefix": "raw/",
            "CompressionFormat": "GZIP",
            "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/!{timestamp:yyyy}/",
            "S3BackupMode": "Enabled",
            "S3BackupConfiguration": {
                "RoleARN": "r",
                "BucketARN": "arn:aws:s3:::pond",
                "Prefix": "copies/",
                "CompressionFormat": "ZIP",
            },
        });
        let suffix = "orders-1-2026-11-23-05-06-07-01234567-89ab-cdef-0123-456789abcdef";
        for (lane, expected) in [
            (Lane::Failed(Stage::Processing), format!("errors/processing-failed/2026/{suffix}")),
            (Lane::Failed(Stage::Decompression), format!("errors/decompression-failed/2026/{suffix}")),
            (Lane::Backup, format!("copies/2026/11/23/05/{suffix}.zip")),
            (Lane::Data, format!("raw/2026/11/23/05/{suffix}.gz")),
        ] {
            assert_eq!(key_in(lane, destination.clone()), expected);
        }
    }

    #[test]
    fn one_object_has_one_name_and_another_has_another() {
        let definition = definition(
            "orders",
            json!({ "Prefix": "!{firehose:random-string}/", "ErrorOutputPrefix": "!{firehose:error-output-type}" }),
        );
        let name = |id: u128| object_key(&definition, Lane::Data, SystemTime::UNIX_EPOCH, Uuid::from_u128(id << 64));
        assert_eq!(name(1), name(1));
        assert_ne!(name(1).split('/').next(), name(2).split('/').next());
    }
}
