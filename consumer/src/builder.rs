//! From settings to a running application.

mod check;
mod connect;

use crate::application::Application;
use crate::balance::Balance;
use crate::batches::Batches;
use crate::error::Error;
use crate::feed::{Record, ShardName};
use crate::lease::{LeaseMode, LeaseTable};
use crate::loss::OnLoss;
use crate::processor::{Limits, OnError, ProcessError, Processor};
use crate::settings::{Mode, Settings, SubscriptionKind};
use crate::topology::StartPosition;
use alluvial_runtime::aws::AwsArgs;
use alluvial_runtime::clock::Clock;
use aws_types::SdkConfig;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Settings of an application. [`ConsumerBuilder::stream`] and [`ConsumerBuilder::application`] must be given; all else has
/// a default. A setting that cannot be is an error of [`ConsumerBuilder::connect`], before anything is called.
///
/// Region, credentials, endpoint and trusted certificates come from the environment and the profile, as the AWS CLI reads
/// them (`AWS_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL`, `AWS_CA_BUNDLE`, …), unless given here.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is connected"]
pub struct ConsumerBuilder {
    streams: Vec<String>,
    application: String,
    lease_table: Option<String>,
    multi_stream_leases: Option<bool>,
    leases: Option<LeaseTable>,
    worker: Option<String>,
    consumer_name: Option<String>,
    /// For one stream; the names in it are filled in later.
    settings: Settings,
    limits: Limits,
    on_error: OnError,
    shard_label: bool,
    stop: Option<CancellationToken>,
    aws: AwsArgs,
    config: Option<SdkConfig>,
    clock: Clock,
    random: Option<fastrand::Rng>,
}

impl Default for ConsumerBuilder {
    fn default() -> Self {
        Self {
            streams: Vec::new(),
            application: String::new(),
            lease_table: None,
            multi_stream_leases: None,
            leases: None,
            worker: None,
            consumer_name: None,
            settings: Settings::new("", "", ""),
            limits: Limits::NONE,
            on_error: OnError::default(),
            shard_label: true,
            stop: None,
            aws: AwsArgs::default(),
            config: None,
            clock: Clock::system(),
            random: None,
        }
    }
}

/// What is read, and by whom.
impl ConsumerBuilder {
    /// Adds a stream, by name, or by ARN, as one of another account must be. Several share one byte budget and one lease table.
    pub fn stream(mut self, name: impl Into<String>) -> Self {
        self.streams.push(name.into());
        self
    }

    /// The application: all workers with this name share the shards. It names the lease table and the registration for
    /// enhanced fan-out, unless those are named by themselves.
    pub fn application(mut self, name: impl Into<String>) -> Self {
        self.application = name.into();
        self
    }

    /// This worker's name in the lease table, 1 to 256 characters, different from every other worker's. By default host
    /// name, process id and a random part.
    pub fn worker(mut self, name: impl Into<String>) -> Self {
        self.worker = Some(name.into());
        self
    }

    /// Name under which the application registers for enhanced fan-out. By default the application's.
    pub fn consumer_name(mut self, name: impl Into<String>) -> Self {
        self.consumer_name = Some(name.into());
        self
    }

    /// Name of the DynamoDB table for leases. By default the application's.
    pub fn lease_table(mut self, name: impl Into<String>) -> Self {
        self.lease_table = Some(name.into());
        self
    }

    /// Whether leases are kept as the Kinesis Client Library keeps them in its multi-stream mode. By default when there are
    /// several streams; the two ways do not mix in a table, so that an application that may get a second stream says so from its
    /// start.
    pub fn multi_stream_leases(mut self, on: bool) -> Self {
        self.multi_stream_leases = Some(on);
        self
    }

    /// A lease table that was made elsewhere, such as one in memory.
    pub fn leases(mut self, table: LeaseTable) -> Self {
        self.leases = Some(table);
        self
    }

    /// Where the very first start begins; later starts go on at the checkpoints. By default with the oldest record.
    pub fn start(mut self, start: StartPosition) -> Self {
        self.settings.start = start;
        self
    }

    /// Who reads the wire of a subscription.
    pub fn subscription(mut self, kind: SubscriptionKind) -> Self {
        self.settings.subscription = kind;
        self
    }

    /// Hand out the user records of an aggregate of the Kinesis Producer Library one by one; on by default.
    pub fn deaggregate(mut self, on: bool) -> Self {
        self.settings.deaggregate = on;
        self
    }
}

/// Bounds and times.
impl ConsumerBuilder {
    /// Payload bytes that may wait in queues over all shards of all streams, 1 MiB to 4 GiB. By default 64 MiB.
    pub fn budget_bytes(mut self, bytes: usize) -> Self {
        self.settings.budget_bytes = bytes;
        self
    }

    /// Most records of one call or batch, 1 or more. By default as many as an event of Kinesis brings, up to 10,000 and more
    /// when they were aggregated.
    pub fn max_records(mut self, records: usize) -> Self {
        self.limits.max_records = records;
        self
    }

