//! One delivery stream at work: records come in under a lock, one task writes them to S3, object after object.

use super::budget::Budget;
use super::buffer::{self, Batch, Buffers, Step};
use super::definition::{Compression, Definition};
use super::{lock, name, not_found};
use crate::api::ApiError;
use crate::clock::Clock;
use crate::s3::S3;
use bytes::Bytes;
use flate2::write::GzEncoder;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The emulated wait before an object that S3 refused is tried again. AWS retries for up to 24 hours
/// (<https://docs.aws.amazon.com/firehose/latest/dev/retry.html>); the emulator for as long as it runs.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What became of one record of a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It will be written; this is its RecordId.
    Accepted(String),
    /// There was no room.
    Refused,
}

/// A delivery stream and what it buffers.
#[derive(Debug)]
pub(super) struct Channel {
    definition: Definition,
    buffers: Mutex<Buffers>,
    budget: Arc<Budget>,
    /// Told whenever a record came in or draining began.
    wake: Notify,
    /// Set under the lock of `buffers`: no record comes in after it.
    draining: CancellationToken,
    finished: CancellationToken,
}

impl Channel {
    /// A delivery stream that takes what it buffers from `budget`.
    pub(super) fn new(definition: Definition, budget: Arc<Budget>) -> Self {
        Self {
            buffers: Mutex::new(Buffers::new(definition.hints.bytes)),
            definition,
            budget,
            wake: Notify::new(),
            draining: CancellationToken::new(),
            finished: CancellationToken::new(),
        }
    }

    /// What the delivery stream was created as.
    pub(super) fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Adds records in their order. One that finds no room is refused alone.
    ///
    /// # Errors
    /// `ResourceNotFoundException` once the delivery stream is being deleted.
    pub(super) fn accept(&self, records: Vec<Bytes>, clock: Clock) -> Result<Vec<Outcome>, ApiError> {
        let mut buffers = lock(&self.buffers);
        if self.draining.is_cancelled() {
            return Err(not_found(&self.definition.name));
        }
        // Read under the lock, so that a later record never has an earlier arrival.
        let (arrival, deadline) = (clock.now(), clock.instant_after(self.definition.hints.interval));
        let add = |record: Bytes| {
            if !self.budget.take(buffer::cost(&record)) {
                return Outcome::Refused;
            }
            buffers.push(record, arrival, deadline);
            Outcome::Accepted(Uuid::new_v4().to_string())
        };
        let outcomes = records.into_iter().map(add).collect();
        drop(buffers);
        self.wake.notify_one();
        Ok(outcomes)
    }

    /// Refuses further records and makes all that is buffered due.
    pub(super) fn drain(&self) {
        let buffers = lock(&self.buffers);
        self.draining.cancel();
        drop(buffers);
        self.wake.notify_one();
    }

    /// Returns when the last object has been written, or could not be.
    pub(super) async fn finished(&self) {
        self.finished.cancelled().await;
    }

    /// Writes what becomes due, one object after the other, until drained.
    pub(super) async fn deliver(self: Arc<Self>, s3: S3, clock: Clock) {
        let _finished = self.finished.clone().drop_guard();
        while let Some(step) = self.next() {
            match step {
                Step::Write(batch) => self.write(batch, &s3, clock).await,
                Step::WaitUntil(due) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(due) => {}
                        () = self.wake.notified() => {}
                    }
                }
                Step::WaitForRecords => self.wake.notified().await,
            }
        }
    }

    /// The next step; `None` when drained and nothing is left.
    fn next(&self) -> Option<Step> {
        let mut buffers = lock(&self.buffers);
        let draining = self.draining.is_cancelled();
        let step = buffers.next(Instant::now(), draining);
        (!draining || matches!(step, Step::Write(_))).then_some(step)
    }

    /// Writes one object, again and again if need be; the name stays, so that a retry does not make a second object.
    /// While draining, the first failure is the last.
    async fn write(&self, batch: Batch, s3: &S3, clock: Clock) {
        let (cost, count) = (batch.cost(), batch.records.len());
        let key = name::object_key(&self.definition, batch.oldest, Uuid::new_v4());
        match compress(self.definition.compression, batch.records).await {
            Ok(chunks) => self.write_chunks(&key, chunks, count, s3, clock).await,
            Err(error) => tracing::error!(%error, key, records = count, "Firehose lost records: cannot compress them"),
        }
        self.budget.give(cost);
    }

    async fn write_chunks(&self, key: &str, chunks: Vec<Bytes>, count: usize, s3: &S3, clock: Clock) {
        let (stream, bucket) = (&self.definition.name, &self.definition.bucket);
        while let Err(error) = s3.put(bucket, key, chunks.clone()).await {
            if self.draining.is_cancelled() {
                tracing::error!(%error, stream, bucket, records = count, "Firehose lost records: S3 refused the last write");
                return;
            }
            tracing::warn!(%error, stream, bucket, key, "Firehose cannot write an object yet, and will try again");
            self.draining.run_until_cancelled(clock.sleep(RETRY_AFTER)).await;
        }
        tracing::debug!(stream, bucket, key, records = count, "Firehose wrote an object");
    }
}

/// The object's bytes: the records joined without anything in between, or that as one gzip member.
async fn compress(compression: Compression, records: Vec<Bytes>) -> io::Result<Vec<Bytes>> {
    match compression {
        Compression::Uncompressed => Ok(records),
        Compression::Gzip => match tokio::task::spawn_blocking(move || gzip(&records)).await {
            Ok(member) => Ok(vec![member?]),
            Err(error) => Err(io::Error::other(error)),
        },
    }
}

fn gzip(records: &[Bytes]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    for record in records {
        encoder.write_all(record)?;
    }
    encoder.finish().map(Bytes::from)
}
