//! Reading a stream from inside the process: each open shard from its end on, then the shards that replace it.
//!
//! A reader holds neither its stream nor its shard: both go when the stream is deleted, and the reader finds that out.

use super::log::{Limits, Plan};
use super::shard::{Look, Shard};
use super::stream::Stream;
use super::validate::no_stream;
use super::{Kinesis, wire};
use crate::api::ApiError;
use crate::clock::Clock;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// What one read returns at most, or one larger record.
const READ: Limits = Limits { records: 1_000, bytes: 256 * 1024 };

/// What one read returns at most where limits on rates hold: what GetRecords does
/// (<https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html>).
const METERED_READ: Limits = Limits { records: 10_000, bytes: 10 * 1024 * 1024 };

/// How long after a read the next one follows where limits on rates hold, as Firehose's do
/// (<https://docs.aws.amazon.com/firehose/latest/dev/writing-with-kinesis-streams.html>).
const METERED_PAUSE: Duration = Duration::from_secs(1);

/// A reader of one shard.
#[derive(Debug)]
pub(crate) struct Tail {
    clock: Clock,
    stream: Weak<Stream>,
    shard: Weak<Shard>,
    number: u32,
    /// The index of the first record that was not read.
    cursor: u64,
    changed: watch::Receiver<()>,
    /// The earliest time of the next read; `None` without limits on rates.
    next_read: Option<SystemTime>,
}

/// What a reader found.
#[derive(Debug)]
pub(crate) enum Found {
    /// Records, still to be fetched.
    Records(Plan),
    /// The shard has ended; these took over.
    Ended(Vec<Child>),
    /// The stream is deleted.
    Gone,
}

/// A reader of a shard that took over from others, at its beginning.
#[derive(Debug)]
pub(crate) struct Child {
    /// The reader.
    pub(crate) tail: Tail,
    /// The numbers of the shards whose records come before.
    pub(crate) parents: Vec<u32>,
}

impl Kinesis {
    /// Readers of all open shards of a stream, each behind the newest record of now (`LATEST`). Where limits on rates
    /// hold, a reader reads once a second and counts as a GetRecords call.
    ///
    /// # Errors
    /// `ResourceNotFoundException` if there is no such stream, or it is being created.
    pub(crate) fn tails(&self, stream_arn: &str) -> Result<Vec<Tail>, ApiError> {
        let stream = self.stream(None, Some(stream_arn))?;
        if stream.arn() != stream_arn {
            return Err(no_stream(stream_arn));
        }
        stream.check_usable(self.now())?;
        let (clock, limits) = (&self.inner.clock, self.inner.limits);
        let tail = |shard: &Arc<Shard>| {
            let next_read = limits.then(|| clock.now());
            Tail::new(clock, &Arc::downgrade(&stream), shard, shard.next(), next_read)
        };
        Ok(stream.with_topology(|topology| topology.open().iter().map(tail).collect()))
    }
}

impl Tail {
    fn new(
        clock: &Clock,
        stream: &Weak<Stream>,
        shard: &Arc<Shard>,
        cursor: u64,
        next_read: Option<SystemTime>,
    ) -> Self {
        let (number, changed) = (shard.number(), shard.watch());
        let (stream, shard) = (Weak::clone(stream), Arc::downgrade(shard));
        Self { clock: clock.clone(), stream, shard, number, cursor, changed, next_read }
    }

    /// The shard's number.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Goes on behind the record before `cursor`.
    pub(crate) fn advance_to(&mut self, cursor: u64) {
        self.cursor = cursor;
    }

    /// Waits until there are records, or will be none any more. The same are found again until
    /// [`Tail::advance_to`] is told of them.
    pub(crate) async fn find(&mut self) -> Found {
        loop {
            if let Some(time) = self.next_read {
                self.clock.sleep_until(time).await;
                self.next_read = Some(self.clock.now() + METERED_PAUSE);
            }
            // Marked as seen before the look, so that a record that arrives behind the look wakes the wait.
            self.changed.mark_unchanged();
            if let Some(found) = self.look() {
                return found;
            }
            if self.next_read.is_none() && self.changed.changed().await.is_err() {
                // The shard is no more: expired, or gone with its stream.
                return self.look().unwrap_or(Found::Gone);
            }
        }
    }

