//! What could not become a row, one JSON object a line.

use crate::decode::{Loss, Origin};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

/// A line of the quarantine file.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    object: &'a str,
    /// In the object: the row's first byte in plain text, else the first byte of the gzip member it begins in.
    offset: u64,
    /// Of a row: its first byte in the object's decoded text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text_offset: Option<u64>,
    /// Of a row, its length; of damage, the bytes of the object that are lost.
    bytes: u64,
    reason: String,
    /// The row, where it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<&'a str>,
    /// The row, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_base64: Option<String>,
}

/// The name of a plan's quarantine file, below the destination.
pub(crate) fn file_name(plan: &str) -> String {
    format!("_quarantine/{plan}.ndjson")
}

/// The line for a bad row.
pub(crate) fn row(
    object: &str,
    raw: &[u8],
    fault: &dyn std::fmt::Display,
    origin: Origin,
) -> Result<Vec<u8>, serde_json::Error> {
    let text = std::str::from_utf8(raw).ok();
    line(&Entry {
        object,
        offset: origin.offset,
        text_offset: Some(origin.text_offset),
        bytes: raw.len() as u64,
        reason: fault.to_string(),
        raw: text,
        raw_base64: text.is_none().then(|| STANDARD.encode(raw)),
    })
}

/// The line for a damaged part of an object. Its bytes stay where they are, in the object.
pub(crate) fn loss(object: &str, loss: &Loss) -> Result<Vec<u8>, serde_json::Error> {
    line(&Entry {
        object,
        offset: loss.from,
        text_offset: None,
        bytes: loss.to - loss.from,
        reason: loss.fault.to_string(),
        raw: None,
        raw_base64: None,
    })
}

fn line(entry: &Entry<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::RowFault;

    #[test]
    fn raw_bytes_survive_as_text_or_base64() {
        let origin = Origin { offset: 5, text_offset: 7 };
        let parse = |raw: &[u8]| -> serde_json::Value {
            let line = row("s3://b/o", raw, &RowFault::CutByEnd, origin).expect("JSON");
            serde_json::from_slice(&line).expect("JSON")
        };
        assert_eq!(
            parse("{\"a\":\"é".as_bytes()),
            serde_json::json!({
                "object": "s3://b/o", "offset": 5, "text_offset": 7, "bytes": 8,
                "reason": "the object ends within the row", "raw": "{\"a\":\"é",
            })
        );
        assert_eq!(parse(b"\xff\x00")["raw_base64"], "/wA=");
    }
}
