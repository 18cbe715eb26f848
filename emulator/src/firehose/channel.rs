//! One delivery stream at work: records come in under a lock, one task writes them to S3, object after object.

use super::budget::Budget;
use super::buffer::{self, Batch, Buffers, Step};
use super::definition::Definition;
use super::processing::delimited;
use super::{lock, name, not_found};
use crate::api::ApiError;
use crate::clock::Clock;
use crate::s3::S3;
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The emulated wait before an object that S3 refused is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The emulated time after which an object that S3 refuses is given up
/// (<https://docs.aws.amazon.com/firehose/latest/dev/retry.html>).
const RETRY_FOR: Duration = Duration::from_secs(24 * 60 * 60);

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
    state: Mutex<State>,
    budget: Arc<Budget>,
    /// Told whenever a record came in or draining began.
    wake: Notify,
    /// Set under the lock of `state`: no record comes in after it.
    draining: CancellationToken,
    finished: CancellationToken,
}

#[derive(Debug)]
struct State {
    definition: Arc<Definition>,
    buffers: Buffers,
}

impl Channel {
    /// A delivery stream that takes what it buffers from `budget`.
    pub(super) fn new(definition: Definition, budget: Arc<Budget>) -> Self {
        Self {
            state: Mutex::new(State {
                buffers: Buffers::new(definition.destination.hints.bytes),
                definition: Arc::new(definition),
            }),
            budget,
            wake: Notify::new(),
            draining: CancellationToken::new(),
            finished: CancellationToken::new(),
        }
    }

    /// What the delivery stream is at present.
    pub(super) fn definition(&self) -> Arc<Definition> {
        Arc::clone(&lock(&self.state).definition)
    }

    /// Makes the delivery stream what `change` makes of it, and leaves it as it is on an error.
    ///
    /// A buffer that is open keeps its deadline; all else holds for every record and object from here on.
    pub(super) fn change(
        &self,
        change: impl FnOnce(&Definition) -> Result<Definition, ApiError>,
    ) -> Result<(), ApiError> {
        let mut state = lock(&self.state);
        let changed = change(&state.definition)?;
        state.buffers.set_limit(changed.destination.hints.bytes);
        state.definition = Arc::new(changed);
        Ok(())
    }

    /// Adds records in their order. One that finds no room is refused alone.
    ///
    /// # Errors
    /// `ResourceNotFoundException` once the delivery stream is being deleted.
    pub(super) fn accept(&self, records: Vec<Bytes>, clock: &Clock) -> Result<Vec<Outcome>, ApiError> {
        let mut state = lock(&self.state);
        let State { definition, buffers } = &mut *state;
        if self.draining.is_cancelled() {
            return Err(not_found(&definition.name));
        }
        let destination = &definition.destination;
        // Read under the lock, so that a later record never has an earlier arrival.
        let arrival = clock.now();
        let deadline = arrival + destination.hints.interval;
        let add = |record: Bytes| {
            let record = delimited(record, destination.delimiter.as_ref());
            if !self.budget.take(buffer::cost(&record)) {
                return Outcome::Refused;
            }
            buffers.push(record, arrival, deadline);
            Outcome::Accepted(Uuid::new_v4().to_string())
        };
        let outcomes = records.into_iter().map(add).collect();
        drop(state);
        self.wake.notify_one();
        Ok(outcomes)
    }

    /// Refuses further records and makes all that is buffered due.
    pub(super) fn drain(&self) {
        let state = lock(&self.state);
        self.draining.cancel();
        drop(state);
        self.wake.notify_one();
    }

    /// Returns when the last object has been written, or could not be.
    pub(super) async fn finished(&self) {
        self.finished.cancelled().await;
    }

    /// Writes what becomes due, one object after the other, until drained.
    pub(super) async fn deliver(self: Arc<Self>, s3: S3, clock: Clock) {
        let _finished = self.finished.clone().drop_guard();
        while let Some(step) = self.next(clock.now()) {
            match step {
                Step::Write(batch) => self.write(batch, &s3, &clock).await,
                Step::WaitUntil(due) => {
                    tokio::select! {
                        biased;
                        () = clock.sleep_until(due) => {}
                        () = self.wake.notified() => {}
                    }
                }
                Step::WaitForRecords => self.wake.notified().await,
            }
        }
    }

    /// The next step; `None` when drained and nothing is left.
    fn next(&self, now: SystemTime) -> Option<Step> {
        let mut state = lock(&self.state);
        let draining = self.draining.is_cancelled();
        let step = state.buffers.next(now, draining);
        (!draining || matches!(step, Step::Write(_))).then_some(step)
    }

    /// Writes one object, again and again if need be; the name stays, so that a retry does not make a second object.
    /// While draining, the first failure is the last.
    async fn write(&self, batch: Batch, s3: &S3, clock: &Clock) {
        let (cost, count, id) = (batch.cost(), batch.records.len(), Uuid::new_v4());
        let definition = self.definition();
        let key = name::object_key(&definition, batch.oldest, id);
        match definition.destination.compression.apply(batch.records, id).await {
            Ok(chunks) => self.write_chunks(&key, chunks, count, s3, clock).await,
            Err(error) => tracing::error!(%error, key, records = count, "Firehose lost records: cannot compress them"),
        }
        self.budget.give(cost);
    }

    async fn write_chunks(&self, key: &str, chunks: Vec<Bytes>, count: usize, s3: &S3, clock: &Clock) {
        let began = clock.now();
        loop {
            // Looked up each time, so that another bucket helps what waits for one that is missing.
            let definition = self.definition();
            let (stream, bucket) = (&definition.name, &definition.destination.bucket);
            let Err(error) = s3.put(bucket, key, chunks.clone()).await else {
                tracing::debug!(stream, bucket, key, records = count, "Firehose wrote an object");
                return;
            };
            if self.draining.is_cancelled() || gives_up(began, clock.now()) {
                tracing::error!(%error, stream, bucket, records = count, "Firehose lost records: S3 refused the last write");
                return;
            }
            tracing::warn!(%error, stream, bucket, key, "Firehose cannot write an object yet, and will try again");
            self.draining.run_until_cancelled(clock.sleep(RETRY_AFTER)).await;
        }
    }
}

/// Whether an object that was first tried at `began` is not tried again after `now`.
fn gives_up(began: SystemTime, now: SystemTime) -> bool {
    now.duration_since(began).unwrap_or_default() >= RETRY_FOR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_given_up_after_a_day() {
        let began = SystemTime::UNIX_EPOCH;
        assert!(!gives_up(began, began));
        assert!(!gives_up(began, began + Duration::from_secs(86_399)));
        assert!(gives_up(began, began + Duration::from_secs(86_400)));
        assert!(!gives_up(began + Duration::from_secs(1), began), "a clock that was set back gives nothing up");
    }
}
