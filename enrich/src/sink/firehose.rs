//! Amazon Data Firehose: PutRecordBatch, and only what failed again.

use alluvial_record::ShardId;
use alluvial_record::quota::{FIREHOSE_BATCH_BYTES, FIREHOSE_BATCH_RECORDS};
use alluvial_runtime::backoff::Backoff;
use alluvial_runtime::exit::chain;
use aws_sdk_firehose::error::ProvideErrorMetadata as _;
use aws_sdk_firehose::operation::describe_delivery_stream::DescribeDeliveryStreamOutput;
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::{CompressionFormat, PutRecordBatchResponseEntry, Record};
use aws_smithy_types::retry::RetryConfig;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Waits between attempts. The cap is what an outage costs after its end.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// Longest wait for the answer to one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// One member on its way, and where to say that it was accepted.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) shard: ShardId,
    pub(crate) bytes: Vec<u8>,
    pub(crate) receipt: oneshot::Sender<()>,
}

/// A delivery stream.
#[derive(Debug, Clone)]
pub struct FirehoseSink {
    /// For puts: without retries of its own.
    client: aws_sdk_firehose::Client,
    /// For the check at the start.
    patient: aws_sdk_firehose::Client,
    delivery_stream: String,
}

/// The delivery stream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// There is none of this name.
    #[error("delivery stream {0:?} does not exist in this account and region")]
    Missing(String),
    /// Firehose refused or is out of reach.
    #[error("describe delivery stream {name:?}")]
    Remote {
        /// The delivery stream.
        name: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl FirehoseSink {
    /// The sink for `delivery_stream`. Retries are made here, entry by entry, and not by the SDK.
    pub fn new(config: &aws_sdk_firehose::Config, delivery_stream: impl Into<String>) -> Self {
        let once = config.to_builder().retry_config(RetryConfig::disabled()).build();
        let patient = aws_sdk_firehose::Client::from_conf(config.clone());
        Self { client: aws_sdk_firehose::Client::from_conf(once), patient, delivery_stream: delivery_stream.into() }
    }

    /// Looks whether the delivery stream exists, and warns of settings that spoil gzip members.
    ///
    /// # Errors
    /// [`SinkError`].
    pub async fn check(&self) -> Result<(), SinkError> {
        let name = self.delivery_stream.clone();
        match self.patient.describe_delivery_stream().delivery_stream_name(&name).send().await {
            Ok(found) => {
                warn_of_settings(&name, &found);
                Ok(())
            }
            Err(error) if error.code() == Some("ResourceNotFoundException") => Err(SinkError::Missing(name)),
            Err(error) => Err(SinkError::Remote { name, source: error.into() }),
        }
    }

    /// One call. Returns the entries that were not accepted, and why.
    async fn put(&self, entries: &[Delivery]) -> Refused {
        let mut call = self.client.put_record_batch().delivery_stream_name(&self.delivery_stream);
        for entry in entries {
            match Record::builder().data(Blob::new(entry.bytes.as_slice())).build() {
                Ok(record) => call = call.records(record),
                Err(error) => return Refused::all(entries.len(), chain(&error)),
            }
        }
        match timeout(CALL_TIMEOUT, call.send()).await {
            Ok(Ok(answer)) => refused(entries.len(), &answer.request_responses),
            Ok(Err(error)) => Refused::all(entries.len(), chain(&error)),
            Err(_) => Refused::all(entries.len(), format!("no answer within {CALL_TIMEOUT:?}")),
        }
    }

    /// Puts entries until each is accepted or nobody waits for it any more. An entry is never given up: its shard waits.
    async fn put_all(self, mut entries: Vec<Delivery>, mut backoff: Backoff) {
        loop {
            entries.retain(|entry| !entry.receipt.is_closed());
            if entries.is_empty() {
                return;
            }
            let refused = self.put(&entries).await;
            let mut index = 0;
            let failed: Vec<Delivery> = entries
                .drain(..)
                .filter_map(|entry| {
                    let again = refused.indexes.contains(&index);
                    index += 1;
                    if again {
                        return Some(entry);
                    }
                    // Nobody waits when the shard was abandoned; the member is delivered all the same.
                    entry.receipt.send(()).ok();
                    None
                })
                .collect();
            entries = failed;
            if !entries.is_empty() {
                let delay = backoff.next_delay();
                let shard = entries.first().map(|entry| entry.shard.to_string()).unwrap_or_default();
                tracing::warn!(delivery_stream = %self.delivery_stream, entries = entries.len(), first_shard = %shard,
                    reason = %refused.reason, again_in = ?delay, "entries not accepted");
                tokio::time::sleep(delay).await;
            }
        }
    }
}

fn warn_of_settings(name: &str, found: &DescribeDeliveryStreamOutput) {
    let destinations = found.delivery_stream_description().map(|stream| stream.destinations()).unwrap_or_default();
    let formats = destinations
        .iter()
        .filter_map(|destination| destination.extended_s3_destination_description())
        .map(|s3| s3.compression_format());
    for format in formats.filter(|format| **format != CompressionFormat::Uncompressed) {
        tracing::warn!(delivery_stream = name, compression_format = %format,
            "the delivery stream compresses again what is compressed already; set its CompressionFormat to UNCOMPRESSED");
    }
}

/// Entries of a call that were not accepted, by index.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    indexes: Vec<usize>,
    reason: String,
}

