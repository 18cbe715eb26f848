//! Medians beside their goals, as a table and as JSON.

use crate::Run;
use crate::world::Outcome;
use alluvial_benches::{Result, Table, median};
use serde_json::{Map, Value, json};

const NONE: f64 = f64::NAN;

/// What is measured, in the order of the table: scenario, figure with its unit, and goal. What has no goal is there to be compared.
///
/// A worker that crashed is noticed after the failover time of 10 s at the earliest.
const FIGURES: [(&str, &str, f64); 22] = [
    ("cold", "first record, s", 1.0),
    ("cold", "every shard, s", NONE),
    ("registered", "first record, s", 1.0),
    ("registered", "every shard, s", NONE),
    ("restart", "first record, s", NONE),
    ("restart", "every shard, s", NONE),
    ("stop", "first shard, s", NONE),
    ("stop", "every shard, s", 2.0),
    ("stop", "planned move before, s", NONE),
    ("crash", "first shard, s", NONE),
    ("crash", "every shard, s", 13.0),
    ("crash", "planned move before, s", NONE),
    ("split", "children's first records, s", 1.0),
    ("silent-stream", "pause, s", 25.0),
    ("silent-connection", "pause, s", 25.0),
    ("exception", "pause, s", NONE),
    ("latency", "emulator's p50, ms", NONE),
    ("latency", "emulator's p99, ms", NONE),
    ("latency", "p50 over it, ms", NONE),
    ("latency", "p99 over it, ms", NONE),
    ("throughput", "MB a CPU second", NONE),
    ("throughput", "MB/s", NONE),
];

/// The results of one worker.
pub(crate) struct Summary {
    table: Table,
}

impl Summary {
    pub(crate) fn new(worker: &str) -> Self {
        let title = format!("{worker}: medians; records lost and repeated in all runs");
        Self { table: Table::new(title, &["measured", "goal", "ratio", "runs", "lost", "repeated"]) }
    }

    /// Adds the runs of a scenario; returns them as JSON.
    pub(crate) fn add(&mut self, scenario: &str, runs: &[&Run]) -> Value {
        let outcomes: Vec<&Outcome> = runs.iter().filter_map(|run| run.as_ref().ok()).collect();
        let given_up: Vec<&String> = runs.iter().filter_map(|run| run.as_ref().err()).collect();
        let sum = |of: fn(&Outcome) -> usize| outcomes.iter().map(|one| of(one)).sum::<usize>();
        let (put, lost, repeated) = (sum(|one| one.put), sum(|one| one.lost), sum(|one| one.repeated));
        let mut figures = Map::new();
        for (_, figure, goal) in FIGURES.into_iter().filter(|(of, ..)| *of == scenario) {
            let values = outcomes.iter().filter_map(|one| one.figures.get(figure).copied());
            let mut values: Vec<f64> = values.collect();
            if values.is_empty() {
                continue;
            }
            let measured = median(&mut values);
            self.table.row(
                format!("{scenario}: {figure}"),
                [measured, goal, measured / goal, values.len() as f64, lost as f64, repeated as f64],
            );
            let value = json!({"median": measured, "goal": goal, "ratio": measured / goal, "values": values});
            figures.insert(figure.to_owned(), value);
        }
        if !given_up.is_empty() {
            let row = [f64::NAN, f64::NAN, f64::NAN, given_up.len() as f64, f64::NAN, f64::NAN];
            self.table.row(format!("{scenario}: given up"), row);
        }
        json!({"runs": outcomes.len(), "given_up": given_up, "figures": figures, "put": put, "lost": lost, "repeated": repeated})
    }

    pub(crate) fn print(&self) -> Result<()> {
        self.table.print()
    }
}
