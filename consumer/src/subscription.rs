//! One subscription to one shard: opening it, reading it with a deadline, and saying why it ended.

mod next;

pub(crate) use next::{Cause, delay_before_next};

use crate::feed::{Kind, Record};
use crate::settings::Settings;
use crate::stream::read_children;
use crate::topology::Shard;
use alluvial_record::{Checkpoint, Position, SequenceNumber, ShardId};
use alluvial_runtime::exit::chain;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError;
use aws_sdk_kinesis::types::{self, ShardIteratorType, StartingPosition, SubscribeToShardEventStream};
use bytes::Bytes;
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

/// An open subscription. Dropping it closes the stream.
#[derive(Debug)]
pub(crate) struct Subscription {
    opened: SubscribeToShardOutput,
    silence_deadline: Duration,
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
        let call = client
            .subscribe_to_shard()
            .consumer_arn(consumer_arn)
            .shard_id(shard.as_str())
            .starting_position(position)
            .send();
        // `send` waits for the first frame too, and no timeout of the SDK covers that.
        let opened = timeout(settings.open_deadline, call).await.map_err(|_| Cause::Silent(settings.open_deadline))?;
        let opened = opened.map_err(|error| cause(&error))?;
        Ok(Self { opened, silence_deadline: settings.silence_deadline })
    }

    /// The next event; `None` when the service ended the subscription after its five minutes.
    ///
    /// Cancelling it loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Cause> {
        let received = timeout(self.silence_deadline, self.opened.event_stream.recv())
            .await
            .map_err(|_| Cause::Silent(self.silence_deadline))?;
        match received {
            Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event))) => read_event(event).map(Some),
            Ok(Some(_)) => Err(Cause::Failed("an event of an unknown kind".into())),
            Ok(None) => Ok(None),
            Err(error) => {
                Err(Cause::of_code(error.as_service_error().and_then(stream_code).or(error.code()), chain(&error)))
            }
        }
    }
}

/// The code of an exception that came as an event. The SDK gives such an exception its type and no code.
fn stream_code(error: &SubscribeToShardEventStreamError) -> Option<&'static str> {
    use SubscribeToShardEventStreamError as Exception;
    match error {
        Exception::ResourceInUseException(_) => Some("ResourceInUseException"),
        Exception::ResourceNotFoundException(_) => Some("ResourceNotFoundException"),
        Exception::KmsAccessDeniedException(_) => Some("KMSAccessDeniedException"),
        _ => None,
    }
}

fn cause<E, R>(error: &SdkError<E, R>) -> Cause
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    Cause::of_code(error.code(), chain(error))
}

fn read_event(event: types::SubscribeToShardEvent) -> Result<Event, Cause> {
    let children = read_children(event.child_shards()).map_err(|error| Cause::Failed(chain(&error)))?;
    // The SDK reads a missing continuation as "". Children come with the last event only; an emulator was seen to send
    // them with a continuation, which is then of no use.
    let next = match (children.is_empty(), event.continuation_sequence_number.is_empty()) {
        (false, _) => Next::ShardEnd(children),
        (true, false) => Next::Continuation(event.continuation_sequence_number),
        (true, true) => return Err(Cause::Failed("an event with neither continuation nor child shards".into())),
    };
    let records = event.records.into_iter().map(read_record).collect::<Result<_, _>>()?;
    Ok(Event { records, millis_behind_latest: u64::try_from(event.millis_behind_latest).unwrap_or(0), next })
}

fn read_record(record: types::Record) -> Result<Record, Cause> {
    let sequence: SequenceNumber = record.sequence_number.parse().map_err(|error| Cause::Failed(chain(&error)))?;
    let arrived = record.approximate_arrival_timestamp.and_then(|time| time.to_millis().ok());
    Ok(Record {
        position: Position::of(sequence),
        partition_key: record.partition_key.unwrap_or_default().into(),
        data: Bytes::from(record.data.into_inner()),
        arrived_millis: arrived.and_then(|millis| u64::try_from(millis).ok()).unwrap_or(0),
        kind: Kind::Plain,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_kinesis::types::{ChildShard, HashKeyRange, SubscribeToShardEvent};

    fn event(continuation: &str) -> aws_sdk_kinesis::types::builders::SubscribeToShardEventBuilder {
        SubscribeToShardEvent::builder()
            .set_records(Some(vec![]))
            .continuation_sequence_number(continuation)
            .millis_behind_latest(0)
    }

    fn child() -> ChildShard {
        let keys = HashKeyRange::builder().starting_hash_key("0").ending_hash_key("9").build().unwrap();
        ChildShard::builder().shard_id("b").parent_shards("a").hash_key_range(keys).build().unwrap()
    }

    #[test]
    fn a_missing_continuation_with_children_is_the_end_of_the_shard() {
        let read = read_event(event("").child_shards(child()).build().unwrap()).unwrap();
        assert!(matches!(read.next, Next::ShardEnd(children) if children[0].parents == ["a".into()]));
    }

    #[test]
    fn children_end_the_shard_even_beside_a_continuation() {
        let read = read_event(event("495").child_shards(child()).build().unwrap()).unwrap();
        assert!(matches!(read.next, Next::ShardEnd(_)));
    }

    #[test]
    fn an_exception_that_comes_as_an_event_is_sorted_by_its_type() {
        let taken_over = aws_sdk_kinesis::types::error::ResourceInUseException::builder().build();
        let error = SubscribeToShardEventStreamError::ResourceInUseException(taken_over);
        assert_eq!(Cause::of_code(stream_code(&error), "x".into()), Cause::InUse("x".into()));
    }

    #[test]
    fn an_event_with_neither_is_refused_and_never_resumed_from() {
        assert!(matches!(read_event(event("").build().unwrap()), Err(Cause::Failed(_))));
    }

    #[test]
    fn a_continuation_is_resumed_after_and_a_checkpoint_at() {
        let after = From::Continuation("7".into()).starting_position().unwrap();
        assert_eq!(after.r#type, ShardIteratorType::AfterSequenceNumber);
        let at = From::Checkpoint(Checkpoint::from_attributes("7", 0).unwrap()).starting_position().unwrap();
        assert_eq!((at.r#type, at.sequence_number.as_deref()), (ShardIteratorType::AtSequenceNumber, Some("7")));
    }
}
