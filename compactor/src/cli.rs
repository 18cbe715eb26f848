//! The command line: what was typed, and what is shown.

use alluvial_compactor::{Error, ErrorKind, Location, Phase, Progress, Report, Settings};
use alluvial_runtime::aws::AwsArgs;
use alluvial_runtime::exit::{self, Exit, Failure};
use alluvial_runtime::shutdown::Shutdown;
use alluvial_runtime::telemetry::LogArgs;
use clap::{Args, Parser, Subcommand};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Mutex;

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
    Run(RunArgs),
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
    /// Make timestamps of strings that are all 2026-11-23T05:00:00Z, or all so with 3 or 6 digits of a fraction
    #[arg(long)]
    timestamps: bool,
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
    aws: AwsArgs,
}

impl Cli {
    /// Does what was asked.
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        self.log.init();
        let Command::Run(args) = self.command;
        let mut settings = Settings::new(args.src, args.dst);
        settings.target_file_bytes = args.target_size;
        settings.threads = args.threads.unwrap_or(settings.threads);
        settings.memory_bytes = args.memory;
        settings.spool_dir = args.spool_dir.unwrap_or(settings.spool_dir);
        settings.zstd_level = args.zstd_level;
        settings.timestamps = args.timestamps;
        settings.max_row_bytes = args.max_row;
        settings.max_object_bytes = args.max_object as u64;
        settings.check().map_err(failure)?;
        let s3 = if settings.src.is_s3() || settings.dst.is_s3() { Some(client(&args.aws).await?) } else { None };
        let shutdown = Shutdown::on_signals().map_err(|error| Failure::internal(format!("signals: {error}")))?;
        let progress = ProgressLines::default();
        let report = tokio::select! {
            report = alluvial_compactor::run(&settings, s3, |at| progress.show(at)) => report.map_err(failure)?,
            () = cancelled(&shutdown) => {
                return Err(Failure::internal("interrupted; run it again, it takes back what was half done"));
            }
        };
        let text = if args.json { json(&report)? } else { summary(&report) };
        io::stdout().write_all(text.as_bytes()).map_err(|error| Failure::internal(format!("stdout: {error}")))?;
        Ok(if report.is_complete() { Exit::Done } else { Exit::Partial })
    }
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

fn json(report: &Report) -> Result<String, Failure> {
    let text = serde_json::to_string(report).map_err(|error| Failure::internal(format!("report: {error}")))?;
    Ok(text + "\n")
}

/// The report for people. Writing to a string cannot fail.
fn summary(report: &Report) -> String {
    let mut text = String::new();
    if report.already_done {
        let skipped = report.skipped_objects;
        writeln!(text, "nothing to do: all {skipped} objects of {} were compacted before", report.source).ok();
        return text;
    }
    let Report { objects, members, rows, files, partitions, .. } = report;
    writeln!(text, "compacted {} into {}", report.source, report.destination).ok();
    writeln!(text, "  objects      {objects} ({members} gzip members, {})", size(report.bytes_in)).ok();
    writeln!(text, "  rows         {rows} ({} of JSON)", size(report.bytes_json)).ok();
    writeln!(text, "  files        {files} in {partitions} partitions ({})", size(report.bytes_out)).ok();
    writeln!(text, "  columns      {}", report.schema.len()).ok();
    if report.spilled_bytes > 0 {
        writeln!(text, "  spilled      {} of row groups to disk", size(report.spilled_bytes)).ok();
    }
    if report.skipped_objects > 0 {
        writeln!(text, "  skipped      {} objects that were compacted before", report.skipped_objects).ok();
    }
    if report.hidden_objects > 0 {
        writeln!(text, "  hidden       {} objects whose names begin with _ or .", report.hidden_objects).ok();
    }
    if report.replaced_surrogates > 0 {
        writeln!(text, "  replaced     {} half surrogate pairs, by U+FFFD", report.replaced_surrogates).ok();
    }
    if let Some(file) = &report.quarantine {
        let (rows, ranges) = (report.quarantined_rows, report.quarantined_members);
        writeln!(text, "  QUARANTINED  {rows} rows and {ranges} damaged ranges, see {}/{file}", report.destination)
            .ok();
    }
    for loss in report.losses.iter().take(10) {
        writeln!(text, "    {} at byte {} ({} bytes): {}", loss.object, loss.offset, loss.bytes, loss.reason).ok();
    }
    writeln!(text, "  took         {:.1} s", report.seconds).ok();
    text
}

fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["bytes", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "bytes" { format!("{bytes} bytes") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
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

/// One line on stderr for every phase and every tenth of it.
#[derive(Debug, Default)]
struct ProgressLines {
    last: Mutex<Option<(Phase, u64)>>,
}

impl ProgressLines {
    fn show(&self, at: Progress) {
        let tenths = (at.objects * 10).checked_div(at.total_objects).unwrap_or(0);
        let Ok(mut last) = self.last.lock() else { return };
        if last.replace((at.phase, tenths)) == Some((at.phase, tenths)) {
            return;
        }
        // A closed stderr is no reason to stop.
        let Progress { phase, objects, total_objects, rows, .. } = at;
        let mut stderr = io::stderr();
        match total_objects {
            0 => writeln!(stderr, "{phase}").ok(),
            _ => writeln!(stderr, "{phase} {objects}/{total_objects} objects, {rows} rows").ok(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_print() {
        assert_eq!(parse_bytes("256MiB"), Ok(256 << 20));
        assert_eq!(parse_bytes("10 MB"), Ok(10_000_000));
        assert_eq!(parse_bytes("7"), Ok(7));
        for bad in ["", "MiB", "1.5MiB", "1 parsec", "99999999999999999999GiB"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
        assert_eq!(size(999), "999 bytes");
        assert_eq!(size(265_836_802), "265.8 MB");
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
