//! Three worker processes, what is done to them and to the shards, and the log of it.

use crate::history::{Exit, Lease, Mark, Stop};
use crate::script::{Act, FAILOVER, SPEED, Script, WORKERS, clock};
use alluvial_tests::{Daemon, World, bin, eventually};
use aws_sdk_kinesis::types::Shard;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// Time that a worker has after SIGTERM (INV-13): a container is killed after 30 s.
const EXIT_LIMIT: Duration = Duration::from_secs(25);
/// Time for a worker to say its first word.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Times in the settings of the workers, by the machine's clock.
pub(crate) const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(500);
pub(crate) const MAX_WAIT: Duration = Duration::from_millis(100);

/// Emulated time, told from the machine's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EmulatedClock {
    began: Instant,
    began_millis: u64,
}

impl EmulatedClock {
    /// As the emulator tells it now.
    pub(crate) async fn read(world: &World) -> Self {
        let told = world.journal("clock").await;
        let began_millis = told.first().and_then(|told| told["time_millis"].as_u64()).expect("the emulator's time");
        Self { began: Instant::now(), began_millis }
    }

    pub(crate) fn began_millis(&self) -> u64 {
        self.began_millis
    }

    pub(crate) fn now_millis(&self) -> u64 {
        let emulated = self.began.elapsed() * SPEED;
        self.began_millis + u64::try_from(emulated.as_millis()).expect("a few hours")
    }

    /// How much emulated time has passed.
    fn elapsed(&self) -> Duration {
        self.began.elapsed() * SPEED
    }

    async fn wait_until(&self, since_beginning: Duration) {
        sleep_until(self.began + since_beginning / SPEED).await;
    }
}

/// One place of the fleet. Whoever starts in it anew has a new name, as a container would.
struct Place {
    name: String,
    starts: u32,
    daemon: Option<Daemon>,
    /// Since when it is stopped by SIGSTOP.
    frozen_since: Option<u64>,
}

/// The fleet.
pub(crate) struct Fleet<'a> {
    world: &'a World,
    clock: EmulatedClock,
    places: Vec<Place>,
    /// A setting of the workers.
    renew_between: &'static str,
    pub(crate) stops: Vec<Stop>,
    pub(crate) exits: Vec<Exit>,
    /// Logs of workers that have ended, by name.
    pub(crate) logs: BTreeMap<String, String>,
}

impl<'a> Fleet<'a> {
    /// Starts all workers.
    pub(crate) fn start(world: &'a World, clock: EmulatedClock, renew_between: &'static str) -> Self {
        let place = |_| Place { name: String::new(), starts: 0, daemon: None, frozen_since: None };
        let places = (0..WORKERS).map(place).collect();
        let mut fleet =
            Self { world, clock, places, renew_between, stops: Vec::new(), exits: Vec::new(), logs: BTreeMap::new() };
        (0..WORKERS).for_each(|worker| fleet.start_worker(worker));
        fleet
    }

    /// The names of the workers that run.
    pub(crate) fn names(&self) -> Vec<String> {
        self.places.iter().filter(|place| place.daemon.is_some()).map(|place| place.name.clone()).collect()
    }

    fn start_worker(&mut self, worker: usize) {
        let mut command = self.command();
        let place = &mut self.places[worker];
        place.starts += 1;
        place.name = format!("worker-{worker}.{}", place.starts);
        let name = &place.name;
        // The failover time is short to be met often. A handoff waits for Firehose, which may refuse for some seconds.
        let settings = format!(
            "[source]\nstream = \"orders\"\napplication = \"enricher\"\nworker = \"{name}\"\nfailover = \"{}ms\"\n\
             checkpoint_interval = \"{}ms\"\nhandoff_timeout = \"15s\"\nrenew_between = {}\ndrain_grace = \"15s\"\n\
             [pack]\nmax_wait = \"{}ms\"\nmetadata = \"columns\"\n\
             [sink]\ntype = \"firehose\"\ndelivery_stream = \"orders-raw\"\n[on_error]\ndead_letter = \"dead\"\n",
            FAILOVER.as_millis(),
            CHECKPOINT_INTERVAL.as_millis(),
            self.renew_between,
            MAX_WAIT.as_millis()
        );
        let config = self.world.path(&format!("{name}.toml"));
        std::fs::write(&config, settings).expect("the settings are written");
        command.args(["run", "--log", "info,alluvial_consumer=debug", "--config"]).arg(config);
        place.daemon = Some(Daemon::start(command));
    }

