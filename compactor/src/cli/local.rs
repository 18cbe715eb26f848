//! `compact run --local N`: the shares of a plan in processes of this machine.

use super::progress::ProgressLines;
use super::{failure, until_signal};
use alluvial_compactor::{Machine, PlanAt, Report, Settings, Shard, commit_plan, plan};
use alluvial_runtime::aws::AwsArgs;
use alluvial_runtime::exit::{Exit, Failure};
use alluvial_runtime::shutdown::Shutdown;
use alluvial_runtime::telemetry::{LogArgs, LogFormat};
use aws_sdk_s3::Client;
use std::io::Write as _;
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The least memory that a process may be given.
const LEAST_MEMORY: usize = 64 << 20;

/// Plans, runs the shares, commits; and again, until no object is left.
pub(crate) async fn run(
    settings: &Settings,
    shares: u32,
    s3: Option<Client>,
    aws: &AwsArgs,
    log: &LogArgs,
) -> Result<Report, Failure> {
    let started = Instant::now();
    let machine = Machine {
        threads: settings.threads,
        memory_bytes: settings.memory_bytes,
        spool_dir: settings.spool_dir.clone(),
    };
    let mut report: Option<Report> = None;
    loop {
        let planned = plan(settings, s3.clone(), shares).await.map_err(failure)?;
        let Some(at) = planned.plan else {
            let mut report = report.unwrap_or_else(|| Report { already_done: true, ..Report::default() });
            report.source = settings.src.to_string();
            report.destination = settings.dst.to_string();
            report.hidden_objects = planned.hidden_objects;
            report.skipped_objects = planned.skipped_objects.saturating_sub(report.objects);
            report.seconds = started.elapsed().as_secs_f64();
            return Ok(report);
        };
        run_shares(&at, shares, &machine, aws, log).await?;
        let at: PlanAt = at.parse().map_err(failure)?;
        let progress = ProgressLines::new();
        let work = commit_plan(&at, &machine, s3.clone(), |at| progress.show(at));
        let mut done = until_signal(work, &progress).await?;
        if planned.resumed {
            done.resumed.extend(at.number);
        }
        report = Some(match report {
            Some(earlier) => done.after(earlier),
            None => done,
        });
    }
}

/// Runs every share in a process of its own.
async fn run_shares(plan: &str, shares: u32, machine: &Machine, aws: &AwsArgs, log: &LogArgs) -> Result<(), Failure> {
    let shutdown = Shutdown::on_signals().map_err(|error| Failure::internal(format!("signals: {error}")))?;
    let token = shutdown.token();
    let program = std::env::current_exe().map_err(|error| Failure::internal(format!("this program: {error}")))?;
    let mut running = JoinSet::new();
    for index in 0..shares {
        let shard = Shard::new(index, shares).map_err(failure)?;
        let mut command = Command::new(&program);
        command.args(arguments(plan, shard, machine, aws, log));
        // The settings that AWS Batch would give are not for these shares.
        command.env_remove("AWS_BATCH_JOB_ARRAY_INDEX").env_remove("AWS_BATCH_JOB_ARRAY_SIZE");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        running.spawn(run_one(command, shard));
    }
    loop {
        let ended = tokio::select! {
            ended = running.join_next() => ended,
            () = token.cancelled() => {
                return Err(Failure::internal("interrupted; run it again, it finishes what was half done"));
            }
        };
        match ended {
            None => return Ok(()),
            Some(Ok(result)) => result?,
            Some(Err(error)) => return Err(Failure::internal(format!("a share: {error}"))),
        }
    }
}

/// What a process of this program is told.
fn arguments(plan: &str, shard: Shard, machine: &Machine, aws: &AwsArgs, log: &LogArgs) -> Vec<String> {
    let share = |all: usize| all / shard.count() as usize;
    let mut arguments: Vec<String> = vec!["run".into(), "--plan".into(), plan.into()];
    let mut option = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    option("--shard", shard.to_string());
    option("--threads", share(machine.threads).max(1).to_string());
    option("--memory", share(machine.memory_bytes).max(LEAST_MEMORY).to_string());
    option("--spool-dir", machine.spool_dir.display().to_string());
    option("--log", log.log.clone());
    option("--log-format", if log.log_format == LogFormat::Json { "json" } else { "text" }.to_owned());
    for (name, value) in [("--region", &aws.region), ("--profile", &aws.profile), ("--endpoint-url", &aws.endpoint_url)]
    {
        if let Some(value) = value {
            option(name, value.clone());
        }
    }
    arguments
}

/// Runs a share, and passes on what it says, each line behind the share's name.
async fn run_one(mut command: Command, shard: Shard) -> Result<(), Failure> {
    let broken = |error: std::io::Error| Failure::internal(format!("share {shard}: {error}"));
    let mut child = command.spawn().map_err(broken)?;
    let mut last = String::new();
    if let Some(stderr) = child.stderr.take() {
        let mut lines = BufReader::new(stderr).lines();
        while let Some(line) = lines.next_line().await.map_err(broken)? {
            // A closed stderr is no reason to stop.
            writeln!(std::io::stderr(), "[{shard}] {line}").ok();
            last = line;
        }
    }
    let status = child.wait().await.map_err(broken)?;
    if status.success() { Ok(()) } else { Err(ended(shard, status, &last)) }
}

fn ended(shard: Shard, status: ExitStatus, last: &str) -> Failure {
    let text = format!("share {shard} ended with {status}: {last}");
    match status.code() {
        Some(code) if code == Exit::Usage as i32 => Failure::usage(text),
        Some(code) if code == Exit::Remote as i32 => Failure::remote(text),
        _ => Failure::internal(text),
    }
}
