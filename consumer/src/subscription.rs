//! One subscription to one shard: opening it, reading it with a deadline, and saying why it ended.
//!
//! A [`Source`] opens subscriptions and its [`Events`] read them; there may be several ways to do both, and one suite that
//! all of them pass. The caller works with [`Subscription`], which adds the deadlines and is the same over every source.
//! [`sdk`] is the reference: what it does with an answer of the service is what the others must do. [`direct`] reads the ordinary
//! events itself, at less than half of the cost, and is the default.
//!
//! To add a source: implement both traits in a module of its own, and give [`AnySource`] and [`AnyEvents`] a variant.

mod direct;
#[cfg(test)]
mod fuzz;
mod next;
#[cfg(any(test, feature = "conformance"))]
mod raw;
#[cfg(test)]
pub(crate) mod script;
mod sdk;
#[cfg(test)]
mod signature;
#[cfg(test)]
mod tests;

pub(crate) use direct::Direct;
pub(crate) use next::{Cause, Waits};
#[cfg(any(test, feature = "conformance"))]
pub use raw::RawSubscription;
pub(crate) use sdk::{Sdk, read_records, time_is_refused};

use crate::feed::Record;
use crate::polling::{Poller, Polling};
use crate::registration::ConsumerArn;
use crate::settings::{Settings, SubscriptionKind};
use crate::topology::Shard;
use alluvial_record::{Checkpoint, ShardId};
use aws_sdk_kinesis::Client;
use std::time::Duration;
use tokio::time::timeout;

/// Where a subscription starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    /// At a checkpoint. A record at the checkpoint itself comes again, and is dropped by its position.
    Checkpoint(Checkpoint),
    /// Right after what an earlier subscription delivered.
    Continuation(String),
}

/// What a subscription has next.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// An event of so many bytes begins. The caller makes room for it before it asks again: until then the rest of it stays
    /// with the service, but for what fits in the window of the stream.
    Begins(usize),
    /// An event. A source announces it or not: small ones are not worth a wait, and not every reader knows the length before
    /// the whole is there.
    Event(Event),
}

#[cfg(any(test, feature = "conformance"))]
impl Arrival {
    /// The event; `None` for an announcement.
    pub(crate) fn event(self) -> Option<Event> {
        match self {
            Self::Begins(_) => None,
            Self::Event(event) => Some(event),
        }
    }
}

/// What one event of a subscription brought.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) records: Vec<Record>,
    /// What the records keep in memory, for the byte budget. Records that share a buffer count it once.
    pub(crate) bytes: usize,
    pub(crate) millis_behind_latest: u64,
    pub(crate) next: Next,
}

/// What follows an event.
#[derive(Debug)]
pub(crate) enum Next {
    /// More events, or a new subscription from here.
    Continuation(String),
    /// More events; there is nothing new to go on from, as after a poll that brought no records.
    Unmoved,
    /// Nothing: the shard was split or merged into these.
    ShardEnd(Vec<Shard>),
}

/// A way to subscribe to the shards of one stream.
///
/// Deadlines are the caller's: a source may wait for ever for a service that says nothing.
pub(crate) trait Source {
    /// What it opens.
    type Events: Events;

    /// Opens a subscription to `shard`. It counts as open once the service has accepted it: from then on the next one is
    /// refused for five seconds. Cancelling it closes what it opened.
    ///
    /// # Errors
    /// The [`Cause`] sorts by the code that the service gave, whatever the HTTP status.
    fn open(&self, shard: &ShardId, from: &From) -> impl Future<Output = Result<Self::Events, Cause>> + Send;
}

/// The events of one open subscription, in order. Dropping it closes the subscription.
pub(crate) trait Events: Send {
    /// The next event, or that one begins; `None` when the service ended the subscription in good order, as after its five
    /// minutes. An event without records is one too: it says that the shard is alive. After `None` or an error it is not
    /// called again.
    ///
    /// Cancelling it loses nothing: the next call goes on where this one stopped.
    ///
    /// # Errors
    /// Why the subscription ended, as [`Source::open`] sorts it. Events that came whole before it were delivered.
    fn next(&mut self) -> impl Future<Output = Result<Option<Arrival>, Cause>> + Send;
}

/// One of the sources, as the settings choose.
#[derive(Debug)]
pub(crate) enum AnySource {
    /// See [`direct`].
    Direct(Direct),
    /// See [`sdk`].
    Sdk(Sdk),
    /// See [`crate::polling`].
    Polling(Polling),
}

/// What one of the sources opened.
#[derive(Debug)]
pub(crate) enum AnyEvents {
    /// See [`direct`].
    Direct(Box<direct::Opened>),
    /// See [`sdk`].
    Sdk(Box<sdk::Opened>),
    /// See [`crate::polling`].
    Polling(Box<Poller>),
}

impl AnySource {
    /// The source of this kind for a client of the SDK, which must not retry: the reader does that itself.
    pub(crate) fn new(kind: SubscriptionKind, client: Client, consumer: ConsumerArn) -> Self {
        let sdk = Sdk::new(client, consumer);
        match kind {
            SubscriptionKind::Direct => Self::Direct(Direct::new(sdk)),
            SubscriptionKind::Sdk => Self::Sdk(sdk),
        }
    }
}

impl Source for AnySource {
    type Events = AnyEvents;

    async fn open(&self, shard: &ShardId, from: &From) -> Result<AnyEvents, Cause> {
        match self {
            Self::Direct(source) => source.open(shard, from).await.map(Box::new).map(AnyEvents::Direct),
            Self::Sdk(source) => source.open(shard, from).await.map(Box::new).map(AnyEvents::Sdk),
            Self::Polling(source) => source.open(shard, from).await.map(Box::new).map(AnyEvents::Polling),
        }
    }
}

impl Events for AnyEvents {
    async fn next(&mut self) -> Result<Option<Arrival>, Cause> {
        match self {
            Self::Direct(events) => events.next().await,
            Self::Sdk(events) => events.next().await,
            Self::Polling(events) => events.next().await,
        }
    }
}

/// An open subscription with deadlines. Dropping it closes the subscription.
#[derive(Debug)]
pub(crate) struct Subscription<E = AnyEvents> {
    events: E,
    silence_deadline: Duration,
}

impl<E: Events> Subscription<E> {
    /// Opens a subscription to `shard` within [`Settings::open_deadline`].
    pub(crate) async fn open(
        source: &impl Source<Events = E>,
        shard: &ShardId,
        from: &From,
        settings: &Settings,
    ) -> Result<Self, Cause> {
        let limit = settings.open_deadline;
        let events = timeout(limit, source.open(shard, from)).await.map_err(|_| Cause::Silent(limit))??;
        Ok(Self { events, silence_deadline: settings.silence_deadline })
    }

    /// As [`Events::next`], within [`Settings::silence_deadline`].
    pub(crate) async fn next(&mut self) -> Result<Option<Arrival>, Cause> {
        let limit = self.silence_deadline;
        timeout(limit, self.events.next()).await.map_err(|_| Cause::Silent(limit))?
    }
}