    /// Most bytes of one call or batch, payload and keys, 1 or more; a larger record comes alone. By default as many as an
    /// event of Kinesis brings.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_bytes = bytes;
        self
    }

    /// A lease that its owner has not renewed for so long is free, 1 s to 5 min. By default 10 s.
    pub fn failover(mut self, time: Duration) -> Self {
        self.settings.failover = time;
        self
    }

    /// Time between two checkpoints of a shard, 10 ms to 10 min. By default 2 s. Longer writes less, and repeats more after a crash.
    pub fn checkpoint_interval(mut self, time: Duration) -> Self {
        self.settings.checkpoint_interval = time;
        self
    }

    /// Time for what was read to be processed after a stop, up to 10 min. By default 20 s.
    pub fn drain_grace(mut self, time: Duration) -> Self {
        self.settings.drain_grace = time;
        self
    }

    /// Time for the old owner of a lease that is handed over, 1 s to 10 min. By default 30 s.
    pub fn handoff_timeout(mut self, time: Duration) -> Self {
        self.settings.handoff_timeout = time;
        self
    }

    /// By fan-out, by polling, or by fan-out and by polling while there is none, which is the default.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.settings.mode = mode;
        self
    }

    /// What happens when records passed out of retention before they were read. By default the application stops.
    pub fn on_loss(mut self, policy: OnLoss) -> Self {
        self.settings.on_loss = policy;
        self
    }

    /// Longest silence of a subscription, 6 s to 5 min; heartbeats come about every 5 s. By default 20 s.
    pub fn silence_deadline(mut self, time: Duration) -> Self {
        self.settings.silence_deadline = time;
        self
    }

    /// How workers tell one another that they are alive.
    pub fn lease_mode(mut self, mode: LeaseMode) -> Self {
        self.settings.lease_mode = mode;
        self
    }

    /// What is shared out evenly among the workers.
    pub fn balance(mut self, balance: Balance) -> Self {
        self.settings.balance = balance;
        self
    }

    /// Leases that this worker takes at most, over all streams, 1 or more. By default all.
    pub fn max_leases(mut self, leases: usize) -> Self {
        self.settings.max_leases = leases;
        self
    }

    /// The settings that have no method of their own. Names in it are overwritten.
    pub fn tune(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }
}

/// Errors, metrics, stopping.
impl ConsumerBuilder {
    /// What is done with records that the processor fails on. By default five retries, bisecting, then a stop.
    pub fn on_error(mut self, policy: OnError) -> Self {
        self.on_error = policy;
        self
    }

    /// Whether metrics have the label `shard`; on by default. When off, counters are sums over the shards of a stream, and
    /// gauges the highest of them.
    pub fn shard_label(mut self, on: bool) -> Self {
        self.shard_label = on;
        self
    }

    /// Stop when `token` is cancelled, and leave signals alone. By default SIGTERM and SIGINT stop the application in good
    /// order, and a second signal ends the process at once.
    pub fn stop_on(mut self, token: CancellationToken) -> Self {
        self.stop = Some(token);
        self
    }
}

/// AWS.
impl ConsumerBuilder {
    /// The AWS region.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.aws.region = Some(region.into());
        self
    }

    /// The profile of the shared AWS configuration files.
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.aws.profile = Some(profile.into());
        self
    }

    /// Endpoint of every service, such as that of `alluvial emulator`.
    pub fn endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.aws.endpoint_url = Some(url.into());
        self
    }

    /// A configuration of the AWS SDK, in place of the environment. Its HTTP client serves every call but subscriptions, which
    /// have connections of their own and trust `AWS_CA_BUNDLE`, or the system's authorities.
    pub fn aws(mut self, config: SdkConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// The wall clock, for tests. By default the machine's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The source of jitter and of names, for tests. By default seeded by the machine.
    pub fn random(mut self, random: fastrand::Rng) -> Self {
        self.random = Some(random);
        self
    }
}

/// Starting.
impl ConsumerBuilder {
    /// Checks the settings, finds the streams, and makes what is missing: the registration for fan-out, and the lease table.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Fatal`] naming the setting, its value and its range, or what is missing at AWS;
    /// [`crate::ErrorKind::Wait`] when AWS is out of reach.
    pub async fn connect(self) -> Result<Application, Error> {
        self.check()?;
        // Several clients are made on the way: too large for the caller's stack.
        Box::pin(connect::connect(self)).await
    }

    /// Connects, and runs as [`Application::run`] does.
    ///
    /// # Errors
    /// Those of [`ConsumerBuilder::connect`] and [`Application::run`].
    pub async fn run<P: Processor>(self, make: impl FnMut(&ShardName) -> P) -> Result<(), Error> {
        self.connect().await?.run(make).await
    }

    /// Connects, and runs as [`Application::run_each`] does.
    ///
    /// # Errors
    /// Those of [`ConsumerBuilder::connect`] and [`Application::run`].
    pub async fn run_each<F, Fut>(self, each: F) -> Result<(), Error>
    where
        F: FnMut(Record) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<(), ProcessError>> + Send + 'static,
    {
        self.connect().await?.run_each(each).await
    }

    /// Connects, and hands out batches as [`Application::batches`] does.
    ///
    /// # Errors
    /// Those of [`ConsumerBuilder::connect`].
    pub async fn batches(self) -> Result<Batches, Error> {
        Ok(self.connect().await?.batches())
    }
}

#[cfg(test)]
mod tests;
