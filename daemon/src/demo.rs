//! `alluvial demo`: the whole job on this machine, over real sockets, and a check of every record.

mod folder;
mod live;
mod report;
mod scene;
mod truth;
mod verify;

use crate::config::Checked;
use crate::console::{Console, grouped, megabytes};
use crate::emulator;
use crate::service::{Service, s3_client};
use alluvial_compactor::Location;
use alluvial_emulator::Emulator;
use alluvial_loadgen::{End, Input, Load, Rate, Source, Template};
use alluvial_runtime::aws::Aws;
use alluvial_runtime::clock::Clock;
use alluvial_runtime::exit::{Exit, Failure, chain};
use alluvial_runtime::shutdown::Shutdown;
use clap::Args;
use report::Report;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use truth::Truth;

/// Without any record settled for this long, the demo stops waiting and counts what is missing.
const STALL: Duration = Duration::from_secs(60);

/// Options of `alluvial demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Folder for all data; an earlier demo in it is replaced
    #[arg(long, default_value = "alluvial-demo", value_name = "DIR")]
    dir: PathBuf,
    /// Shards of the stream
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    shards: u32,
    /// Records to write
    #[arg(long, value_name = "N", conflicts_with = "duration")]
    records: Option<u64>,
    /// How long to write [default: 20s]
    #[arg(long, value_name = "TIME", value_parser = alluvial_enrich::parse_duration)]
    duration: Option<Duration>,
    /// Records per second: 5k/s, 600/min or max [default: 5000/s; max for --input]
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// Write the lines of this file in place of made-up sensor readings; nothing but the position columns is added to them
    #[arg(long, value_name = "FILE.ndjson")]
    input: Option<PathBuf>,
    /// Print one JSON object on stdout; progress goes to stderr
    #[arg(long)]
    json: bool,
    /// Keep the emulator and the daemon running after the check, until Ctrl-C
    #[arg(long)]
    stay: bool,
}

impl DemoArgs {
    fn load(&self) -> Result<Load, Failure> {
        let seed = 1;
        let (source, rate) = match &self.input {
            Some(path) => (Source::Input(Input::File(path.clone())), Rate::UNLIMITED),
            None => {
                let template = Template::builtin("iot").map_err(|error| Failure::internal(chain(&error)))?;
                (Source::Template(template), Rate::per_second(5_000))
            }
        };
        let mut load = Load::new(scene::STREAM, source, seed);
        load.rate = self.rate.unwrap_or(rate);
        load.end = match (self.records, self.duration, &self.input) {
            (Some(records), _, _) => End::Records(records),
            (None, Some(duration), _) => End::Duration(duration),
            (None, None, Some(_)) => End::Open,
            (None, None, None) => End::Duration(Duration::from_secs(20)),
        };
        Ok(load)
    }
}

/// What is up while the demo runs.
struct Running {
    emulator: Emulator,
    aws: Aws,
    stop_service: CancellationToken,
}

/// Runs the demo. The exit code is [`Exit::Done`] only when no record is missing or duplicated.
pub(crate) async fn run(args: DemoArgs) -> Result<Exit, Failure> {
    let console = Console::new(args.json);
    let load = args.load()?;
    if let Some(input) = args.input.as_ref().filter(|input| !input.is_file()) {
        return Err(Failure::usage(format!("--input {}: no such file", input.display())));
    }
    let shutdown =
        Shutdown::on_signals().map_err(|error| Failure::internal(format!("cannot listen for signals: {error}")))?;
    let began = Instant::now();
    let folder = folder::prepare(&args.dir)?;
    let dir = folder.path.clone();
    let emulator = emulator::start(alluvial_emulator::Settings::new(&dir)).await?;
    console.done("emulator", &format!("{}   kinesis firehose s3 dynamodb", emulator.endpoint()));
    let aws = Aws::local(&emulator.endpoint(), scene::REGION, emulator.ca_bundle()).await?;
    scene::create(&aws, args.shards).await?;
    console.done(
        "created",
        &format!(
            "stream {} ({} shards) · firehose {} · bucket {}",
            scene::STREAM,
            args.shards,
            scene::DELIVERY_STREAM,
            scene::BUCKET
        ),
    );
    let settings = scene::settings(&dir, args.input.is_some())?;
    let running = Running { emulator, aws, stop_service: CancellationToken::new() };
    let outcome = Box::pin(work(&running, settings, load, &dir, shutdown.token(), console)).await;
    let (report, exit) = match outcome {
        Ok(report) => report,
        Err(failure) => {
            running.emulator.stop().await;
            return Err(failure);
        }
    };
    let report = report.took(began.elapsed());
    report.write(&dir.join("report.json"))?;
    report.tell(console, &dir);
    if args.json {
        crate::console::out(&format!("{}\n", report.to_json()?))?;
    }
    if args.stay {
        Box::pin(stay(&running, &dir, &args, shutdown.token(), console)).await?;
    }
    running.emulator.stop().await;
    Ok(exit)
}

