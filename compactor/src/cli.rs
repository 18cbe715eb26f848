//! The command line: what was typed, and what is shown.

mod commit;
mod ddl;
mod gc;
mod layout;
mod local;
mod machine;
mod output;
mod plan;
mod progress;
mod run;
mod s3;
mod schema;
mod show;
mod verify;

use alluvial_compactor::{Error, ErrorKind};
use alluvial_runtime::exit::{self, Exit, Failure};
use alluvial_runtime::shutdown::Shutdown;
use alluvial_runtime::telemetry::LogArgs;
use clap::{Parser, Subcommand};
use commit::CommitArgs;
use ddl::DdlArgs;
use gc::GcArgs;
use plan::PlanArgs;
use progress::ProgressLines;
use run::RunArgs;
use s3::client;
use serde::Serialize;
use std::io::{self, Write as _};
use verify::VerifyArgs;

/// Turns the gzip objects that Firehose leaves in S3 into Parquet
#[derive(Debug, Parser)]
#[command(name = "compact", version, about)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compact every object below SRC that no earlier run has compacted into DST; or run one share of a plan
    Run(Box<RunArgs>),
    /// Make a plan of every object below SRC that no plan has taken, to be carried out in shares
    Plan(Box<PlanArgs>),
    /// Make the files of a plan of which all shares are done, and commit them
    Commit(CommitArgs),
    /// Read a table again, and prove that it is what its manifests say
    Verify(VerifyArgs),
    /// Remove files that no plan refers to and, with --inputs, objects that are compacted, after a grace
    Gc(GcArgs),
    /// Print the statements that make DST a table of Athena and Glue, Spark or DuckDB
    Ddl(DdlArgs),
}

impl Cli {
    /// Does what was asked.
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        self.log.init();
        match self.command {
            Command::Run(args) => args.run(&self.log).await,
            Command::Plan(args) => args.run().await,
            Command::Commit(args) => args.run().await,
            Command::Verify(args) => args.run().await,
            Command::Gc(args) => args.run().await,
            Command::Ddl(args) => args.run().await,
        }
    }
}

fn print(text: &str) -> Result<(), Failure> {
    io::stdout().write_all(text.as_bytes()).map_err(|error| Failure::internal(format!("stdout: {error}")))
}

/// Does `work`, with its progress on stderr, until it ends or a signal comes.
async fn until_signal<T>(work: impl Future<Output = Result<T, Error>>, progress: &ProgressLines) -> Result<T, Failure> {
    let shutdown = Shutdown::on_signals().map_err(|error| Failure::internal(format!("signals: {error}")))?;
    let token = shutdown.token();
    let result = tokio::select! {
        result = work => result.map_err(failure),
        () = token.cancelled() => Err(Failure::internal("interrupted; run it again, it finishes what was half done")),
    };
    progress.end();
    result
}

fn failure(error: Error) -> Failure {
    let text = exit::chain(&error);
    match error.kind() {
        ErrorKind::Usage => Failure::usage(text),
        ErrorKind::Remote => Failure::remote(text),
        _ => Failure::internal(text),
    }
}

fn json(report: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(report).map_err(|error| Failure::internal(format!("report: {error}")))?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
