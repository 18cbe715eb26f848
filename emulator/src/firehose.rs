//! Firehose (JSON 1.1) into S3: delivery streams that buffer by size and by time, and write each buffer as one object
//! of records joined verbatim, or with a delimiter after each.
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
mod name;
mod pattern;
mod prefix;
mod processing;
mod put;

#[cfg(test)]
mod tests;

use crate::api::{self, ApiError, Body, json_bytes};
use crate::clock::Clock;
use crate::fault::Names;
use crate::journal::{Journals, Pieces};
use crate::s3::S3;
use budget::Budget;
use channel::{Channel, Outcome};
use definition::{Definition, UpdateRequest};
use http::Response;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::JoinSet;

/// Delivery streams of one account and region (<https://docs.aws.amazon.com/firehose/latest/dev/limits.html>).
const MAX_STREAMS: usize = 5_000;

/// Bytes that all delivery streams together buffer. Past it, records are refused with `ServiceUnavailableException`, as
/// AWS refuses them past a throughput quota; without it, a bucket that does not exist would fill the memory.
const MAX_BUFFERED_BYTES: usize = 256 * 1024 * 1024;

/// The Firehose of one emulator. Copies share it.
#[derive(Clone)]
pub(crate) struct Firehose(Arc<Inner>);

struct Inner {
    clock: Clock,
    journals: Journals,
    s3: S3,
    budget: Arc<Budget>,
    channels: Mutex<BTreeMap<String, Arc<Channel>>>,
    deliveries: Mutex<JoinSet<()>>,
}

impl Firehose {
    /// No delivery streams yet; objects will go to `s3`, and `clock` says when a buffer is old.
    pub(crate) fn new(clock: Clock, s3: S3, journals: Journals) -> Self {
        Self(Arc::new(Inner {
            clock,
            journals,
            s3,
            budget: Arc::new(Budget::new(MAX_BUFFERED_BYTES)),
            channels: Mutex::default(),
            deliveries: Mutex::default(),
        }))
    }

    /// Answers one operation.
    pub(crate) async fn call(&self, operation: &str, body: &[u8]) -> Response<Body> {
        let answered = match operation {
            "PutRecordBatch" => self.put_record_batch(body),
            "PutRecord" => self.put_record(body),
            "CreateDeliveryStream" => self.create(body),
            "DescribeDeliveryStream" => self.describe(body),
            "UpdateDestination" => self.update(body),
            "ListDeliveryStreams" => self.list(body),
            "DeleteDeliveryStream" => self.delete(body).await,
            _ => Err(api::unknown_operation(operation)),
        };
        match answered {
            Ok(value) => json_bytes(value.to_string()),
            Err(error) => error.into_response(),
        }
    }

    /// Writes what is buffered to S3 and ends all deliveries. What cannot be written then is lost, and logged.
    pub(crate) async fn stop(&self) {
        let channels = mem::take(&mut *lock(&self.0.channels));
        channels.values().for_each(|channel| channel.drain());
        let mut deliveries = mem::take(&mut *lock(&self.0.deliveries));
        while let Some(ended) = deliveries.join_next().await {
            report(ended);
        }
    }

    fn put_record_batch(&self, body: &[u8]) -> Result<Value, ApiError> {
        let batch = put::batch(body)?;
        let outcomes = self.channel(&batch.stream)?.accept(batch.records, &self.0.clock)?;
        let failed = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Refused)).count();
        let responses: Vec<Value> = outcomes
            .into_iter()
            .map(|outcome| match outcome {
                Outcome::Accepted(id) => json!({ "RecordId": id }),
                Outcome::Refused => json!({ "ErrorCode": put::UNAVAILABLE, "ErrorMessage": put::SLOW_DOWN }),
            })
            .collect();
        Ok(json!({ "FailedPutCount": failed, "Encrypted": false, "RequestResponses": responses }))
    }

    fn put_record(&self, body: &[u8]) -> Result<Value, ApiError> {
        let batch = put::single(body)?;
        let outcomes = self.channel(&batch.stream)?.accept(batch.records, &self.0.clock)?;
        match outcomes.into_iter().next() {
            Some(Outcome::Accepted(id)) => Ok(json!({ "RecordId": id, "Encrypted": false })),
            _ => Err(ApiError::server(put::UNAVAILABLE, put::SLOW_DOWN)),
        }
    }

    fn create(&self, body: &[u8]) -> Result<Value, ApiError> {
        let definition = Definition::check(parse(body)?, self.0.clock.now())?;
        let arn = definition.arn();
        let mut channels = lock(&self.0.channels);
        if channels.contains_key(&definition.name) {
            let message = format!("Firehose {} under accountId {} already exists", definition.name, api::ACCOUNT);
            return Err(ApiError::client("ResourceInUseException", message));
        }
        if channels.len() >= MAX_STREAMS {
            let message = format!("You have already reached the limit of {MAX_STREAMS} delivery streams");
            return Err(ApiError::client("LimitExceededException", message));
        }
        let channel = Arc::new(Channel::new(definition, Arc::clone(&self.0.budget)));
        channels.insert(channel.definition().name.clone(), Arc::clone(&channel));
        let mut deliveries = lock(&self.0.deliveries);
        while let Some(ended) = deliveries.try_join_next() {
            report(ended);
        }
        deliveries.spawn(channel.deliver(self.0.s3.clone(), self.0.clock.clone()));
        Ok(json!({ "DeliveryStreamARN": arn }))
    }

    fn describe(&self, body: &[u8]) -> Result<Value, ApiError> {
        let request: control::Named = parse(body)?;
        Ok(control::describe(&self.channel(&request.name)?.definition()))
    }

    fn update(&self, body: &[u8]) -> Result<Value, ApiError> {
        let request: UpdateRequest = parse(body)?;
        let channel = self.channel(&request.delivery_stream_name)?;
        channel.change(|definition| definition.changed(request, self.0.clock.now()))?;
        Ok(json!({}))
    }

    fn list(&self, body: &[u8]) -> Result<Value, ApiError> {
        let channels = lock(&self.0.channels);
        control::list(&parse(body)?, channels.keys().map(String::as_str))
    }

    /// Takes the delivery stream away at once and answers when its buffer is written, or could not be.
    async fn delete(&self, body: &[u8]) -> Result<Value, ApiError> {
        let request: control::Named = parse(body)?;
        let channel = lock(&self.0.channels).remove(&request.name).ok_or_else(|| not_found(&request.name))?;
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
        self.0.journals.read(stream)
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
        tracing::error!(%error, "a Firehose delivery ended early; what it buffered is lost");
    }
}
