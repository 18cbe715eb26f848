//! The emulator's speed: records in, payload out, memory of many subscriptions, and each stage of the record path alone.
//!
//! `cargo bench -p alluvial-benches --bench emulator [-- [--quick] [input] [output] [memory] [stages]]`; all parts unless
//! some are named. The server is `alluvial emulator --limits off`, held to one core, its client to another.

mod input;
mod memory;
mod output;
mod reader;
mod stages;

use alluvial_benches::{Result, Server, machine, pin_self, save};
use serde_json::{Map, Value};
use std::io::Write as _;
use std::time::Instant;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// Turns of each contender.
    rounds: usize,
    /// MiB of payload in a turn.
    mib: u64,
}

const FULL: Effort = Effort { rounds: 5, mib: 400 };
const QUICK: Effort = Effort { rounds: 1, mib: 100 };

/// What a turn took.
#[derive(Debug, Clone, Copy)]
struct Cost {
    seconds: f64,
    server_cpu_seconds: f64,
}

/// Starts a clock on the wall and on the server's CPU.
struct Stopwatch<'a> {
    server: &'a Server,
    began: Instant,
    cpu_seconds: f64,
}

impl<'a> Stopwatch<'a> {
    fn start(server: &'a Server) -> Result<Self> {
        Ok(Self { server, began: Instant::now(), cpu_seconds: server.cpu_seconds()? })
    }

    fn stop(self) -> Result<Cost> {
        let seconds = self.began.elapsed().as_secs_f64();
        Ok(Cost { seconds, server_cpu_seconds: self.server.cpu_seconds()? - self.cpu_seconds })
    }
}

fn main() -> Result<()> {
    let options: Vec<String> = std::env::args().skip(1).filter(|option| option != "--bench").collect();
    let effort = if options.iter().any(|option| option == "--quick") { QUICK } else { FULL };
    let parts = ["input", "output", "memory", "stages"];
    if let Some(unknown) = options.iter().find(|option| !parts.contains(&option.as_str()) && *option != "--quick") {
        return Err(format!("unknown option {unknown}: give --quick or some of {}", parts.join(", ")).into());
    }
    let all = !options.iter().any(|option| parts.contains(&option.as_str()));
    // Built before this process is held to one core, which the compiler would inherit.
    alluvial_benches::bin("alluvial")?;
    if !pin_self() {
        writeln!(
            std::io::stderr(),
            "taskset or a second core is missing: server and client share what cores there are"
        )?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut result = Map::from_iter([("machine".to_owned(), machine()?)]);
    for part in parts.into_iter().filter(|part| all || options.iter().any(|option| option == part)) {
        let table = match part {
            "input" => runtime.block_on(input::measure(effort))?,
            "output" => runtime.block_on(output::measure(effort))?,
            "memory" => runtime.block_on(memory::measure())?,
            _ => stages::measure(effort)?,
        };
        table.print()?;
        result.insert(part.to_owned(), table.json());
    }
    save("emulator", &Value::Object(result))
}
