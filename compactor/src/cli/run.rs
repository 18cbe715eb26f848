//! `compact run`: all of it in one process or in several of this machine, or one share of a plan.

use super::local;
use super::machine::MachineArgs;
use super::output::OutputArgs;
use super::progress::ProgressLines;
use super::show::{planned, share, summary};
use super::{client, failure, json, print, until_signal};
use alluvial_compactor::{Location, PlanAt, Settings, Shard, preview, run, run_share};
use alluvial_runtime::aws::AwsArgs;
use alluvial_runtime::exit::{Exit, Failure};
use alluvial_runtime::telemetry::LogArgs;
use clap::Args;

/// Which child of an array job of AWS Batch this is, and of how many
/// (<https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html>).
const BATCH_INDEX: &str = "AWS_BATCH_JOB_ARRAY_INDEX";
const BATCH_SIZE: &str = "AWS_BATCH_JOB_ARRAY_SIZE";

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Where the objects are: s3://bucket/prefix or a path. Their content decides how they are read, not their name
    #[arg(required_unless_present = "plan", conflicts_with = "plan")]
    src: Option<Location>,
    /// Where the Parquet goes: s3://bucket/prefix or a path
    #[arg(required_unless_present = "plan", conflicts_with = "plan")]
    dst: Option<Location>,
    /// Run one share of this plan, and leave its row groups for `compact commit`: DST/_plans/00000001.json, or DST for
    /// the first plan there that is not done. The plan says what the files are like
    #[arg(long, value_name = "PLAN")]
    plan: Option<PlanAt>,
    /// Which share of --plan, as in 0/4 for the first of four; unless given, AWS_BATCH_JOB_ARRAY_INDEX of
    /// AWS_BATCH_JOB_ARRAY_SIZE, or all of it
    #[arg(long, requires = "plan", value_name = "I/N")]
    shard: Option<Shard>,
    /// Plan, run so many shares at once in processes of their own, and commit. Threads and memory are divided
    #[arg(long, value_name = "N", conflicts_with_all = ["plan", "dry_run"], value_parser = clap::value_parser!(u32).range(1..=64))]
    local: Option<u32>,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    /// Say what would be done, and do nothing
    #[arg(long, conflicts_with = "plan")]
    dry_run: bool,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    aws: AwsArgs,
}

impl RunArgs {
    pub(crate) async fn run(self, log: &LogArgs) -> Result<Exit, Failure> {
        if let Some(plan) = &self.plan {
            return self.share(plan).await;
        }
        let (Some(src), Some(dst)) = (&self.src, &self.dst) else {
            return Err(Failure::usage("SRC and DST are missing"));
        };
        let settings = self.output.settings(src, dst, &self.machine).map_err(failure)?;
        settings.check().map_err(failure)?;
        let s3 = if src.is_s3() || dst.is_s3() { Some(client(&self.aws).await?) } else { None };
        match self.local {
            _ if self.dry_run => self.preview(&settings, s3).await,
            Some(shares) => {
                let report = local::run(&settings, shares, s3, &self.aws, log).await?;
                print(&if self.json { json(&report)? } else { summary(&report) })?;
                Ok(if report.is_complete() { Exit::Done } else { Exit::Partial })
            }
            None => {
                let progress = ProgressLines::new();
                let report = until_signal(run(&settings, s3, |at| progress.show(at)), &progress).await?;
                print(&if self.json { json(&report)? } else { summary(&report) })?;
                Ok(if report.is_complete() { Exit::Done } else { Exit::Partial })
            }
        }
    }

    async fn preview(&self, settings: &Settings, s3: Option<aws_sdk_s3::Client>) -> Result<Exit, Failure> {
        let preview = preview(settings, s3).await.map_err(failure)?;
        print(&if self.json { json(&preview)? } else { planned(&preview) })?;
        Ok(Exit::Done)
    }

    async fn share(&self, plan: &PlanAt) -> Result<Exit, Failure> {
        self.check_plan_alone(plan)?;
        let shard = match self.shard {
            Some(shard) => shard,
            None => batch_share(|name| std::env::var(name).ok())?,
        };
        let s3 = if plan.needs_s3().await.map_err(failure)? { Some(client(&self.aws).await?) } else { None };
        let progress = ProgressLines::new();
        let machine = self.machine.machine();
        let work = run_share(plan, shard, &machine, s3, |at| progress.show(at));
        let report = until_signal(work, &progress).await?;
        print(&if self.json { json(&report)? } else { share(&report) })?;
        Ok(Exit::Done)
    }
}

impl RunArgs {
    /// Refuses settings that a plan has already fixed.
    fn check_plan_alone(&self, plan: &PlanAt) -> Result<(), Failure> {
        let typed = self.output.settings(&plan.dst, &plan.dst, &self.machine);
        let mut default = Settings::new(plan.dst.clone(), plan.dst.clone());
        self.machine.apply(&mut default);
        if typed.is_ok_and(|typed| typed == default) {
            return Ok(());
        }
        Err(Failure::usage(
            "--plan: the plan says what the files are like; give such settings to compact plan, and only \
             --threads, --memory and --spool-dir here",
        ))
    }
}

/// The share that AWS Batch asks for; all of the plan where it asks for none.
fn batch_share(variable: impl Fn(&str) -> Option<String>) -> Result<Shard, Failure> {
    match (variable(BATCH_INDEX), variable(BATCH_SIZE)) {
        (None, None) => Ok(Shard::ALL),
        (Some(index), Some(count)) => {
            let named = |error| Failure::usage(format!("{BATCH_INDEX} of {BATCH_SIZE}: {error}"));
            format!("{index}/{count}").parse().map_err(named)
        }
        (Some(_), None) => {
            Err(Failure::usage(format!("{BATCH_SIZE} is missing beside {BATCH_INDEX}; or give --shard")))
        }
        (None, Some(_)) => {
            Err(Failure::usage(format!("{BATCH_INDEX} is missing beside {BATCH_SIZE}; or give --shard")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_says_which_share() {
        let share = |index: Option<&str>, count: Option<&str>| {
            let text = |name: &str| if name == BATCH_INDEX { index } else { count }.map(str::to_owned);
            batch_share(text).map_err(|error| error.to_string())
        };
        assert_eq!(share(None, None), Ok(Shard::ALL));
        assert_eq!(share(Some("2"), Some("5")).map(|shard| shard.to_string()), Ok("2/5".to_owned()));
        for (index, count) in [(Some("5"), Some("5")), (Some("1"), None), (None, Some("2")), (Some("x"), Some("2"))] {
            assert!(share(index, count).expect_err("refused").contains("AWS_BATCH_JOB_ARRAY_"));
        }
    }
}
