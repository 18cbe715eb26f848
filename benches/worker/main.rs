//! A worker of ours as the benchmarks start it: `bench_worker STREAM APPLICATION WORKER log|count|held [NUMBER]`.
//!
//! It does what an application does with the consumer's public interface, and says what its handlers have: see
//! [`alluvial_benches::Program`]. `log` with a number has the handler fail once, at the record of this number. `count`
//! with a number says at once that so many records came. `held` counts too, but takes no record before a line comes on stdin.

mod handler;
mod says;

use alluvial_benches::Result;
use alluvial_consumer::{Clients, Consumer, DynamoLeases, LeaseTable, Settings, ShardFeed};
use alluvial_runtime::aws::AwsArgs;
use alluvial_runtime::clock::Clock;
use alluvial_runtime::shutdown::Shutdown;
use handler::Handler;
use says::{Mode, Says};
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = runtime.map_err(Into::into).and_then(|runtime| {
        let ended = runtime.block_on(work());
        // The thread that waits for a line on stdin must not hold up the exit.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(std::io::stderr(), "bench_worker: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

async fn work() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [stream, application, worker, mode, number @ ..] = arguments.as_slice() else {
        return Err("usage: bench_worker STREAM APPLICATION WORKER log|count|held [NUMBER]".into());
    };
    let number = number.first().map(|number| number.parse()).transpose()?;
    let (mode, held, fails_at) = match mode.as_str() {
        "log" => (Mode::Log, false, number),
        "count" => (Mode::Count(number), false, None),
        "held" => (Mode::Count(number), true, None),
        unknown => return Err(format!("{unknown}: no mode; there are log, count and held").into()),
    };
    let stop = Shutdown::on_signals()?;
    let aws = AwsArgs::default().connect().await?;
    let (consumer, feeds) = connect(&aws, Settings::new(stream, application, worker)).await?;
    let (open, opened) = watch::channel(!held);
    let handler = Handler::new(Says::new(Clock::system(), mode), fails_at, opened);
    let handling = handle_all(feeds, Arc::new(handler));
    let (consumed, handled) = tokio::join!(consumer.run(stop.token()), async {
        tokio::select! {
            handled = handling => handled,
            never = open_at_a_line(open) => never,
        }
    });
    handled?;
    Ok(consumed?)
}

async fn connect(
    aws: &alluvial_runtime::aws::Aws,
    settings: Settings,
) -> Result<(Consumer, mpsc::Receiver<ShardFeed>)> {
    let summary = aws_sdk_kinesis::Client::new(&aws.control).describe_stream_summary().stream_name(&settings.stream);
    let summary = Box::pin(summary.send()).await?;
    let shards = summary.stream_description_summary().map_or(0, |summary| summary.open_shard_count());
    let subscriptions = aws.subscriptions(settings.connections(usize::try_from(shards)?))?;
    let table = DynamoLeases::new(aws_sdk_dynamodb::Client::new(&aws.control), &settings.consumer_name);
    let clients = Clients::new(&aws.control, &subscriptions, LeaseTable::Dynamo(table));
    Ok(Box::pin(Consumer::connect(settings, clients, Clock::system(), fastrand::Rng::new())).await?)
}

/// Each shard in a task of its own, until the consumer hands out no more.
async fn handle_all(mut feeds: mpsc::Receiver<ShardFeed>, handler: Arc<Handler>) -> Result<()> {
    let mut shards = JoinSet::new();
    loop {
        tokio::select! {
            feed = feeds.recv() => match feed {
                Some(feed) => drop(shards.spawn(Arc::clone(&handler).shard(feed))),
                None => break,
            },
            Some(ended) = shards.join_next() => ended??,
        }
    }
    while let Some(ended) = shards.join_next().await {
        ended??;
    }
    Ok(())
}

/// Lets the handlers go on when a line comes, and never ends.
async fn open_at_a_line(open: watch::Sender<bool>) -> Result<()> {
    let line = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    if line.await?? > 0 {
        open.send_replace(true);
    }
    std::future::pending().await
}
