//! Frames of an event stream: from chunks as they come to one buffer for each frame, checked.
//!
//! Source: "Event stream encoding", Amazon Transcribe developer guide, which all AWS event streams follow: a prelude of
//! total length and length of the headers with a CRC-32 of both, headers, payload, and a CRC-32 of all before.

use bytes::{Buf as _, Bytes, BytesMut};
use std::ops::Range;

/// Lengths and their checksum.
const PRELUDE_BYTES: usize = 12;
/// The checksum at the end.
const CHECKSUM_BYTES: usize = 4;
/// A payload has at most 16 MiB and headers at most 128 KiB (same source).
const LARGEST_FRAME_BYTES: usize = 16 * 1024 * 1024 + 128 * 1024 + PRELUDE_BYTES + CHECKSUM_BYTES;

/// Bytes that are no frame. The stream cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("a frame of an event stream has a prelude with a wrong checksum")]
    PreludeChecksum,
    #[error("a frame of an event stream has a wrong checksum")]
    Checksum,
    #[error("a frame of an event stream says it has {total} bytes and {headers} of headers")]
    Length { total: usize, headers: usize },
    #[error("the headers of a frame of an event stream cannot be read")]
    Headers,
    #[error("a frame of an event stream has no {0}")]
    Missing(&'static str),
}

/// What a frame is, by its headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// An event of this type.
    Event(String),
    /// A modelled exception of this type.
    Exception(String),
    /// An error that is not modelled.
    Error {
        /// Its code.
        code: String,
        /// What it says.
        text: String,
    },
}

/// One whole frame, alone in its buffer.
#[derive(Debug)]
pub(super) struct Frame {
    buffer: BytesMut,
    payload: Range<usize>,
    message: Message,
}

impl Frame {
    /// What it is.
    pub(super) fn message(&self) -> &Message {
        &self.message
    }

    /// Its payload.
    pub(super) fn payload(&self) -> &[u8] {
        self.buffer.get(self.payload.clone()).unwrap_or_default()
    }

    /// The buffer from the payload on, and the length of the payload.
    pub(super) fn into_payload(mut self) -> BytesMut {
        self.buffer.truncate(self.payload.end);
        self.buffer.advance(self.payload.start.min(self.payload.end));
        self.buffer
    }
}

/// Gathers frames from chunks. Holds one chunk and one frame at most.
#[derive(Debug, Default)]
pub(super) struct Frames {
    chunk: Bytes,
    /// What has come of the current frame.
    frame: BytesMut,
    /// Length of the current frame, once its prelude is there.
    total: Option<usize>,
}

impl Frames {
    /// Adds a chunk. To be called when [`Frames::take`] has nothing more.
    pub(super) fn push(&mut self, chunk: Bytes) {
        self.chunk = chunk;
    }

    /// True when no part of a frame waits for the rest.
    pub(super) fn is_between_frames(&self) -> bool {
        self.chunk.is_empty() && self.frame.is_empty()
    }

    /// The next whole frame; `None` when more bytes are wanted.
    ///
    /// # Errors
    /// [`FrameError`]; nothing after it can be read.
    pub(super) fn take(&mut self) -> Result<Option<Frame>, FrameError> {
        let total = match self.total {
            Some(total) => total,
            None => {
                self.fill(PRELUDE_BYTES);
                if self.frame.len() < PRELUDE_BYTES {
                    return Ok(None);
                }
                let total = check_prelude(&self.frame)?;
                self.frame.reserve(total - PRELUDE_BYTES);
                *self.total.insert(total)
            }
        };
        self.fill(total);
        if self.frame.len() < total {
            return Ok(None);
        }
        self.total = None;
        check(std::mem::take(&mut self.frame)).map(Some)
    }

    /// Moves bytes from the chunk until the frame has `wanted`, or the chunk is empty.
    fn fill(&mut self, wanted: usize) {
        let more = wanted.saturating_sub(self.frame.len()).min(self.chunk.len());
        self.frame.extend_from_slice(&self.chunk.split_to(more));
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map_or(0, u32::from_be_bytes)
}

fn length(bytes: &[u8], at: usize) -> usize {
    usize::try_from(number(bytes, at)).unwrap_or(usize::MAX)
}

/// The length of the frame that begins with this prelude.
fn check_prelude(prelude: &[u8]) -> Result<usize, FrameError> {
    let lengths = prelude.get(..PRELUDE_BYTES - CHECKSUM_BYTES).unwrap_or_default();
    if crc32fast::hash(lengths) != number(prelude, 8) {
        return Err(FrameError::PreludeChecksum);
    }
    let (total, headers) = (length(prelude, 0), length(prelude, 4));
    let least = headers.saturating_add(PRELUDE_BYTES + CHECKSUM_BYTES);
    if total < least || total > LARGEST_FRAME_BYTES {
        return Err(FrameError::Length { total, headers });
    }
    Ok(total)
}

fn check(buffer: BytesMut) -> Result<Frame, FrameError> {
    let end = buffer.len().saturating_sub(CHECKSUM_BYTES);
    if crc32fast::hash(buffer.get(..end).unwrap_or_default()) != number(&buffer, end) {
        return Err(FrameError::Checksum);
    }
    let payload = PRELUDE_BYTES + length(&buffer, 4)..end;
    let message = read_headers(buffer.get(PRELUDE_BYTES..payload.start).unwrap_or_default())?;
    Ok(Frame { buffer, payload, message })
}

/// The value of a header of ours, or what is left after one of another type.
fn read_headers(mut rest: &[u8]) -> Result<Message, FrameError> {
    let (mut message, mut event, mut exception, mut code, mut text) = (None, None, None, None, None);
    while !rest.is_empty() {
        let (name, value) = next_header(&mut rest).ok_or(FrameError::Headers)?;
        match name {
            b":message-type" => message = value,
            b":event-type" => event = value,
            b":exception-type" => exception = value,
            b":error-code" => code = value,
            b":error-message" => text = value,
            _ => {}
        }
    }
    match message {
        Some("event") => event.map(|kind| Message::Event(kind.into())).ok_or(FrameError::Missing(":event-type")),
        Some("exception") => {
            exception.map(|kind| Message::Exception(kind.into())).ok_or(FrameError::Missing(":exception-type"))
        }
        Some("error") => {
            let (code, text) = (code.unwrap_or("error").into(), text.unwrap_or_default().into());
            Ok(Message::Error { code, text })
        }
        Some(_) => Err(FrameError::Headers),
        None => Err(FrameError::Missing(":message-type")),
    }
}

/// Takes a header off `rest`: its name, and its value when it is a text.
fn next_header<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a str>)> {
    let name_length = usize::from(*rest.first()?);
    let name = rest.get(1..1 + name_length)?;
    let kind = *rest.get(1 + name_length)?;
    let value = rest.get(2 + name_length..)?;
    let (start, length) = match kind {
        // True, false, byte, short, integer, long.
        0 | 1 => (0, 0),
        2 => (0, 1),
        3 => (0, 2),
        4 => (0, 4),
        // Timestamps are as long as longs.
        5 | 8 => (0, 8),
        // Byte arrays and texts say their length.
        6 | 7 => (2, usize::from(u16::from_be_bytes(value.get(..2)?.try_into().ok()?))),
        // UUIDs.
        9 => (0, 16),
        _ => return None,
    };
    let bytes = value.get(start..start + length)?;
    *rest = value.get(start + length..)?;
    let text = if kind == 7 { Some(std::str::from_utf8(bytes).ok()?) } else { None };
    Some((name, text))
}
