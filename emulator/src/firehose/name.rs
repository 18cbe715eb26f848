//! How Firehose names an object (<https://docs.aws.amazon.com/firehose/latest/dev/s3-object-name.html>).

use super::definition::{Compression, Definition};
use jiff::Timestamp;
use std::time::SystemTime;
use uuid::Uuid;

/// `PREFIX` `YYYY/MM/DD/HH/` `STREAM-VERSION-YYYY-MM-DD-HH-MM-SS-UUID`, in UTC, by the arrival of the oldest record.
///
/// The date follows the prefix without a slash of its own. There is no extension, but for GZIP's `.gz`.
pub(super) fn object_key(definition: &Definition, oldest: SystemTime, id: Uuid) -> String {
    // Only a clock some nine thousand years off lies outside of what a timestamp holds.
    let oldest = Timestamp::try_from(oldest).unwrap_or_default();
    let extension = match definition.compression {
        Compression::Uncompressed => "",
        Compression::Gzip => ".gz",
    };
    format!(
        "{}{}{}-{}-{}-{id}{extension}",
        definition.prefix,
        oldest.strftime("%Y/%m/%d/%H/"),
        definition.name,
        definition.version,
        oldest.strftime("%Y-%m-%d-%H-%M-%S"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firehose::tests::definition;
    use std::time::Duration;

    const ID: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_key_has_the_hour_the_stream_and_the_second() {
        // 2026-11-23T05:06:07Z
        let key = object_key(&definition("orders", "raw/", Compression::Uncompressed), at(1_795_410_367), ID);
        assert_eq!(key, "raw/2026/11/23/05/orders-1-2026-11-23-05-06-07-01234567-89ab-cdef-0123-456789abcdef");
    }

    #[test]
    fn a_prefix_without_a_slash_is_glued_to_the_date() {
        let key = object_key(&definition("orders", "raw", Compression::Uncompressed), at(0), ID);
        assert!(key.starts_with("raw1970/01/01/00/orders-1-1970-01-01-00-00-00-"), "{key}");
    }

    #[test]
    fn gzip_alone_has_an_extension() {
        let key = object_key(&definition("orders", "", Compression::Gzip), at(0), ID);
        assert!(key.starts_with("1970/01/01/00/orders-1-"), "{key}");
        assert!(key.ends_with("cdef.gz"), "{key}");
    }
}
