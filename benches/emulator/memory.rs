//! The server's memory with 1,000 shards and 1,000 open subscriptions: read while records come, and not read while they wait.

use crate::reader::Reader;
use alluvial_benches::records::{BATCH, DATA_BYTES, body, put, shared};
use alluvial_benches::{Connection, Protocol, Result, Server, Table, Windows};
use bytes::Bytes;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Shards, each with one subscription.
const SHARDS: usize = 1_000;
/// Connections, which share the subscriptions evenly.
const CONNECTIONS: usize = 10;
/// What waits in each shard, in bytes: more than an HTTP/2 stream of the server holds.
const WAITING_BYTES: usize = 1024 * 1024;
/// How long the server must have done nothing before it is measured.
const QUIET: Duration = Duration::from_secs(1);

/// What the client does with its subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    /// It has none.
    Absent,
    /// It reads all that comes, while it comes.
    Follows,
    /// It reads all that waits.
    CatchesUp,
    /// It reads its sockets, but no subscription: each stays where its window ends.
    Holds(Windows),
    /// It asks for subscriptions and then reads no socket, with windows wide open.
    Hangs(Windows),
}

const SMALL: Windows = Windows { stream: 64 << 10, connection: 8 << 20 };
const LARGE: Windows = Windows { stream: 2 << 20, connection: 1 << 30 };

const CLIENTS: [(&str, Client); 6] = [
    ("no subscription", Client::Absent),
    ("read as records come", Client::Follows),
    ("read behind the records", Client::CatchesUp),
    ("not read, 64 KiB windows", Client::Holds(SMALL)),
    ("not read, SDK's windows", Client::Holds(Windows::SDK)),
    ("sockets not read, 2 MiB windows", Client::Hangs(LARGE)),
];

/// One server for each; one turn, because memory is not noisy as time is.
pub(crate) async fn measure() -> Result<Table> {
    let title = format!("{SHARDS} shards, {SHARDS} subscriptions, 1 MiB in each shard: MiB of RAM; goal: 1,024");
    let mut table = Table::new(title, &["before", "most", "at the end"]);
    let mut random = fastrand::Rng::with_seed(1);
    let bodies: Arc<[Bytes]> = (0..32).map(|_| body(&mut random)).collect();
    for (name, client) in CLIENTS {
        table.row(name, one(client, &bodies).await?);
    }
    Ok(table)
}

async fn one(client: Client, bodies: &Arc<[Bytes]>) -> Result<[f64; 3]> {
    let server = Server::start(false)?;
    let mut control = server.connect(Protocol::H2c, Windows::SDK).await?;
    server.create_stream(&mut control, u32::try_from(SHARDS)?).await?;
    let consumer = server.register(&mut control, "reader").await?;
    let before = server.memory()?;
    let batches = SHARDS * WAITING_BYTES / DATA_BYTES / BATCH;
    let records = (batches * BATCH) as u64;
    let put = || put(shared(&control), bodies, batches);
    let held = match client {
        Client::Follows => {
            let held = open(&server, Windows::SDK, &consumer).await?;
            let (_, held) = tokio::try_join!(put(), read(held, records))?;
            held
        }
        Client::Absent => put().await.map(|_| Held::default())?,
        Client::CatchesUp => {
            put().await?;
            read(open(&server, Windows::SDK, &consumer).await?, records).await?
        }
        Client::Holds(windows) => {
            put().await?;
            open(&server, windows, &consumer).await?
        }
        Client::Hangs(windows) => {
            put().await?;
            hang(&server, windows, &consumer).await?
        }
    };
    quiet(&server).await?;
    let after = server.memory()?;
    drop(held);
    Ok([before.now_mib, after.peak_mib, after.now_mib])
}

/// Connections and what is open on them.
#[derive(Default)]
struct Held {
    connections: Vec<Connection>,
    readers: Vec<Reader>,
    asking: JoinSet<Result<Reader>>,
}

/// Opens all subscriptions, and reads the first message of each.
async fn open(server: &Server, windows: Windows, consumer: &str) -> Result<Held> {
    let mut held = Held::default();
    for number in 0..CONNECTIONS {
        let mut connection = server.connect(Protocol::Tls, windows).await?;
        for shard in (number..SHARDS).step_by(CONNECTIONS) {
            held.readers.push(Reader::open(&mut connection, consumer, shard).await?);
        }
        held.connections.push(connection);
    }
    Ok(held)
}

/// Asks for all subscriptions over connections that are then not read.
async fn hang(server: &Server, windows: Windows, consumer: &str) -> Result<Held> {
    let mut held = Held::default();
    for number in 0..CONNECTIONS {
        let mut connection = server.connect(Protocol::Tls, windows).await?;
        // Both sides know each other's windows after a first call.
        connection.call("ListShards", &json!({"StreamName": "bench", "MaxResults": 1})).await?;
        connection.hang();
        for shard in (number..SHARDS).step_by(CONNECTIONS) {
            let mut user = connection.share().ok_or("no HTTP/2")?;
            let consumer = consumer.to_owned();
            held.asking.spawn(async move { Reader::open(&mut user, &consumer, shard).await });
        }
        held.connections.push(connection);
    }
    Ok(held)
}

/// Reads until `records` are there.
async fn read(mut held: Held, records: u64) -> Result<Held> {
    let seen = Arc::new(AtomicU64::new(0));
    let mut reading = JoinSet::new();
    for mut reader in held.readers.drain(..) {
        let seen = Arc::clone(&seen);
        reading.spawn(async move {
            loop {
                let count = reader.next().await?.ok_or("a subscription ended early")?;
                if seen.fetch_add(count, Ordering::Relaxed) + count >= records {
                    return Result::Ok(());
                }
            }
        });
    }
    reading.join_next().await.ok_or("no reader")???;
    Ok(held)
}

/// Waits until the server uses no CPU; another process can only be watched.
async fn quiet(server: &Server) -> Result<()> {
    loop {
        let before = server.cpu_seconds()?;
        tokio::time::sleep(QUIET).await;
        if server.cpu_seconds()? - before < 0.05 {
            return Ok(());
        }
    }
}
