//! Where a delivery stream's records come from, if not from producers that put them.

use super::{invalid, lacks};
use crate::api::ApiError;
use serde::Deserialize;
use std::time::SystemTime;

const DIRECT_PUT: &str = "DirectPut";
const KINESIS: &str = "KinesisStreamAsSource";

/// A Kinesis stream that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::firehose) struct Source {
    pub(in crate::firehose) stream_arn: String,
    pub(in crate::firehose) role_arn: String,
    /// Records that arrive from here on are read.
    pub(in crate::firehose) started: SystemTime,
}

/// `KinesisStreamSourceConfiguration`.
#[derive(Debug, Deserialize)]
pub(super) struct SourceRequest {
    #[serde(rename = "KinesisStreamARN")]
    stream_arn: String,
    #[serde(rename = "RoleARN")]
    role_arn: String,
}

impl Source {
    /// Reads the source that `kind` asks for.
    ///
    /// # Errors
    /// `InvalidArgumentException` if kind and source do not go together, or the emulator lacks the kind.
    pub(super) fn check(
        kind: Option<&str>,
        request: Option<SourceRequest>,
        started: SystemTime,
    ) -> Result<Option<Self>, ApiError> {
        match (kind.unwrap_or(DIRECT_PUT), request) {
            (DIRECT_PUT, None) => Ok(None),
            (KINESIS, Some(SourceRequest { stream_arn, role_arn })) => Ok(Some(Self { stream_arn, role_arn, started })),
            (KINESIS, None) => Err(invalid(format!(
                "KinesisStreamSourceConfiguration must be given with the DeliveryStreamType {KINESIS}"
            ))),
            (DIRECT_PUT, Some(_)) => Err(invalid(format!(
                "KinesisStreamSourceConfiguration must not be given without the DeliveryStreamType {KINESIS}"
            ))),
            (_, _) => Err(lacks("a DeliveryStreamType other than DirectPut and KinesisStreamAsSource")),
        }
    }

    /// The `DeliveryStreamType` of a delivery stream with this source.
    pub(in crate::firehose) fn kind(source: Option<&Self>) -> &'static str {
        if source.is_some() { KINESIS } else { DIRECT_PUT }
    }

    /// The message for a producer, as AWS has it.
    pub(in crate::firehose) fn no_direct_put(&self) -> String {
        format!("This operation is not permitted on {KINESIS} delivery stream type.")
    }

    /// The error for encryption, which is the source's affair.
    pub(in crate::firehose) fn no_encryption() -> ApiError {
        invalid(format!("Server-side encryption is not permitted on {KINESIS} delivery stream type."))
    }
}
