//! A subscription as the AWS SDK reads it: the reference.

use super::{Cause, Event, Events, Next};
use crate::feed::{Kind, Record};
use crate::stream::read_children;
use alluvial_record::{Position, SequenceNumber};
use alluvial_runtime::exit::chain;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::operation::subscribe_to_shard::builders::SubscribeToShardFluentBuilder;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError;
use aws_sdk_kinesis::types::{self, SubscribeToShardEventStream};
use bytes::Bytes;

/// An open stream.
#[derive(Debug)]
pub(super) struct Open(SubscribeToShardOutput);

/// Opens it, and waits for its first frame, which no timeout of the SDK covers.
pub(super) async fn open(call: SubscribeToShardFluentBuilder) -> Result<Open, Cause> {
    call.send().await.map(Open).map_err(|error| cause(&error))
}

impl Events for Open {
    async fn next(&mut self) -> Result<Option<Event>, Cause> {
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

/// Why a call was refused.
pub(super) fn cause<E, R>(error: &SdkError<E, R>) -> Cause
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    Cause::of_code(error.code(), chain(error))
}

/// Takes an event as the SDK has it.
pub(super) fn read_event(event: types::SubscribeToShardEvent) -> Result<Event, Cause> {
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
    Ok(Record {
        position: Position::of(sequence),
        partition_key: record.partition_key.unwrap_or_default().into(),
        data: Bytes::from(record.data.into_inner()),
        arrived_millis: record.approximate_arrival_timestamp.map_or(0, to_millis),
        kind: Kind::Plain,
    })
}

/// Milliseconds since 1970, rounded: the SDK keeps a time that comes as 1795000000.123 in binary, a little below.
pub(super) fn to_millis(time: DateTime) -> u64 {
    let millis = (time.as_nanos() + 500_000).div_euclid(1_000_000);
    u64::try_from(millis).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subscription::From;
    use alluvial_record::Checkpoint;
    use aws_sdk_kinesis::types::ShardIteratorType;
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
