//! Checked settings → clients, and a consumer for each stream.

use super::ConsumerBuilder;
use crate::application::{Application, Status, Stop};
use crate::budget::Budget;
use crate::consumer::{Clients, Consumer, QUEUED_FEEDS};
use crate::error::{Error, ErrorKind};
use crate::lease::{DynamoLeases, LeaseTable, StreamId};
use crate::settings::Settings;
use crate::stream::{Called, Stream};
use alluvial_runtime::aws::Trust;
use alluvial_runtime::exit::Failure;
use alluvial_runtime::http2;
use alluvial_runtime::shutdown::Shutdown;
use aws_types::SdkConfig;
use futures_util::future::join_all;
use std::sync::Arc;
use tokio::sync::mpsc;

pub(super) async fn connect(builder: ConsumerBuilder) -> Result<Application, Error> {
    let mut random = builder.random.clone().unwrap_or_default();
    let stop = match &builder.stop {
        Some(token) => Stop { token: token.clone(), signals: None },
        None => {
            let signals = Shutdown::on_signals()
                .map_err(|error| Error::caused(ErrorKind::Internal, "cannot listen for SIGTERM and SIGINT", error))?;
            Stop { token: signals.token(), signals: Some(signals) }
        }
    };
    let control = match &builder.config {
        Some(config) => config.clone(),
        None => builder.aws.load().await.map_err(unusable)?,
    };
    let clients = clients(&builder, &control).await?;
    let worker = builder.worker.clone().unwrap_or_else(|| default_worker(&mut random));
    tracing::info!(application = %builder.application, worker, streams = %builder.streams.join(" "), "starting");
    let budget = Budget::new(builder.settings.event_bytes());
    let (sender, feeds) = mpsc::channel(QUEUED_FEEDS);
    let (mut consumers, mut boards) = (Vec::new(), Vec::new());
    let streams: Vec<_> = builder.streams.iter().zip(find(&builder, &clients).await?).collect();
    let ids = if builder.multi_stream_leases.unwrap_or(streams.len() > 1) { ids(&streams)? } else { Vec::new() };
    for (place, (name, stream)) in streams.into_iter().enumerate() {
        let mut clients = clients.clone();
        if let Some(id) = ids.get(place) {
            clients.leases = clients.leases.of_stream(id.clone(), &ids);
        }
        let settings = Settings {
            stream: name.clone(),
            consumer_name: builder.consumer_name.clone().unwrap_or_else(|| builder.application.clone()),
            worker: worker.clone(),
            ..builder.settings.clone()
        };
        let (clock, random) = (builder.clock.clone(), random.fork());
        let joining = Consumer::join(stream, settings, clients, clock, random, budget.clone(), sender.clone());
        let consumer = Box::pin(joining).await?;
        boards.push((Arc::from(name.as_str()), consumer.status()));
        consumers.push(consumer);
    }
    let status = Status::new(&builder.application, boards, budget, builder.clock);
    let (on_error, limits, shard_label) = (builder.on_error, builder.limits, builder.shard_label);
    Ok(Application { consumers, feeds, status, on_error, limits, shard_label, stop, random })
}

async fn find(builder: &ConsumerBuilder, clients: &Clients) -> Result<Vec<Stream>, Error> {
    let finding = builder.streams.iter().map(|name| Stream::find(clients.control.clone(), name));
    join_all(finding).await.into_iter().collect()
}

/// The streams as lease keys name them.
fn ids(streams: &[(&String, Stream)]) -> Result<Vec<StreamId>, Error> {
    let unnamed = |name: &str| {
        let text =
            format!("Kinesis does not say when the stream {name:?} was created, which the keys of its leases need");
        Error::new(ErrorKind::Fatal, text)
    };
    streams.iter().map(|(name, stream)| stream.id().ok_or_else(|| unnamed(name))).collect()
}

async fn clients(builder: &ConsumerBuilder, config: &SdkConfig) -> Result<Clients, Error> {
    let control = aws_sdk_kinesis::Client::new(config);
    let open = join_all(builder.streams.iter().map(|stream| open_shards(&control, stream))).await;
    let roots = Trust::from_env().roots().map_err(unusable)?;
    let pool = http2::Pool::new(builder.settings.connections(open.into_iter().sum()), roots);
    let subscriptions = config.to_builder().http_client(pool.into_http_client()).build();
    let leases = builder.leases.clone().unwrap_or_else(|| {
        let table = builder.lease_table.as_ref().unwrap_or(&builder.application);
        LeaseTable::Dynamo(DynamoLeases::new(aws_sdk_dynamodb::Client::new(config), table))
    });
    Ok(Clients::new(config, &subscriptions, leases))
}

/// Open shards of a stream; 0 when that cannot be told, which connecting to it then explains.
async fn open_shards(control: &aws_sdk_kinesis::Client, stream: &str) -> usize {
    let Called { name, arn } = Called::by(stream);
    let found = control.describe_stream_summary().set_stream_name(name).set_stream_arn(arn).send().await.ok();
    let summary = found.as_ref().and_then(|found| found.stream_description_summary());
    summary.and_then(|summary| usize::try_from(summary.open_shard_count()).ok()).unwrap_or(0)
}

fn unusable(failure: Failure) -> Error {
    Error::caused(ErrorKind::Fatal, "AWS settings", failure)
}

/// Host and process, and a part that no restart repeats: a worker must never take another's lease for its own.
fn default_worker(random: &mut fastrand::Rng) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "worker".into());
    let unique: String = std::iter::repeat_with(|| random.alphanumeric()).take(8).collect();
    format!("{}:{}:{unique}", host.trim(), std::process::id())
}
