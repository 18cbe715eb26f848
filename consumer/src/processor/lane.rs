//! One shard and its processor: calls, errors, dead letters, acknowledgements. What to do next, [`Course`] says.

use super::cut::cut;
use super::drive::Plan;
use super::on_error::{DeadLetter, Then};
use super::policy::{Course, Outcome, Step};
use super::{ProcessError, Processor, Records};
use crate::error::{Error, ErrorKind};
use crate::feed::{Batch, FeedEnd, Record, ShardFeed, ShardName};
use crate::progress::Ack;
use crate::status::ShardState;
use alluvial_runtime::backoff::Backoff;
use futures_util::FutureExt as _;
use std::any::Any;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Waits between attempts to store a dead letter.
const DEAD_LETTER_BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Why a lane takes no more batches.
enum LaneEnd {
    /// There are none, and all that came is settled.
    Feed(FeedEnd),
    /// Nothing may be delivered or acknowledged any more.
    Abandoned,
    /// A record failed for good, and nothing after it may be processed.
    Halted(Error),
}

pub(super) struct Lane<P> {
    plan: Arc<Plan>,
    name: ShardName,
    feed: ShardFeed,
    processor: P,
    random: fastrand::Rng,
}

impl<P: Processor> Lane<P> {
    pub(super) fn new(plan: Arc<Plan>, feed: ShardFeed, processor: P, random: fastrand::Rng) -> Self {
        Self { plan, name: feed.name(), feed, processor, random }
    }

