//! Records in: PutRecords of 1 KiB records into a stream of four shards, by `loadgen` and by a lean client.
//!
//! `loadgen` signs, builds and parses with the AWS SDK, on one core: it shows what a user gets. The lean client repeats bodies
//! that are ready, so that the server is what is measured.

use crate::{Cost, Effort, Stopwatch};
use alluvial_benches::records::{BATCH, CONNECTIONS, DATA_BYTES, body, put, shared};
use alluvial_benches::{Core, Protocol, Result, Server, Table, Windows, bin, median};
use bytes::Bytes;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// Shards of the stream.
const SHARDS: u32 = 4;
/// Bodies that the lean client takes turns with.
const BODIES: usize = 16;

/// Who puts, and how.
#[derive(Debug, Clone, Copy)]
enum Client {
    /// The real `loadgen`, over TLS or not.
    Loadgen(Protocol),
    /// The lean client.
    Lean(Protocol),
}

const CLIENTS: [(&str, Client); 5] = [
    ("loadgen, HTTP/1.1", Client::Loadgen(Protocol::Http1)),
    ("loadgen, TLS HTTP/2", Client::Loadgen(Protocol::Tls)),
    ("lean, HTTP/1.1", Client::Lean(Protocol::Http1)),
    ("lean, HTTP/2 plain", Client::Lean(Protocol::H2c)),
    ("lean, TLS HTTP/2", Client::Lean(Protocol::Tls)),
];

/// Takes turns, each with a server of its own; medians.
pub(crate) async fn measure(effort: Effort) -> Result<Table> {
    let mut random = fastrand::Rng::with_seed(1);
    let bodies: Arc<[Bytes]> = (0..BODIES).map(|_| body(&mut random)).collect();
    let folder = tempfile::tempdir()?;
    let template = folder.path().join("1kib.txt");
    std::fs::write(&template, template_text())?;
    let batches = usize::try_from(effort.mib * 1024)? / BATCH;
    let mut figures = vec![(Vec::new(), Vec::new()); CLIENTS.len()];
    for _ in 0..effort.rounds {
        for ((_, client), (per_second, per_cpu)) in CLIENTS.iter().zip(&mut figures) {
            let (records, cost) = match client {
                Client::Loadgen(protocol) => by_loadgen(*protocol, batches * BATCH, &template).await?,
                Client::Lean(protocol) => by_lean_client(*protocol, &bodies, batches).await?,
            };
            per_second.push(records as f64 / cost.seconds);
            per_cpu.push(records as f64 / cost.server_cpu_seconds);
        }
    }
    let title = format!("PutRecords of {DATA_BYTES}-byte records, {SHARDS} shards, 1,000 records/s; goal: 100");
    let mut table = Table::new(title, &["wall", "a server CPU second", "MB/s wall"]);
    for ((name, _), (mut per_second, mut per_cpu)) in CLIENTS.iter().zip(figures) {
        let (wall, cpu) = (median(&mut per_second) / 1e3, median(&mut per_cpu) / 1e3);
        table.row(*name, [wall, cpu, wall * DATA_BYTES as f64 / 1e3]);
    }
    Ok(table)
}

/// A record of 1,024 bytes that differs from the others in a number.
fn template_text() -> String {
    let (head, tail) = ("{\"n\":{{random.number({\"min\":10000000,\"max\":99999999})}},\"text\":\"", "\"}");
    let rendered = "{\"n\":12345678,\"text\":\"\"}".len();
    format!("{head}{}{tail}", "abcdefgh".repeat(128).split_at(DATA_BYTES - rendered).0)
}

async fn by_loadgen(protocol: Protocol, records: usize, template: &Path) -> Result<(u64, Cost)> {
    let server = Server::start(false)?;
    let mut connection = server.connect(Protocol::H2c, Windows::SDK).await?;
    server.create_stream(&mut connection, SHARDS).await?;
    let mut command = Core::Client.command(bin("loadgen")?);
    command.envs(server.exports().iter().cloned()).env_remove("AWS_PROFILE");
    if protocol != Protocol::Tls {
        command.env("AWS_ENDPOINT_URL", server.plain());
    }
    command.args(["--stream", "bench", "--rate", "max", "--json", "--records", &records.to_string(), "--template"]);
    let stopwatch = Stopwatch::start(&server)?;
    let output = command.arg(template).output()?;
    let cost = stopwatch.stop()?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("loadgen: {}", String::from_utf8_lossy(&output.stderr)))?;
    let figure = |name: &str| report.get(name).and_then(Value::as_f64).unwrap_or_default();
    if figure("accepted") != records as f64 || figure("bytes") != (records * DATA_BYTES) as f64 {
        return Err(format!("loadgen did not put {records} records of {DATA_BYTES} bytes: {report}").into());
    }
    Ok((records as u64, Cost { seconds: figure("seconds"), ..cost }))
}

async fn by_lean_client(protocol: Protocol, bodies: &Arc<[Bytes]>, batches: usize) -> Result<(u64, Cost)> {
    let server = Server::start(false)?;
    let mut first = server.connect(protocol, Windows::SDK).await?;
    server.create_stream(&mut first, SHARDS).await?;
    let mut connections = shared(&first);
    if connections.is_empty() {
        for _ in 0..CONNECTIONS {
            connections.push(server.connect(protocol, Windows::SDK).await?);
        }
    }
    let stopwatch = Stopwatch::start(&server)?;
    let records = put(connections, bodies, batches).await?;
    Ok((records, stopwatch.stop()?))
}
