//! A lane: the records of some partition keys, put one call at a time.

mod places;

use crate::answer::{Answer, judge};
use crate::batcher::{Batcher, Limits, Readiness, Settled, Verdict};
use crate::entry::Entry;
use crate::load::Load;
use crate::measure::{Counts, Measured};
use crate::observe::{Accepted, Observer};
use crate::packer::Packer;
use alluvial_runtime::backoff::Backoff;
use alluvial_runtime::clock::Clock;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use aws_smithy_types::Blob;
use places::Place;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// The first delay before records are put again; a call that accepted something starts here again.
const BACKOFF_FLOOR: Duration = Duration::from_millis(50);
/// The longest one. With 20 attempts a stream may be away for about half a minute.
const BACKOFF_CAP: Duration = Duration::from_secs(5);
/// A lane says so in the log when this many calls in a row accepted nothing.
const WARN_AFTER: u32 = 5;

/// What every task of a run works with.
#[derive(Debug)]
pub(crate) struct Shared<O> {
    pub(crate) counts: Counts,
    pub(crate) observer: O,
    pub(crate) clock: Clock,
    /// Bytes that may still be offered; see [`Load::buffer_bytes`].
    pub(crate) budget: Semaphore,
    /// Cancelled when every later call would fail too.
    pub(crate) halt: CancellationToken,
}

/// The task that puts one lane's records.
pub(crate) struct Lane<O> {
    client: Client,
    stream: String,
    max_attempts: u32,
    inbox: mpsc::Receiver<Vec<Entry>>,
    /// False once no more records will come.
    open: bool,
    batcher: Batcher,
    /// Where records are packed into aggregates.
    packer: Option<Packer>,
    backoff: Backoff,
    shared: Arc<Shared<O>>,
    measured: Measured,
    shards: HashMap<String, (Arc<str>, u64)>,
}

/// How a lane ended.
pub(crate) struct LaneReport {
    pub(crate) measured: Measured,
    /// Why the run cannot go on, if this lane found out.
    pub(crate) fatal: Option<String>,
}

impl<O: Observer> Lane<O> {
    pub(crate) fn new(
        load: &Load,
        client: Client,
        inbox: mpsc::Receiver<Vec<Entry>>,
        packer: Option<Packer>,
        random: fastrand::Rng,
        shared: Arc<Shared<O>>,
    ) -> Self {
        Self {
            client,
            stream: load.stream.clone(),
            max_attempts: load.max_attempts,
            inbox,
            open: true,
            batcher: Batcher::new(Limits::KINESIS, load.linger),
            packer,
            backoff: Backoff::new(BACKOFF_FLOOR, BACKOFF_CAP, random),
            shared,
            measured: Measured::new(),
            shards: HashMap::new(),
        }
    }

    /// Puts what comes until no more comes, or until the run is halted.
    pub(crate) async fn run(mut self) -> LaneReport {
        let mut fatal = None;
        while fatal.is_none() && self.gather().await {
            let batch = self.batcher.take();
            if !batch.is_empty() {
                fatal = self.put(batch).await;
            }
        }
        if fatal.is_some() {
            self.shared.halt.cancel();
        }
        self.abandon().await;
        self.measured.shards = self.shards.into_iter().map(|(shard, (_, count))| (shard, count)).collect();
        LaneReport { measured: self.measured, fatal }
    }

    /// Waits until a call is worth making; false when none will be.
    async fn gather(&mut self) -> bool {
        loop {
            // The memory budget bounds what can wait here.
            while let Ok(chunk) = self.inbox.try_recv() {
                self.take_in(chunk);
            }
            let deadline = match self.readiness(Instant::now()) {
                _ if self.shared.halt.is_cancelled() => return false,
                Readiness::Empty if !self.open => return false,
                Readiness::At(_) if !self.open => return true,
                Readiness::Ready => return true,
                Readiness::At(deadline) => Some(deadline),
                Readiness::Empty => None,
            };
            tokio::select! {
                chunk = self.inbox.recv() => match chunk {
                    Some(chunk) => self.take_in(chunk),
                    None => self.open = false,
                },
                () = at(deadline) => return true,
                () = self.shared.halt.cancelled() => return false,
            }
        }
    }

    fn take_in(&mut self, chunk: Vec<Entry>) {
        let Some(packer) = &mut self.packer else { return self.batcher.extend(chunk) };
        let mut closed = Vec::new();
        packer.add(chunk, &mut closed);
        self.batcher.extend(closed);
    }

    /// Closes the aggregates that are due, all of them once nothing more will come, and says when a call is worth making.
    fn readiness(&mut self, now: Instant) -> Readiness {
        let Some(packer) = &mut self.packer else { return self.batcher.readiness(now) };
        let closed = if self.open { packer.close_due(now) } else { packer.close_all() };
        self.batcher.extend(closed);
        match (self.batcher.readiness(now), packer.due()) {
            (Readiness::Empty, Some(due)) => Readiness::At(due),
            (Readiness::At(at), Some(due)) => Readiness::At(at.min(due)),
            (readiness, _) => readiness,
        }
    }

