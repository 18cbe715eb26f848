//! `compact plan`: a plan to be carried out in shares.

use super::machine::MachineArgs;
use super::output::OutputArgs;
use super::show::plan_made;
use super::{client, failure, json, print};
use alluvial_compactor::Location;
use alluvial_runtime::aws::AwsArgs;
use alluvial_runtime::exit::{Exit, Failure};
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Where the objects are: s3://bucket/prefix or a path
    src: Location,
    /// Where the plan and the Parquet go: s3://bucket/prefix or a path
    dst: Location,
    /// Show how the plan divides into so many shares; `compact run --plan` may use another number
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    shards: u32,
    /// Print the plan's summary as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    aws: AwsArgs,
}

impl PlanArgs {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let settings = self.output.settings(&self.src, &self.dst, &self.machine).map_err(failure)?;
        let s3 = if self.src.is_s3() || self.dst.is_s3() { Some(client(&self.aws).await?) } else { None };
        let plan = alluvial_compactor::plan(&settings, s3, self.shards).await.map_err(failure)?;
        print(&if self.json { json(&plan)? } else { plan_made(&plan) })?;
        Ok(Exit::Done)
    }
}
