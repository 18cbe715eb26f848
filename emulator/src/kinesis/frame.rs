//! Event-stream messages as SubscribeToShard sends them.
//!
//! Source: <https://smithy.io/2.0/aws/amazon-eventstream.html>. Kinesis content types: AWS JSON 1.1.

use crate::api::{ApiError, BoxError};
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;

/// The content type of a response that is a stream of messages.
pub(crate) const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// Room for the headers and checksums of any message here.
const OVERHEAD_BYTES: usize = 256;

/// The first message of every stream.
///
/// # Errors
/// As [`event`].
pub(crate) fn initial_response() -> Result<Bytes, BoxError> {
    message("event", ":event-type", "initial-response", b"{}".as_slice().into())
}

/// A `SubscribeToShardEvent` whose JSON is `payload`.
///
/// # Errors
/// If the payload does not fit in a message: 4 GiB.
pub(crate) fn event(payload: Vec<u8>) -> Result<Bytes, BoxError> {
    message("event", ":event-type", "SubscribeToShardEvent", payload.into())
}

/// An exception after which the stream ends.
///
/// # Errors
/// As [`event`].
pub(crate) fn exception(error: &ApiError) -> Result<Bytes, BoxError> {
    let payload = serde_json::json!({ "message": error.message }).to_string();
    message("exception", ":exception-type", error.code, payload.into())
}

fn message(
    kind: &'static str,
    type_header: &'static str,
    name: &'static str,
    payload: Bytes,
) -> Result<Bytes, BoxError> {
    let text = |value: &'static str| HeaderValue::String(value.into());
    let mut buffer = Vec::with_capacity(payload.len() + OVERHEAD_BYTES);
    let message = Message::new(payload)
        .add_header(Header::new(":message-type", text(kind)))
        .add_header(Header::new(type_header, text(name)))
        .add_header(Header::new(":content-type", text("application/x-amz-json-1.1")));
    write_message_to(&message, &mut buffer)?;
    Ok(buffer.into())
}

#[cfg(test)]
mod tests;