    /// Takes batches until the feed ends, is abandoned, or a record stops it.
    ///
    /// # Errors
    /// [`ErrorKind::Processing`] when a record failed and the policy is to stop.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        let (abandon, acks) = (self.feed.abandon.clone(), self.feed.acks.clone());
        let ended = tokio::select! {
            biased;
            () = abandon.cancelled() => LaneEnd::Abandoned,
            // Nobody keeps acknowledgements any more: the shard's task is gone.
            () = acks.closed() => LaneEnd::Abandoned,
            ended = self.work() => ended,
        };
        let mut failure = None;
        match ended {
            LaneEnd::Abandoned => self.hook(async |processor| processor.lease_lost().await).await,
            LaneEnd::Feed(FeedEnd::ShardEnded) => self.hook(async |processor| processor.shard_ended().await).await,
            LaneEnd::Feed(_) => self.hook(async |processor| processor.shutdown().await).await,
            LaneEnd::Halted(error) => {
                // Before the feed is dropped: the shard would be taken up again, to fail again.
                self.plan.stop.cancel();
                failure = Some(error);
                self.hook(async |processor| processor.shutdown().await).await;
            }
        }
        failure.map_or(Ok(()), Err)
    }

    async fn work(&mut self) -> LaneEnd {
        let name = self.name.clone();
        self.hook(async |processor| processor.lease_gained(&name).await).await;
        while let Some(batch) = self.feed.batches.recv().await {
            if let Err(halt) = self.batch(batch).await {
                return self.halted(halt).await;
            }
        }
        LaneEnd::Feed(self.feed.end().await)
    }

    /// Takes the batch by value: its share of the byte budget is free once it is settled or given up.
    async fn batch(&mut self, batch: Batch) -> Result<(), Error> {
        for range in cut(&batch.records, self.plan.limits) {
            self.part(&batch, range).await?;
        }
        Ok(())
    }

    /// Brings one part of a batch to its end.
    async fn part(&mut self, batch: &Batch, part: Range<usize>) -> Result<(), Error> {
        let offset = part.start;
        let at = |range: &Range<usize>| range.start + offset..range.end + offset;
        let (least, most) = self.plan.on_error.backoff;
        let mut backoff = Backoff::new(least, most, self.random.fork());
        let mut course = Course::new(self.plan.on_error.rules(), part.len());
        let (mut step, mut reason) = (course.first(), String::new());
        loop {
            step = match step {
                Step::Process { range, attempt } => {
                    backoff.reset();
                    course.attempted(self.attempt(batch, at(&range), attempt, &mut reason).await)
                }
                Step::ProcessLater { range, attempt } => {
                    sleep(backoff.next_delay()).await;
                    course.attempted(self.attempt(batch, at(&range), attempt, &mut reason).await)
                }
                Step::DeadLetter { range, attempts } => {
                    self.store(batch, at(&range), attempts, &reason).await;
                    course.settled()
                }
                Step::Skip { range, attempts } => {
                    self.skip(batch, at(&range), attempts, &reason).await;
                    course.settled()
                }
                Step::Halt { range, attempts } => {
                    let first = &batch.records[at(&range).start];
                    let (name, position) = (&self.name, first.position);
                    let text = format!("{name}: the record at {position} failed {attempts} times: {reason}");
                    return Err(Error::new(ErrorKind::Processing, text));
                }
                Step::Finished => return Ok(()),
            };
        }
    }

    /// Calls the processor, and acknowledges what it did.
    async fn attempt(&mut self, batch: &Batch, range: Range<usize>, attempt: u32, reason: &mut String) -> Outcome {
        let records = &batch.records[range.clone()];
        self.feed.gate.open().await;
        let (name, began) = (&self.name, Instant::now());
        let call = async { self.processor.process(Records::new(name, records, attempt)).await };
        let answer = AssertUnwindSafe(call).catch_unwind().await;
        self.plan.timings.record(name, began.elapsed(), records.len());
        let error = match answer {
            Ok(Ok(())) => {
                self.processed(batch, range).await;
                return Outcome::Done;
            }
            Ok(Err(error)) => error,
            Err(panic) => ProcessError::new(format!("the processor panicked: {}", panic_text(&*panic))),
        };
        count(&self.feed.status.processing.errors, 1);
        *reason = error.to_string();
        let done = error.done.min(records.len() - 1);
        tracing::warn!(shard = %self.name, from = %records[done].position, records = records.len() - done, attempt,
            error = %reason, "processing failed");
        self.processed(batch, range.start..range.start + done).await;
        Outcome::Failed { done, permanent: error.permanent }
    }

    async fn processed(&mut self, batch: &Batch, range: Range<usize>) {
        count(&self.feed.status.processing.processed, range.len());
        self.acknowledge(batch, range).await;
    }

    async fn acknowledge(&mut self, batch: &Batch, range: Range<usize>) {
        let Some(last) = batch.records[range.clone()].last() else { return };
        let ordinal = |place| batch.first + u64::try_from(place).unwrap_or(u64::MAX);
        let ack = Ack { first: ordinal(range.start), last: ordinal(range.end - 1), position: last.position };
        // A keeper that is gone has no use for it.
        self.feed.acks.send(ack).await.ok();
    }

    /// Stores dead letters one by one, however long it takes: until then they are not acknowledged.
    async fn store(&mut self, batch: &Batch, range: Range<usize>, attempts: u32, reason: &str) {
        for place in range {
            let record = &batch.records[place];
            tracing::error!(shard = %self.name, position = %record.position, attempts, reason, "record becomes a dead letter");
            let mut backoff = Backoff::new(DEAD_LETTER_BACKOFF.0, DEAD_LETTER_BACKOFF.1, self.random.fork());
            loop {
                // Before each attempt, as before each call of the processor.
                self.feed.gate.open().await;
                let Err(error) = self.store_one(record, attempts, reason).await else { break };
                let again_in = backoff.next_delay();
                tracing::error!(shard = %self.name, position = %record.position, %error, ?again_in, "dead letter not stored");
                sleep(again_in).await;
            }
            count(&self.feed.status.processing.dead_lettered, 1);
            self.acknowledge(batch, place..place + 1).await;
        }
    }

    async fn store_one(&mut self, record: &Record, attempts: u32, reason: &str) -> Result<(), ProcessError> {
        let Then::DeadLetter(store) = &self.plan.on_error.then else { return Ok(()) };
        let letter =
            DeadLetter { shard: self.name.clone(), record: record.clone(), attempts, reason: reason.to_owned() };
        let stored = AssertUnwindSafe(async { store.store(letter).await }).catch_unwind().await;
        stored.unwrap_or_else(|panic| Err(ProcessError::new(format!("it panicked: {}", panic_text(&*panic)))))
    }

    async fn skip(&mut self, batch: &Batch, range: Range<usize>, attempts: u32, reason: &str) {
        for record in &batch.records[range.clone()] {
            tracing::error!(shard = %self.name, position = %record.position, attempts, reason, "record is skipped, its data is lost");
        }
        count(&self.feed.status.processing.skipped, range.len());
        self.acknowledge(batch, range).await;
    }

    /// Stops the consumer, or stands still until it stops or the shard goes to a peer.
    async fn halted(&mut self, error: Error) -> LaneEnd {
        if !matches!(self.plan.on_error.then, Then::StopShard) {
            return LaneEnd::Halted(error);
        }
        tracing::error!(shard = %self.name, %error, "this shard stands still; the others go on");
        // What waits gives its share of the byte budget back to the other shards, and the reading ends with it. The lease is
        // kept, because the feed is.
        self.feed.batches.close();
        while self.feed.batches.recv().await.is_some() {}
        let (status, stopping) = (Arc::clone(&self.feed.status), self.feed.stopping.clone());
        status.enter(ShardState::Halted);
        tokio::select! {
            () = stopping.cancelled() => {}
            _ = self.feed.end() => {
                // The reader named its own state at its end.
                status.enter(ShardState::Halted);
                stopping.cancelled().await;
            }
        }
        LaneEnd::Feed(FeedEnd::Stopped)
    }

    /// Calls a hook; a panic in it is logged, since the records are settled either way.
    async fn hook(&mut self, call: impl AsyncFnOnce(&mut P)) {
        if let Err(panic) = AssertUnwindSafe(call(&mut self.processor)).catch_unwind().await {
            tracing::error!(shard = %self.name, panic = panic_text(&*panic), "a hook of the processor panicked");
        }
    }
}

fn count(counter: &AtomicU64, records: usize) {
    counter.fetch_add(u64::try_from(records).unwrap_or(u64::MAX), Ordering::Relaxed);
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests;
