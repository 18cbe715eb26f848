//! A process that reads 1,000 shards while every handler is blocked, and how many shards of 2 MB/s one core carries.
//!
//! `cargo bench -p alluvial-benches --bench blocked [-- [--quick] [memory] [cores]]`. The worker is a process of its own; the emulator
//! is another one, without limits, over TLS.

mod cores;
mod memory;

use alluvial_benches::{Core, Program, Result, Server, machine, pin_self_to, save};
use serde_json::{Map, Value};
use std::time::Duration;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(180);
/// The name of the application.
const APPLICATION: &str = "blocked";

/// Our worker.
fn program() -> Program {
    Program { command: vec![env!("CARGO_BIN_EXE_bench_worker").into()], name: "alluvial".into() }
}

fn main() -> Result<()> {
    let options: Vec<String> = std::env::args().skip(1).filter(|option| option != "--bench").collect();
    let quick = options.iter().any(|option| option == "--quick");
    let parts = ["memory", "cores"];
    if let Some(unknown) = options.iter().find(|option| !parts.contains(&option.as_str()) && *option != "--quick") {
        return Err(format!("unknown option {unknown}: give --quick or some of {}", parts.join(", ")).into());
    }
    let all = !options.iter().any(|option| parts.contains(&option.as_str()));
    alluvial_benches::bin("alluvial")?;
    // The producer is part of the load: the worker has the other core for itself.
    pin_self_to(Core::Server);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut result = Map::from_iter([("machine".to_owned(), machine()?)]);
    for part in parts.into_iter().filter(|part| all || options.iter().any(|option| option == part)) {
        let table = match part {
            "memory" => runtime.block_on(memory::measure(quick))?,
            _ => runtime.block_on(cores::measure(quick))?,
        };
        table.print()?;
        result.insert(part.to_owned(), table.json());
    }
    save("blocked", &Value::Object(result))
}

/// An emulator without limits, with a stream of `shards`.
async fn server(shards: usize) -> Result<(Server, alluvial_benches::Connection)> {
    let server = Server::start(false)?;
    let mut control = server.connect(alluvial_benches::Protocol::H2c, alluvial_benches::Windows::SDK).await?;
    server.create_stream(&mut control, u32::try_from(shards)?).await?;
    Ok((server, control))
}
