//! Where a benchmark runs: the machine, its load, and which core does what.

use crate::Result;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// A core that a process is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Core {
    /// The first: servers.
    Server,
    /// The second: clients.
    Client,
}

impl Core {
    /// A command that runs on this core alone, or anywhere where `taskset` or a second core is missing.
    pub fn command(self, program: impl AsRef<OsStr>) -> Command {
        if !can_pin() {
            return Command::new(program);
        }
        let mut command = Command::new("taskset");
        command.args(["-c", self.number()]).arg(program);
        command
    }

    fn number(self) -> &'static str {
        match self {
            Self::Server => "0",
            Self::Client => "1",
        }
    }
}

/// Whether processes can be held to one core each.
fn can_pin() -> bool {
    let found = Command::new("taskset").args(["-c", "1", "true"]).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// Holds this process to the clients' core, threads that it starts later included. False where that is not possible.
pub fn pin_self() -> bool {
    pin_self_to(Core::Client)
}

/// As [`pin_self`], for a benchmark that is part of the load and leaves a core to what it measures.
pub fn pin_self_to(core: Core) -> bool {
    let own = std::process::id().to_string();
    let mut pin = Command::new("taskset");
    pin.args(["-a", "-p", "-c", core.number(), &own]).stdout(Stdio::null()).stderr(Stdio::null());
    can_pin() && pin.status().is_ok_and(|status| status.success())
}

/// The processor, its cores, and the load of the last minute, five and fifteen: what figures are worth nothing without.
///
/// # Errors
/// Where there is no `/proc`.
pub fn machine() -> Result<Value> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let load: Vec<String> =
        std::fs::read_to_string("/proc/loadavg")?.split_whitespace().take(3).map(str::to_owned).collect();
    let model = model.trim_start_matches([' ', '\t', ':']);
    Ok(json!({"model": model, "cores": cores, "load": load, "one_core_each": can_pin()}))
}