    fn look(&self) -> Option<Found> {
        let Some(stream) = self.stream.upgrade() else { return Some(Found::Gone) };
        let Some(shard) = self.shard.upgrade() else { return Some(Found::Ended(self.children(&stream))) };
        let (now, metered) = (self.clock.now_millis(), self.next_read.is_some());
        let look = shard.look(self.cursor, if metered { METERED_READ } else { READ }, stream.horizon(now));
        let bytes = if let Look::Plan(plan) = &look { plan.bytes() } else { 0 };
        if metered && !shard.metered(now, |meter| meter.read(now, bytes)) {
            return None;
        }
        match look {
            Look::Plan(plan) => Some(Found::Records(plan)),
            Look::Idle => None,
            Look::End(_) => Some(Found::Ended(self.children(&stream))),
        }
    }

    /// Looked up by what the children say, so that it does not matter whether this shard is still there.
    fn children(&self, stream: &Stream) -> Vec<Child> {
        let child = |shard: &Arc<Shard>| {
            let parents = shard.as_child().parent_shards;
            let parents: Vec<u32> = parents.iter().filter_map(|id| wire::parse_shard_id(id)).collect();
            let tail = || Self::new(&self.clock, &self.stream, shard, 0, self.next_read);
            parents.contains(&self.number).then(|| Child { tail: tail(), parents })
        };
        stream.with_topology(|topology| topology.all().filter_map(child).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::*;
    use serde_json::{Value, json};

    const ARN: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/events";

    async fn call(kinesis: &Kinesis, operation: &str, mut body: Value) {
        body["StreamName"] = json!("events");
        let response = kinesis.call(operation, Format::Json, body.to_string().into()).await;
        assert!(response.status().is_success(), "{operation}: {response:?}");
    }

    async fn stream() -> (Kinesis, Clock) {
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000), 0.0).unwrap();
        let kinesis = Kinesis::new(clock.clone(), None, false, Duration::ZERO);
        call(&kinesis, "CreateStream", json!({ "ShardCount": 1 })).await;
        (kinesis, clock)
    }

    async fn split(kinesis: &Kinesis) {
        let middle = (u128::MAX / 2).to_string();
        let split = json!({ "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": middle });
        call(kinesis, "SplitShard", split).await;
    }

    #[tokio::test]
    async fn records_are_found_until_they_are_done_with() {
        let (kinesis, _) = stream().await;
        let mut tail = kinesis.tails(ARN).unwrap().pop().unwrap();
        call(&kinesis, "PutRecord", json!({ "PartitionKey": "k", "Data": "AQ==" })).await;
        for _ in 0..2 {
            let Found::Records(plan) = tail.find().await else { panic!("a record") };
            assert_eq!(plan.read().unwrap().next(), 2);
        }
        tail.advance_to(2);
        split(&kinesis).await;
        let Found::Ended(children) = tail.find().await else { panic!("the end of the shard") };
        let numbers: Vec<_> = children.iter().map(|child| (child.tail.number(), child.parents.clone())).collect();
        assert_eq!(numbers, [(1, vec![0]), (2, vec![0])]);
    }

    #[tokio::test]
    async fn children_are_found_though_their_parent_has_expired_unread() {
        let (kinesis, clock) = stream().await;
        let mut tail = kinesis.tails(ARN).unwrap().pop().unwrap();
        split(&kinesis).await;
        clock.advance(Duration::from_secs(25 * 3_600)).unwrap();
        assert_eq!(kinesis.shard_ids("events").len(), 2, "the parent is dropped");
        assert!(matches!(tail.find().await, Found::Ended(children) if children.len() == 2));
    }

    #[tokio::test]
    async fn a_stream_that_is_deleted_wakes_who_waits_for_it() {
        let (kinesis, _) = stream().await;
        let mut tail = kinesis.tails(ARN).unwrap().pop().unwrap();
        let (found, ()) = tokio::join!(tail.find(), call(&kinesis, "DeleteStream", json!({})));
        assert!(matches!(found, Found::Gone));
    }

    #[tokio::test]
    async fn only_a_stream_is_read() {
        let (kinesis, _) = stream().await;
        let cases = [
            (format!("{ARN}/consumer/app:1"), "ResourceNotFoundException"),
            ("arn:aws:kinesis:us-east-1:000000000000:stream/other".to_owned(), "ResourceNotFoundException"),
            ("events".to_owned(), "ValidationException"),
        ];
        for (arn, code) in cases {
            assert_eq!(kinesis.tails(&arn).unwrap_err().code, code, "{arn}");
        }
    }
}
