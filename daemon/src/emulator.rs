//! `alluvial emulator`: AWS on this machine.

use crate::console;
use alluvial_emulator::{Emulator, Settings, StartError, check_faults};
use alluvial_runtime::exit::{Exit, Failure, chain};
use alluvial_runtime::shutdown::Shutdown;
use clap::Args;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Options of `alluvial emulator`.
#[derive(Debug, Args)]
pub(crate) struct EmulatorArgs {
    /// Address to listen on. Whoever reaches it may do anything to the emulator: leave it, or use a network of your own
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    host: IpAddr,
    /// TLS port, HTTP/2 and HTTP/1.1; 0 takes any free one
    #[arg(long, default_value_t = 4566, value_name = "PORT")]
    port: u16,
    /// Plaintext port, HTTP/1.1 and HTTP/2 with prior knowledge; 0 takes any free one
    #[arg(long, default_value_t = 4567, value_name = "PORT")]
    plain_port: u16,
    /// Folder for data; S3 and DynamoDB find theirs again after a restart, even after kill -9
    #[arg(long, default_value = "alluvial-emulator", value_name = "DIR")]
    dir: PathBuf,
    /// Keep Kinesis streams in DIR too, with their records: a run with this flag finds them again, even after kill -9
    #[arg(long)]
    persist: bool,
    /// Throttle as AWS does: 1 MiB/s and 1,000 records/s into a shard, 2 MiB/s to each fan-out consumer, rates of calls,
    /// and Firehose's quotas
    #[arg(long, value_enum, default_value = "on", value_name = "on|off")]
    limits: Switch,
    /// How many times faster than real time its clock runs: 60 ends a subscription after 5 seconds, 0 stands still
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR")]
    clock_speed: f64,
    /// How long new and changed streams, consumers and delivery streams stay CREATING or UPDATING, such as 5s, by its clock
    #[arg(long, default_value = "0s", value_name = "DURATION", value_parser = alluvial_enrich::parse_duration)]
    state_delay: Duration,
    /// Fault plan (TOML) in force from the start; docs/emulator.md says how to write one
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// What ids, and random parts of names, follow from; every run differs without it
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Keep accepted Firehose records and all writes to DynamoDB on disk while it runs, to be read from /_emulator/
    #[arg(long, value_enum, default_value = "on", value_name = "on|off")]
    truth: Switch,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Switch {
    On,
    Off,
}

/// Serves until SIGTERM or Ctrl-C.
pub(crate) async fn run(args: EmulatorArgs) -> Result<Exit, Failure> {
    if !(args.clock_speed.is_finite() && args.clock_speed >= 0.0) {
        return Err(Failure::usage(format!("--clock-speed {}: must be 0 (stands still) or above", args.clock_speed)));
    }
    let shutdown =
        Shutdown::on_signals().map_err(|error| Failure::internal(format!("cannot listen for signals: {error}")))?;
    let mut settings = Settings::new(&args.dir);
    settings.host = args.host;
    settings.port = args.port;
    settings.plain_port = args.plain_port;
    settings.clock_speed = args.clock_speed;
    settings.limits = args.limits == Switch::On;
    settings.state_delay = args.state_delay;
    settings.seed = args.seed;
    settings.truth = args.truth == Switch::On;
    settings.persist = args.persist;
    if let Some(path) = &args.faults {
        let refuse = |error: &dyn std::fmt::Display| Failure::usage(format!("--faults {}: {error}", path.display()));
        settings.faults = std::fs::read_to_string(path).map_err(|error| refuse(&error))?;
        check_faults(&settings.faults).map_err(|error| refuse(&error))?;
    }
    let emulator = start(settings).await?;
    let mut text = String::new();
    for (name, value) in emulator.exports() {
        writeln!(text, "export {name}={}", console::shell_word(&value)).ok();
    }
    writeln!(text, "# also in plain text at {}; Ctrl-C stops", emulator.plain_endpoint()).ok();
    console::out(&text)?;
    shutdown.token().cancelled().await;
    emulator.stop().await;
    Ok(Exit::Done)
}

/// Starts an emulator; what stands in the way is the caller's to change.
pub(crate) async fn start(settings: Settings) -> Result<Emulator, Failure> {
    Emulator::start(settings).await.map_err(|error: StartError| Failure::usage(chain(&error)))
}
