//! How fast a worker starts, takes over, follows a split, notices silence and hands records over; what is lost and what is repeated.
//!
//! `cargo bench -p alluvial-benches --bench recovery [-- [--quick] [SCENARIO …]]`. Workers are processes of their own, on an emulator
//! process, over TLS; the emulator has one core, the workers and a steady producer the other. `-- --name NAME … -- PROGRAM` measures
//! another worker that says the same lines (see [`alluvial_benches::Program`]); `benches/peers/run` does so.

mod lean;
mod producer;
mod scenarios;
mod speed;
mod summary;
mod world;

use alluvial_benches::{Program, Result, machine, pin_self, save};
use clap::Parser;
use serde_json::{Map, Value, json};
use std::ffi::OsString;
use std::io::Write as _;
use std::time::{Duration, Instant};
use summary::Summary;
use tokio::task::JoinSet;
use world::{Outcome, Setup};

/// What may happen to workers, how often it is repeated, and whether runs may go on side by side with others,
/// because waiting is most of what they do.
const SCENARIOS: [(&str, usize, bool); 11] = [
    ("cold", 5, true),
    ("registered", 5, true),
    ("restart", 5, true),
    ("stop", 3, true),
    ("crash", 3, true),
    ("split", 5, true),
    ("silent-stream", 1, true),
    ("silent-connection", 1, true),
    ("exception", 1, true),
    ("latency", 3, false),
    ("throughput", 3, false),
];

/// Measures recovery.
#[derive(Debug, Parser)]
struct Options {
    /// One repetition of each, and less data
    #[arg(long)]
    quick: bool,
    /// Repetitions of each scenario, instead of its own number
    #[arg(long)]
    rounds: Option<usize>,
    /// Runs that go on side by side, where that disturbs none
    #[arg(long, default_value_t = 1)]
    at_once: usize,
    /// Seconds that a second worker gets to take its share of the shards before the first one ends
    #[arg(long, default_value_t = 5)]
    settle: u64,
    /// Seconds after which something that does not happen is given up
    #[arg(long, default_value_t = 60)]
    patience: u64,
    /// The worker's name: the result is `target/bench/recovery-NAME.json`
    #[arg(long, default_value = "alluvial")]
    name: String,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
    /// Some of cold, registered, restart, stop, crash, split, silent-stream, silent-connection, exception, latency, throughput
    scenarios: Vec<String>,
    /// The worker, instead of ours
    #[arg(last = true)]
    program: Vec<OsString>,
}

impl Options {
    fn setup(&self) -> Setup {
        let ours = || vec![env!("CARGO_BIN_EXE_bench_worker").into()];
        // Cargo adds its option behind all others.
        let other: Vec<OsString> = self.program.iter().filter(|word| *word != "--bench").cloned().collect();
        let command = if other.is_empty() { ours() } else { other };
        Setup {
            program: Program { command, name: self.name.clone() },
            settle: Duration::from_secs(self.settle),
            patience: Duration::from_secs(self.patience),
            mib: if self.quick { 100 } else { 400 },
        }
    }

    fn rounds(&self, usual: usize) -> usize {
        self.rounds.unwrap_or(if self.quick { 1 } else { usual })
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    let known = SCENARIOS.map(|(name, ..)| name);
    if let Some(unknown) = options.scenarios.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("unknown scenario {unknown}: there are {}", known.join(", ")).into());
    }
    alluvial_benches::bin("alluvial")?;
    pin_self();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = |name: &str| options.scenarios.is_empty() || options.scenarios.iter().any(|asked| asked == name);
    let mut outcomes = Vec::new();
    for (side_by_side, at_once) in [(true, options.at_once), (false, 1)] {
        let these = SCENARIOS.into_iter().filter(|(name, _, with_others)| asked(name) && *with_others == side_by_side);
        let runs = these.flat_map(|(name, rounds, _)| (0..options.rounds(rounds)).map(move |round| (name, round)));
        outcomes.append(&mut runtime.block_on(all(runs, &options.setup(), at_once))?);
    }
    let (mut summary, mut scenarios) = (Summary::new(&options.name), Map::new());
    for name in known.into_iter().filter(|name| asked(name)) {
        let of_this: Vec<&Run> = outcomes.iter().filter(|(of, _)| *of == name).map(|(_, run)| run).collect();
        scenarios.insert(name.to_owned(), summary.add(name, &of_this));
    }
    summary.print()?;
    let result = json!({"machine": machine()?, "worker": options.name, "scenarios": Value::Object(scenarios)});
    save(&format!("recovery-{}", options.name), &result)?;
    let given_up = outcomes.iter().filter(|(_, run)| run.is_err()).count();
    // What a peer does not do is a result.
    if given_up > 0 && options.program.iter().all(|word| word == "--bench") {
        return Err(format!("{given_up} runs were given up").into());
    }
    Ok(())
}

/// What came of a run, or why it was given up.
type Run = std::result::Result<Outcome, String>;

/// Runs scenarios, `at_once` of them side by side.
async fn all(
    mut runs: impl Iterator<Item = (&'static str, usize)>,
    setup: &Setup,
    at_once: usize,
) -> Result<Vec<(&'static str, Run)>> {
    let (mut outcomes, mut running) = (Vec::new(), JoinSet::new());
    loop {
        while running.len() < at_once.max(1)
            && let Some((name, round)) = runs.next()
        {
            let setup = setup.clone();
            running.spawn(async move {
                let began = Instant::now();
                let outcome = Box::pin(scenarios::run(name, &setup, round)).await;
                (name, outcome.map_err(|error| error.to_string()), began.elapsed())
            });
        }
        let Some(ended) = running.join_next().await else { return Ok(outcomes) };
        let (name, run, took) = ended?;
        match &run {
            Ok(_) => writeln!(std::io::stderr(), "{name}: a run took {:.1} s", took.as_secs_f64())?,
            Err(error) => writeln!(std::io::stderr(), "{name}: a run was given up: {error}")?,
        }
        outcomes.push((name, run));
    }
}
