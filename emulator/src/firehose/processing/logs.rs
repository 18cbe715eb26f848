//! What CloudWatch Logs puts into Firehose: envelopes of log events, in JSON and gzip
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html#FirehoseExample>).

use super::Failed;
use crate::firehose::lane::Stage;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use std::borrow::Cow;
use std::io::{self, Read as _};

/// Bytes that a record may have when it is decompressed: our own bound, so that a small record cannot fill the memory.
const MAX_BYTES: usize = 16 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    message_type: Cow<'a, str>,
    #[serde(borrow, default)]
    log_events: Vec<Event<'a>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    message: Cow<'a, str>,
}

/// The bytes that `record` is the gzip of.
///
/// # Errors
/// [`Failed`] if it is none, is cut off, or has more than 16 MiB.
pub(super) fn decompress(record: &[u8]) -> Result<Bytes, Failed> {
    let failed = |message: String| Failed { stage: Stage::Decompression, code: "DecompressionFailed", message };
    inflate(record)
        .map_err(|error| failed(format!("the record is no gzip: {error}")))?
        .ok_or_else(|| failed(format!("the record has more than {MAX_BYTES} bytes when it is decompressed")))
}

/// `None` if there are too many bytes.
fn inflate(record: &[u8]) -> io::Result<Option<Bytes>> {
    let (mut plain, most) = (Vec::new(), u64::try_from(MAX_BYTES).unwrap_or(u64::MAX));
    MultiGzDecoder::new(record).take(most.saturating_add(1)).read_to_end(&mut plain)?;
    Ok((plain.len() <= MAX_BYTES).then(|| Bytes::from(plain)))
}

/// The messages of an envelope, in order; none of one that only tests the way.
///
/// # Errors
/// [`Failed`] if it is no envelope.
pub(super) fn messages(envelope: &[u8]) -> Result<Vec<Bytes>, Failed> {
    let failed = |message: String| Failed { stage: Stage::Processing, code: "MessageExtractionFailed", message };
    let envelope: Envelope<'_> = serde_json::from_slice(envelope)
        .map_err(|error| failed(format!("the record is no envelope of CloudWatch Logs: {error}")))?;
    match envelope.message_type.as_ref() {
        "DATA_MESSAGE" => {
            Ok(envelope.log_events.into_iter().map(|event| Bytes::from(event.message.into_owned())).collect())
        }
        "CONTROL_MESSAGE" => Ok(Vec::new()),
        other => Err(failed(format!("the messageType {other:?} is neither DATA_MESSAGE nor CONTROL_MESSAGE"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write as _;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(plain).expect("memory");
        encoder.finish().expect("memory")
    }

    #[test]
    fn members_one_after_the_other_are_one_text() {
        assert_eq!(decompress(&[gzip(b"one "), gzip(b"two")].concat()).expect("two members"), "one two");
    }

    #[test]
    fn what_is_no_gzip_or_too_much_of_it_fails_in_decompression() {
        let whole = gzip(b"a text");
        let bomb = gzip(&vec![0; MAX_BYTES + 1]);
        assert!(bomb.len() < 1_000_000);
        for (record, expected) in [
            (&b"plain"[..], "no gzip"),
            (&[], "no gzip"),
            (&whole[..whole.len() - 1], "no gzip"),
            (&bomb, "more than 16777216 bytes"),
        ] {
            let failed = decompress(record).expect_err(expected);
            assert_eq!(failed.stage, Stage::Decompression);
            assert!(failed.message.contains(expected), "{failed:?}");
        }
        assert_eq!(decompress(&gzip(&vec![0; MAX_BYTES])).expect("the most").len(), MAX_BYTES);
    }

    #[test]
    fn messages_are_taken_out_of_their_envelope() {
        let envelope = br#"{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s",
            "subscriptionFilters":["f"],"logEvents":[{"id":"1","timestamp":1,"message":"one \"1\""},{"id":"2","timestamp":2,"message":""}]}"#;
        assert_eq!(messages(envelope).expect("two messages"), ["one \"1\"", ""]);
        let control = br#"{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE"}]}"#;
        assert!(messages(control).expect("a control message").is_empty());
        for other in [&b"{}"[..], b"text", br#"{"messageType":"OTHER"}"#] {
            assert_eq!(messages(other).expect_err("no envelope").stage, Stage::Processing);
        }
    }

    proptest! {
        #[test]
        fn whatever_was_compressed_comes_back_and_no_bytes_are_a_panic(plain: Vec<u8>) {
            prop_assert_eq!(&decompress(&gzip(&plain)).expect("a gzip member")[..], &plain[..]);
            prop_assert!(decompress(&plain).is_err() || plain.starts_with(&[0x1f, 0x8b]));
            let opening = b"{"[0];
            prop_assert!(messages(&plain).is_err() || plain.contains(&opening));
        }
    }
}
