//! Memory of a worker with 1,000 shards, all of them full, while no handler takes a record; and that all of it comes afterwards.

use crate::{APPLICATION, PATIENCE, program, server};
use alluvial_benches::records::{BATCH, DATA_BYTES, body, put, shared};
use alluvial_benches::{Log, Result, Table, Worker, procfs};
use alluvial_consumer::Settings;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// Shards, all read by one process.
const SHARDS: usize = 1_000;
/// What waits in each.
const WAITING_BYTES: usize = 1 << 20;
/// What the process may have in RAM beside its byte budget: connections, tasks, code.
const BESIDE_MIB: f64 = 64.0;
/// How long handlers are blocked. Longer than a subscription may be held back, after which it is dropped and opened again.
const BLOCKED: Duration = Duration::from_secs(75);
const BLOCKED_QUICK: Duration = Duration::from_secs(15);
/// Time between two looks at the process.
const LOOK: Duration = Duration::from_millis(500);

/// One run, because memory is not noisy as time is.
pub(crate) async fn measure(quick: bool) -> Result<Table> {
    let blocked = if quick { BLOCKED_QUICK } else { BLOCKED };
    let (server, control) = server(SHARDS).await?;
    let mut random = fastrand::Rng::with_seed(1);
    let bodies: Arc<[Bytes]> = (0..32).map(|_| body(&mut random)).collect();
    let records = put(shared(&control), &bodies, SHARDS * WAITING_BYTES / DATA_BYTES / BATCH).await?;
    let log = Log::default();
    let mode = ["held", &records.to_string()];
    let mut worker = Worker::start(&program(), &server, APPLICATION, "a", &mode, &log)?;
    let pid = worker.pid()?;
    let mut looks = Vec::new();
    for _ in 0..blocked.as_millis() / LOOK.as_millis() {
        tokio::time::sleep(LOOK).await;
        looks.push(procfs::memory(pid)?.now_mib);
    }
    if log.look(|seen| seen.count().is_some()) {
        return Err("a handler that is blocked had a record".into());
    }
    let while_blocked = looks.iter().copied().fold(f64::NAN, f64::max);
    worker.tell("go").await?;
    let all = |seen: &alluvial_benches::Seen| seen.count().is_some_and(|count| count.records >= records);
    log.until("all records come after handlers were blocked", PATIENCE, all).await?;
    let after = procfs::memory(pid)?;
    let budget_mib = Settings::new("", "", "").budget_bytes as f64 / f64::from(1 << 20);
    let goal = budget_mib + BESIDE_MIB;
    let came = log.look(|seen| seen.count().map_or(0, |count| count.records));
    let title = format!(
        "{SHARDS} shards, 1 MiB in each, every handler blocked for {} s: MiB of RAM; goal: budget of {budget_mib} + {BESIDE_MIB}; \
         {came} records came then, of {records}",
        blocked.as_secs()
    );
    let mut table = Table::new(title, &["measured", "goal", "ratio"]);
    let most = (while_blocked, after.peak_mib);
    table.row("most while blocked", [most.0, goal, most.0 / goal]);
    table.row("at the end of it", looks.last().map_or([f64::NAN; 3], |last| [*last, goal, last / goal]));
    table.row("most of all", [most.1, goal, most.1 / goal]);
    Ok(table)
}
