//! The bytes of a body as event-stream messages.
//!
//! Source: <https://smithy.io/2.0/aws/amazon-eventstream.html>: total length, length of the headers, CRC-32 of both;
//! headers; payload; CRC-32 of all of it. Numbers are big-endian.

use crate::subscription::Cause;
use alluvial_runtime::exit::chain;
use aws_smithy_types::body::SdkBody;
use bytes::{Buf as _, Bytes, BytesMut};
use http_body::Body as _;
use std::future::poll_fn;
use std::pin::Pin;

/// Length of both lengths and their checksum.
const PRELUDE_BYTES: usize = 12;
/// Length of the checksum at the end.
const CHECKSUM_BYTES: usize = 4;
/// The longest message that is read. An event with a record of 10 MiB, the largest that Kinesis takes, has 14 MiB, and
/// aws-c-event-stream too stops at 24 MiB.
const LONGEST_BYTES: usize = 24 * 1024 * 1024;

/// A message that is longer than this is announced before it is read. Heartbeats, which have some 200 bytes, and exceptions
/// are not.
const ANNOUNCED_BYTES: usize = 1024;

/// Messages out of a body. A message that lies in one chunk of it is a slice of that chunk; one that spans several is
/// joined once.
#[derive(Debug)]
pub(super) struct Frames {
    body: SdkBody,
    /// What is left of the last chunk.
    rest: Bytes,
    /// The beginning of a message whose end is not there yet.
    partial: BytesMut,
    /// Of the message that comes next, once its prelude is there.
    prelude: Option<Prelude>,
}

/// What is next in a body.
#[derive(Debug)]
pub(super) enum Found {
    /// A message of so many bytes begins; said once, before its bytes are collected.
    Begins(usize),
    /// A message.
    Frame(Frame),
}

#[derive(Debug, Clone, Copy)]
struct Prelude {
    total_bytes: usize,
    headers_bytes: usize,
}

/// A message whose checksums are right.
#[derive(Debug)]
pub(super) struct Frame {
    bytes: Bytes,
    headers_bytes: usize,
}

