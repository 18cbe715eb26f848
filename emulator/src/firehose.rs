//! Firehose (JSON 1.1) into S3: delivery streams that take records from producers or read them from a Kinesis stream,
//! buffer by size and by time, and write each buffer as one object of records joined verbatim, or with a delimiter after
//! each.
//!
//! A delivery stream exists in memory only, as do the records it buffers: they reach S3 when the buffer is full or old,
//! when the delivery stream is deleted, and when the emulator stops. Source:
//! <https://docs.aws.amazon.com/firehose/latest/dev/basic-deliver.html>.

mod budget;
mod buffer;
mod channel;
mod compress;
mod control;
mod definition;
mod intake;
mod lane;
mod manage;
mod name;
mod pattern;
mod prefix;
mod processing;
mod put;
mod quota;
mod source;
mod tags;

#[cfg(test)]
mod tests;

use crate::api::{self, ApiError, Body, json_bytes};
use crate::clock::Clock;
use crate::fault::{Faults, Names};
use crate::journal::{Journals, Pieces};
use crate::kinesis::Kinesis;
use crate::random::Random;
use crate::s3::S3;
use budget::Budget;
use channel::{Channel, Outcome};
use definition::Definition;
use http::Response;
use quota::Calls;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// Delivery streams of one account and region (<https://docs.aws.amazon.com/firehose/latest/dev/limits.html>).
const MAX_STREAMS: usize = 5_000;

/// Bytes that all delivery streams together buffer. Past it, records are refused with `ServiceUnavailableException`, as
/// AWS refuses them past a throughput quota; without it, a bucket that does not exist would fill the memory.
const MAX_BUFFERED_BYTES: usize = 256 * 1024 * 1024;

/// What a Firehose is made of.
#[derive(Clone)]
pub(crate) struct Setup {
    /// Says when a buffer is old.
    pub(crate) clock: Clock,
    /// Gets the objects.
    pub(crate) s3: S3,
    /// Has the streams that are sources.
    pub(crate) kinesis: Kinesis,
    /// Gives the ids of records and objects.
    pub(crate) random: Random,
    /// Says which objects cannot be written.
    pub(crate) faults: Faults,
    /// Gets every record that is accepted.
    pub(crate) journals: Journals,
    /// Whether AWS's quotas on rates hold.
    pub(crate) limits: bool,
    /// How long a delivery stream is `CREATING`, in emulated time.
    pub(crate) state_delay: Duration,
}

/// The Firehose of one emulator. Copies share it.
#[derive(Clone)]
pub(crate) struct Firehose(Arc<Inner>);

struct Inner {
    setup: Setup,
    calls: Calls,
    budget: Arc<Budget>,
    channels: Mutex<BTreeMap<String, Arc<Channel>>>,
    /// Everything that runs by itself: deliveries, and readers of sources.
    tasks: Mutex<JoinSet<()>>,
}

impl Firehose {
    /// No delivery streams yet.
    pub(crate) fn new(setup: Setup) -> Self {
        Self(Arc::new(Inner {
            setup,
            calls: Calls::default(),
            budget: Arc::new(Budget::new(MAX_BUFFERED_BYTES)),
            channels: Mutex::default(),
            tasks: Mutex::default(),
        }))
    }

    /// Answers one operation.
    pub(crate) async fn call(&self, operation: &str, body: &[u8]) -> Response<Body> {
        let answered = match self.count_call(operation) {
            Err(error) => Err(error),
            Ok(()) => match operation {
                "PutRecordBatch" => self.put_record_batch(body),
                "PutRecord" => self.put_record(body),
                "CreateDeliveryStream" => self.create(body),
                "DeleteDeliveryStream" => self.delete(body).await,
                _ => self.manage(operation, body),
            },
        };
        match answered {
            Ok(value) => json_bytes(value.to_string()),
            Err(error) => error.into_response(),
        }
    }

    /// Ends all reading of sources, writes what is buffered to S3 and ends all deliveries. What cannot be written then is
    /// lost, and logged.
    pub(crate) async fn stop(&self) {
        let channels = mem::take(&mut *lock(&self.0.channels));
        channels.values().for_each(|channel| channel.drain());
        let mut tasks = mem::take(&mut *lock(&self.0.tasks));
        while let Some(ended) = tasks.join_next().await {
            report(ended);
        }
    }

    fn count_call(&self, operation: &str) -> Result<(), ApiError> {
        let Setup { limits, clock, .. } = &self.0.setup;
        if *limits { self.0.calls.count(operation, clock.now_millis()) } else { Ok(()) }
    }

