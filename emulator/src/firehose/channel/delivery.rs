//! Writing what becomes due.

use super::Channel;
use crate::clock::Clock;
use crate::firehose::buffer::Batch;
use crate::firehose::compress::Compression;
use crate::firehose::definition::Definition;
use crate::firehose::lane::{Lane, Next};
use crate::firehose::{lock, name};
use crate::s3::S3;
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The emulated wait before an object that S3 refused is tried again
/// (<https://aws.amazon.com/firehose/faqs/>).
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The emulated time after which records that S3 refuses are given up, from when they came in
/// (<https://docs.aws.amazon.com/firehose/latest/dev/retry.html>). There is no other place for them then: an error prefix
/// lies in the bucket that refuses.
const RETRY_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// An object on its way.
struct Object {
    lane: Lane,
    key: String,
    content_encoding: Option<&'static str>,
    chunks: Vec<Bytes>,
    /// How many records it holds.
    count: usize,
    /// When the first of them came in.
    oldest: SystemTime,
    /// When the last of them came in.
    newest: SystemTime,
}

impl Channel {
    /// Writes what becomes due, one object after the other, until drained.
    pub(in crate::firehose) async fn deliver(self: Arc<Self>, s3: S3) {
        let _finished = self.finished.clone().drop_guard();
        while let Some(next) = self.next(self.clock.now()) {
            match next {
                Next::Write(lane, batch) => self.write(lane, batch, &s3).await,
                Next::WaitUntil(due) => {
                    tokio::select! {
                        biased;
                        () = self.clock.sleep_until(due) => {}
                        () = self.wake.notified() => {}
                    }
                }
                Next::WaitForRecords => self.wake.notified().await,
            }
        }
    }

    /// The next step; `None` when drained and nothing is left.
    fn next(&self, now: SystemTime) -> Option<Next> {
        let mut state = lock(&self.state);
        let draining = self.draining.is_cancelled();
        let next = state.lanes.next(now, draining);
        (!draining || matches!(next, Next::Write(..))).then_some(next)
    }

    /// Writes one object, again and again if need be; the name stays, so that a retry does not make a second object.
    /// While draining, the first failure is the last.
    async fn write(&self, lane: Lane, batch: Batch, s3: &S3) {
        let (cost, count, id) = (batch.cost(), batch.records.len(), self.random.uuid());
        let (oldest, newest) = (batch.oldest, batch.newest);
        let definition = self.definition();
        let key = name::object_key(&definition, lane, batch.oldest, id);
        let compression = match lane {
            Lane::Data | Lane::Backup => definition.destination_of(lane).compression,
            Lane::Failed(_) => Compression::Uncompressed,
        };
        match compression.apply(batch.records, id).await {
            Ok(chunks) => {
                let content_encoding = compression.content_encoding();
                let object = Object { lane, key, content_encoding, chunks, count, oldest, newest };
                self.put(&object, s3, &self.clock).await;
            }
            Err(error) => tracing::error!(%error, key, records = count, "Firehose lost records: cannot compress them"),
        }
        self.budget.give(cost);
    }

    /// The name that the same object would have had with another id.
    fn another_name(&self, object: &Object, definition: &Definition) -> String {
        name::object_key(definition, object.lane, object.oldest, self.random.uuid())
    }

    async fn put(&self, object: &Object, s3: &S3, clock: &Clock) {
        let (key, records) = (&object.key, object.count);
        loop {
            // Looked up each time, so that another bucket helps what waits for one that is missing.
            let definition = self.definition();
            let (stream, bucket) = (&definition.name, &definition.destination_of(object.lane).bucket);
            let fault = self.faults.on_delivery(clock, stream, bucket, key).await;
            let put = |key: String| async move {
                let put = s3.put(bucket, &key, object.content_encoding, object.chunks.clone());
                put.await.map_err(|error| error.to_string())
            };
            let written = match fault.refused {
                Some(error) => Err(error),
                None => put(key.clone()).await,
            };
            let Err(error) = written else {
                tracing::debug!(stream, bucket, key, records, "Firehose wrote an object");
                if fault.twice
                    && let Err(error) = put(self.another_name(object, &definition)).await
                {
                    tracing::error!(%error, "a fault cannot write an object twice");
                }
                return;
            };
            if self.draining.is_cancelled() || gives_up(object.newest, clock.now()) {
                tracing::error!(%error, stream, bucket, records, "Firehose lost records: S3 refused the last write");
                return;
            }
            tracing::warn!(%error, stream, bucket, key, "Firehose cannot write an object yet, and will try again");
            self.draining.run_until_cancelled(clock.sleep(RETRY_AFTER)).await;
        }
    }
}

/// Whether records of which the last came in at `newest` are not tried again after `now`.
fn gives_up(newest: SystemTime, now: SystemTime) -> bool {
    now.duration_since(newest).unwrap_or_default() >= RETRY_FOR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_given_up_after_a_day() {
        let newest = SystemTime::UNIX_EPOCH;
        assert!(!gives_up(newest, newest));
        assert!(!gives_up(newest, newest + Duration::from_secs(86_399)));
        assert!(gives_up(newest, newest + Duration::from_secs(86_400)));
        assert!(!gives_up(newest + Duration::from_secs(1), newest), "a clock that was set back gives nothing up");
    }
}
