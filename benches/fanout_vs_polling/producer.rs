//! The producer: numbered records on a schedule, and when each was put.

use alluvial_benches::Result;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use std::time::{Duration, Instant};

/// Records in all: four seconds' worth.
pub(crate) const RECORDS: usize = 4_000;
/// Bytes of each, so that all are 76 KB.
const RECORD_BYTES: usize = 19;
/// Records of one call, and the time between calls: 1,000 records/s.
const CALL: (usize, Duration) = (10, Duration::from_millis(10));

/// Puts all records; returns when the call of each began.
pub(crate) async fn put(client: &Client) -> Result<Vec<Instant>> {
    let mut times = Vec::with_capacity(RECORDS);
    let mut schedule = tokio::time::interval(CALL.1);
    while times.len() < RECORDS {
        let entries: Vec<_> = (times.len()..times.len() + CALL.0).map(entry).collect::<Result<_>>()?;
        schedule.tick().await;
        times.resize(times.len() + CALL.0, Instant::now());
        let answer = Box::pin(client.put_records().stream_name("bench").set_records(Some(entries)).send()).await?;
        if answer.failed_record_count != Some(0) {
            return Err("the shard refused records of a load that it must take".into());
        }
    }
    Ok(times)
}

fn entry(number: usize) -> Result<PutRecordsRequestEntry> {
    let data = format!("{number:0RECORD_BYTES$}");
    Ok(PutRecordsRequestEntry::builder().partition_key(format!("{}", number % 100)).data(Blob::new(data)).build()?)
}

/// The number in a record.
pub(crate) fn number(data: &[u8]) -> Result<usize> {
    Ok(std::str::from_utf8(data)?.parse()?)
}