    fn put_record_batch(&self, body: &[u8]) -> Result<Value, ApiError> {
        let batch = put::batch(body)?;
        let channel = self.channel(&batch.stream)?;
        let outcomes = channel.accept(batch.records)?;
        let failed = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Refused)).count();
        let responses: Vec<Value> = outcomes
            .into_iter()
            .map(|outcome| match outcome {
                Outcome::Accepted(id) => json!({ "RecordId": id }),
                Outcome::Refused => json!({ "ErrorCode": put::UNAVAILABLE, "ErrorMessage": put::SLOW_DOWN }),
            })
            .collect();
        let encrypted = self.encrypts(&channel);
        Ok(json!({ "FailedPutCount": failed, "Encrypted": encrypted, "RequestResponses": responses }))
    }

    fn put_record(&self, body: &[u8]) -> Result<Value, ApiError> {
        let batch = put::single(body)?;
        let channel = self.channel(&batch.stream)?;
        match channel.accept(batch.records)?.into_iter().next() {
            Some(Outcome::Accepted(id)) => Ok(json!({ "RecordId": id, "Encrypted": self.encrypts(&channel) })),
            _ => Err(put::slow_down()),
        }
    }

    fn encrypts(&self, channel: &Channel) -> bool {
        channel.definition().encryption.holds(self.0.setup.clock.now())
    }

    fn create(&self, body: &[u8]) -> Result<Value, ApiError> {
        let Setup { clock, s3, kinesis, state_delay, .. } = &self.0.setup;
        let definition = Definition::check(parse(body)?, clock.now(), *state_delay)?;
        let (arn, name) = (definition.arn(), definition.name.clone());
        let mut channels = lock(&self.0.channels);
        if channels.contains_key(&name) {
            let message = format!("Firehose {name} under accountId {} already exists", api::ACCOUNT);
            return Err(ApiError::client("ResourceInUseException", message));
        }
        if channels.len() >= MAX_STREAMS {
            let message = format!("You have already reached the limit of {MAX_STREAMS} delivery streams");
            return Err(ApiError::client("LimitExceededException", message));
        }
        let tails = definition.source.as_ref().map(|source| kinesis.tails(&source.stream_arn)).transpose();
        // CreateDeliveryStream has no other error for it.
        let tails = tails.map_err(|error| invalid(error.message))?;
        let channel = Arc::new(Channel::new(definition, &self.0.setup, Arc::clone(&self.0.budget)));
        channels.insert(name, Arc::clone(&channel));
        let mut tasks = lock(&self.0.tasks);
        while let Some(ended) = tasks.try_join_next() {
            report(ended);
        }
        if let Some(tails) = tails {
            tasks.spawn(source::follow(tails, Arc::clone(&channel)));
        }
        tasks.spawn(channel.deliver(s3.clone()));
        Ok(json!({ "DeliveryStreamARN": arn }))
    }

    /// Takes the delivery stream away at once and answers when its buffer is written, or could not be.
    async fn delete(&self, body: &[u8]) -> Result<Value, ApiError> {
        let request: control::Named = parse(body)?;
        let channel = {
            let mut channels = lock(&self.0.channels);
            let channel = channels.get(&request.name).ok_or_else(|| not_found(&request.name))?;
            channel.definition().check_active(self.0.setup.clock.now())?;
            channels.remove(&request.name).ok_or_else(|| not_found(&request.name))?
        };
        channel.drain();
        channel.finished().await;
        Ok(json!({}))
    }

    /// What the request `body` names.
    pub(crate) fn names(&self, body: &[u8]) -> Names {
        let named: Option<control::Named> = parse(body).ok();
        Names { delivery_stream: named.map(|named| named.name), ..Names::default() }
    }

    /// Every record that the delivery stream accepted, oldest first, as NDJSON.
    pub(crate) fn accepted(&self, stream: &str) -> Pieces {
        self.0.setup.journals.read(stream)
    }

    fn channel(&self, name: &str) -> Result<Arc<Channel>, ApiError> {
        lock(&self.0.channels).get(name).cloned().ok_or_else(|| not_found(name))
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> ApiError {
    ApiError::client("SerializationException", error.to_string())
}

fn not_found(name: &str) -> ApiError {
    let message = format!("Firehose {name} under account {} not found.", api::ACCOUNT);
    ApiError::client("ResourceNotFoundException", message)
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::client("InvalidArgumentException", message)
}

/// Nothing panics while it holds these locks, and what they guard is whole between statements, so a poisoned one is
/// still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a task of Firehose ended early; what it buffered is lost");
    }
}
