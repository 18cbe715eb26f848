//! What can be typed.

use crate::demo::DemoArgs;
use crate::emulator::EmulatorArgs;
use crate::{check, config, console, demo, emulator, run};
use alluvial_runtime::aws::AwsArgs;
use alluvial_runtime::exit::{Exit, Failure};
use alluvial_runtime::telemetry::LogArgs;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Reads Kinesis by enhanced fan-out, enriches the records, packs many of them into gzip members, and delivers them to
/// Firehose. Nothing is lost: a record is checkpointed only once Firehose has accepted it.
#[derive(Debug, Parser)]
#[command(
    name = "alluvial",
    version,
    after_help = "Exit codes: 0 done; 1 internal error; 2 usage or settings; 3 done in part (something was dead-lettered, \
                  quarantined or lost); 4 a remote service refused or was out of reach.\n\
                  Start with `alluvial demo`: it needs no AWS account."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole job on this machine: emulator, load, daemon, compaction, and a check of every record
    Demo(DemoArgs),
    /// Run the daemon, until SIGTERM or Ctrl-C
    Run {
        /// Settings file; `alluvial config init` prints one to start from
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        #[command(flatten)]
        aws: AwsArgs,
    },
    /// Check a settings file, without AWS: the same code that `run` uses
    Check {
        /// Settings file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Serve Kinesis, Firehose, S3 and DynamoDB on this machine, and print what a client needs to use them
    Emulator(EmulatorArgs),
    /// Settings files
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print a settings file with every setting, its default and what it does
    Init,
}

impl Cli {
    /// Does what was typed.
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        match self.command {
            Command::Demo(args) => {
                // The demo tells its own story; logs come in only when something goes wrong.
                self.log.init_or("warn");
                Box::pin(demo::run(args)).await
            }
            Command::Run { config, aws } => {
                self.log.init();
                Box::pin(run::run(&config, &aws)).await
            }
            Command::Check { config } => check::check(&config),
            Command::Emulator(args) => {
                // Faults are rare and on purpose: each is told of.
                self.log.init_or("warn,alluvial_emulator::fault=info");
                Box::pin(emulator::run(args)).await
            }
            Command::Config(ConfigCommand::Init) => {
                console::out(config::TEMPLATE)?;
                Ok(Exit::Done)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
