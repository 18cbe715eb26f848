//! One run: an emulator, a stream, six consumers that read as records are put, then six that find them there.

use crate::consumer::{Consumer, Tally};
use crate::producer::{self, RECORDS};
use alluvial_benches::{Protocol, Result, Server, Windows};
use alluvial_runtime::aws::Aws;
use alluvial_runtime::http2;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Consumers of each kind.
const EACH: usize = 3;
/// The longest that a consumer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was measured of one consumer.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    /// In the order of [`crate::COLUMNS`].
    pub(crate) figures: Vec<f64>,
}

/// The emulator, and how to reach it.
struct World {
    server: Server,
    aws: Aws,
    idle: Duration,
}

/// Runs both parts.
pub(crate) async fn run(idle: Duration) -> Result<Vec<Outcome>> {
    let server = Server::start(true)?;
    let ca = Path::new(server.export("AWS_CA_BUNDLE"));
    let aws = Aws::local(server.export("AWS_ENDPOINT_URL"), server.export("AWS_REGION"), ca).await;
    let aws = aws?;
    let world = World { server, aws, idle };
    let mut control = world.server.connect(Protocol::H2c, Windows::SDK).await?;
    world.server.create_stream(&mut control, 1).await?;
    let mut arns = Vec::new();
    for number in 0..2 * EACH {
        // Five registrations a second are what AWS allows.
        tokio::time::sleep(Duration::from_millis(210)).await;
        arns.push(world.server.register(&mut control, &format!("consumer-{number}")).await?);
    }
    let (first, second) = arns.split_at(EACH);
    let (puts, live) = world.live(first).await?;
    // The shard's calls of the last second are over.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let late = world.catch_up(second).await?;
    let name = |number| {
        let kind = if number < EACH { "fan-out" } else { "polling" };
        format!("{kind} {}", number % EACH + 1)
    };
    live.iter()
        .zip(late)
        .enumerate()
        .map(|(number, (tally, late))| Ok(Outcome { name: name(number), figures: figures(&puts, tally, late)? }))
        .collect()
}

impl World {
    /// All consumers are ready before the first record is put.
    async fn live(&self, arns: &[String]) -> Result<(Vec<Instant>, Vec<Tally>)> {
        let mut readers = JoinSet::new();
        for (number, consumer) in self.consumers(arns).await?.into_iter().enumerate() {
            readers.spawn(async move { (number, consumer.read_all().await) });
        }
        let puts = producer::put(&Client::new(&self.aws.control)).await?;
        let tallies = all(readers).await?;
        Ok((puts, tallies))
    }

    /// All consumers start when all records are there; returns how long each took, connecting included.
    async fn catch_up(&self, arns: &[String]) -> Result<Vec<Duration>> {
        let mut readers = JoinSet::new();
        for number in 0..2 * EACH {
            let (client, arn, idle) = (self.client(number)?, arns.get(number).cloned(), self.idle);
            readers.spawn(async move {
                let began = Instant::now();
                let read = async {
                    let consumer = match arn {
                        Some(arn) => Consumer::fan_out(&client, &arn).await?,
                        None => Consumer::polling(client, idle).await?,
                    };
                    consumer.read_all().await?;
                    Ok(began.elapsed())
                };
                (number, read.await)
            });
        }
        all(readers).await
    }

    async fn consumers(&self, arns: &[String]) -> Result<Vec<Consumer>> {
        let mut consumers = Vec::new();
        for number in 0..2 * EACH {
            let client = self.client(number)?;
            consumers.push(match arns.get(number) {
                Some(arn) => Consumer::fan_out(&client, arn).await?,
                None => Consumer::polling(client, self.idle).await?,
            });
        }
        Ok(consumers)
    }

    /// A client of its own for each consumer: subscriptions over our pool, polls over the SDK's. A refused poll is repeated by
    /// the consumer and not by the SDK.
    fn client(&self, number: usize) -> Result<Client> {
        let config = if number < EACH {
            self.aws.subscriptions(http2::Settings::for_streams(1))?
        } else {
            self.aws.control.clone()
        };
        let config = aws_sdk_kinesis::config::Builder::from(&config).retry_config(RetryConfig::disabled()).build();
        Ok(Client::from_conf(config))
    }
}

/// What all tasks give, in order.
async fn all<T: 'static>(mut tasks: JoinSet<(usize, Result<T>)>) -> Result<Vec<T>> {
    let mut results = Vec::new();
    let wait = async {
        while let Some(ended) = tasks.join_next().await {
            let (number, result) = ended?;
            results.push((number, result?));
        }
        Result::Ok(())
    };
    tokio::time::timeout(PATIENCE, wait).await.map_err(|_| "a consumer did not get all records")??;
    results.sort_by_key(|(number, _)| *number);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

fn figures(puts: &[Instant], tally: &Tally, late: Duration) -> Result<Vec<f64>> {
    let first = *puts.first().ok_or("nothing was put")?;
    let times: Vec<Instant> = tally.times.iter().copied().collect::<Option<_>>().ok_or("a record is missing")?;
    let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
    let mut latencies: Vec<f64> =
        puts.iter().zip(&times).map(|(put, time)| millis(time.saturating_duration_since(*put))).collect();
    latencies.sort_by(f64::total_cmp);
    let share = |percent: usize| latencies.get(RECORDS * percent / 100).copied().unwrap_or(f64::NAN);
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / RECORDS as f64;
    let since_first = times.iter().map(|time| millis(time.saturating_duration_since(first)));
    let last = since_first.clone().fold(0.0, f64::max);
    Ok(vec![
        mean(&mut latencies.iter().copied()),
        share(50),
        share(99),
        mean(&mut since_first.clone()),
        last,
        millis(late),
        f64::from(tally.refused),
    ])
}
