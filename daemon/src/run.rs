//! `alluvial run`: the daemon.

use crate::config;
use crate::service::Service;
use alluvial_consumer::StatusBoard;
use alluvial_enrich::Ledger;
use alluvial_runtime::aws::AwsArgs;
use alluvial_runtime::exit::{Exit, Failure};
use alluvial_runtime::shutdown::Shutdown;
use std::path::Path;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// Time between two lines that say how it goes.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// Runs the daemon until SIGTERM or SIGINT.
pub(crate) async fn run(path: &Path, aws: &AwsArgs) -> Result<Exit, Failure> {
    let settings = config::read(path, &default_worker())?;
    let shutdown =
        Shutdown::on_signals().map_err(|error| Failure::internal(format!("cannot listen for signals: {error}")))?;
    let stop = shutdown.token();
    let aws = aws.connect().await?;
    aws.check_credentials().await?;
    let (stream, grace) = (settings.consumer.stream.clone(), settings.consumer.drain_grace);
    let service = tokio::select! {
        service = Service::connect(&aws, settings) => service?,
        () = stop.cancelled() => return Ok(Exit::Done),
    };
    tracing::info!(%stream, drain_grace = ?grace, endpoint = aws.control.endpoint_url().unwrap_or("aws"), "running");
    let (status, ledger) = (service.status(), service.ledger());
    tokio::select! {
        ended = service.run(stop) => ended?,
        never = report(&status, &ledger) => never,
    }
    let total = ledger.total();
    tracing::info!(
        received = total.received,
        delivered = total.delivered,
        filtered = total.filtered,
        dead_lettered = total.dead_lettered,
        losses = status.losses().count(),
        not_delivered = total.abandoned + total.in_flight(),
        "stopped"
    );
    Ok(if total.dead_lettered > 0 || status.losses().count() > 0 { Exit::Partial } else { Exit::Done })
}

/// Host and process, and a part that no restart repeats: a worker must never take another's lease for its own.
fn default_worker() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "worker".into());
    let unique: String = std::iter::repeat_with(fastrand::alphanumeric).take(8).collect();
    format!("{}:{}:{unique}", host.trim(), std::process::id())
}

/// Says how it goes, again and again.
async fn report(status: &StatusBoard, ledger: &Ledger) {
    let mut ticks = tokio::time::interval(STATUS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let shards = status.snapshot();
        let behind = shards.iter().map(|(_, shard)| shard.millis_behind_latest()).max().unwrap_or(0);
        let total = ledger.total();
        tracing::info!(
            shards = shards.len(),
            millis_behind_latest = behind,
            received = total.received,
            delivered = total.delivered,
            filtered = total.filtered,
            dead_lettered = total.dead_lettered,
            in_flight = total.in_flight(),
            "status"
        );
        for (shard, one) in shards.iter().filter(|(_, one)| one.received() > one.acknowledged()) {
            tracing::debug!(%shard, state = one.state().name(), received = one.received(), acknowledged = one.acknowledged(), "shard");
        }
    }
}
