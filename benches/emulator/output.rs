//! Payload out: SubscribeToShard over TLS and HTTP/2 from eight shards that are full, to a lean reader.

use crate::reader::Reader;
use crate::{Cost, Effort, Stopwatch};
use alluvial_benches::records::{BATCH, DATA_BYTES, body, put, shared};
use alluvial_benches::{Connection, Protocol, Result, Server, Table, Windows, median};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Shards, each with one subscription.
const SHARDS: usize = 8;
/// The longest that one turn may take.
const PATIENCE: Duration = Duration::from_secs(120);

const PROTOCOLS: [(&str, Protocol); 2] = [("TLS HTTP/2", Protocol::Tls), ("HTTP/2 plain", Protocol::H2c)];

/// One server, filled once; each turn reads all of it as a consumer of its own.
pub(crate) async fn measure(effort: Effort) -> Result<Table> {
    let server = Server::start(false)?;
    let mut control = server.connect(Protocol::H2c, Windows::SDK).await?;
    server.create_stream(&mut control, u32::try_from(SHARDS)?).await?;
    let mut random = fastrand::Rng::with_seed(1);
    let bodies: Arc<[Bytes]> = (0..16).map(|_| body(&mut random)).collect();
    let records = put(shared(&control), &bodies, usize::try_from(effort.mib * 1024)? / BATCH).await?;

    let mut figures = vec![(Vec::new(), Vec::new()); PROTOCOLS.len()];
    for round in 0..effort.rounds {
        for ((_, protocol), (per_second, per_cpu)) in PROTOCOLS.iter().zip(&mut figures) {
            let consumer = server.register(&mut control, &format!("reader-{round}-{protocol:?}")).await?;
            let cost = read_all(&server, *protocol, &consumer, records).await?;
            let megabytes = (records * DATA_BYTES as u64) as f64 / 1e6;
            per_second.push(megabytes / cost.seconds);
            per_cpu.push(megabytes / cost.server_cpu_seconds);
        }
    }
    let title = format!("SubscribeToShard of {DATA_BYTES}-byte records, {SHARDS} shards, MB/s of data; goal: 300");
    let mut table = Table::new(title, &["wall", "a server CPU second"]);
    for ((name, _), (mut per_second, mut per_cpu)) in PROTOCOLS.iter().zip(figures) {
        table.row(*name, [median(&mut per_second), median(&mut per_cpu)]);
    }
    Ok(table)
}

async fn read_all(server: &Server, protocol: Protocol, consumer: &str, records: u64) -> Result<Cost> {
    let connection = server.connect(protocol, Windows { stream: 2 << 20, connection: 16 << 20 }).await?;
    let seen = Arc::new(AtomicU64::new(0));
    let stopwatch = Stopwatch::start(server)?;
    let mut readers = JoinSet::new();
    for shard in 0..SHARDS {
        let user = connection.share().ok_or("no HTTP/2")?;
        readers.spawn(read(user, consumer.to_owned(), shard, records, Arc::clone(&seen)));
    }
    // The first to see the last record ends the turn.
    let ended = tokio::time::timeout(PATIENCE, readers.join_next());
    ended.await.map_err(|_| "not all records came")?.ok_or("no reader")???;
    let cost = stopwatch.stop()?;
    if seen.load(Ordering::Relaxed) != records {
        return Err(format!("{} records came, of {records}", seen.load(Ordering::Relaxed)).into());
    }
    Ok(cost)
}

/// Reads until all readers together have seen `records`.
async fn read(
    mut connection: Connection,
    consumer: String,
    shard: usize,
    records: u64,
    seen: Arc<AtomicU64>,
) -> Result<()> {
    let mut reader = Reader::open(&mut connection, &consumer, shard).await?;
    loop {
        let count = reader.next().await?.ok_or("a subscription ended early")?;
        if seen.fetch_add(count, Ordering::Relaxed) + count >= records {
            return Ok(());
        }
    }
}
