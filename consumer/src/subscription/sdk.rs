//! Subscriptions as the SDK makes and reads them.

use super::{Arrival, Cause, Event, Events, From, Next, Source};
use crate::feed::{Kind, Record};
use crate::registration::ConsumerArn;
use crate::stream::read_children;
use alluvial_record::{Checkpoint, Position, SequenceNumber, ShardId};
use alluvial_runtime::exit::chain;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::operation::subscribe_to_shard::builders::SubscribeToShardFluentBuilder;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError;
use aws_sdk_kinesis::types::{self, ShardIteratorType, StartingPosition, SubscribeToShardEventStream};
use bytes::Bytes;

/// Subscribes with a client of the SDK, which must not retry: the reader does that itself.
#[derive(Debug, Clone)]
pub(crate) struct Sdk {
    client: Client,
    consumer: ConsumerArn,
}

/// An open subscription of the SDK.
#[derive(Debug)]
pub(crate) struct Opened(SubscribeToShardOutput);

impl std::convert::From<SubscribeToShardOutput> for Opened {
    fn from(output: SubscribeToShardOutput) -> Self {
        Self(output)
    }
}

impl Sdk {
    pub(crate) fn new(client: Client, consumer: ConsumerArn) -> Self {
        Self { client, consumer }
    }

    /// The request for a subscription.
    pub(super) fn request(&self, shard: &ShardId, from: &From) -> Result<SubscribeToShardFluentBuilder, Cause> {
        let position = starting_position(from).map_err(|error| Cause::BadPosition(chain(&error)))?;
        let arn = self.consumer.get().ok_or(Cause::Switched)?;
        let request = self.client.subscribe_to_shard().consumer_arn(&*arn);
        Ok(request.shard_id(shard.as_str()).starting_position(position))
    }
}

impl Source for Sdk {
    type Events = Opened;

    /// Waits for the first frame too, as `send` does; no timeout of the SDK covers that.
    async fn open(&self, shard: &ShardId, from: &From) -> Result<Opened, Cause> {
        let request = self.request(shard, from)?;
        // In boxes, since the futures of the SDK are large: nothing of them stays in the task of a shard that only waits.
        let opened = match Box::pin(request.clone().send()).await {
            Err(error) if time_is_refused(&error) => Box::pin(request.send()).await,
            sent => sent,
        };
        opened.map(Opened).map_err(|error| cause(&error))
    }
}

impl Events for Opened {
    /// The SDK says nothing of an event before all of it is there.
    async fn next(&mut self) -> Result<Option<Arrival>, Cause> {
        Ok(self.event().await?.map(Arrival::Event))
    }
}

impl Opened {
    /// The next event.
    pub(super) async fn event(&mut self) -> Result<Option<Event>, Cause> {
        match self.0.event_stream.recv().await {
            Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event))) => read_event(event).map(Some),
            Ok(Some(_)) => Err(Cause::Failed("an event of an unknown kind".into())),
            Ok(None) => Ok(None),
            Err(error) => {
                Err(Cause::of_code(error.as_service_error().and_then(stream_code).or(error.code()), chain(&error)))
            }
        }
    }
}

/// The position in the terms of the service.
fn starting_position(from: &From) -> Result<StartingPosition, BuildError> {
    let builder = StartingPosition::builder();
    match from {
        From::Continuation(number) => builder.r#type(ShardIteratorType::AfterSequenceNumber).sequence_number(number),
        From::Checkpoint(Checkpoint::At(position)) => {
            builder.r#type(ShardIteratorType::AtSequenceNumber).sequence_number(position.sequence.to_string())
        }
        From::Checkpoint(Checkpoint::AtTimestamp(millis)) => builder
            .r#type(ShardIteratorType::AtTimestamp)
            .timestamp(DateTime::from_millis(i64::try_from(*millis).unwrap_or(i64::MAX))),
        From::Checkpoint(Checkpoint::TrimHorizon) => builder.r#type(ShardIteratorType::TrimHorizon),
        From::Checkpoint(Checkpoint::Latest | Checkpoint::ShardEnd) => builder.r#type(ShardIteratorType::Latest),
    }
    .build()
}

/// The code of an exception that came as an event. The SDK gives such an exception its type and no code.
fn stream_code(error: &SubscribeToShardEventStreamError) -> Option<&'static str> {
    use SubscribeToShardEventStreamError as Exception;
    match error {
        Exception::ResourceInUseException(_) => Some("ResourceInUseException"),
        Exception::ResourceNotFoundException(_) => Some("ResourceNotFoundException"),
        Exception::KmsAccessDeniedException(_) => Some("KMSAccessDeniedException"),
        Exception::KmsDisabledException(_) => Some("KMSDisabledException"),
        Exception::KmsInvalidStateException(_) => Some("KMSInvalidStateException"),
        Exception::KmsNotFoundException(_) => Some("KMSNotFoundException"),
        Exception::KmsOptInRequired(_) => Some("KMSOptInRequired"),
        Exception::KmsThrottlingException(_) => Some("KMSThrottlingException"),
        _ => None,
    }
}

/// True when the clock of this machine may be wrong. The SDK has taken the right time from the answer, and signs the next
/// request with it; it does not make one, for it does not retry here.
pub(crate) fn time_is_refused<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    matches!(error.code(), Some("InvalidSignatureException" | "SignatureDoesNotMatch" | "RequestTimeTooSkewed"))
}

/// Why a call was refused.
pub(super) fn cause<E, R>(error: &SdkError<E, R>) -> Cause
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
    let (records, bytes) = read_records(event.records)?;
    Ok(Event { records, bytes, millis_behind_latest: u64::try_from(event.millis_behind_latest).unwrap_or(0), next })
}

/// Records as the service gives them, by whichever call, and the bytes that they keep in memory.
pub(crate) fn read_records(given: Vec<types::Record>) -> Result<(Vec<Record>, usize), Cause> {
    let (mut records, mut bytes) = (Vec::with_capacity(given.len()), 0);
    for record in given {
        let record = read_record(record)?;
        bytes += record.data.len() + record.partition_key.len();
        records.push(record);
    }
    Ok((records, bytes))
}

fn read_record(record: types::Record) -> Result<Record, Cause> {
    let sequence: SequenceNumber = record.sequence_number.parse().map_err(|error| Cause::Failed(chain(&error)))?;
    Ok(Record {
        position: Position::of(sequence),
        partition_key: record.partition_key.unwrap_or_default().into(),
        data: Bytes::from(record.data.into_inner()),
        arrived_millis: record.approximate_arrival_timestamp.map_or(0, to_millis),
        kind: Kind::Plain,
    })
}

/// Milliseconds since 1970, rounded: the SDK keeps a time that comes as 1795000000.123 in binary, a little below.
fn to_millis(time: DateTime) -> u64 {
    u64::try_from((time.as_nanos() + 500_000).div_euclid(1_000_000)).unwrap_or(0)
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
        let after = starting_position(&From::Continuation("7".into())).unwrap();
        assert_eq!(after.r#type, ShardIteratorType::AfterSequenceNumber);
        let at = starting_position(&From::Checkpoint(Checkpoint::from_attributes("7", 0).unwrap())).unwrap();
        assert_eq!((at.r#type, at.sequence_number.as_deref()), (ShardIteratorType::AtSequenceNumber, Some("7")));
    }
}
