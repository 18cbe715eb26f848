//! `compact commit`: the files of a plan of which all shares are done.

use super::machine::MachineArgs;
use super::progress::ProgressLines;
use super::show::summary;
use super::{client, json, print, until_signal};
use alluvial_compactor::{PlanAt, commit_plan};
use alluvial_runtime::aws::AwsArgs;
use alluvial_runtime::exit::{Exit, Failure};
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct CommitArgs {
    /// The plan: DST/_plans/00000001.json, or DST for the first plan there that is not done
    plan: PlanAt,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    aws: AwsArgs,
}

impl CommitArgs {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let s3 = if self.plan.dst.is_s3() { Some(client(&self.aws).await?) } else { None };
        let progress = ProgressLines::new();
        let machine = self.machine.machine();
        let work = commit_plan(&self.plan, &machine, s3, |at| progress.show(at));
        let report = until_signal(work, &progress).await?;
        print(&if self.json { json(&report)? } else { summary(&report) })?;
        Ok(if report.is_complete() { Exit::Done } else { Exit::Partial })
    }
}
