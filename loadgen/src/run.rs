//! A run from its first question to Kinesis to its report.

use crate::check::{self, Facts};
use crate::entry::{Entry, OVERHEAD_BYTES};
use crate::input::{self, Opened};
use crate::key::{Keys, PartitionKey};
use crate::lane::{Lane, LaneReport, Shared};
use crate::load::{Error, Load, Source};
use crate::measure::{Counts, Measured};
use crate::observe::{Accepted, Observer, Progress, Rejection};
use crate::offer::{Offer, Offered, State};
use crate::packer::{PARTITION_KEY, Packer};
use crate::records::Records;
use crate::report::{Ending, LISTED_REJECTIONS, Report, Stopped};
use crate::shards::ShardMap;
use crate::template::{Context, Template};
use alluvial_runtime::clock::Clock;
use alluvial_runtime::exit::chain;
use alluvial_runtime::tasks::{TaskDied, Tasks};
use aws_sdk_kinesis::Client;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use bytes::BytesMut;
use fastrand::Rng;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

/// How often the observer hears of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Puts `load` through `client` and reports.
///
/// First the stream is described once. Then records are offered on schedule until the end, or until `stop` is
/// cancelled; what was offered is put to its end in both cases. The client's retries and timeouts are replaced
/// by this crate's own for PutRecords, so that a record is repeated in one place only.
///
/// Dropping the future aborts the calls in flight and loses the counts.
///
/// # Errors
/// - [`Error::Setting`]: the load cannot work: a name, a number, a template without the partition key's field or
///   above the stream's record limit, an input that cannot be opened.
/// - [`Error::Remote`]: the stream does not exist, is not ready, or Kinesis is out of reach. Nothing was put.
/// - [`Error::Internal`]: a task of the run died.
///
/// A refusal after the start is no error: the report has it in [`Report::stopped_by`].
pub async fn run<O: Observer>(
    load: Load,
    client: Client,
    clock: Clock,
    stop: CancellationToken,
    observer: O,
) -> Result<Report, Error> {
    load.check()?;
    let opened = match &load.source {
        Source::Input(input) => Some(input::open(input)?),
        Source::Template(_) => None,
    };
    let asked = tokio::select! {
        biased;
        () = stop.cancelled() => return Err(Error::Remote("stopped before Kinesis answered; nothing was put".to_owned())),
        asked = ask(&client, &load) => asked?,
    };
    let facts = asked.0;
    if let Source::Template(template) = &load.source {
        check_sample(template, &load.partition_key, facts, &clock)?;
    }
    if let Some(advice) = check::advice(facts, load.rate) {
        tracing::warn!("{advice}");
    }
    let mut seeds = Rng::with_seed(load.seed);
    let (keys, content) = (Keys::new(&load.partition_key, seeds.fork()), seeds.fork());
    // Owns the reader's thread to the end of the run; the thread ends with the input or with its last listener.
    let mut readers = JoinSet::new();
    let records = match (&load.source, opened) {
        (Source::Template(template), None) => Records::made(template.clone(), content),
        (_, Some(opened)) => read_beside(opened, facts, &mut readers),
        (Source::Input(_), None) => return Err(Error::Internal("the input was not opened".to_owned())),
    };
    let run = Run::start(load, asked, &client, clock, stop, observer, &mut seeds);
    Box::pin(run.finish(records, keys, facts)).await
}

/// What Kinesis says about the stream; its shards only where they are needed.
async fn ask(client: &Client, load: &Load) -> Result<(Facts, Option<ShardMap>), Error> {
    let facts = check::stream(client, &load.stream).await?;
    let shards = match load.aggregate {
        Some(_) => Some(Box::pin(ShardMap::list(client, &load.stream)).await?),
        None => None,
    };
    Ok((facts, shards))
}

/// Starts reading the input, in a thread of its own.
fn read_beside(opened: Opened, facts: Facts, readers: &mut JoinSet<()>) -> Records {
    let (sender, receiver) = input::channel();
    readers.spawn_blocking(move || input::read(opened, facts.max_record_bytes, &sender));
    Records::read(receiver)
}

/// Makes one record before the run, so that a template that never fits is an error and not a million rejections.
fn check_sample(template: &Template, key: &PartitionKey, facts: Facts, clock: &Clock) -> Result<(), Error> {
    let mut sample = BytesMut::new();
    let mut random = Rng::with_seed(0);
    template.render(&mut Context { random: &mut random, number: 0, now: clock.now() }, &mut sample);
    let (key, _) = Keys::new(key, random)
        .key(&sample)
        .map_err(|why| Error::Setting(format!("a record of the template has no partition key: {why}")))?;
    let bytes = sample.len() + key.len();
    if bytes > facts.max_record_bytes {
        let limit = facts.max_record_bytes;
        return Err(Error::Setting(format!("a record of the template has {bytes} bytes; the stream allows {limit}")));
    }
    Ok(())
}

/// The caller's observer, and the first rejections for the report.
struct Watch<O> {
    observer: O,
    rejections: Mutex<Vec<Rejection>>,
}

impl<O: Observer> Observer for Watch<O> {
    fn accepted(&self, batch: Vec<Accepted>) {
        self.observer.accepted(batch);
    }

    fn rejected(&self, rejection: &Rejection) {
        let mut listed = self.rejections.lock().unwrap_or_else(PoisonError::into_inner);
        if listed.len() < LISTED_REJECTIONS {
            listed.push(rejection.clone());
        }
        drop(listed);
        self.observer.rejected(rejection);
    }