    /// The binary as it was at the start: whoever builds meanwhile does not change the fleet.
    fn command(&self) -> Command {
        let binary = self.world.path("worker");
        if !binary.exists() {
            std::fs::copy(bin("alluvial"), &binary).expect("the binary is copied");
        }
        let wanted = self.world.command("alluvial");
        let mut command = Command::new(binary);
        command.env_remove("AWS_PROFILE").current_dir(self.world.path(""));
        command.envs(wanted.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    fn take(&mut self, worker: usize) -> (String, Daemon) {
        let place = &mut self.places[worker];
        (place.name.clone(), place.daemon.take().expect("the script stops only who runs"))
    }

    /// SIGTERM, and what came of it.
    async fn terminate(&mut self, worker: usize) {
        let (worker, daemon) = self.take(worker);
        // A signal in the first moments of a process ends it before it listens, and is no test of how it stops.
        eventually("first words of a worker", START_LIMIT, || async { (!daemon.log().is_empty()).then_some(()) }).await;
        let at = self.clock.now_millis();
        // The outer limit decides, so that a worker that hangs is a violation with its seed, and not a panic.
        let ended = timeout(EXIT_LIMIT, daemon.terminate(EXIT_LIMIT * 2)).await;
        let code = ended.as_ref().ok().and_then(|finished| finished.code);
        if let Ok(finished) = ended {
            self.logs.insert(worker.clone(), finished.log);
        }
        self.exits.push(Exit { worker, at, code });
    }

    /// SIGTERM to all, at once.
    pub(crate) async fn terminate_all(&mut self) {
        let running: Vec<_> = (0..WORKERS).map(|worker| self.take(worker)).collect();
        let at = self.clock.now_millis();
        let mut ending = tokio::task::JoinSet::new();
        for (worker, daemon) in running {
            ending.spawn(async move { (worker, timeout(EXIT_LIMIT, daemon.terminate(EXIT_LIMIT * 2)).await) });
        }
        for (worker, ended) in ending.join_all().await {
            let code = ended.as_ref().ok().and_then(|finished| finished.code);
            if let Ok(finished) = ended {
                self.logs.insert(worker.clone(), finished.log);
            }
            self.exits.push(Exit { worker, at, code });
        }
    }

    /// Does to workers and shards what the script says, when it says it, until it is over.
    pub(crate) async fn play(&mut self, script: &Script) {
        for (at, step, act) in script.acts() {
            self.clock.wait_until(at).await;
            eprintln!("{}  step {step:3}  {act:?}", clock(self.clock.elapsed()));
            self.act(act).await;
        }
        self.clock.wait_until(script.length).await;
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Split(rank) => self.split(rank).await,
            Act::Merge(rank) => self.merge(rank).await,
            Act::Kill(worker) => {
                let (name, daemon) = self.take(worker);
                // Before the signal: what it acknowledges until then is not repeated, whatever the bound.
                let from = self.clock.now_millis();
                self.logs.insert(name.clone(), daemon.log());
                daemon.kill_9();
                self.stops.push(Stop { worker: name, from, until: None });
            }
            Act::Freeze(worker) => {
                let place = &mut self.places[worker];
                place.daemon.as_ref().expect("the script stops only who runs").signal("STOP");
                place.frozen_since = Some(self.clock.now_millis());
            }
            Act::Wake(worker) => {
                let place = &mut self.places[worker];
                place.daemon.as_ref().expect("the script wakes only who sleeps").signal("CONT");
                let from = place.frozen_since.take().expect("the script wakes only who sleeps");
                self.stops.push(Stop { worker: place.name.clone(), from, until: Some(self.clock.now_millis()) });
            }
            Act::Terminate(worker) => self.terminate(worker).await,
            Act::Start(worker) => self.start_worker(worker),
            Act::Expire => self.world.expire_subscriptions().await,
        }
    }

    /// The open shards, in the order of their hash keys.
    async fn open_shards(&self) -> Vec<Shard> {
        let mut shards = self.world.shards().await;
        shards.retain(|shard| {
            shard.sequence_number_range().is_some_and(|range| range.ending_sequence_number().is_none())
        });
        shards.sort_by_key(|shard| keys(shard).0);
        shards
    }

    async fn split(&self, rank: usize) {
        let shards = self.open_shards().await;
        let shard = &shards[rank % shards.len()];
        let (start, end) = keys(shard);
        let split = self.world.kinesis().split_shard().stream_name("orders").shard_to_split(shard.shard_id());
        split.new_starting_hash_key((start + (end - start) / 2).to_string()).send().await.expect("a split");
    }

    async fn merge(&self, rank: usize) {
        let shards = self.open_shards().await;
        let lower = (rank % shards.len()).min(shards.len() - 2);
        let merge = self.world.kinesis().merge_shards().stream_name("orders");
        let merge = merge.shard_to_merge(shards[lower].shard_id());
        merge.adjacent_shard_to_merge(shards[lower + 1].shard_id()).send().await.expect("a merge");
    }
}

/// How many subscriptions these workers replaced by their successors, by their own logs.
pub(crate) fn renewals(logs: &BTreeMap<String, String>) -> usize {
    logs.values().map(|log| log.matches("subscription is renewed").count()).sum()
}

/// First and last hash key.
fn keys(shard: &Shard) -> (u128, u128) {
    let range = shard.hash_key_range().expect("a shard has hash keys");
    let key = |text: &str| text.parse().expect("a hash key");
    (key(range.starting_hash_key()), key(range.ending_hash_key()))
}

/// The lease table, read consistently.
pub(crate) async fn leases(world: &World) -> BTreeMap<String, Lease> {
    let rows = world.dynamodb().scan().table_name("enricher").consistent_read(true).send().await.expect("a scan");
    let leases = rows.items().iter().filter_map(|row| {
        let text = |name: &str| row.get(name).and_then(|value| value.as_s().ok()).cloned();
        let lease = Lease {
            owner: text("leaseOwner"),
            handing_over: text("checkpointOwner"),
            mark: Mark::of(&text("checkpoint")?),
        };
        Some((text("leaseKey")?, lease))
    });
    leases.collect()
}
