//! The command line of `loadgen`.

use crate::console::Console;
use crate::key::PartitionKey;
use crate::load::{End, Error, Input, KPL_AGGREGATE, KPL_LINGER, Load, Source};
use crate::rate::Rate;
use crate::report::{Report, Stopped};
use crate::template::Template;
use crate::units;
use alluvial_runtime::aws::AwsArgs;
use alluvial_runtime::clock::Clock;
use alluvial_runtime::exit::{Exit, Failure};
use alluvial_runtime::shutdown::Shutdown;
use alluvial_runtime::telemetry::{LogArgs, LogFormat};
use clap::Parser;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const EXAMPLES: &str = "\
Examples:
  loadgen --stream orders                                    1,000 IoT readings/s for a minute
  loadgen --stream orders --rate 5k/s --duration 10s         5,000 records/s for ten seconds
  loadgen --stream orders --rate max --records 1M --json     as fast as the stream takes them
  loadgen --stream orders --rate 60/min --template builtin:sensor-batch    900 KB each second
  loadgen --stream orders --input events.ndjson --partition-key customerId
  loadgen --stream orders --rate 20k/s --aggregate           50 KiB aggregates, as the KPL makes them
  zcat events.gz | loadgen --stream orders --input - --rate 20k/s

Templates use the syntax of the Kinesis Data Generator, such as
  {\"id\": \"{{random.uuid}}\", \"n\": {{random.number({\"min\":10,\"max\":150})}}, \"at\": \"{{date.utc}}\"}
with random.number, random.float, random.arrayElement, random.weightedArrayElement, random.uuid,
random.boolean, random.alphaNumeric, date.now, date.utc, date.millis, internet.ip, and of our own
{{sequence}} and {{repeat(100)}}…{{end}}. Dates are UTC; a template's line breaks are dropped.

Latency counts from the moment a record is due, so a stream that stalls shows as latency. Records of
one partition key are put in order.

Exit codes: 0 all accepted; 2 wrong usage; 3 some lost or rejected; 4 no such stream, or out of reach.";

/// Write a stated load to a Kinesis stream and measure it: throughput, latency, loss
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, after_help = EXAMPLES)]
pub struct Args {
    /// Name of the stream
    #[arg(long, value_name = "NAME")]
    pub stream: String,

    /// Records to offer: 1000/s, 5k/s, 60/min, or max for as many as the stream takes
    #[arg(long, value_name = "RATE", default_value = "1000/s")]
    pub rate: Rate,

    /// Stop after so many records, such as 10000 or 1M
    #[arg(long, value_name = "N", value_parser = units::count, group = "end")]
    pub records: Option<u64>,

    /// Stop after this time, such as 60s or 5min [default: 60s, or the end of the input]
    #[arg(long, value_name = "TIME", value_parser = units::duration, group = "end")]
    pub duration: Option<Duration>,

    /// Stop after so many bytes of records, such as 10MiB
    #[arg(long, value_name = "SIZE", value_parser = units::bytes, group = "end")]
    pub bytes: Option<u64>,

    /// Make records from a template: a file, builtin:iot or builtin:sensor-batch [default: builtin:iot]
    #[arg(long, value_name = "FILE|builtin:NAME", group = "source")]
    pub template: Option<String>,

    /// Take each line of a file as one record; - is the standard input
    #[arg(long, value_name = "FILE", group = "source")]
    pub input: Option<PathBuf>,

    /// Make the same records and keys as another run with this seed [default: from the clock]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Use this field of each record as its partition key [default: one of 1,000 random keys]
    #[arg(long, value_name = "FIELD")]
    pub partition_key: Option<String>,

    /// Pack records of one shard into aggregates of at most this size, as the Kinesis Producer Library does
    #[arg(long, value_name = "SIZE", num_args = 0..=1, require_equals = true, default_missing_value = KPL_AGGREGATE,
          value_parser = units::bytes)]
    pub aggregate: Option<u64>,

    /// Calls in flight at most, 1 to 256
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub concurrency: usize,

    /// Print the report as one JSON object on stdout
    #[arg(long)]
    pub json: bool,

    /// Where AWS is
    #[command(flatten)]
    pub aws: AwsArgs,

    /// Logs
    #[command(flatten)]
    pub log: LogArgs,
}

impl Args {
    /// What was asked for, checked as far as possible without AWS; `now` gives the seed when there is none.
    ///
    /// # Errors
    /// [`Error::Setting`] when the template cannot be read or compiled, or a number is out of range.
    pub fn load(&self, now: SystemTime) -> Result<Load, Error> {
        let source = match (&self.input, &self.template) {
            (Some(path), _) if path.as_os_str() == "-" => Source::Input(Input::Stdin),
            (Some(path), _) => Source::Input(Input::File(path.clone())),
            (None, template) => {
                let name = template.as_deref().unwrap_or("builtin:iot");
                let template = Template::load(name).map_err(|error| Error::Setting(error.to_string()))?;
                Source::Template(template)
            }
        };
        let seed = self.seed.unwrap_or_else(|| seed_from(now));
        let mut load = Load { rate: self.rate, concurrency: self.concurrency, ..Load::new(&self.stream, source, seed) };
        let ends = [self.records.map(End::Records), self.duration.map(End::Duration), self.bytes.map(End::Bytes)];
        load.end = ends.into_iter().flatten().next().unwrap_or(load.end);
        if let Some(bytes) = self.aggregate {
            load.aggregate = Some(usize::try_from(bytes).unwrap_or(usize::MAX));
            load.linger = KPL_LINGER;
        }
        if let Some(field) = &self.partition_key {
            load.partition_key = PartitionKey::Field(field.clone());
        }
        load.check()?;
        Ok(load)
    }
}

