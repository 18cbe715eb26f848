//! The server's memory with 1,000 shards and 1,000 open subscriptions: read as records come, and not read while they wait.

use crate::reader::Reader;
use crate::records::{BATCH, DATA_BYTES, body, put, shared};
use alluvial_benches::{Connection, Protocol, Result, Server, Table, Windows};
use bytes::Bytes;
use std::sync::Arc;
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
    /// It reads all that comes.
    Reads,
    /// It reads its sockets, but no subscription: each stays where its window ends.
    Holds(Windows),
    /// It stops reading its sockets, with windows as wide open as they can be.
    Hangs(Windows),
}

const SMALL: Windows = Windows { stream: 64 << 10, connection: 8 << 20 };
const LARGE: Windows = Windows { stream: 2 << 20, connection: 1 << 30 };

const CLIENTS: [(&str, Client); 5] = [
    ("no subscription", Client::Absent),
    ("read", Client::Reads),
    ("not read, 64 KiB windows", Client::Holds(SMALL)),
    ("not read, SDK's windows", Client::Holds(Windows::SDK)),
    ("hung, 2 MiB windows", Client::Hangs(LARGE)),
];

/// One server for each; one turn, because memory is not noisy as time is.
pub(crate) async fn measure() -> Result<Table> {
    let title = format!("{SHARDS} shards, {SHARDS} subscriptions, 1 MiB into each shard: MiB of RAM; goal: 1,024");
    let mut table = Table::new(title, &["before records", "most", "at the end"]);
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
    let (connections, readers) = open(&server, client, &consumer).await?;
    let before = server.memory()?;
    if matches!(client, Client::Hangs(_)) {
        connections.iter().for_each(Connection::freeze);
    }
    let mut held = Vec::new();
    let mut reading = JoinSet::new();
    for mut reader in readers {
        if client == Client::Reads {
            reading.spawn(async move {
                while reader.next().await?.is_some() {}
                Err::<(), _>("a subscription ended".into())
            });
        } else {
            held.push(reader);
        }
    }
    let batches = SHARDS * WAITING_BYTES / DATA_BYTES / BATCH;
    tokio::select! {
        put = put(shared(&control), bodies, batches) => put.map(drop)?,
        Some(ended) = reading.join_next() => return Err(ended?.err().unwrap_or_else(|| "a reader ended".into())),
    }
    quiet(&server).await?;
    let after = server.memory()?;
    drop((held, reading, connections));
    Ok([before.now_mib, after.peak_mib, after.now_mib])
}

async fn open(server: &Server, client: Client, consumer: &str) -> Result<(Vec<Connection>, Vec<Reader>)> {
    let windows = match client {
        Client::Absent => return Ok((Vec::new(), Vec::new())),
        Client::Reads => Windows::SDK,
        Client::Holds(windows) | Client::Hangs(windows) => windows,
    };
    let (mut connections, mut readers) = (Vec::new(), Vec::new());
    for number in 0..CONNECTIONS {
        let mut connection = server.connect(Protocol::Tls, windows).await?;
        for shard in (number..SHARDS).step_by(CONNECTIONS) {
            let mut reader = Reader::open(&mut connection, consumer, shard).await?;
            reader.next().await?;
            readers.push(reader);
        }
        connections.push(connection);
    }
    Ok((connections, readers))
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
