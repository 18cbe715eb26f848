//! How soon records come, and how many for a second of CPU.

use crate::lean::{self, Arrivals};
use crate::producer::Ledger;
use crate::world::{Outcome, SHARDS, World, seconds};
use alluvial_benches::records::{BATCH, DATA_BYTES, body, put, shared};
use alluvial_benches::{Protocol, Result, Windows, procfs};
use bytes::Bytes;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// How long latency is measured.
const WATCHED: Duration = Duration::from_secs(10);
/// Before that, all is warmed up.
const WARM_UP: Duration = Duration::from_secs(1);

/// From put to handler, beside what the emulator takes from put to event: first with a lean reader alone, then with a worker alone.
pub(crate) async fn latency(mut world: World) -> Result<Outcome> {
    let consumer = world.server.register(&mut world.control, "lean").await?;
    let (arrivals, mut readers) = (Arrivals::default(), JoinSet::new());
    for shard in 0..SHARDS {
        let connection = world.server.connect(Protocol::Tls, Windows::SDK).await?;
        let (consumer, clock) = (consumer.clone(), world.clock.clone());
        readers.spawn(lean::read(connection, consumer, shard, clock, Arc::clone(&arrivals)));
    }
    world.produce(0).await?;
    tokio::time::sleep(WARM_UP).await;
    let from = world.now_nanos()?;
    tokio::select! {
        () = tokio::time::sleep(WATCHED) => {}
        Some(ended) = readers.join_next() => ended??,
    }
    let until = world.now_nanos()?;
    drop(readers);

    let worker = world.reading_worker("a").await?;
    tokio::time::sleep(WARM_UP).await;
    let worker_from = world.now_nanos()?;
    tokio::time::sleep(WATCHED).await;
    let worker_until = world.now_nanos()?;
    let log = world.log.clone();
    let (mut outcome, ledger) = world.finish(BTreeMap::new()).await?;
    drop(worker);
    let arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
    let of_emulator = percentiles(&ledger, from..until, arrivals.iter().copied())?;
    let of_worker = log.look(|seen| {
        let deliveries = seen.deliveries().iter().map(|one| (one.id, one.nanos));
        percentiles(&ledger, worker_from..worker_until, deliveries)
    })?;
    outcome.figures = BTreeMap::from([
        ("emulator's p50, ms", of_emulator[0]),
        ("emulator's p99, ms", of_emulator[1]),
        ("p50 over it, ms", of_worker[0] - of_emulator[0]),
        ("p99 over it, ms", of_worker[1] - of_emulator[1]),
    ]);
    Ok(outcome)
}

/// The median and 99th percentile from put to arrival in milliseconds, of records that were put in a span of time.
fn percentiles(
    ledger: &Ledger,
    span_nanos: std::ops::Range<u64>,
    arrivals: impl Iterator<Item = (u64, u64)>,
) -> Result<[f64; 2]> {
    let mut micros = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?;
    for (id, nanos) in arrivals {
        let put = ledger.put_nanos(id).ok_or("a record that was never put")?;
        if span_nanos.contains(&put) {
            micros.record((nanos.saturating_sub(put) / 1_000).max(1))?;
        }
    }
    Ok([0.5, 0.99].map(|quantile| micros.value_at_quantile(quantile) as f64 / 1e3))
}

/// Four shards full of records, read by one worker on a core of its own.
pub(crate) async fn throughput(world: World, mib: usize) -> Result<Outcome> {
    let mut random = fastrand::Rng::with_seed(1);
    let bodies: Arc<[Bytes]> = (0..16).map(|_| body(&mut random)).collect();
    let batches = mib * 1024 * 1024 / DATA_BYTES / BATCH;
    let records = put(shared(&world.control), &bodies, batches).await?;
    let worker = world.worker("a", &["count", &records.to_string()])?;
    let pid = worker.pid()?;
    world.until("a worker reads", |seen| seen.first_count().is_some()).await?;
    let cpu_before = procfs::cpu_seconds(pid)?;
    let from = world.log.look(|seen| seen.count()).ok_or("no count")?;
    world.until("a worker reads all", |seen| seen.count().is_some_and(|count| count.records >= records)).await?;
    let cpu_seconds = procfs::cpu_seconds(pid)? - cpu_before;
    let to = world.log.look(|seen| seen.count()).ok_or("no count")?;
    let megabytes = (to.bytes - from.bytes) as f64 / 1e6;
    let figures = BTreeMap::from([
        ("MB a CPU second", megabytes / cpu_seconds),
        ("MB/s", megabytes / seconds(from.nanos, to.nanos)),
    ]);
    let put = usize::try_from(records)?;
    let repeated = usize::try_from(to.records - records)?;
    Ok(Outcome { figures, put, lost: 0, repeated })
}