    /// Makes one call and settles its records; returns why the run cannot go on, if it cannot.
    async fn put(&mut self, batch: Vec<Entry>) -> Option<String> {
        let started = Instant::now();
        let request = self.client.put_records().stream_name(&self.stream).set_records(Some(request_entries(&batch)));
        let result = Box::pin(request.send()).await;
        let ended = Instant::now();
        self.shared.counts.calls.add(1);
        let (verdicts, reason) = match judge(result, batch.len(), &self.stream) {
            Answer::Each(verdicts, reason) => (verdicts, reason),
            Answer::All(verdict, reason) => (vec![verdict; batch.len()], Some(reason)),
            Answer::Fatal(message) => {
                self.lose(&batch);
                return Some(message);
            }
        };
        let settled = self.settle(batch, verdicts, started, ended).await;
        if settled.retried > 0 {
            self.pause(settled.progress, &reason.unwrap_or_default()).await;
        } else {
            self.backoff.reset();
        }
        None
    }

    async fn settle(&mut self, batch: Vec<Entry>, verdicts: Vec<Verdict>, started: Instant, ended: Instant) -> Outcome {
        let settled = self.batcher.settle(batch, verdicts, self.max_attempts);
        let Settled { accepted, lost, retried, throttled, unknown, reordered } = settled;
        let counts = &self.shared.counts;
        counts.retried.add(retried);
        counts.throttled.add(throttled);
        counts.unknown.add(unknown);
        counts.reordered.add(reordered);
        if !lost.is_empty() {
            self.lose(&lost);
            let records: u64 = lost.iter().map(Entry::records).sum();
            tracing::warn!(records, attempts = self.max_attempts, "records given up and lost");
        }
        let progress = !accepted.is_empty();
        counts.kinesis_records.add(accepted.len() as u64);
        let places = self.places(accepted).await;
        self.measured.service.record(ended.duration_since(started), places.len() as u64);
        self.accept(places, ended);
        Outcome { retried, progress }
    }

    fn accept(&mut self, accepted: Vec<Place>, ended: Instant) {
        if accepted.is_empty() {
            return;
        }
        let accepted_at = self.shared.clock.now();
        let (mut bytes, mut budget) = (0, 0);
        let mut report = Vec::with_capacity(accepted.len());
        for Place { entry, shard, sequence_number, sub_sequence } in accepted {
            bytes += entry.data.len() as u64;
            budget += entry.budget();
            self.measured.latency.record(ended.saturating_duration_since(entry.due), 1);
            report.push(Accepted {
                shard: count_shard(&mut self.shards, shard),
                sequence_number,
                sub_sequence,
                partition_key_hash: entry.key_hash,
                number: entry.number,
                bytes: u32::try_from(entry.data.len()).unwrap_or(u32::MAX),
                attempts: entry.attempts,
                offered_at: entry.offered_at,
                accepted_at,
            });
        }
        self.shared.counts.accepted.add(report.len() as u64);
        self.shared.counts.bytes.add(bytes);
        self.shared.budget.add_permits(budget);
        self.shared.observer.accepted(report);
    }

    fn lose(&self, entries: &[Entry]) {
        self.shared.counts.lost.add(entries.iter().map(Entry::records).sum());
        self.shared.budget.add_permits(entries.iter().map(Entry::budget).sum());
    }

    /// Waits before records are put again. A call that accepted some keeps the wait short: the stream takes
    /// records, only not that many.
    async fn pause(&mut self, progress: bool, reason: &str) {
        if progress {
            self.backoff.reset();
        }
        let delay = self.backoff.next_delay();
        if self.backoff.attempts() == WARN_AFTER {
            tracing::warn!(reason, "PutRecords accepted nothing {WARN_AFTER} times in a row; going on trying");
        } else {
            tracing::debug!(reason, ?delay, "records are put again");
        }
        tokio::select! {
            () = sleep(delay) => {}
            () = self.shared.halt.cancelled() => {}
        }
    }

    /// Counts what is left as lost, and what still comes, so that nobody waits for this lane.
    async fn abandon(&mut self) {
        let left = self.batcher.abandon();
        self.lose(&left);
        let open = self.packer.as_mut().map(Packer::close_all).unwrap_or_default();
        self.lose(&open);
        while let Some(chunk) = self.inbox.recv().await {
            self.lose(&chunk);
        }
    }
}

/// What [`Lane::settle`] leaves for the next step.
struct Outcome {
    retried: u64,
    progress: bool,
}

/// The lane's own copy of a shard's name, shared by all its records, and one more record for it.
fn count_shard(shards: &mut HashMap<String, (Arc<str>, u64)>, shard: String) -> Arc<str> {
    if let Some((name, count)) = shards.get_mut(&shard) {
        *count += 1;
        return Arc::clone(name);
    }
    let name: Arc<str> = shard.as_str().into();
    shards.insert(shard, (Arc::clone(&name), 1));
    name
}

/// Shares the data with the entries, which may be needed again.
fn request_entries(batch: &[Entry]) -> Vec<PutRecordsRequestEntry> {
    let entry = |entry: &Entry| {
        let built = PutRecordsRequestEntry::builder()
            .data(Blob::from_maybe_shared(entry.data.clone()))
            .partition_key(&*entry.key)
            .set_explicit_hash_key(entry.explicit_hash_key.map(|key| key.to_string()))
            .build();
        // Fails only without data or key, and both are set above.
        built.expect("data and key are set")
    };
    batch.iter().map(entry).collect()
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
