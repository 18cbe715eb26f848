//! Event-stream messages as SubscribeToShard sends them.
//!
//! Source: <https://smithy.io/2.0/aws/amazon-eventstream.html>. Payloads are AWS JSON 1.1, or
//! CBOR if the request was.

use super::Format;
use crate::api::BoxError;
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
pub(crate) fn initial_response(format: Format) -> Result<Bytes, BoxError> {
    message(format, "event", ":event-type", "initial-response", b"{}".to_vec())
}

/// A `SubscribeToShardEvent` that means `json`.
///
/// # Errors
/// If the payload does not fit in a message: 4 GiB.
pub(crate) fn event(format: Format, json: Vec<u8>) -> Result<Bytes, BoxError> {
    message(format, "event", ":event-type", "SubscribeToShardEvent", json)
}

/// An exception after which the stream ends.
///
/// # Errors
/// As [`event`].
pub(crate) fn exception(format: Format, code: &str, text: &str) -> Result<Bytes, BoxError> {
    let json = serde_json::json!({ "message": text }).to_string().into_bytes();
    message(format, "exception", ":exception-type", code, json)
}

fn message(
    format: Format,
    kind: &'static str,
    type_header: &'static str,
    name: &str,
    json: Vec<u8>,
) -> Result<Bytes, BoxError> {
    let text = |value: &str| HeaderValue::String(value.to_owned().into());
    let payload = Bytes::from(format.write(json)?);
    let mut buffer = Vec::with_capacity(payload.len() + OVERHEAD_BYTES);
    let message = Message::new(payload)
        .add_header(Header::new(":message-type", text(kind)))
        .add_header(Header::new(type_header, text(name)))
        .add_header(Header::new(":content-type", text(format.content_type())));
    write_message_to(&message, &mut buffer)?;
    Ok(buffer.into())
}

#[cfg(test)]
mod tests;
