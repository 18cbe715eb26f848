//! The control plane of one stream: its shards, and our registration as an enhanced fan-out consumer.

use crate::error::{Error, ErrorKind, kind_of_code};
use crate::lease::StreamId;
use crate::topology::Shard;
use alluvial_record::{HashKeyRange, SequenceNumber, ShardId};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::describe_stream_consumer::DescribeStreamConsumerError;
use aws_sdk_kinesis::types::{self, ConsumerStatus, ShardIteratorType};
use aws_smithy_types::retry::RetryConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Time between two looks at a consumer that is being registered; DescribeStreamConsumer allows 20 calls a second.
const CONSUMER_POLL: Duration = Duration::from_millis(500);
/// Time between two attempts that were throttled; RegisterStreamConsumer allows 5 calls a second.
const THROTTLED_PAUSE: Duration = Duration::from_secs(1);
/// Consumers that every stream may have. With On-demand Advantage it is 50, and a refusal below that comes from a rate.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_RegisterStreamConsumer.html>.
const MOST_CONSUMERS: usize = 20;
/// Empty answers in which the oldest record of a shard is looked for; GetRecords may give some before the first record.
const OLDEST_ATTEMPTS: u32 = 10;
const MILLIS_PER_HOUR: u64 = 3_600_000;

/// How calls name a stream: by one of name and ARN, which a stream of another account needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Called {
    pub(crate) name: Option<String>,
    pub(crate) arn: Option<String>,
}

impl Called {
    /// As the settings say.
    pub(crate) fn by(text: &str) -> Self {
        if text.starts_with("arn:") {
            return Self { name: None, arn: Some(text.to_owned()) };
        }
        Self { name: Some(text.to_owned()), arn: None }
    }

    /// The stream's name alone.
    fn plain(&self) -> &str {
        let called = self.name.as_deref().or(self.arn.as_deref()).unwrap_or_default();
        called.rsplit('/').next().unwrap_or_default()
    }
}

/// One stream, by name, and the calls that are made of it.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    client: Client,
    called: Called,
    arn: String,
    created_millis: Option<u64>,
    retention_millis: u64,
    /// The last listing, and when it was asked for: many shards ask at once when a consumer or the stream goes.
    listing: Arc<Mutex<Option<Listing>>>,
}

/// The shards, and when they were asked for.
type Listing = (Instant, Arc<[Shard]>);

/// Why there is no fan-out consumer.
#[derive(Debug)]
pub(crate) struct NoConsumer {
    /// Whether polling may stand in: the stream is there, and fan-out alone is refused.
    pub(crate) may_poll: bool,
    pub(crate) error: Error,
}

impl NoConsumer {
    fn refused(error: Error) -> Self {
        Self { may_poll: true, error }
    }
}

fn failed<E, R>(action: String, error: SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    Error::caused(kind_of_code(error.code()), action, error)
}

impl Stream {
    /// Finds the stream.
    ///
    /// # Errors
    /// [`ErrorKind::Fatal`] when there is no such stream or we may not ask.
    pub(crate) async fn find(client: Client, name: &str) -> Result<Self, Error> {
        let called = Called::by(name);
        let Called { name: by_name, arn: by_arn } = called.clone();
        let call = client.describe_stream_summary().set_stream_name(by_name).set_stream_arn(by_arn);
        let found = call.send().await.map_err(|error| {
            if error.code() == Some("ResourceNotFoundException") {
                let text = format!("stream {name:?} does not exist in this account and region");
                return Error::new(ErrorKind::Fatal, text);
            }
            failed(format!("describe stream {name:?}"), error)
        })?;
        let summary = found.stream_description_summary();
        let arn = summary.map(|stream| stream.stream_arn().to_owned()).unwrap_or_default();
        let created = summary.and_then(|stream| stream.stream_creation_timestamp().to_millis().ok());
        let created_millis = created.and_then(|millis| u64::try_from(millis).ok());
        let hours = summary.and_then(|stream| u64::try_from(stream.retention_period_hours()).ok()).unwrap_or(24);
        let retention_millis = hours.saturating_mul(MILLIS_PER_HOUR);
        Ok(Self { client, called, arn, created_millis, retention_millis, listing: Arc::default() })
    }

    /// The stream as lease keys name it; `None` when Kinesis does not say when it was created.
    pub(crate) fn id(&self) -> Option<StreamId> {
        StreamId::of_arn(&self.arn, self.created_millis?)
    }

    /// When the stream was created, in milliseconds since 1970: a stream of the same name may have been there before.
    pub(crate) fn created_millis(&self) -> Option<u64> {
        self.created_millis
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.called.plain()
    }

    /// How calls name it.
    pub(crate) fn called(&self) -> Called {
        self.called.clone()
    }

    /// How long records were kept when the stream was found.
    pub(crate) fn retention_millis(&self) -> u64 {
        self.retention_millis
    }