/// Microseconds: a number that JSON readers keep exactly (below 2^53) until the year 2255.
fn seed_from(now: SystemTime) -> u64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(0)
}

/// Runs the command to its report on stdout.
///
/// # Errors
/// [`Failure`] with the exit code, when nothing could be put.
pub async fn execute(args: Args) -> Result<Exit, Failure> {
    let clock = Clock::system();
    let load = args.load(clock.now())?;
    let aws = args.aws.connect().await?;
    aws.check_credentials().await?;
    let shutdown = Shutdown::on_signals().map_err(|error| Failure::internal(format!("signal handlers: {error}")))?;
    let client = aws_sdk_kinesis::Client::new(&aws.control);
    let console = Arc::new(Console::new(args.log.log_format == LogFormat::Json));
    let result = Box::pin(crate::run(load, client, clock, shutdown.token(), Arc::clone(&console))).await;
    console.finish();
    let report = result.map_err(|error| match (error, aws.control.endpoint_url()) {
        (Error::Remote(message), Some(url)) => Failure::remote(format!("{message} (endpoint {url})")),
        (error, _) => error.into(),
    })?;
    print(&report, args.json)?;
    Ok(report.exit())
}

fn print(report: &Report, json: bool) -> Result<(), Failure> {
    let text = if json {
        let json = serde_json::to_string(report).map_err(|error| Failure::internal(format!("the report: {error}")))?;
        format!("{json}\n")
    } else {
        report.to_string()
    };
    if let Some(Stopped::Remote(why) | Stopped::Input(why)) = &report.stopped_by {
        writeln!(std::io::stderr(), "error: {why}").ok();
    }
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::internal(format!("cannot write the report to stdout: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn load(line: &str) -> Load {
        let args = Args::try_parse_from(line.split_whitespace()).unwrap();
        args.load(SystemTime::UNIX_EPOCH + Duration::from_secs(7)).unwrap()
    }

    fn refusal(line: &str) -> String {
        match Args::try_parse_from(line.split_whitespace()) {
            Err(error) => error.to_string(),
            Ok(args) => args.load(SystemTime::UNIX_EPOCH).unwrap_err().to_string(),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_manual() {
        let made = load("loadgen --stream orders");
        assert_eq!(made.rate, Rate::per_second(1_000));
        assert_eq!(made.end, End::Duration(Duration::from_secs(60)));
        assert_eq!((made.seed, made.concurrency), (7_000_000, 8));
        assert!(matches!(made.source, Source::Template(_)));
        let read = load("loadgen --stream orders --input events.ndjson");
        assert_eq!(read.end, End::Open);
        assert!(matches!(read.source, Source::Input(Input::File(path)) if path.ends_with("events.ndjson")));
        assert!(matches!(load("loadgen --stream o --input -").source, Source::Input(Input::Stdin)));
    }

    #[test]
    fn every_option_reaches_the_load() {
        let load = load("loadgen --stream o --rate 5k/s --bytes 10MiB --seed 9 --partition-key id --concurrency 3");
        assert_eq!(load.rate, Rate::per_second(5_000));
        assert_eq!(load.end, End::Bytes(10 << 20));
        assert_eq!((load.seed, load.concurrency), (9, 3));
        assert_eq!(load.partition_key, PartitionKey::Field("id".into()));
    }

    #[test]
    fn aggregates_are_those_of_the_kinesis_producer_library_unless_told_otherwise() {
        assert_eq!(load("loadgen --stream o").aggregate, None);
        assert_eq!(load("loadgen --stream o --aggregate").aggregate, Some(51_200));
        assert_eq!(load("loadgen --stream o --aggregate=1MiB").aggregate, Some(1 << 20));
        assert!(refusal("loadgen --stream o --aggregate=100").contains("512"));
    }

    #[test]
    fn contradictions_and_slips_are_refused() {
        assert!(refusal("loadgen").contains("--stream"));
        assert!(refusal("loadgen --stream o --records 5 --duration 5s").contains("cannot be used with"));
        assert!(refusal("loadgen --stream o --input a --template b").contains("cannot be used with"));
        assert!(refusal("loadgen --stream o --rate fast").contains("1000/s"));
        assert!(refusal("loadgen --stream o --template builtin:sensor-batsh").contains("builtin:sensor-batch"));
        assert!(refusal("loadgen --stream o --concurrency 0").contains("1 to 256"));
        assert!(refusal("loadgen --stream o --strem p").contains("--stream"));
    }
}
