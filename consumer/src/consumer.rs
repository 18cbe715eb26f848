//! The consumer as its users see it.

use crate::budget::Budget;
use crate::builder::ConsumerBuilder;
use crate::coordinator;
use crate::error::Error;
use crate::feed::ShardFeed;
use crate::lease::LeaseTable;
use crate::polling::Polling;
use crate::registration::Registration;
use crate::settings::Settings;
use crate::shard::Shared;
use crate::status::StatusBoard;
use crate::stream::Stream;
use crate::subscription::AnySource;
use alluvial_runtime::clock::Clock;
use aws_smithy_types::retry::RetryConfig;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Shards whose feeds wait to be taken; taking one is cheap.
pub(crate) const QUEUED_FEEDS: usize = 16;

/// The services that a consumer talks to.
#[derive(Debug, Clone)]
pub struct Clients {
    /// For everything but subscriptions.
    pub control: aws_sdk_kinesis::Client,
    /// For subscriptions: over [`alluvial_runtime::http2::Pool`], and without retries, which the consumer makes itself.
    pub subscriptions: aws_sdk_kinesis::Client,
    /// Where leases are kept.
    pub leases: LeaseTable,
}

impl Clients {
    /// Clients from two configurations, see [`alluvial_runtime::aws::Aws`].
    pub fn new(control: &aws_types::SdkConfig, subscriptions: &aws_types::SdkConfig, leases: LeaseTable) -> Self {
        let once = aws_sdk_kinesis::config::Builder::from(subscriptions).retry_config(RetryConfig::disabled()).build();
        Self {
            control: aws_sdk_kinesis::Client::new(control),
            subscriptions: aws_sdk_kinesis::Client::from_conf(once),
            leases,
        }
    }
}

/// A registered consumer that reads nothing yet.
#[derive(Debug)]
pub struct Consumer {
    shared: Arc<Shared>,
    status: StatusBoard,
    feeds: mpsc::Sender<ShardFeed>,
    clock: Clock,
    random: fastrand::Rng,
}

impl Consumer {
    /// Begins an application: streams, settings, clients, and what is done with the records.
    pub fn builder() -> ConsumerBuilder {
        ConsumerBuilder::default()
    }

    /// Finds the stream, registers the consumer and makes the lease table, as far as they are not there yet.
    ///
    /// Returns the consumer and the feeds of the shards that it will read, each as it starts.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Fatal`] when the stream does not exist or a permission is missing;
    /// [`crate::ErrorKind::Wait`] when AWS is out of reach.
    pub async fn connect(
        settings: Settings,
        clients: Clients,
        clock: Clock,
        random: fastrand::Rng,
    ) -> Result<(Self, mpsc::Receiver<ShardFeed>), Error> {
        let (feeds, receiver) = mpsc::channel(QUEUED_FEEDS);
        let budget = Budget::new(settings.event_bytes());
        let stream = Stream::find(clients.control.clone(), &settings.stream).await?;
        Ok((Self::join(stream, settings, clients, clock, random, budget, feeds).await?, receiver))
    }

    /// As [`Consumer::connect`], with a budget and a channel for feeds that other consumers of the process share.
    pub(crate) async fn join(
        stream: Stream,
        settings: Settings,
        clients: Clients,
        clock: Clock,
        random: fastrand::Rng,
        budget: Budget,
        feeds: mpsc::Sender<ShardFeed>,
    ) -> Result<Self, Error> {
        let registration = Registration::establish(&stream, &settings).await?;
        clients.leases.ensure().await?;
        let (kind, status) = (settings.subscription, StatusBoard::default());
        let shared = Arc::new(Shared {
            budget,
            settings,
            subscriptions: AnySource::new(kind, clients.subscriptions, registration.consumer_arn()),
            polling: AnySource::Polling(Polling::new(stream.clone())),
            stream,
            registration,
            losses: status.losses().clone(),
            leases: clients.leases,
            clock: clock.clone(),
        });
        Ok(Self { shared, status, feeds, clock, random })
    }

    /// What each shard is doing, and what was lost; live while the consumer runs and after.
    pub fn status(&self) -> StatusBoard {
        self.status.clone()
    }

    /// The byte budget; live while the consumer runs.
    pub fn budget(&self) -> Budget {
        self.shared.budget.clone()
    }

    /// Reads every shard that is free until `stop` is cancelled, then waits until what was read is delivered
    /// ([`Settings::drain_grace`] at most), writes the last checkpoints and gives the leases back.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Fatal`] when a shard cannot be read any more; the others are drained first.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            ended = coordinator::run(self.shared, self.status, self.feeds, stop, self.clock, self.random) => ended,
            never = shared.registration.maintain() => never,
        }
    }
}
