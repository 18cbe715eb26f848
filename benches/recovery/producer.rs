//! A steady producer of numbered records, and when each was put.

use alluvial_benches::{Connection, Result};
use alluvial_runtime::clock::Clock;
use base64_simd::STANDARD;
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Time between two calls.
const CALL_INTERVAL: Duration = Duration::from_millis(10);
/// Records of a call: 200 a second, 50 in each of four shards.
const CALL_RECORDS: u64 = 2;
/// Payload of each record.
const DATA_BYTES: usize = 256;

/// The machine's time, in nanoseconds since 1970: what workers stamp their lines with.
pub(crate) fn now_nanos(clock: &Clock) -> Result<u64> {
    Ok(u64::try_from(clock.now().duration_since(UNIX_EPOCH)?.as_nanos())?)
}

/// When each record was put: the moment before its call, in nanoseconds since 1970, by its number.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Vec<u64>);

impl Ledger {
    /// Records that Kinesis took.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// When the record was put.
    pub(crate) fn put_nanos(&self, id: u64) -> Option<u64> {
        self.0.get(usize::try_from(id).ok()?).copied()
    }
}

/// A producer that is at work.
#[derive(Debug)]
pub(crate) struct Producer {
    stop: watch::Sender<bool>,
    task: JoinSet<Result<Ledger>>,
}

impl Producer {
    /// Puts `backlog` records at once, and then goes on steadily.
    pub(crate) async fn start(mut connection: Connection, clock: Clock, backlog: u64) -> Result<Self> {
        let mut ledger = Ledger::default();
        while (ledger.len() as u64) < backlog {
            put(&mut connection, &clock, &mut ledger, 100).await?;
        }
        let (stop, mut stopped) = watch::channel(false);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut ticks = tokio::time::interval(CALL_INTERVAL);
            loop {
                tokio::select! {
                    _ = stopped.changed() => return Ok(ledger),
                    _ = ticks.tick() => {}
                }
                put(&mut connection, &clock, &mut ledger, CALL_RECORDS).await?;
            }
        });
        Ok(Self { stop, task })
    }

    /// Stops it; returns what it put.
    pub(crate) async fn stop(mut self) -> Result<Ledger> {
        self.stop.send_replace(true);
        self.task.join_next().await.ok_or("no producer")??
    }
}

async fn put(connection: &mut Connection, clock: &Clock, ledger: &mut Ledger, records: u64) -> Result<()> {
    let (first, data) = (ledger.len() as u64, STANDARD.encode_to_string([b'x'; DATA_BYTES]));
    let record = |id: u64| json!({"Data": data, "PartitionKey": id.to_string()});
    let entries: Vec<Value> = (first..first + records).map(record).collect();
    let nanos = now_nanos(clock)?;
    let answer = connection.call("PutRecords", &json!({"StreamName": "bench", "Records": entries})).await?;
    if answer.get("FailedRecordCount") != Some(&json!(0)) {
        return Err(format!("a record was refused: {answer}").into());
    }
    ledger.0.extend((0..records).map(|_| nanos));
    Ok(())
}