impl Refused {
    fn all(entries: usize, reason: String) -> Self {
        Self { indexes: (0..entries).collect(), reason }
    }
}

/// Which of `entries` the answer refuses: those with an error code, or all when the answer is not one for each.
fn refused(entries: usize, answers: &[PutRecordBatchResponseEntry]) -> Refused {
    if answers.len() != entries {
        return Refused::all(entries, format!("{} answers for {entries} entries", answers.len()));
    }
    let failed = || answers.iter().enumerate().filter(|(_, answer)| answer.error_code().is_some());
    let reason = failed().next().map_or(String::new(), |(_, answer)| {
        format!("{}: {}", answer.error_code().unwrap_or_default(), answer.error_message().unwrap_or_default())
    });
    Refused { indexes: failed().map(|(index, _)| index).collect(), reason }
}

/// What still fits into a call.
#[derive(Debug, Clone, Copy)]
struct Room {
    records: usize,
    bytes: usize,
}

impl Room {
    const WHOLE: Self = Self { records: FIREHOSE_BATCH_RECORDS, bytes: FIREHOSE_BATCH_BYTES };

    /// The room after an entry of `bytes`; `None` when it does not fit.
    ///
    /// The 4 MiB are counted in base64, as they travel: AWS does not say which it means, and this satisfies both.
    fn less(self, bytes: usize) -> Option<Self> {
        let encoded = bytes.div_ceil(3) * 4;
        Some(Self { records: self.records.checked_sub(1)?, bytes: self.bytes.checked_sub(encoded)? })
    }
}

/// Delivers what arrives until the channel closes, in calls of as many members as wait and fit, `concurrent_calls` at a time.
pub(crate) async fn deliver_all(
    sink: FirehoseSink,
    mut deliveries: mpsc::Receiver<Delivery>,
    concurrent_calls: usize,
    mut random: fastrand::Rng,
) {
    let mut calls = JoinSet::new();
    let mut carried = None;
    loop {
        while calls.len() >= concurrent_calls {
            calls.join_next().await;
        }
        let first = match carried.take() {
            Some(entry) => entry,
            None => match deliveries.recv().await {
                Some(entry) => entry,
                None => break,
            },
        };
        let mut room = Room::WHOLE.less(first.bytes.len()).unwrap_or(Room { records: 0, bytes: 0 });
        let mut entries = vec![first];
        while let Ok(entry) = deliveries.try_recv() {
            match room.less(entry.bytes.len()) {
                Some(rest) => {
                    room = rest;
                    entries.push(entry);
                }
                None => {
                    carried = Some(entry);
                    break;
                }
            }
        }
        let backoff = Backoff::new(BACKOFF.0, BACKOFF.1, random.fork());
        calls.spawn(sink.clone().put_all(entries, backoff));
        while calls.try_join_next().is_some() {}
    }
    calls.join_all().await;
}

#[cfg(test)]
mod tests;
