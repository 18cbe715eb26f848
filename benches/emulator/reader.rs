//! A lean reader of subscriptions: it checks length and checksums of each message, counts its records, and keeps nothing.

use alluvial_benches::{Connection, Result};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use memchr::memmem::Finder;
use serde_json::json;

/// Bytes before the headers of a message: two lengths and their checksum.
///
/// Source: <https://smithy.io/2.0/aws/amazon-eventstream.html>.
const PRELUDE_BYTES: usize = 12;
/// The checksum behind a message.
const CHECKSUM_BYTES: usize = 4;

/// One open subscription.
pub(crate) struct Reader {
    body: Incoming,
    messages: Messages,
}

/// Messages from the pieces that they come in.
struct Messages {
    buffer: Vec<u8>,
    data: Finder<'static>,
    exception: Finder<'static>,
}

impl Reader {
    /// Subscribes `consumer` to a shard of the stream, from its oldest record on.
    pub(crate) async fn open(connection: &mut Connection, consumer: &str, shard: usize) -> Result<Self> {
        let request = json!({
            "ConsumerARN": consumer,
            "ShardId": format!("shardId-{shard:012}"),
            "StartingPosition": {"Type": "TRIM_HORIZON"},
        });
        let response = connection.send("SubscribeToShard", request.to_string().into()).await?;
        Ok(Self { body: response.into_body(), messages: Messages::new() })
    }

    /// The records in the next piece of the response, counted when their message is complete; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<u64>> {
        let Some(frame) = self.body.frame().await else { return Ok(None) };
        let frame = frame?;
        let Some(bytes) = frame.data_ref() else { return Ok(Some(0)) };
        self.messages.push(bytes).map(Some)
    }
}

impl Messages {
    fn new() -> Self {
        let (data, exception) = (Finder::new("\"Data\":\""), Finder::new(":exception-type"));
        Self { buffer: Vec::new(), data, exception }
    }

    /// Adds a piece; returns the records of the messages that it completes.
    fn push(&mut self, piece: &[u8]) -> Result<u64> {
        self.buffer.extend_from_slice(piece);
        let (mut records, mut done) = (0, 0);
        while let Some(length) = message_length(&self.buffer[done..]) {
            let rest = &self.buffer[done..];
            if rest.len() < length {
                self.buffer.reserve(length);
                break;
            }
            records += self.read(&rest[..length])?;
            done += length;
        }
        self.buffer.drain(..done);
        Ok(records)
    }

    fn read(&self, message: &[u8]) -> Result<u64> {
        let (prelude, rest) = message.split_at_checked(PRELUDE_BYTES).ok_or("a message without a prelude")?;
        let (lengths, checksum) = prelude.split_at(8);
        if crc32fast::hash(lengths).to_be_bytes() != *checksum {
            return Err("a prelude with a wrong checksum".into());
        }
        let (checked, checksum) =
            message.split_at_checked(message.len() - CHECKSUM_BYTES).ok_or("a message without a checksum")?;
        if crc32fast::hash(checked).to_be_bytes() != *checksum {
            return Err("a message with a wrong checksum".into());
        }
        if self.exception.find(&rest[..rest.len().min(200)]).is_some() {
            return Err(format!("an exception: {}", String::from_utf8_lossy(rest)).into());
        }
        Ok(self.data.find_iter(rest).count() as u64)
    }
}

/// The length of the message that begins here, if that much of it is there.
fn message_length(bytes: &[u8]) -> Option<usize> {
    let (length, _) = bytes.split_first_chunk::<4>()?;
    // Shorter than a prelude is no message: it is read as one and then refused.
    Some((u32::from_be_bytes(*length) as usize).max(PRELUDE_BYTES + CHECKSUM_BYTES))
}
