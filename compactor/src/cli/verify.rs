//! `compact verify`: proves that a table is what its manifests say.

use super::machine::MachineArgs;
use super::progress::ProgressLines;
use super::show::verified;
use super::{client, json, print, until_signal};
use alluvial_compactor::{Location, verify};
use alluvial_runtime::aws::AwsArgs;
use alluvial_runtime::exit::{Exit, Failure};
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Where the table is: s3://bucket/prefix or a path
    dst: Location,
    /// Also read the objects again that are still there: their members' CRCs, and how many rows they have
    #[arg(long)]
    inputs: bool,
    /// Print what was found as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    aws: AwsArgs,
}

impl VerifyArgs {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let s3 = if self.dst.is_s3() { Some(client(&self.aws).await?) } else { None };
        let progress = ProgressLines::new();
        let machine = self.machine.machine();
        let work = verify(&self.dst, self.inputs, &machine, s3, |at| progress.show(at));
        let report = until_signal(work, &progress).await?;
        print(&if self.json { json(&report)? } else { verified(&report) })?;
        Ok(if report.is_sound() { Exit::Done } else { Exit::Partial })
    }
}