    /// A client for GetRecords: the retries are the caller's.
    pub(crate) fn client_without_retries(&self) -> Client {
        Client::from_conf(self.client.config().to_builder().retry_config(RetryConfig::disabled()).build())
    }

    /// As [`Stream::shards`], by a listing that was asked for after `moment`. Those who ask together share it.
    pub(crate) async fn shards_after(&self, moment: Instant) -> Result<Arc<[Shard]>, Error> {
        let mut listing = self.listing.lock().await;
        if let Some((asked, shards)) = &*listing
            && *asked > moment
        {
            return Ok(Arc::clone(shards));
        }
        let asked = Instant::now();
        let shards: Arc<[Shard]> = self.shards().await?.into();
        *listing = Some((asked, Arc::clone(&shards)));
        Ok(shards)
    }

    /// The number of the oldest record that `shard` keeps; `None` when it keeps none, or we may not poll.
    pub(crate) async fn oldest_record(&self, shard: &ShardId) -> Result<Option<SequenceNumber>, Error> {
        let Called { name, arn } = self.called();
        let first = self.client.get_shard_iterator().set_stream_name(name).set_stream_arn(arn.clone());
        let found = first.shard_id(shard.as_str()).shard_iterator_type(ShardIteratorType::TrimHorizon).send().await;
        let mut iterator = match found {
            Ok(found) => found.shard_iterator,
            Err(error) if error.code() == Some("AccessDeniedException") => return Ok(None),
            Err(error) => return Err(failed(format!("find the oldest record of {shard}"), error)),
        };
        for _ in 0..OLDEST_ATTEMPTS {
            let Some(current) = iterator.take() else { break };
            let call = self.client.get_records().shard_iterator(current).set_stream_arn(arn.clone()).limit(1);
            let page = match call.send().await {
                Ok(page) => page,
                Err(error) if error.code() == Some("AccessDeniedException") => return Ok(None),
                Err(error) => return Err(failed(format!("find the oldest record of {shard}"), error)),
            };
            if let Some(record) = page.records.first() {
                return Ok(record.sequence_number.parse().ok());
            }
            iterator = page.next_shard_iterator.filter(|_| page.millis_behind_latest != Some(0));
        }
        Ok(None)
    }

    /// All shards whose records may still be read.
    pub(crate) async fn shards(&self) -> Result<Vec<Shard>, Error> {
        let mut shards = Vec::new();
        let mut token: Option<String> = None;
        loop {
            // AWS refuses a stream name beside a token.
            let Called { name, arn } = if token.is_none() { self.called() } else { Called { name: None, arn: None } };
            let call = self.client.list_shards().set_stream_name(name).set_stream_arn(arn).set_next_token(token.take());
            let page = match call.send().await {
                Ok(page) => page,
                Err(error) if error.code() == Some("ExpiredNextTokenException") => {
                    shards.clear();
                    continue;
                }
                Err(error) if error.code() == Some("ResourceNotFoundException") => {
                    let text = format!("stream {:?} does not exist any more", self.name());
                    return Err(Error::caused(ErrorKind::Fatal, text, error));
                }
                Err(error) => return Err(failed(format!("list the shards of {:?}", self.name()), error)),
            };
            for shard in page.shards() {
                shards.push(read_shard(shard)?);
            }
            token = page.next_token;
            if token.is_none() {
                return Ok(shards);
            }
        }
    }

    /// Registers `consumer` unless it is, waits until it is ACTIVE, and returns its ARN.
    ///
    /// Attempts that are throttled are repeated until `deadline` is over.
    ///
    /// # Errors
    /// [`NoConsumer`]: we may not register, the stream has as many consumers as it may have, or the consumer is not
    /// ACTIVE in time, in all of which polling may stand in; or AWS is out of reach, or the stream is gone.
    pub(crate) async fn ensure_consumer(&self, consumer: &str, deadline: Duration) -> Result<String, NoConsumer> {
        let mut throttled = None;
        let waiting = async {
            loop {
                let status = match self.consumer_status(consumer).await {
                    Ok(status) => status,
                    Err(error) if error.kind() == ErrorKind::Wait => {
                        throttled = Some(error);
                        tokio::time::sleep(THROTTLED_PAUSE).await;
                        continue;
                    }
                    Err(error) => return Err(NoConsumer::refused(error)),
                };
                match status {
                    Some((ConsumerStatus::Active, arn)) => return Ok(arn),
                    // CREATING will be ACTIVE; DELETING will be gone, and is registered then.
                    Some(_) => tokio::time::sleep(CONSUMER_POLL).await,
                    None => {
                        if let Some(error) = Box::pin(self.register(consumer)).await? {
                            throttled = Some(error);
                            tokio::time::sleep(THROTTLED_PAUSE).await;
                        }
                    }
                }
            }
        };
        match tokio::time::timeout(deadline, waiting).await {
            Ok(ended) => ended,
            Err(_) => {
                let text = format!("consumer {consumer:?} is not ACTIVE after {deadline:?}");
                let error = match throttled {
                    Some(error) => Error::caused(ErrorKind::Wait, text, error),
                    None => Error::new(ErrorKind::Wait, text),
                };
                Err(NoConsumer::refused(error))
            }
        }
    }

