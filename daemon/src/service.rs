//! The daemon's work: a consumer and a pipeline, joined.

use crate::config::Checked;
use alluvial_consumer::{Clients, Consumer, DynamoLeases, Error, ErrorKind, LeaseTable, ShardFeed, StatusBoard};
use alluvial_enrich::{FirehoseSink, Ledger, Pipeline, SinkError};
use alluvial_runtime::aws::Aws;
use alluvial_runtime::clock::Clock;
use alluvial_runtime::exit::{Failure, chain};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A consumer and a pipeline, connected and not yet running.
#[derive(Debug)]
pub(crate) struct Service {
    consumer: Consumer,
    feeds: mpsc::Receiver<ShardFeed>,
    pipeline: Pipeline,
    status: StatusBoard,
    ledger: Ledger,
}

impl Service {
    /// Finds everything that the settings name. The lease table and the fan-out consumer are made where they are missing.
    ///
    /// # Errors
    /// [`alluvial_runtime::exit::Exit::Remote`] naming what is missing or out of reach.
    pub(crate) async fn connect(aws: &Aws, settings: Checked) -> Result<Self, Failure> {
        let (clock, mut random) = (Clock::system(), fastrand::Rng::new());
        let firehose = aws_sdk_firehose::Config::from(&aws.control);
        let sink = FirehoseSink::new(&firehose, &settings.pipeline.delivery_stream);
        sink.check().await.map_err(|error| match &error {
            SinkError::Missing(name) => Failure::remote(format!(
                "{error}; create it (direct put, no compression) or name another in sink.delivery_stream (now {name:?})"
            )),
            SinkError::Remote { .. } => Failure::remote(chain(&error)),
        })?;
        let control = aws_sdk_kinesis::Client::new(&aws.control);
        let shards = open_shards(&control, &settings.consumer.stream).await;
        let subscriptions = aws.subscriptions(settings.consumer.connections(shards))?;
        let dynamo = aws_sdk_dynamodb::Client::new(&aws.control);
        // Applications have a lease table each.
        let application = settings.lease_table.clone();
        let leases = LeaseTable::Dynamo(DynamoLeases::new(dynamo, settings.lease_table));
        let dead_letters = settings.pipeline.dead_letter.open(|| s3_client(aws));
        dead_letters
            .check()
            .await
            .map_err(|error| Failure::remote(format!("on_error.dead_letter: {}", chain(&error))))?;
        let stream = settings.consumer.stream.clone();
        let clients = Clients::new(&aws.control, &subscriptions, leases);
        let (consumer, feeds) =
            Consumer::connect(settings.consumer, clients, clock.clone(), random.fork()).await.map_err(remote)?;
        let pipeline = Pipeline::new(application, stream, settings.pipeline, sink, dead_letters, clock, random);
        let (status, ledger) = (consumer.status(), pipeline.ledger());
        Ok(Self { consumer, feeds, pipeline, status, ledger })
    }

    /// What each shard is doing.
    pub(crate) fn status(&self) -> StatusBoard {
        self.status.clone()
    }

    /// What came in and what became of it.
    pub(crate) fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    /// Works until `stop` is cancelled, then drains.
    ///
    /// # Errors
    /// When a shard cannot be read any more, or a task panicked.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), Failure> {
        let stop = stop.child_token();
        let consuming = Box::pin(self.consumer.run(stop.clone()));
        let delivering = async {
            let delivered = self.pipeline.run(self.feeds).await;
            // Without a pipeline nothing more can be delivered: the consumer must not read on.
            stop.cancel();
            delivered
        };
        let (consumed, delivered) = tokio::join!(consuming, delivering);
        delivered.map_err(|error| Failure::internal(chain(&error)))?;
        consumed.map_err(remote)
    }
}

/// Open shards of a stream; 0 when that cannot be told, which the consumer then explains.
async fn open_shards(control: &aws_sdk_kinesis::Client, stream: &str) -> usize {
    let found = control.describe_stream_summary().stream_name(stream).send().await.ok();
    let summary = found.as_ref().and_then(|found| found.stream_description_summary());
    summary.and_then(|summary| usize::try_from(summary.open_shard_count()).ok()).unwrap_or(0)
}

/// An S3 client. Endpoints given by hand serve buckets by path, not by host name.
pub(crate) fn s3_client(aws: &Aws) -> aws_sdk_s3::Client {
    let by_path = aws.control.endpoint_url().is_some();
    let config = aws_sdk_s3::config::Builder::from(&aws.control).force_path_style(by_path).build();
    aws_sdk_s3::Client::from_conf(config)
}

fn remote(error: Error) -> Failure {
    let text = chain(&error);
    match error.kind() {
        ErrorKind::Wait => Failure::remote(format!("{text}; is the endpoint right and reachable?")),
        ErrorKind::Internal => Failure::internal(text),
        _ => Failure::remote(text),
    }
}
