//! An emulator in memory on a paused clock: a stream with a consumer, and clients that never retry.

use alluvial_emulator::{Connector, Control, InMemory, Settings};
use aws_credential_types::Credentials;
use aws_sdk_kinesis::error::DisplayErrorContext;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{ShardIteratorType, StartingPosition, SubscribeToShardEventStream};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// Longer than any silence of the real service, in emulated time.
const MINUTE: Duration = Duration::from_secs(60);

/// One thing that a subscription brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// An event with these payloads.
    Event(Vec<String>),
    /// The end, in order.
    End,
    /// The end by an error, with its whole story.
    Failed(String),
    /// Nothing for a minute.
    Silence,
}

pub(crate) struct Memory {
    emulator: InMemory,
    http: Connector,
    consumer: String,
    _dir: TempDir,
}

/// A configuration of one SDK, which all SDK crates spell alike.
macro_rules! config {
    ($self:ident, $sdk:ident) => {
        $sdk::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url("http://emulator")
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client($self.http.clone())
    };
}

impl Memory {
    /// An emulator with the stream `orders` of one shard and its consumer `app`; then `faults` come into force.
    pub(crate) async fn with_faults(faults: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = Settings {
            seed: Some(7),
            starts_at: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)),
            truth: true,
            ..Settings::new(dir.path())
        };
        let emulator = InMemory::start(&settings).expect("an emulator");
        let mut memory = Self { http: emulator.http_client(), emulator, consumer: String::new(), _dir: dir };
        let kinesis = memory.kinesis();
        kinesis.create_stream().stream_name("orders").shard_count(1).send().await.expect("a stream");
        let stream = "arn:aws:kinesis:us-east-1:000000000000:stream/orders";
        let registered = kinesis.register_stream_consumer().stream_arn(stream).consumer_name("app").send().await;
        memory.consumer = registered.expect("a consumer").consumer.expect("a consumer").consumer_arn;
        memory.control().set_faults(faults).expect("a plan");
        memory
    }

    pub(crate) fn control(&self) -> Control {
        self.emulator.control()
    }

    pub(crate) fn kinesis(&self) -> aws_sdk_kinesis::Client {
        aws_sdk_kinesis::Client::from_conf(config!(self, aws_sdk_kinesis).build())
    }

    pub(crate) fn firehose(&self) -> aws_sdk_firehose::Client {
        aws_sdk_firehose::Client::from_conf(config!(self, aws_sdk_firehose).build())
    }

    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::from_conf(config!(self, aws_sdk_dynamodb).build())
    }

    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        aws_sdk_s3::Client::from_conf(config!(self, aws_sdk_s3).force_path_style(true).build())
    }

    /// Puts one record, with the payload as its key too.
    pub(crate) async fn put(&self, payload: &str) {
        let put = self.kinesis().put_record().stream_name("orders").partition_key(payload).data(Blob::new(payload));
        put.send().await.expect("a record");
    }

    /// Reads the shard from its beginning by one subscription until it ends, for five events at the most. `payloads` are put
    /// one by one: the first when it has opened, and another one whenever an event with records has come.
    pub(crate) async fn subscribe(&self, payloads: &[&str]) -> Vec<Seen> {
        let from = StartingPosition::builder().r#type(ShardIteratorType::TrimHorizon).build().expect("a position");
        let open = self.kinesis().subscribe_to_shard().consumer_arn(&self.consumer).shard_id("shardId-000000000000");
        let mut events = match tokio::time::timeout(MINUTE, open.starting_position(from).send()).await {
            Err(_) => return vec![Seen::Silence],
            Ok(Err(error)) => return vec![Seen::Failed(DisplayErrorContext(error).to_string())],
            Ok(Ok(opened)) => opened.event_stream,
        };
        let (mut seen, mut payloads, mut next) = (Vec::new(), payloads.iter(), true);
        while seen.len() < 5 {
            if std::mem::take(&mut next)
                && let Some(payload) = payloads.next()
            {
                self.put(payload).await;
            }
            let came = match tokio::time::timeout(MINUTE, events.recv()).await {
                Err(_) => Seen::Silence,
                Ok(Ok(None)) => Seen::End,
                Ok(Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event)))) => {
                    let text = |data: &Blob| String::from_utf8_lossy(data.as_ref()).into_owned();
                    Seen::Event(event.records.iter().map(|record| text(&record.data)).collect())
                }
                Ok(Ok(Some(_))) => continue,
                Ok(Err(error)) => Seen::Failed(DisplayErrorContext(error).to_string()),
            };
            match &came {
                Seen::Event(records) if records.is_empty() => continue,
                Seen::Event(_) => next = true,
                _ => {
                    seen.push(came);
                    break;
                }
            }
            seen.push(came);
        }
        seen
    }

    /// The faults that took effect, in order.
    pub(crate) fn fired(&self) -> Vec<String> {
        let log = String::from_utf8(self.control().fault_log()).expect("UTF-8");
        log.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
            .map(|line| {
                format!(
                    "{} {}",
                    line["operation"].as_str().expect("what was built here is valid"),
                    line["fault"].as_str().expect("what was built here is valid")
                )
            })
            .collect()
    }

    pub(crate) async fn stop(self) {
        self.emulator.stop().await;
    }
}
