//! One run: list, plan, scan, build, commit.

use crate::columns::Schema;
use crate::commit;
use crate::error::Error;
use crate::job::{self, Built, Job, Scan};
use crate::list::{self, Listing};
use crate::manifest::{ConsumedInput, Manifest};
use crate::plan::Plan;
use crate::report::{LISTED_LOSSES, LossReport, Phase, Progress, Report};
use crate::settings::Settings;
use crate::store::Store;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::time::Instant;

/// Compacts every object at the source that no earlier run has compacted.
///
/// `s3` is needed if one of the locations is in S3. `progress` is called between objects, on the caller's task.
/// Cancel by dropping the future: before the commit nothing is visible; during it, the next run takes back what was.
/// Memory: for each thread a few batches of 4 MiB of JSON and one row; and one row group.
///
/// # Errors
/// See [`Error`]. A damaged object or a bad row is no error: see [`Report::is_complete`].
pub async fn run(
    settings: &Settings,
    s3: Option<aws_sdk_s3::Client>,
    progress: impl Fn(Progress) + Send + Sync,
) -> Result<Report, Error> {
    let started = Instant::now();
    settings.check()?;
    let job = Job {
        settings: settings.clone(),
        source: Store::open(&settings.src, s3.as_ref())?,
        destination: Store::open(&settings.dst, s3.as_ref())?,
    };
    progress(begun(Phase::Listing));
    let listing = list::list(&job.source).await?;
    if listing.objects.is_empty() {
        return Err(no_objects(settings, &listing));
    }
    let done = commit::recover(&job.destination).await?;
    let hidden_objects = listing.hidden;
    let plan = Plan::new(listing.objects, &done)?;
    let mut report = if plan.inputs.is_empty() {
        commit::finish(&job.destination, &done).await?;
        Report { already_done: true, ..Report::default() }
    } else {
        compact(&job, &plan, done, &progress).await?
    };
    report.source = settings.src.to_string();
    report.destination = settings.dst.to_string();
    report.skipped_objects = plan.skipped;
    report.hidden_objects = hidden_objects;
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

async fn compact(
    job: &Job,
    plan: &Plan,
    done: Vec<Manifest>,
    progress: &(impl Fn(Progress) + Send + Sync),
) -> Result<Report, Error> {
    let scan = job::scan(job, plan, progress).await?;
    let schema = Arc::new(Schema::of(&scan.shape, job.bounds()));
    let built = job::build(job, plan, &scan, &schema, progress).await?;
    progress(begun(Phase::Committing));
    let manifest = manifest(job, plan, &scan, &schema, &built);
    let report = report(plan, &scan, &built, &manifest);
    commit::commit(&job.destination, &built.staged, manifest, done).await?;
    Ok(report)
}

/// A phase that does not count objects.
fn begun(phase: Phase) -> Progress {
    Progress { phase, objects: 0, total_objects: 0, bytes: 0, total_bytes: 0, rows: 0 }
}

fn no_objects(settings: &Settings, listing: &Listing) -> Error {
    let hidden = match listing.hidden {
        0 => String::new(),
        hidden => format!(" ({hidden} with a name that begins with _ or . were passed over)"),
    };
    Error::Usage(format!("{}: there are no objects{hidden}; is the prefix right?", settings.src))
}

fn manifest(job: &Job, plan: &Plan, scan: &Scan, schema: &Schema, built: &Built) -> Manifest {
    let inputs = plan.inputs.iter().zip(&scan.objects).map(|(input, scanned)| ConsumedInput {
        object: input.object.uri.clone(),
        bytes: input.object.bytes,
        etag: input.object.etag.clone(),
        rows: scanned.rows,
        members: scanned.members,
    });
    Manifest {
        schema: schema.types(),
        rows: built.rows,
        quarantined_rows: built.quarantined_rows,
        quarantined_members: scan.objects.iter().map(|object| object.losses.len() as u64).sum(),
        quarantine: built.quarantine.clone(),
        files: built.files.clone(),
        inputs: inputs.collect(),
        ..Manifest::new(plan.id.clone(), job.settings.src.to_string())
    }
}

fn report(plan: &Plan, scan: &Scan, built: &Built, manifest: &Manifest) -> Report {
    let objects = || plan.inputs.iter().zip(&scan.objects);
    let losses = objects().flat_map(|(input, scanned)| {
        scanned.losses.iter().map(|loss| LossReport {
            object: input.object.uri.clone(),
            offset: loss.from,
            bytes: loss.to - loss.from,
            reason: loss.fault.to_string(),
        })
    });
    let folders: BTreeSet<&str> =
        built.files.iter().filter_map(|file| file.path.rsplit_once('/')).map(|(folder, _)| folder).collect();
    Report {
        plan: plan.id.clone(),
        objects: plan.inputs.len() as u64,
        members: scan.objects.iter().map(|object| object.members).sum(),
        rows: built.rows,
        bytes_in: plan.bytes(),
        bytes_json: scan.objects.iter().map(|object| object.text_bytes).sum(),
        bytes_out: built.files.iter().map(|file| file.bytes).sum(),
        files: built.files.len() as u64,
        partitions: folders.len() as u64,
        quarantined_rows: built.quarantined_rows,
        quarantined_members: manifest.quarantined_members,
        quarantined_objects: scan.objects.iter().filter(|object| !object.losses.is_empty()).count() as u64,
        losses: losses.take(LISTED_LOSSES).collect(),
        quarantine: built.quarantine.clone(),
        replaced_surrogates: built.replaced,
        schema: manifest.schema.clone(),
        ..Report::default()
    }
}
