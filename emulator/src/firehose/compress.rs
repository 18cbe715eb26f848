//! The formats that a buffer is compressed in before it becomes an object.

mod snappy;
mod zip;

use bytes::Bytes;
use flate2::write::GzEncoder;
use std::io::{self, Write as _};
use uuid::Uuid;

/// What is done to a buffer before it becomes an object
/// (<https://docs.aws.amazon.com/firehose/latest/APIReference/API_ExtendedS3DestinationConfiguration.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Uncompressed,
    Gzip,
    Zip,
    Snappy,
    HadoopSnappy,
}

impl Compression {
    const ALL: [Self; 5] = [Self::Uncompressed, Self::Gzip, Self::Zip, Self::Snappy, Self::HadoopSnappy];

    /// The name that the API has for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Uncompressed => "UNCOMPRESSED",
            Self::Gzip => "GZIP",
            Self::Zip => "ZIP",
            Self::Snappy => "Snappy",
            Self::HadoopSnappy => "HADOOP_SNAPPY",
        }
    }

    /// The format of this name, in exactly these letters.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|compression| compression.name() == name)
    }

    /// What an object's name ends in, unless the delivery stream has an extension of its own.
    ///
    /// AWS documents `.hsnappy` for Hadoop's Snappy, and delivers `.snappy`
    /// (<https://github.com/floci-io/floci/issues/2328>).
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Uncompressed => "",
            Self::Gzip => ".gz",
            Self::Zip => ".zip",
            Self::Snappy | Self::HadoopSnappy => ".snappy",
        }
    }

    /// The object's `Content-Encoding`, as others saw AWS set it (<https://github.com/floci-io/floci/pull/2410>).
    pub(super) fn content_encoding(self) -> Option<&'static str> {
        match self {
            Self::Uncompressed => None,
            Self::Gzip => Some("gzip"),
            Self::Zip => Some("zip"),
            Self::Snappy => Some("snappy-java"),
            Self::HadoopSnappy => Some("hadoop-snappy"),
        }
    }

    /// The object's bytes: the records joined without anything in between, or that compressed as a whole. `id` names
    /// the entry of a ZIP archive.
    ///
    /// # Errors
    /// If the records do not fit the format: none of those of one buffer.
    pub(super) async fn apply(self, records: Vec<Bytes>, id: Uuid) -> io::Result<Vec<Bytes>> {
        if self == Self::Uncompressed {
            return Ok(records);
        }
        match tokio::task::spawn_blocking(move || self.whole(&records, id)).await {
            Ok(whole) => Ok(vec![Bytes::from(whole?)]),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn whole(self, records: &[Bytes], id: Uuid) -> io::Result<Vec<u8>> {
        match self {
            Self::Uncompressed => Ok(records.concat()),
            Self::Gzip => gzip(records),
            Self::Zip => zip::archive(records, &id.to_string()),
            Self::Snappy => snappy::java_stream(records),
            Self::HadoopSnappy => snappy::hadoop_blocks(records),
        }
    }
}

fn gzip(records: &[Bytes]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    for record in records {
        encoder.write_all(record)?;
    }
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_in_their_own_letters_only() {
        for compression in Compression::ALL {
            assert_eq!(Compression::named(compression.name()), Some(compression));
        }
        assert_eq!(Compression::named("SNAPPY"), None);
        assert_eq!(Compression::named("gzip"), None);
    }
}