    /// Registers `consumer`; the error is one that a pause may mend.
    async fn register(&self, consumer: &str) -> Result<Option<Error>, NoConsumer> {
        let call = self.client.register_stream_consumer().stream_arn(&self.arn).consumer_name(consumer);
        let error = match call.send().await {
            Ok(_) => {
                tracing::info!(stream = %self.name(), consumer, "registered for enhanced fan-out");
                return Ok(None);
            }
            Err(error) => error,
        };
        match error.code() {
            // Another worker registered it meanwhile, and DescribeStreamConsumer may not know of it yet.
            Some("ResourceInUseException") => {
                tokio::time::sleep(CONSUMER_POLL).await;
                Ok(None)
            }
            Some("LimitExceededException") if self.has_all_consumers().await => {
                let text = format!(
                    "stream {:?} has as many registered consumers as it may have; deregister one, or read by polling",
                    self.name()
                );
                Err(NoConsumer::refused(Error::caused(ErrorKind::Fatal, text, error)))
            }
            Some("ResourceNotFoundException") => {
                let text = format!("stream {:?} does not exist any more", self.name());
                Err(NoConsumer { may_poll: false, error: Error::caused(ErrorKind::Fatal, text, error) })
            }
            _ => {
                let error = failed(format!("register consumer {consumer:?} (kinesis:RegisterStreamConsumer)"), error);
                if error.kind() == ErrorKind::Wait { Ok(Some(error)) } else { Err(NoConsumer::refused(error)) }
            }
        }
    }

    /// Whether the stream has as many consumers as any may have. A refusal with fewer comes from a rate, or from five that
    /// are being created. Where we may not list them, the refusal is believed.
    async fn has_all_consumers(&self) -> bool {
        let mut pages = self.client.list_stream_consumers().stream_arn(&self.arn).into_paginator().send();
        let mut count = 0;
        while let Some(page) = pages.next().await {
            match page {
                Ok(page) => count += page.consumers().len(),
                Err(error) => return kind_of_code(error.code()) == ErrorKind::Fatal,
            }
        }
        count >= MOST_CONSUMERS
    }

    /// The status and ARN of `consumer`; `None` when it is not registered.
    pub(crate) async fn consumer_status(&self, consumer: &str) -> Result<Option<(ConsumerStatus, String)>, Error> {
        let call = self.client.describe_stream_consumer().stream_arn(&self.arn).consumer_name(consumer);
        match call.send().await {
            Ok(found) => {
                let found = found.consumer_description.filter(|found| !found.consumer_arn.is_empty());
                Ok(found.map(|found| (found.consumer_status, found.consumer_arn)))
            }
            Err(error) => match error.as_service_error() {
                Some(DescribeStreamConsumerError::ResourceNotFoundException(_)) => Ok(None),
                _ => Err(failed(format!("describe consumer {consumer:?} (kinesis:DescribeStreamConsumer)"), error)),
            },
        }
    }
}

fn read_shard(shard: &types::Shard) -> Result<Shard, Error> {
    let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
    let keys = shard.hash_key_range();
    let hash_keys = HashKeyRange::parse(
        keys.map_or("", |keys| keys.starting_hash_key()),
        keys.map_or("", |keys| keys.ending_hash_key()),
    )
    .map_err(|error| Error::caused(ErrorKind::Fatal, format!("shard {}", shard.shard_id()), error))?;
    Ok(Shard {
        id: shard.shard_id().into(),
        parents: parents.into_iter().flatten().map(ShardId::from).collect(),
        hash_keys,
        open: shard.sequence_number_range().is_some_and(|range| range.ending_sequence_number().is_none()),
    })
}

/// The children that the last event of a shard names.
pub(crate) fn read_children(children: &[types::ChildShard]) -> Result<Vec<Shard>, Error> {
    children
        .iter()
        .map(|child| {
            let keys = child.hash_key_range();
            let hash_keys = HashKeyRange::parse(
                keys.map_or("", |keys| keys.starting_hash_key()),
                keys.map_or("", |keys| keys.ending_hash_key()),
            )
            .map_err(|error| Error::caused(ErrorKind::Fatal, format!("child shard {}", child.shard_id()), error))?;
            let parents: Vec<ShardId> = child.parent_shards().iter().map(|parent| parent.as_str().into()).collect();
            if parents.is_empty() {
                // It would start without waiting for the other shard that it was merged from.
                let text = format!("child shard {} without parents", child.shard_id());
                return Err(Error::new(ErrorKind::Wait, text));
            }
            Ok(Shard { id: child.shard_id().into(), parents, hash_keys, open: true })
        })
        .collect()
}

#[cfg(test)]
mod tests;
