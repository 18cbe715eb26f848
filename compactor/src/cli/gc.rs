//! `compact gc`: removes what is of no use any more.

use super::show::removed;
use super::{client, failure, json, print};
use alluvial_compactor::{GcSettings, Location, gc};
use alluvial_runtime::aws::AwsArgs;
use alluvial_runtime::clock::Clock;
use alluvial_runtime::exit::{Exit, Failure};
use clap::Args;
use std::time::Duration;

/// The shortest grace: what a run makes between looking at the plans and at the files must be younger.
const LEAST: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Where the table is: s3://bucket/prefix or a path
    dst: Location,
    /// What is younger stays, as in 7d, 36h or 90m
    #[arg(long, default_value = "7d", value_parser = parse_duration, value_name = "TIME")]
    grace: Duration,
    /// Also remove the objects whose rows are in the table, once their plan was committed so long ago
    #[arg(long)]
    inputs: bool,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    aws: AwsArgs,
}

impl GcArgs {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let s3 = if self.dst.is_s3() { Some(client(&self.aws).await?) } else { None };
        let Self { dst, grace, inputs, dry_run, .. } = self;
        let report =
            gc(&GcSettings { dst, grace, inputs, dry_run }, s3, Clock::system().now()).await.map_err(failure)?;
        print(&if self.json { json(&report)? } else { removed(&report) })?;
        Ok(Exit::Done)
    }
}

/// A time, as in `90s`, `90m`, `36h`, `7d`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        other => return Err(format!("{other:?} is no unit; write s, m, h or d, as in 7d")),
    };
    let number: u64 = number.parse().map_err(|_| "a time is a whole number with a unit, as in 7d".to_owned())?;
    let duration = Duration::from_secs(number.checked_mul(seconds).ok_or("that is too long")?);
    if duration < LEAST { Err("the grace is at least 60s".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read() {
        assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(parse_duration("90m"), Ok(Duration::from_secs(5400)));
        for bad in ["", "7", "d", "59s", "1w", "99999999999999999999d", "9999999999999999999d"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