    fn progress(&self, progress: &Progress) {
        self.observer.progress(progress);
    }
}

/// A run whose lanes wait for records.
struct Run<O> {
    load: Load,
    stop: CancellationToken,
    shared: Arc<Shared<Watch<O>>>,
    lanes: Tasks<LaneReport>,
    inboxes: Vec<mpsc::Sender<Vec<Entry>>>,
    shards: Option<ShardMap>,
    measured: Measured,
    stopped_by: Option<Stopped>,
}

impl<O: Observer> Run<O> {
    fn start(
        load: Load,
        (facts, shards): (Facts, Option<ShardMap>),
        client: &Client,
        clock: Clock,
        stop: CancellationToken,
        observer: O,
        seeds: &mut Rng,
    ) -> Self {
        // One record must always fit, however small the buffer is set.
        let budget = load.buffer_bytes.max(2 * facts.max_record_bytes).min(Semaphore::MAX_PERMITS);
        // A chunk has an entry at least, so the budget is used up before an inbox is full: a lane that waits for
        // its call never keeps records from the others. The channel allocates no more than it holds.
        let inbox_chunks = (budget / OVERHEAD_BYTES).max(1);
        let client = put_client(client, load.call_timeout);
        let shared = Arc::new(Shared {
            counts: Counts::default(),
            observer: Watch { observer, rejections: Mutex::default() },
            clock,
            budget: Semaphore::new(budget),
            halt: CancellationToken::new(),
        });
        let mut lanes = Tasks::new();
        let mut inboxes = Vec::with_capacity(load.concurrency);
        for _ in 0..load.concurrency {
            let (sender, inbox) = mpsc::channel(inbox_chunks);
            let packer = shards.clone().zip(load.aggregate).map(|(shards, bytes)| {
                let limit_bytes = bytes.min(facts.max_record_bytes - PARTITION_KEY.len());
                Packer::new(shards, limit_bytes, load.linger)
            });
            let lane = Lane::new(&load, client.clone(), inbox, packer, seeds.fork(), Arc::clone(&shared));
            lanes.spawn("lane", lane.run());
            inboxes.push(sender);
        }
        Self { load, stop, shared, lanes, inboxes, shards, measured: Measured::new(), stopped_by: None }
    }

    /// Offers all records and waits for the lanes.
    async fn finish(mut self, records: Records, keys: Keys, facts: Facts) -> Result<Report, Error> {
        let started = Instant::now();
        let mut tick = interval_at(started + PROGRESS_EVERY, PROGRESS_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let inboxes = std::mem::take(&mut self.inboxes);
        let offer = Offer {
            rate: self.load.rate,
            end: self.load.end,
            records,
            keys,
            state: State::new(started, inboxes.len()),
            lanes: inboxes,
            shards: self.shards.take(),
            max_record_bytes: facts.max_record_bytes,
            stop: self.stop.clone(),
            shared: Arc::clone(&self.shared),
        };
        let offered = self.offer(offer, started, &mut tick).await?;
        while !self.lanes.is_empty() {
            tokio::select! {
                ended = self.lanes.next() => if let Some(ended) = ended { self.lane_ended(ended)? },
                _ = tick.tick() => self.tell(started),
            }
        }
        Ok(self.report(offered, started))
    }

    /// Runs the open loop beside the ticker; a lane that ends meanwhile found out why no call can succeed.
    async fn offer(&mut self, offer: Offer<Watch<O>>, started: Instant, tick: &mut Interval) -> Result<Offered, Error> {
        let mut offer = Box::pin(offer.run());
        loop {
            tokio::select! {
                offered = &mut offer => return Ok(offered),
                ended = self.lanes.next(), if !self.lanes.is_empty() => {
                    if let Some(ended) = ended { self.lane_ended(ended)? }
                }
                _ = tick.tick() => self.tell(started),
            }
        }
    }

    fn lane_ended(&mut self, ended: Result<(&'static str, LaneReport), TaskDied>) -> Result<(), Error> {
        let (_, lane) = ended.map_err(|died| Error::Internal(chain(&died)))?;
        self.measured.merge(&lane.measured);
        if let Some(why) = lane.fatal {
            self.stopped_by.get_or_insert(Stopped::Remote(why));
        }
        Ok(())
    }

    fn tell(&self, started: Instant) {
        self.shared.observer.progress(&self.shared.counts.progress(started.elapsed()));
    }

    fn report(self, offered: Offered, started: Instant) -> Report {
        let broken = offered.broken.map(|error| Stopped::Input(error.to_string()));
        let stopped_by = self.stopped_by.or(broken);
        let rejections = self.shared.observer.rejections.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ending = Ending {
            stream: self.load.stream,
            seed: self.load.seed,
            missed_starts: offered.missed_starts,
            rejections,
            interrupted: offered.interrupted && stopped_by.is_none(),
            stopped_by,
        };
        Report::new(&self.shared.counts.progress(started.elapsed()), self.measured, ending)
    }
}

/// A client over the same connections and credentials that repeats nothing by itself and waits so long at most.
fn put_client(client: &Client, call_timeout: Duration) -> Client {
    let config = client.config();
    let connect = config.timeout_config().and_then(TimeoutConfig::connect_timeout);
    let mut timeouts = TimeoutConfig::builder().operation_timeout(call_timeout);
    timeouts.set_connect_timeout(connect);
    let config = config.to_builder().retry_config(RetryConfig::disabled()).timeout_config(timeouts.build());
    Client::from_conf(config.build())
}

#[cfg(test)]
mod tests;