/// Load, delivery, compaction and check.
async fn work(
    running: &Running,
    settings: Checked,
    load: Load,
    dir: &std::path::Path,
    stop: CancellationToken,
    console: Console,
) -> Result<(Report, Exit), Failure> {
    let service = Service::connect(&running.aws, settings).await?;
    let (status, ledger) = (service.status(), service.ledger());
    console.done("daemon", "every shard by enhanced fan-out over HTTP/2, leases in DynamoDB");
    let truth = Arc::new(Truth::default());
    let live = live::Live::new(console, status, ledger.clone());
    let (loaded, settled) = tokio::select! {
        delivered = load_and_deliver(running, service, load, Arc::clone(&truth), stop) => delivered?,
        never = live.tell() => never,
    };
    live.last();
    if !settled {
        console.failed("daemon", &format!("nothing was delivered for {STALL:?}; going on with what is there"));
    }
    console.done(
        "loadgen",
        &format!(
            "{} records, {} in {:.1} s ({:.0}/s)",
            grouped(loaded.accepted),
            megabytes(loaded.bytes),
            loaded.seconds,
            loaded.records_per_second
        ),
    );
    scene::finish_delivery(&running.aws).await?;
    let compacted = compact(running, dir).await?;
    console.done(
        "compact",
        &format!(
            "{} objects → {} Parquet files, {} rows in {:.1} s",
            grouped(compacted.objects),
            compacted.files,
            grouped(compacted.rows),
            compacted.seconds
        ),
    );
    let verdict = verify::verify(dir, &truth)?;
    let report = Report::new(&loaded, &ledger, compacted, &verdict);
    let exit = report.exit();
    Ok((report, exit))
}

/// Puts the load while the service delivers it, and stops the service when all is delivered; returns what loadgen says, and
/// whether everything was settled.
async fn load_and_deliver(
    running: &Running,
    service: Service,
    load: Load,
    truth: Arc<Truth>,
    stop: CancellationToken,
) -> Result<(alluvial_loadgen::Report, bool), Failure> {
    let ledger = service.ledger();
    let kinesis = aws_sdk_kinesis::Client::new(&running.aws.control);
    let loading = alluvial_loadgen::run(load, kinesis, Clock::system(), stop, truth);
    let mut delivered = std::pin::pin!(async {
        let loaded = loading.await.map_err(Failure::from)?;
        let settled = until_settled(&ledger, loaded.accepted).await;
        Ok::<_, Failure>((loaded, settled))
    });
    let mut serving = std::pin::pin!(service.run(running.stop_service.clone()));
    let outcome = tokio::select! {
        outcome = &mut delivered => outcome?,
        ended = &mut serving => {
            ended?;
            return Err(Failure::internal("the daemon stopped before the load was delivered"));
        }
    };
    running.stop_service.cancel();
    serving.await?;
    Ok(outcome)
}

/// Waits until `records` are delivered, filtered or dead-lettered; false when nothing moves any more.
async fn until_settled(ledger: &alluvial_enrich::Ledger, records: u64) -> bool {
    let mut settled = ledger.settled();
    loop {
        if *settled.borrow_and_update() >= records {
            return true;
        }
        match tokio::time::timeout(STALL, settled.changed()).await {
            Ok(Ok(())) => {}
            _ => return false,
        }
    }
}

/// Turns the raw objects into Parquet, through S3 as a job in AWS would.
async fn compact(running: &Running, dir: &std::path::Path) -> Result<Compacted, Failure> {
    let s3 = s3_client(&running.aws);
    let listing = s3.list_objects_v2().bucket(scene::BUCKET).prefix(scene::RAW_PREFIX).max_keys(1).send().await;
    let listing =
        listing.map_err(|error| Failure::internal(format!("emulator: list the bucket: {}", chain(&error))))?;
    if listing.contents().is_empty() {
        // Every record was refused, or there was none.
        return Ok(Compacted::default());
    }
    let src = Location::S3 { bucket: scene::BUCKET.into(), prefix: scene::RAW_PREFIX.trim_end_matches('/').into() };
    let settings = alluvial_compactor::Settings::new(src, Location::Local(dir.join("parquet")));
    let report = alluvial_compactor::run(&settings, Some(s3), |_| {})
        .await
        .map_err(|error| Failure::internal(format!("compact: {}", chain(&error))))?;
    Ok(Compacted { objects: report.objects, files: report.files, rows: report.rows, seconds: report.seconds })
}

/// What the compaction did.
#[derive(Debug, Clone, Copy, Default)]
struct Compacted {
    objects: u64,
    files: u64,
    rows: u64,
    seconds: f64,
}

/// Keeps everything up, so that a person may look and write more.
async fn stay(
    running: &Running,
    dir: &std::path::Path,
    args: &DemoArgs,
    stop: CancellationToken,
    console: Console,
) -> Result<(), Failure> {
    // The first delivery stream was closed to bring out what it held.
    scene::create_delivery_stream(&running.aws).await?;
    let service = Service::connect(&running.aws, scene::settings(dir, args.input.is_some())?).await?;
    console.line("\n  The emulator and the daemon stay up; Ctrl-C stops them. To write more:\n");
    for (name, value) in running.emulator.exports() {
        console.line(&format!("    export {name}={}", crate::console::shell_word(&value)));
    }
    console.line(&format!("    loadgen --stream {} --rate 1000/s --duration 10s", scene::STREAM));
    service.run(stop).await
}
