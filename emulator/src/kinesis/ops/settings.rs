//! Retention and the size of records.

use super::super::Kinesis;
use super::super::stream::Stream;
use super::super::validate::{invalid_argument, required, within};
use crate::api::ApiError;
use serde::Deserialize;
use std::sync::Arc;

/// Hours that a stream may keep its records: a day to a year.
const RETENTION_HOURS: std::ops::RangeInclusive<u32> = 24..=8_760;

/// KiB that a stream may allow its records.
pub(super) const RECORD_KIB: std::ops::RangeInclusive<u32> = 1_024..=10_240;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct ChangeRetention {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    retention_period_hours: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct UpdateMaxRecordSize {
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    max_record_size_in_ki_b: Option<i64>,
}

impl Kinesis {
    pub(in crate::kinesis) fn increase_retention(&self, request: &ChangeRetention) -> Result<(), ApiError> {
        let (stream, hours) = self.check_retention(request)?;
        self.change(&stream, |_| {
            if hours < stream.retention_hours() {
                return Err(retention_refused(&stream, hours, "shorter"));
            }
            // What is too old by now stays gone.
            stream.forget_expired(self.now());
            stream.set_retention_hours(hours);
            Ok(())
        })
    }

    pub(in crate::kinesis) fn decrease_retention(&self, request: &ChangeRetention) -> Result<(), ApiError> {
        let (stream, hours) = self.check_retention(request)?;
        self.change(&stream, |_| {
            if hours > stream.retention_hours() {
                return Err(retention_refused(&stream, hours, "longer"));
            }
            stream.set_retention_hours(hours);
            Ok(())
        })
    }

    fn check_retention(&self, request: &ChangeRetention) -> Result<(Arc<Stream>, u32), ApiError> {
        let asked = required("retentionPeriodHours", request.retention_period_hours)?;
        let stream = self.stream(request.stream_name.as_deref(), request.stream_arn.as_deref())?;
        let hours = u32::try_from(asked).ok().filter(|hours| RETENTION_HOURS.contains(hours));
        let hours = hours.ok_or_else(|| {
            let (least, most) = RETENTION_HOURS.into_inner();
            invalid_argument(format!("Retention period must be from {least} to {most} hours, not {asked}."))
        })?;
        Ok((stream, hours))
    }

    pub(in crate::kinesis) fn update_max_record_size(&self, request: &UpdateMaxRecordSize) -> Result<(), ApiError> {
        let kib =
            within("maxRecordSizeInKiB", required("maxRecordSizeInKiB", request.max_record_size_in_ki_b)?, RECORD_KIB)?;
        let stream = self.stream(None, request.stream_arn.as_deref())?;
        self.change(&stream, |_| {
            stream.set_record_kib(kib);
            Ok(())
        })
    }
}

fn retention_refused(stream: &Stream, hours: u32, than: &str) -> ApiError {
    invalid_argument(format!(
        "Requested retention period ({hours} hours) for stream {} can not be {than} than existing retention period ({} hours).",
        stream.name,
        stream.retention_hours()
    ))
}