fn broken(what: impl Into<String>) -> Cause {
    Cause::Failed(format!("event stream: {}", what.into()))
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Lengths from the beginning of a message, at least [`PRELUDE_BYTES`] long.
fn read_prelude(start: &[u8]) -> Result<Prelude, Cause> {
    let (lengths, checksum) = start.split_at(PRELUDE_BYTES - CHECKSUM_BYTES);
    let (computed, given) = (crc32fast::hash(lengths), number(checksum));
    if computed != given {
        return Err(broken(format!("the checksum of a prelude is {given:08x}, and {computed:08x} was computed")));
    }
    let length = |bytes| usize::try_from(number(bytes)).unwrap_or(usize::MAX);
    let (total_bytes, headers_bytes) = (length(lengths), length(&lengths[4..]));
    if total_bytes > LONGEST_BYTES {
        return Err(broken(format!("a message of {total_bytes} bytes; the longest that is read has {LONGEST_BYTES}")));
    }
    if headers_bytes.saturating_add(PRELUDE_BYTES + CHECKSUM_BYTES) > total_bytes {
        return Err(broken(format!("a message of {total_bytes} bytes with headers of {headers_bytes}")));
    }
    Ok(Prelude { total_bytes, headers_bytes })
}

impl Frames {
    pub(super) fn new(body: SdkBody) -> Self {
        Self { body, rest: Bytes::new(), partial: BytesMut::new(), prelude: None }
    }

    /// The next message, or that one begins; `None` at the end of the body. Cancelling it loses nothing.
    ///
    /// # Errors
    /// [`Cause::Failed`] when the body breaks off or ends within a message, or a checksum or a length is wrong.
    pub(super) async fn next(&mut self) -> Result<Option<Found>, Cause> {
        loop {
            if let Some(found) = self.split()? {
                return Ok(Some(found));
            }
            match poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await {
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Err(Cause::Failed(chain(&*error))),
                None if self.partial.is_empty() => return Ok(None),
                None => return Err(broken(format!("ended {} bytes into a message", self.partial.len()))),
            }
        }
    }

    /// A message that begins in `partial`, or in `rest` when that is empty, and ends in `rest`; or the announcement of one.
    /// Without either, `rest` is empty afterwards.
    fn split(&mut self) -> Result<Option<Found>, Cause> {
        if self.partial.is_empty() && self.rest.len() >= PRELUDE_BYTES {
            let Some(prelude) = self.prelude else { return self.begin(read_prelude(&self.rest)?) };
            if self.rest.len() >= prelude.total_bytes {
                self.prelude = None;
                return Frame::checked(self.rest.split_to(prelude.total_bytes), prelude).map(Found::Frame).map(Some);
            }
        }
        while !self.rest.is_empty() {
            let wanted = self.prelude.map_or(PRELUDE_BYTES, |prelude| prelude.total_bytes);
            self.partial.reserve(wanted - self.partial.len());
            let missing = (wanted - self.partial.len()).min(self.rest.len());
            self.partial.extend_from_slice(&self.rest[..missing]);
            self.rest.advance(missing);
            if self.partial.len() < wanted {
                continue;
            }
            let Some(prelude) = self.prelude.take() else { return self.begin(read_prelude(&self.partial)?) };
            return Frame::checked(std::mem::take(&mut self.partial).freeze(), prelude).map(Found::Frame).map(Some);
        }
        Ok(None)
    }

    /// Takes note of a prelude, and announces its message if that is a long one.
    fn begin(&mut self, prelude: Prelude) -> Result<Option<Found>, Cause> {
        self.prelude = Some(prelude);
        if prelude.total_bytes > ANNOUNCED_BYTES {
            return Ok(Some(Found::Begins(prelude.total_bytes)));
        }
        self.split()
    }
}

impl Found {
    pub(super) fn is_initial_response(&self) -> bool {
        matches!(self, Self::Frame(frame) if frame.is_initial_response())
    }
}

impl Frame {
    fn checked(bytes: Bytes, prelude: Prelude) -> Result<Self, Cause> {
        let (message, checksum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
        let (computed, given) = (crc32fast::hash(message), number(checksum));
        if computed != given {
            return Err(broken(format!("the checksum of a message is {given:08x}, and {computed:08x} was computed")));
        }
        Ok(Self { bytes, headers_bytes: prelude.headers_bytes })
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.bytes
    }

    fn headers(&self) -> &[u8] {
        &self.bytes[PRELUDE_BYTES..PRELUDE_BYTES + self.headers_bytes]
    }

    fn is_initial_response(&self) -> bool {
        let mut headers = self.headers();
        std::iter::from_fn(|| text_header(&mut headers)).any(|header| header == (b":event-type", b"initial-response"))
    }

    /// The payload, when this is an event and its headers say nothing that would have to be understood.
    pub(super) fn plain_event(&self) -> Option<&[u8]> {
        let mut headers = self.headers();
        let (mut message_type, mut event_type) = (None, None);
        while !headers.is_empty() {
            match text_header(&mut headers)? {
                (b":message-type", value) => message_type = Some(value),
                (b":event-type", value) => event_type = Some(value),
                (b":content-type", b"application/x-amz-json-1.1" | b"application/json") => {}
                _ => return None,
            }
        }
        let plain = message_type == Some(b"event") && event_type == Some(b"SubscribeToShardEvent");
        plain.then(|| &self.bytes[PRELUDE_BYTES + self.headers_bytes..self.bytes.len() - CHECKSUM_BYTES])
    }
}

/// Name and value of the next header, when it is a text.
fn text_header<'a>(headers: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    /// The type of a value that is a text, with its length in two bytes before it.
    const TEXT: u8 = 7;
    let (&name_bytes, rest) = headers.split_first()?;
    let (name, rest) = rest.split_at_checked(name_bytes.into())?;
    let ([TEXT, high, low], rest) = rest.split_first_chunk()? else { return None };
    let (value, rest) = rest.split_at_checked(u16::from_be_bytes([*high, *low]).into())?;
    *headers = rest;
    Some((name, value))
}
