//! One run: an emulator, a stream of four shards, a producer, and workers.

use crate::producer::{Ledger, Producer, now_nanos};
use alluvial_benches::{Connection, Log, Program, Protocol, Result, Seen, Server, Windows, Worker};
use alluvial_runtime::clock::Clock;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Shards at the start.
pub(crate) const SHARDS: usize = 4;
/// Once the producer has stopped, this long without a new record is the end.
const QUIET: Duration = Duration::from_secs(15);

/// What is measured, and how patiently.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) program: Program,
    /// For a second worker to take its share.
    pub(crate) settle: Duration,
    pub(crate) patience: Duration,
    /// MiB of payload that a reader catches up with.
    pub(crate) mib: usize,
}

/// What came of a run.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// By the names in the summary.
    pub(crate) figures: BTreeMap<&'static str, f64>,
    pub(crate) put: usize,
    pub(crate) lost: usize,
    pub(crate) repeated: usize,
}

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) control: Connection,
    pub(crate) log: Log,
    pub(crate) application: String,
    pub(crate) clock: Clock,
    setup: Setup,
    producer: Option<Producer>,
}

/// Seconds from one moment to another one.
pub(crate) fn seconds(from_nanos: u64, to_nanos: u64) -> f64 {
    Duration::from_nanos(to_nanos.saturating_sub(from_nanos)).as_secs_f64()
}

impl World {
    /// Starts an emulator and makes the stream.
    pub(crate) async fn start(setup: &Setup, application: String, limits: bool) -> Result<Self> {
        let server = Server::start(limits)?;
        let mut control = server.connect(Protocol::H2c, Windows::SDK).await?;
        server.create_stream(&mut control, u32::try_from(SHARDS)?).await?;
        Ok(Self {
            server,
            control,
            log: Log::default(),
            application,
            clock: Clock::system(),
            setup: setup.clone(),
            producer: None,
        })
    }

    /// Starts the producer, behind records that are there at once.
    pub(crate) async fn produce(&mut self, backlog: u64) -> Result<()> {
        let connection = self.control.share().ok_or("no HTTP/2")?;
        self.producer = Some(Producer::start(connection, self.clock.clone(), backlog).await?);
        Ok(())
    }

    pub(crate) fn worker(&self, name: &str, mode: &[&str]) -> Result<Worker> {
        Worker::start(&self.setup.program, &self.server, &self.application, name, mode, &self.log)
    }

    /// Starts a worker, and waits until it reads every shard.
    pub(crate) async fn reading_worker(&self, name: &str) -> Result<Worker> {
        let worker = self.worker(name, &["log"])?;
        self.until("a worker reads every shard", |seen| seen.held_by(name) == SHARDS).await?;
        Ok(worker)
    }

    pub(crate) async fn until(&self, what: &str, enough: impl Fn(&Seen) -> bool) -> Result<()> {
        self.log.until(what, self.setup.patience, enough).await
    }

    pub(crate) fn now_nanos(&self) -> Result<u64> {
        now_nanos(&self.clock)
    }

    /// Names of all shards, with their hash keys.
    pub(crate) async fn shards(&mut self) -> Result<BTreeMap<String, (u128, u128)>> {
        let answer = self.control.call("ListShards", &json!({"StreamName": "bench"})).await?;
        let shards = answer.get("Shards").and_then(Value::as_array).ok_or("no shards")?;
        let read = |shard: &Value| {
            let key = |name: &str| shard.pointer(&format!("/HashKeyRange/{name}"))?.as_str()?.parse().ok();
            Some((shard.get("ShardId")?.as_str()?.to_owned(), (key("StartingHashKey")?, key("EndingHashKey")?)))
        };
        shards.iter().map(|shard| read(shard).ok_or_else(|| format!("an unknown shard: {shard}").into())).collect()
    }

    /// Splits a shard in the middle; returns its children, and when it was split.
    pub(crate) async fn split(&mut self, shard: &str) -> Result<(BTreeSet<String>, u64)> {
        let before = self.shards().await?;
        let (low, high) = before.get(shard).ok_or("no such shard")?;
        let middle = low + (high - low) / 2 + 1;
        let request = json!({"StreamName": "bench", "ShardToSplit": shard, "NewStartingHashKey": middle.to_string()});
        self.control.call("SplitShard", &request).await?;
        let nanos = self.now_nanos()?;
        let after = self.shards().await?;
        Ok((after.into_keys().filter(|name| !before.contains_key(name)).collect(), nanos))
    }

    /// Stops the producer, waits until all has come that will come, and counts.
    pub(crate) async fn finish(self, figures: BTreeMap<&'static str, f64>) -> Result<(Outcome, Ledger)> {
        let ledger = self.producer.ok_or("no producer")?.stop().await?;
        loop {
            let unique = self.log.look(Seen::unique);
            if unique >= ledger.len() || !self.log.within(QUIET, |seen| seen.unique() > unique).await? {
                break;
            }
        }
        let outcome = self.log.look(|seen| Outcome {
            figures,
            put: ledger.len(),
            lost: (0..ledger.len() as u64).filter(|id| !seen.has(*id)).count(),
            repeated: seen.repeated(),
        });
        Ok((outcome, ledger))
    }
}
