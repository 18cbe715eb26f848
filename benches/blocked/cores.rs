//! How many shards at 2 MB/s each one core carries.
//!
//! A producer puts 2 MB/s into each of some shards, live; the worker has a core of its own, and its CPU time is read from `/proc`. The
//! number of shards doubles until a second of load takes a second of CPU, or records are left behind, or emulator and producer cannot make more load. The last line divides one
//! second by the CPU time that a shard took with the most shards that were carried.

use crate::{APPLICATION, PATIENCE, program, server};
use alluvial_benches::records::{BATCH, DATA_BYTES, body, shared};
use alluvial_benches::{Connection, Log, Result, Seen, Table, Worker, procfs};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What a shard brings a fan-out consumer at most, in bytes a second.
///
/// Source: <https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html>.
const SHARD_BYTES_A_SECOND: f64 = 2e6;
/// Numbers of shards.
const STEPS: [usize; 6] = [4, 8, 16, 32, 64, 128];
/// Of what was put, the part that may still be under way at the end: half a second's worth.
const LATE_SECONDS: f64 = 0.5;
/// Of the load that a step is about, the part that must have been made; below it, emulator and producer are what was measured.
const LEAST_LOAD: f64 = 0.95;
const WARM_UP: Duration = Duration::from_secs(2);

/// What a number of shards took.
struct Step {
    /// MB/s that were put, and that came.
    put: f64,
    came: f64,
    /// CPU seconds a second of the worker.
    cpu: f64,
    /// The same of what has the other core: emulator and producer. Near 1, the load cannot be made.
    load_cpu: f64,
}

pub(crate) async fn measure(quick: bool) -> Result<Table> {
    let seconds = if quick { 3 } else { 10 };
    let mut table = Table::new(
        format!("Shards at 2 MB/s on one core, {seconds} s each"),
        &["MB/s put", "MB/s came", "CPU s/s", "the load's CPU s/s", "MB a CPU second", "shards a core"],
    );
    let mut carried = f64::NAN;
    for shards in STEPS {
        let step = one(shards, Duration::from_secs(seconds)).await?;
        let a_core = shards as f64 / step.cpu;
        table.row(
            format!("{shards} shards"),
            [step.put, step.came, step.cpu, step.load_cpu, step.came / step.cpu, a_core],
        );
        let wanted = shards as f64 * SHARD_BYTES_A_SECOND / 1e6;
        if step.put < wanted * LEAST_LOAD || step.put - step.came > step.put * LATE_SECONDS / seconds as f64 {
            break;
        }
        carried = a_core;
        if step.cpu >= 0.95 {
            break;
        }
    }
    table.row("carried by a core", [f64::NAN, f64::NAN, f64::NAN, f64::NAN, f64::NAN, carried]);
    Ok(table)
}

async fn one(shards: usize, span: Duration) -> Result<Step> {
    let (server, control) = server(shards).await?;
    let mut random = fastrand::Rng::with_seed(1);
    let bodies: Arc<[Bytes]> = (0..16).map(|_| body(&mut random)).collect();
    let log = Log::default();
    let worker = Worker::start(&program(), &server, APPLICATION, "a", &["count"], &log)?;
    let put = Arc::new(AtomicU64::new(0));
    let mut producers = produce(shared(&control), bodies, shards, &put);
    let load = async {
        log.until("records come", PATIENCE, |seen| seen.count().is_some()).await?;
        tokio::time::sleep(WARM_UP).await;
        let look = || -> Result<_> {
            let came = log.look(Seen::count).ok_or("no count")?;
            let load_cpu = server.cpu_seconds()? + procfs::cpu_seconds(std::process::id())?;
            Ok((Instant::now(), put.load(Ordering::Relaxed), came, procfs::cpu_seconds(worker.pid()?)?, load_cpu))
        };
        let before = look()?;
        tokio::time::sleep(span).await;
        let after = look()?;
        let seconds = after.0.duration_since(before.0).as_secs_f64();
        let counted = Duration::from_nanos(after.2.nanos - before.2.nanos).as_secs_f64();
        Ok(Step {
            put: (after.1 - before.1) as f64 / 1e6 / seconds,
            came: (after.2.bytes - before.2.bytes) as f64 / 1e6 / counted,
            cpu: (after.3 - before.3) / seconds,
            load_cpu: (after.4 - before.4) / seconds,
        })
    };
    tokio::select! {
        step = load => step,
        Some(ended) = producers.join_next() => Err(ended?.err().unwrap_or_else(|| "a producer ended".into())),
    }
}

/// Puts the rate of all shards together, evenly in time. Random keys spread the records over the shards.
fn produce(
    connections: Vec<Connection>,
    bodies: Arc<[Bytes]>,
    shards: usize,
    put: &Arc<AtomicU64>,
) -> JoinSet<Result<()>> {
    let call_bytes = (BATCH * DATA_BYTES) as f64;
    let calls_a_second = shards as f64 * SHARD_BYTES_A_SECOND / call_bytes;
    let interval = Duration::from_secs_f64(connections.len() as f64 / calls_a_second);
    let mut producers = JoinSet::new();
    for (number, mut connection) in connections.into_iter().enumerate() {
        let (bodies, put) = (Arc::clone(&bodies), Arc::clone(put));
        producers.spawn(async move {
            let mut ticks = tokio::time::interval(interval);
            for body in bodies.iter().cycle().skip(number) {
                ticks.tick().await;
                let answer = connection.bytes("PutRecords", body.clone()).await?;
                if !answer.starts_with(b"{\"FailedRecordCount\":0,") {
                    return Err("a record was refused".into());
                }
                put.fetch_add((BATCH * DATA_BYTES) as u64, Ordering::Relaxed);
            }
            Ok(())
        });
    }
    producers
}
