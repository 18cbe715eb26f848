//! Reading a shard by GetRecords, for streams on which no fan-out consumer can be registered.
//!
//! All applications that poll share five calls a second and 2 MB/s of a shard, and a call may bring 10 MB, after which the
//! shard refuses calls until its two megabytes a second have made up for them. Five minutes end a shard iterator.
//!
//! An answer without records brings no sequence number. The checkpoint of an idle shard therefore stays where it is: GetRecords
//! begins at the oldest record when that position is trimmed, so nothing is lost by it.

mod pace;

use crate::stream::{Called, Stream, read_children};
use crate::subscription::{Arrival, Cause, Event, Events, From, Next, Source, read_records, time_is_refused};
use crate::topology::Shard;
use alluvial_record::{Checkpoint, ShardId};
use alluvial_runtime::exit::chain;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::operation::get_shard_iterator::builders::GetShardIteratorFluentBuilder;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{ChildShard, ShardIteratorType};
use pace::next_call_in;
use tokio::time::{Instant, sleep_until};

/// Polls the shards of a stream.
#[derive(Debug, Clone)]
pub(crate) struct Polling {
    client: Client,
    stream: Stream,
}

/// Polling of one shard, with a position.
#[derive(Debug)]
pub(crate) struct Poller {
    client: Client,
    stream: Stream,
    shard: ShardId,
    iterator: String,
    next_call: Instant,
}

impl Polling {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { client: stream.client_without_retries(), stream }
    }
}

impl Source for Polling {
    type Events = Poller;

    async fn open(&self, shard: &ShardId, from: &From) -> Result<Poller, Cause> {
        let Called { name, arn } = self.stream.called();
        let call = self.client.get_shard_iterator().set_stream_name(name).set_stream_arn(arn).shard_id(shard.as_str());
        let send = || Box::pin(starting_at(call.clone(), from).send());
        let sent = match send().await {
            Err(error) if time_is_refused(&error) => send().await,
            sent => sent,
        };
        let answer = sent.map_err(|error| Cause::of_code(error.code(), chain(&error)))?;
        let iterator = answer.shard_iterator.ok_or_else(|| Cause::Failed("no shard iterator in the answer".into()))?;
        let (client, stream, shard) = (self.client.clone(), self.stream.clone(), shard.clone());
        Ok(Poller { client, stream, shard, iterator, next_call: Instant::now() })
    }
}

fn starting_at(call: GetShardIteratorFluentBuilder, from: &From) -> GetShardIteratorFluentBuilder {
    match from {
        From::Continuation(number) => {
            call.shard_iterator_type(ShardIteratorType::AfterSequenceNumber).starting_sequence_number(number)
        }
        From::Checkpoint(Checkpoint::At(position)) => call
            .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
            .starting_sequence_number(position.sequence.to_string()),
        From::Checkpoint(Checkpoint::AtTimestamp(millis)) => call
            .shard_iterator_type(ShardIteratorType::AtTimestamp)
            .timestamp(DateTime::from_millis(i64::try_from(*millis).unwrap_or(i64::MAX))),
        From::Checkpoint(Checkpoint::TrimHorizon) => call.shard_iterator_type(ShardIteratorType::TrimHorizon),
        From::Checkpoint(Checkpoint::Latest | Checkpoint::ShardEnd) => {
            call.shard_iterator_type(ShardIteratorType::Latest)
        }
    }
}

impl Events for Poller {
    /// What the next call brings, maybe no records. Waits until the call is due. A page is not announced: how large it will be,
    /// nobody knows before it is there.
    async fn next(&mut self) -> Result<Option<Arrival>, Cause> {
        sleep_until(self.next_call).await;
        let asked = Instant::now();
        let arn = self.stream.called().arn;
        let send =
            || Box::pin(self.client.get_records().shard_iterator(&self.iterator).set_stream_arn(arn.clone()).send());
        let answer = match send().await {
            Err(error) if time_is_refused(&error) => send().await,
            answer => answer,
        };
        let page = answer.map_err(|error| Cause::of_code(error.code(), chain(&error)))?;
        let millis_behind_latest = page.millis_behind_latest.and_then(|millis| u64::try_from(millis).ok()).unwrap_or(0);
        let continuation = page.records.last().map(|record| record.sequence_number.clone());
        let (records, bytes) = read_records(page.records)?;
        let next = match page.next_shard_iterator {
            Some(iterator) => {
                self.iterator = iterator;
                self.next_call = asked + next_call_in(millis_behind_latest, bytes);
                continuation.map_or(Next::Unmoved, Next::Continuation)
            }
            None => Next::ShardEnd(Box::pin(self.children(&page.child_shards.unwrap_or_default())).await?),
        };
        Ok(Some(Arrival::Event(Event { records, bytes, millis_behind_latest, next })))
    }
}

impl Poller {
    /// The children that the last answer names, or that the stream lists.
    async fn children(&self, named: &[ChildShard]) -> Result<Vec<Shard>, Cause> {
        if !named.is_empty() {
            return read_children(named).map_err(|error| Cause::Failed(chain(&error)));
        }
        let listed = self.stream.shards_after(Instant::now()).await.map_err(|error| Cause::Failed(chain(&error)))?;
        Ok(listed.iter().filter(|shard| shard.parents.contains(&self.shard)).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subscription::script::{self, Answer, record_json};

    const ITERATOR: &str = r#"{"ShardIterator":"i"}"#;

    async fn poller(answers: &[Answer]) -> Result<Poller, Cause> {
        let (client, _) = script::client(&[&[script::stream_summary()], answers].concat());
        let stream = Stream::find(client, "s").await.unwrap();
        Polling::new(stream).open(&"a".into(), &From::Checkpoint(Checkpoint::TrimHorizon)).await
    }

    #[tokio::test]
    async fn a_clock_that_is_wrong_is_corrected_by_the_answer() {
        let refusal = || Answer::refusal(400, "InvalidSignatureException").dated("Sat, 02 Jan 2100 12:00:00 GMT");
        let page = format!(
            r#"{{"Records":[{}],"NextShardIterator":"j","MillisBehindLatest":0}}"#,
            record_json(7, "k", b"one")
        );
        let mut poller = poller(&[refusal(), Answer::json(ITERATOR), refusal(), Answer::json(&page)]).await.unwrap();
        let event = poller.next().await.unwrap().and_then(Arrival::event).unwrap();
        assert!(matches!(event.next, Next::Continuation(number) if number == "7"));
        assert!(matches!(self::poller(&[refusal(), refusal()]).await, Err(Cause::Denied(_))), "a key that is wrong");
    }

    #[tokio::test]
    async fn a_child_without_parents_is_no_end_of_the_shard() {
        let last = |parents: &str| {
            format!(
                r#"{{"Records":[],"MillisBehindLatest":0,"ChildShards":[{{"ShardId":"b","ParentShards":[{parents}],
                "HashKeyRange":{{"StartingHashKey":"0","EndingHashKey":"9"}}}}]}}"#
            )
        };
        for (parents, ends) in [(r#""a""#, true), ("", false)] {
            let mut poller = poller(&[Answer::json(ITERATOR), Answer::json(&last(parents))]).await.unwrap();
            match poller.next().await.map(|arrival| arrival.and_then(Arrival::event)) {
                Ok(Some(Event { next: Next::ShardEnd(children), .. })) => assert!(ends && children.len() == 1),
                other => assert!(!ends && matches!(other, Err(Cause::Failed(_))), "{other:?}"),
            }
        }
    }
}
