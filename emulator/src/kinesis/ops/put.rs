//! PutRecord and PutRecords: check and decode all records, then write each shard's in one piece.

mod intake;

use super::super::meter::EXCEEDED;
use super::super::sequence::Sequence;
use super::super::validate::{self, invalid_argument, required};
use super::super::{Kinesis, to_json};
use super::check_dry_run;
use crate::api::ApiError;
use intake::Intake;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Records of one PutRecords.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html>, also of the bound in bytes.
const MOST_RECORDS: usize = 500;

/// Bytes of data and partition keys in one request: 10 MiB.
const MOST_BYTES: usize = 10 * 1024 * 1024;

/// A string that is borrowed from the request unless it holds an escape. An optional `Cow` alone is never borrowed by serde.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct PutRecords<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
    records: Option<Vec<Entry<'a>>>,
    dry_run: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    #[serde(borrow)]
    data: Option<Text<'a>>,
    partition_key: Option<Text<'a>>,
    explicit_hash_key: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct PutRecord<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
    data: Option<Text<'a>>,
    partition_key: Option<Text<'a>>,
    explicit_hash_key: Option<Text<'a>>,
    sequence_number_for_ordering: Option<Text<'a>>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PutResult {
    failed_record_count: usize,
    records: Vec<Receipt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_type: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecordResult {
    sequence_number: String,
    shard_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_type: Option<&'static str>,
}

/// What became of a record.
#[derive(Debug, Serialize)]
#[serde(untagged, rename_all_fields = "PascalCase")]
enum Receipt {
    Stored { sequence_number: String, shard_id: String },
    Failed { error_code: &'static str, error_message: String },
}

impl Kinesis {
    /// A record that precedes another of its key within the request precedes it in the shard.
    pub(in crate::kinesis) fn put_records(&self, request: PutRecords<'_>) -> Result<Vec<u8>, ApiError> {
        let records = required("records", request.records)?;
        if records.is_empty() || records.len() > MOST_RECORDS {
            let constraint = format!("Member must have length from 1 to {MOST_RECORDS}");
            return Err(validate::violation("records", format!("{} records", records.len()), &constraint));
        }
        let (receipts, encryption_type) =
            self.put(request.stream_name.as_ref(), request.stream_arn.as_ref(), &records, request.dry_run)?;
        let failed = receipts.iter().filter(|receipt| matches!(receipt, Receipt::Failed { .. })).count();
        to_json(&PutResult { failed_record_count: failed, records: receipts, encryption_type })
    }

    pub(in crate::kinesis) fn put_record(&self, request: PutRecord<'_>) -> Result<Vec<u8>, ApiError> {
        if let Some(Text(number)) = &request.sequence_number_for_ordering {
            validate::sequence_number("sequenceNumberForOrdering", number)?;
        }
        if let Some(Text(number)) = &request.sequence_number_for_ordering
            && Sequence::parse(number).is_none()
        {
            return Err(invalid_argument(format!(
                "SequenceNumberForOrdering {number} is no sequence number of this stream."
            )));
        }
        let entry = Entry {
            data: request.data,
            partition_key: request.partition_key,
            explicit_hash_key: request.explicit_hash_key,
        };
        let (mut receipts, encryption_type) =
            self.put(request.stream_name.as_ref(), request.stream_arn.as_ref(), &[entry], request.dry_run)?;
        match receipts.pop() {
            Some(Receipt::Failed { error_code: EXCEEDED, error_message }) => {
                Err(ApiError::client(EXCEEDED, error_message))
            }
            Some(Receipt::Failed { error_code, error_message }) => Err(ApiError::server(error_code, error_message)),
            Some(Receipt::Stored { sequence_number, shard_id }) => {
                to_json(&PutRecordResult { sequence_number, shard_id, encryption_type })
            }
            None => Err(ApiError::server("InternalFailure", "the record has no shard")),
        }
    }

    fn put(
        &self,
        name: Option<&Text<'_>>,
        arn: Option<&Text<'_>>,
        records: &[Entry<'_>],
        dry_run: Option<bool>,
    ) -> Result<(Vec<Receipt>, Option<&'static str>), ApiError> {
        let stream = self.stream(name.map(|Text(name)| name.as_ref()), arn.map(|Text(arn)| arn.as_ref()))?;
        let now = self.now();
        stream.check_usable(now)?;
        let encryption_type = stream.encryption().of(now);
        let spreads = stream.config(|config| config.spreads);
        // No shard opens or closes between the choice of a shard and the write to it.
        stream.with_topology(|topology| {
            let mut intake = Intake::new(&stream, topology, spreads);
            records.iter().try_for_each(|record| intake.take(record, topology))?;
            check_dry_run(dry_run)?;
            if self.inner.limits {
                intake.throttle(topology, now);
            }
            Ok((intake.store(&self.inner.store, topology, (now, stream.horizon(now))), encryption_type))
        })
    }
}
