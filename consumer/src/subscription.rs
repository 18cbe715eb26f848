//! One subscription to one shard: opening it, reading it with a deadline, and saying why it ended.
//!
//! [`Events`] is what a subscription promises, whoever reads the wire: [`sdk`] takes the events that the AWS SDK parses,
//! and is the reference; [`direct`] reads the frames itself, at less than half of the cost. Both pass one suite, and
//! bytes that are changed at random lead both to the same records or both to an error.

mod direct;
mod next;
mod sdk;
#[cfg(test)]
mod tests;

pub(crate) use next::{Cause, delay_before_next};

use crate::feed::Record;
use crate::settings::{Settings, SubscriptionKind};
use crate::topology::Shard;
use alluvial_record::{Checkpoint, ShardId};
use alluvial_runtime::exit::chain;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::subscribe_to_shard::builders::SubscribeToShardFluentBuilder;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{ShardIteratorType, StartingPosition};
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

impl From {
    fn starting_position(&self) -> Result<StartingPosition, aws_sdk_kinesis::error::BuildError> {
        let builder = StartingPosition::builder();
        match self {
            Self::Continuation(number) => {
                builder.r#type(ShardIteratorType::AfterSequenceNumber).sequence_number(number)
            }
            Self::Checkpoint(Checkpoint::At(position)) => {
                builder.r#type(ShardIteratorType::AtSequenceNumber).sequence_number(position.sequence.to_string())
            }
            Self::Checkpoint(Checkpoint::AtTimestamp(millis)) => builder
                .r#type(ShardIteratorType::AtTimestamp)
                .timestamp(DateTime::from_millis(i64::try_from(*millis).unwrap_or(i64::MAX))),
            Self::Checkpoint(Checkpoint::TrimHorizon) => builder.r#type(ShardIteratorType::TrimHorizon),
            Self::Checkpoint(Checkpoint::Latest | Checkpoint::ShardEnd) => builder.r#type(ShardIteratorType::Latest),
        }
        .build()
    }
}

/// What one event of a subscription brought.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) records: Vec<Record>,
    pub(crate) millis_behind_latest: u64,
    pub(crate) next: Next,
}

/// What follows an event.
#[derive(Debug)]
pub(crate) enum Next {
    /// More events, or a new subscription from here.
    Continuation(String),
    /// Nothing: the shard was split or merged into these.
    ShardEnd(Vec<Shard>),
}

/// What an open subscription brings, in order.
pub(crate) trait Events {
    /// The next event; `None` when the service ended the subscription after its five minutes. Cancelling it loses nothing.
    async fn next(&mut self) -> Result<Option<Event>, Cause>;
}

/// An open subscription. Dropping it closes the stream.
#[derive(Debug)]
pub(crate) struct Subscription {
    events: Reader,
    silence_deadline: Duration,
}

/// Who reads the wire.
#[derive(Debug)]
enum Reader {
    Sdk(Box<sdk::Open>),
    Direct(direct::Open),
}

impl Subscription {
    /// Opens a subscription; its first frame arrives within [`Settings::open_deadline`] or it fails.
    pub(crate) async fn open(
        client: &Client,
        consumer_arn: &str,
        shard: &ShardId,
        from: &From,
        settings: &Settings,
    ) -> Result<Self, Cause> {
        let position = from.starting_position().map_err(|error| Cause::BadPosition(chain(&error)))?;
        let call =
            client.subscribe_to_shard().consumer_arn(consumer_arn).shard_id(shard.as_str()).starting_position(position);
        let opened = timeout(settings.open_deadline, Reader::open(client, call, settings.subscription)).await;
        let events = opened.map_err(|_| Cause::Silent(settings.open_deadline))??;
        Ok(Self { events, silence_deadline: settings.silence_deadline })
    }

    /// The next event; `None` when the service ended the subscription after its five minutes.
    ///
    /// Cancelling it loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Cause> {
        let event = async {
            match &mut self.events {
                Reader::Sdk(open) => open.next().await,
                Reader::Direct(open) => open.next().await,
            }
        };
        timeout(self.silence_deadline, event).await.map_err(|_| Cause::Silent(self.silence_deadline))?
    }
}

impl Reader {
    async fn open(client: &Client, call: SubscribeToShardFluentBuilder, kind: SubscriptionKind) -> Result<Self, Cause> {
        match kind {
            SubscriptionKind::Sdk => Ok(Self::Sdk(Box::new(sdk::open(call).await?))),
            SubscriptionKind::Direct => Ok(Self::Direct(direct::open(client, call).await?)),
        }
    }
}
