//! The control plane of one stream: its shards, and our registration as an enhanced fan-out consumer.

use crate::error::{Error, ErrorKind, kind_of_code};
use crate::lease::StreamId;
use crate::topology::Shard;
use alluvial_record::{HashKeyRange, ShardId};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::describe_stream_consumer::DescribeStreamConsumerError;
use aws_sdk_kinesis::types::{self, ConsumerStatus};
use std::time::Duration;

/// Time between two looks at a consumer that is being registered; DescribeStreamConsumer allows 20 calls a second.
const CONSUMER_POLL: Duration = Duration::from_millis(500);
/// Longest wait for a consumer to become ACTIVE.
const CONSUMER_WAIT: Duration = Duration::from_secs(120);

/// One stream, by name, and the calls that are made of it.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    client: Client,
    name: String,
    arn: String,
    created_millis: Option<u64>,
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
        let found = client.describe_stream_summary().stream_name(name).send().await.map_err(|error| {
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
        Ok(Self { client, name: name.to_owned(), arn, created_millis })
    }

    /// The stream as lease keys name it; `None` when Kinesis does not say when it was created.
    pub(crate) fn id(&self) -> Option<StreamId> {
        StreamId::of_arn(&self.arn, self.created_millis?)
    }

    /// When the stream was created, in milliseconds since 1970: a stream of the same name may have been there before.
    pub(crate) fn created_millis(&self) -> Option<u64> {
        self.created_millis
    }

    /// All shards whose records may still be read.
    pub(crate) async fn shards(&self) -> Result<Vec<Shard>, Error> {
        let mut shards = Vec::new();
        let mut token: Option<String> = None;
        loop {
            // AWS refuses a stream name beside a token.
            let name = token.is_none().then(|| self.name.clone());
            let call = self.client.list_shards().set_stream_name(name).set_next_token(token.take());
            let page = match call.send().await {
                Ok(page) => page,
                Err(error) if error.code() == Some("ExpiredNextTokenException") => {
                    shards.clear();
                    continue;
                }
                Err(error) => return Err(failed(format!("list the shards of {:?}", self.name), error)),
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
    /// # Errors
    /// [`ErrorKind::Fatal`] when we may not register or the stream has as many consumers as it may have.
    pub(crate) async fn ensure_consumer(&self, consumer: &str) -> Result<String, Error> {
        let waiting = async {
            loop {
                match self.consumer_status(consumer).await? {
                    Some((ConsumerStatus::Active, arn)) => return Ok(arn),
                    Some(_) => tokio::time::sleep(CONSUMER_POLL).await,
                    None => self.register(consumer).await?,
                }
            }
        };
        tokio::time::timeout(CONSUMER_WAIT, waiting).await.map_err(|_| {
            Error::new(ErrorKind::Wait, format!("consumer {consumer:?} is not ACTIVE after {CONSUMER_WAIT:?}"))
        })?
    }

    async fn register(&self, consumer: &str) -> Result<(), Error> {
        match self.client.register_stream_consumer().stream_arn(&self.arn).consumer_name(consumer).send().await {
            Ok(_) => {
                tracing::info!(stream = %self.name, consumer, "registered for enhanced fan-out");
                Ok(())
            }
            // Another worker registered it meanwhile.
            Err(error) if error.code() == Some("ResourceInUseException") => Ok(()),
            Err(error) if error.code() == Some("LimitExceededException") => {
                let text = format!("stream {:?} has as many registered consumers as it may have", self.name);
                Err(Error::caused(ErrorKind::Fatal, text, error))
            }
            Err(error) => Err(failed(format!("register consumer {consumer:?}"), error)),
        }
    }

    /// The status and ARN of `consumer`; `None` when it is not registered.
    pub(crate) async fn consumer_status(&self, consumer: &str) -> Result<Option<(ConsumerStatus, String)>, Error> {
        let call = self.client.describe_stream_consumer().stream_arn(&self.arn).consumer_name(consumer);
        match call.send().await {
            Ok(found) => Ok(found.consumer_description.map(|found| (found.consumer_status, found.consumer_arn))),
            Err(error) => match error.as_service_error() {
                Some(DescribeStreamConsumerError::ResourceNotFoundException(_)) => Ok(None),
                _ => Err(failed(format!("describe consumer {consumer:?}"), error)),
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
            let parents = child.parent_shards().iter().map(|parent| ShardId::from(parent.as_str())).collect();
            Ok(Shard { id: child.shard_id().into(), parents, hash_keys, open: true })
        })
        .collect()
}
