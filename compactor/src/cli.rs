//! The command line: what was typed, and what is shown.

mod ddl;
mod layout;
mod progress;
mod schema;
mod show;

use alluvial_compactor::{Error, ErrorKind, Location, Settings};
use alluvial_runtime::aws::AwsArgs;
use alluvial_runtime::exit::{self, Exit, Failure};
use alluvial_runtime::shutdown::Shutdown;
use alluvial_runtime::telemetry::LogArgs;
use clap::{Args, Parser, Subcommand};
use ddl::DdlArgs;
use layout::LayoutArgs;
use progress::ProgressLines;
use schema::SchemaArgs;
use serde::Serialize;
use show::{planned, summary};
use std::io::{self, Write as _};
use std::path::PathBuf;

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
    /// Compact every object below SRC that no earlier run has compacted into DST
    Run(Box<RunArgs>),
    /// Print the statements that make DST a table of Athena and Glue, Spark or DuckDB
    Ddl(DdlArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Where the objects are: s3://bucket/prefix or a path. Their content decides how they are read, not their name
    src: Location,
    /// Where the Parquet goes: s3://bucket/prefix or a path
    dst: Location,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Size of a Parquet file, about, as in 256MiB
    #[arg(long, default_value = "256MiB", value_parser = parse_bytes, value_name = "SIZE")]
    target_size: usize,
    /// Threads that read and write; as many as there are cores unless given
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Memory to use, about
    #[arg(long, default_value = "512MiB", value_parser = parse_bytes, value_name = "SIZE")]
    memory: usize,
    /// Where a temporary file goes when row groups do not fit in memory; $TMPDIR unless given
    #[arg(long, value_name = "DIR")]
    spool_dir: Option<PathBuf>,
    /// How hard zstd tries, 1 to 22
    #[arg(long, default_value_t = 3, value_name = "LEVEL")]
    zstd_level: i32,
    /// JSON bytes of one row; a longer one is quarantined
    #[arg(long, default_value = "64MiB", value_parser = parse_bytes, value_name = "SIZE")]
    max_row: usize,
    /// Decompressed bytes of one object; the rest of a larger one is quarantined
    #[arg(long, default_value = "64GiB", value_parser = parse_bytes, value_name = "SIZE")]
    max_object: usize,
    #[command(flatten)]
    schema: SchemaArgs,
    #[command(flatten)]
    layout: LayoutArgs,
    #[command(flatten)]
    aws: AwsArgs,
}

impl Cli {
    /// Does what was asked.
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        self.log.init();
        match self.command {
            Command::Run(args) => args.run().await,
            Command::Ddl(args) => args.run().await,
        }
    }
}

impl RunArgs {
    async fn run(self) -> Result<Exit, Failure> {
        let settings = self.settings().map_err(failure)?;
        let s3 = if settings.src.is_s3() || settings.dst.is_s3() { Some(client(&self.aws).await?) } else { None };
        if self.dry_run {
            let preview = alluvial_compactor::preview(&settings, s3).await.map_err(failure)?;
            print(&if self.json { json(&preview)? } else { planned(&preview) })?;
            return Ok(Exit::Done);
        }
        let shutdown = Shutdown::on_signals().map_err(|error| Failure::internal(format!("signals: {error}")))?;
        let progress = ProgressLines::new();
        let report = tokio::select! {
            report = alluvial_compactor::run(&settings, s3, |at| progress.show(at)) => report.map_err(failure)?,
            () = cancelled(&shutdown) => {
                progress.end();
                return Err(Failure::internal("interrupted; run it again, it finishes what was half done"));
            }
        };
        progress.end();
        print(&if self.json { json(&report)? } else { summary(&report) })?;
        Ok(if report.is_complete() { Exit::Done } else { Exit::Partial })
    }

    /// What was typed.
    fn settings(&self) -> Result<Settings, Error> {
        let mut settings = Settings::new(self.src.clone(), self.dst.clone());
        settings.target_file_bytes = self.target_size;
        settings.threads = self.threads.unwrap_or(settings.threads);
        settings.memory_bytes = self.memory;
        if let Some(folder) = &self.spool_dir {
            settings.spool_dir.clone_from(folder);
        }
        settings.zstd_level = self.zstd_level;
        settings.max_row_bytes = self.max_row;
        settings.max_object_bytes = self.max_object as u64;
        self.schema.apply(&mut settings)?;
        self.layout.apply(&mut settings)?;
        settings.check()?;
        Ok(settings)
    }
}

fn print(text: &str) -> Result<(), Failure> {
    io::stdout().write_all(text.as_bytes()).map_err(|error| Failure::internal(format!("stdout: {error}")))
}

async fn cancelled(shutdown: &Shutdown) {
    shutdown.token().cancelled().await;
}

async fn client(aws: &AwsArgs) -> Result<aws_sdk_s3::Client, Failure> {
    let config = aws.load().await?;
    // Emulators have no DNS names for buckets.
    let path_style = config.endpoint_url().is_some();
    let config = aws_sdk_s3::config::Builder::from(&config).force_path_style(path_style).build();
    Ok(aws_sdk_s3::Client::from_conf(config))
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

/// Bytes, as in `1048576`, `1MiB`, `1 MB`.
fn parse_bytes(text: &str) -> Result<usize, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other => return Err(format!("{other:?} is no unit; write B, kB, MB, GB, KiB, MiB or GiB")),
    };
    let number: usize = number.parse().map_err(|_| "a size is a whole number with a unit, as in 256MiB".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "that is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read() {
        assert_eq!(parse_bytes("256MiB"), Ok(256 << 20));
        assert_eq!(parse_bytes("10 MB"), Ok(10_000_000));
        assert_eq!(parse_bytes("7"), Ok(7));
        for bad in ["", "MiB", "1.5MiB", "1 parsec", "99999999999999999999GiB"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
