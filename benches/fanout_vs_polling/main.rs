//! Enhanced fan-out against polling: one shard, 4,000 records of 19 bytes put at 1,000 records/s, and six consumers at once.
//!
//! `cargo bench -p alluvial-benches --bench fanout_vs_polling [-- --quick]`. Three consumers have subscriptions, three call GetRecords as
//! the KCL does and share the shard's 5 calls/s and 2 MiB/s. All use the AWS SDK over TLS; the emulator holds AWS's limits.
//! The experiment and the figures beside it are those of an AWS blog post; what its milliseconds are, it does not say, so
//! that everything that they may be is measured: see [`COLUMNS`].

mod consumer;
mod producer;
mod world;

use alluvial_benches::{Result, Table, machine, median, pin_self, save};
use serde_json::{Map, Value};
use std::time::Duration;
use world::Outcome;

/// What is measured of each consumer, in milliseconds but for the last:
/// - from the call that put a record until the consumer has it: mean, median, 99th percentile;
/// - from the first put of all until the consumer has a record, mean over the records. What the post calls "ms", most
///   likely: with puts that take four seconds it is 2,000 for a consumer without delay, and 2,500 for one that looks once a second;
/// - from the first put until the last record is there;
/// - from the start of a consumer until it has all records, when they lay there before: the other thing that the post may mean;
/// - calls of the consumer that were refused for exceeding the limits.
const COLUMNS: &[&str] = &["mean", "p50", "p99", "since first put, mean", "first put to last", "catch up", "refused"];

/// The waits between two GetRecords of a consumer: the KCL's `idleTimeBetweenReads` by default, and the shortest at which one
/// consumer alone keeps to 5 calls/s.
///
/// Source: <https://docs.aws.amazon.com/streams/latest/dev/kcl-configuration.html>,
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html>.
const IDLE: [Duration; 2] = [Duration::from_millis(1_000), Duration::from_millis(200)];

/// The post's figures: all three with fan-out on average, the first without, the other two ("just over").
const POST_MS: [(&str, f64); 3] = [("fan-out", 1_852.0), ("polling 1", 1_732.0), ("polling 2 and 3", 2_500.0)];

const ROUNDS: usize = 5;

fn main() -> Result<()> {
    let rounds = if std::env::args().any(|option| option == "--quick") { 1 } else { ROUNDS };
    alluvial_benches::bin("alluvial")?;
    pin_self();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut result = Map::from_iter([("machine".to_owned(), machine()?)]);
    let mut outcomes = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (idle, outcomes) in IDLE.into_iter().zip(&mut outcomes) {
            outcomes.push(runtime.block_on(world::run(idle))?);
        }
    }
    for (idle, outcomes) in IDLE.into_iter().zip(&outcomes) {
        let table = summary(idle, outcomes);
        table.print()?;
        result.insert(format!("idle-{}-ms", idle.as_millis()), table.json());
    }
    let mut post = Table::new("The post, ms", &["ms"]);
    POST_MS.into_iter().for_each(|(name, millis)| post.row(name, [millis]));
    post.print()?;
    result.insert("post".to_owned(), post.json());
    save("fanout_vs_polling", &Value::Object(result))
}

/// The medians over the rounds.
fn summary(idle: Duration, rounds: &[Vec<Outcome>]) -> Table {
    let title = format!(
        "Six consumers, {} ms between reads of those that poll; ms, medians of {}",
        idle.as_millis(),
        rounds.len()
    );
    let mut table = Table::new(title, COLUMNS);
    for consumer in 0..rounds.first().map_or(0, Vec::len) {
        let outcomes: Vec<&Outcome> = rounds.iter().filter_map(|round| round.get(consumer)).collect();
        let figures = (0..COLUMNS.len()).map(|column| {
            median(&mut outcomes.iter().filter_map(|outcome| outcome.figures.get(column).copied()).collect::<Vec<_>>())
        });
        table.row(outcomes.first().map_or("", |outcome| &outcome.name), figures.collect::<Vec<_>>());
    }
    table
}
