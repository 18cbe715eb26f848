//! Reading PutRecord and PutRecordBatch, with their limits
//! (<https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html>).

use super::{invalid, unreadable};
use crate::api::ApiError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use std::borrow::Cow;

/// Records of one PutRecordBatch.
const MAX_RECORDS: usize = 500;

/// Bytes of one record before base64: 1,000 KiB.
const MAX_RECORD_BYTES: usize = 1_000 * 1024;

/// Bytes of all records of one PutRecordBatch, before base64.
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The error of a record that finds no room or is past a quota, and of a call that is one too many.
pub(super) const UNAVAILABLE: &str = "ServiceUnavailableException";

/// Its message, as AWS words it.
pub(super) const SLOW_DOWN: &str = "Slow down.";

/// The records of one call, decoded and within the limits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) stream: String,
    pub(super) records: Vec<Bytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchRequest<'a> {
    delivery_stream_name: String,
    #[serde(borrow)]
    records: Vec<Record<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SingleRequest<'a> {
    delivery_stream_name: String,
    #[serde(borrow)]
    record: Record<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
}

/// Reads a PutRecordBatch.
pub(super) fn batch(body: &[u8]) -> Result<Batch, ApiError> {
    let request: BatchRequest<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    match request.records.len() {
        0 => return Err(violated("records", "Member must have length greater than or equal to 1")),
        1..=MAX_RECORDS => {}
        _ => {
            let limit = format!("Member must have length less than or equal to {MAX_RECORDS}");
            return Err(violated("records", &limit));
        }
    }
    let records = request.records.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    if records.iter().map(Bytes::len).sum::<usize>() > MAX_BATCH_BYTES {
        return Err(invalid("Records size exceeds 4 MB limit"));
    }
    Ok(Batch { stream: request.delivery_stream_name, records })
}

/// Reads a PutRecord.
pub(super) fn single(body: &[u8]) -> Result<Batch, ApiError> {
    let request: SingleRequest<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    Ok(Batch { stream: request.delivery_stream_name, records: vec![decode(&request.record)?] })
}

/// The error of a call that is one too many, or whose one record is refused. SDKs retry it.
pub(super) fn slow_down() -> ApiError {
    ApiError { status: StatusCode::SERVICE_UNAVAILABLE, code: UNAVAILABLE, message: SLOW_DOWN.to_owned() }
}

fn decode(record: &Record<'_>) -> Result<Bytes, ApiError> {
    let data = STANDARD
        .decode(record.data.as_bytes())
        .map_err(|error| ApiError::client("SerializationException", format!("Data is not base64: {error}")))?;
    if data.len() > MAX_RECORD_BYTES {
        let limit = format!("Member must have length less than or equal to {MAX_RECORD_BYTES}");
        return Err(violated("record.data", &limit));
    }
    Ok(Bytes::from(data))
}

fn violated(member: &str, constraint: &str) -> ApiError {
    invalid(format!("1 validation error detected: Value at '{member}' failed to satisfy constraint: {constraint}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body(sizes: &[usize]) -> Vec<u8> {
        let records: Vec<_> = sizes.iter().map(|size| json!({ "Data": STANDARD.encode(vec![b'x'; *size]) })).collect();
        json!({ "DeliveryStreamName": "orders", "Records": records }).to_string().into_bytes()
    }

    #[test]
    fn the_limits_themselves_are_taken() {
        assert_eq!(batch(&body(&[0; 500])).expect("500 records").records.len(), 500);
        assert_eq!(batch(&body(&[1_024_000; 4])).expect("four of the largest records").records.len(), 4);
        batch(&body(&[1_024_000, 1_024_000, 1_024_000, 1_024_000, 98_304])).expect("4 MiB");
    }

    #[test]
    fn what_is_past_a_limit_is_refused_with_its_name() {
        let cases: [(&[usize], &str); 4] = [
            (&[], "greater than or equal to 1"),
            (&[0; 501], "'records' failed to satisfy constraint: Member must have length less than or equal to 500"),
            (
                &[1_024_001],
                "'record.data' failed to satisfy constraint: Member must have length less than or equal to 1024000",
            ),
            (&[1_024_000, 1_024_000, 1_024_000, 1_024_000, 98_305], "4 MB limit"),
        ];
        for (sizes, expected) in cases {
            let error = batch(&body(sizes)).expect_err(expected);
            assert_eq!(error.code, "InvalidArgumentException");
            assert!(error.message.contains(expected), "{error}");
        }
    }

    #[test]
    fn records_are_decoded_as_they_are() {
        let single =
            single(br#"{"DeliveryStreamName":"orders","Record":{"Data":"AP+\/Cg=="}}"#).expect("an escaped slash");
        assert_eq!(single.records, [Bytes::from_static(&[0x00, 0xff, 0xbf, 0x0a])]);
    }

    #[test]
    fn what_is_no_base64_is_a_serialisation_error() {
        for body in [&br#"{"DeliveryStreamName":"orders","Record":{"Data":"*"}}"#[..], b"{", b"{}"] {
            assert_eq!(single(body).expect_err("no record").code, "SerializationException");
        }
    }
}
