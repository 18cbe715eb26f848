//! One run: list, plan, read, write, commit.

use crate::commit;
use crate::error::Error;
use crate::job::{self, Job, ObjectRead, Reading, Written};
use crate::list::{self, Listing};
use crate::manifest::{ConsumedInput, Manifest};
use crate::plan::Plan;
use crate::report::{LISTED_LOSSES, LossReport, Phase, Progress, Report};
use crate::settings::Settings;
use crate::spool::Spool;
use crate::store::Store;
use std::collections::BTreeSet;
use tokio::time::Instant;

/// Compacts every object at the source that no earlier run has compacted.
///
/// `s3` is needed if one of the locations is in S3. `progress` is called between objects, on the caller's task.
/// Cancel by dropping the future: before the commit nothing is visible; during it, the next run takes back what was.
/// Memory: about [`Settings::memory_bytes`].
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
        spool: Spool::new(settings.spool_dir.clone(), settings.waiting_bytes()),
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
    let mut reading = job::read(job, plan, progress).await?;
    let written = job::write(job, plan, &mut reading, progress).await?;
    progress(begun(Phase::Committing));
    let manifest = manifest(job, plan, &reading, &written);
    let report = report(job, plan, &reading, &written, &manifest);
    commit::commit(&job.destination, &written.staged, manifest, done).await?;
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

fn manifest(job: &Job, plan: &Plan, reading: &Reading, written: &Written) -> Manifest {
    let inputs = plan.inputs.iter().zip(objects(reading)).map(|(input, read)| ConsumedInput {
        object: input.object.uri.clone(),
        bytes: input.object.bytes,
        etag: input.object.etag.clone(),
        rows: read.rows,
        members: read.members,
    });
    Manifest {
        schema: reading.schema.types(),
        rows: objects(reading).map(|object| object.rows).sum(),
        quarantined_rows: reading.units.iter().map(|unit| unit.quarantined_rows).sum(),
        quarantined_members: objects(reading).map(|object| object.losses.len() as u64).sum(),
        quarantine: written.quarantine.clone(),
        files: written.files.clone(),
        inputs: inputs.collect(),
        ..Manifest::new(plan.id.clone(), job.settings.src.to_string())
    }
}

/// What was read of every object, in the plan's order.
fn objects(reading: &Reading) -> impl Iterator<Item = &ObjectRead> {
    reading.units.iter().flat_map(|unit| &unit.objects)
}

fn report(job: &Job, plan: &Plan, reading: &Reading, written: &Written, manifest: &Manifest) -> Report {
    let losses = plan.inputs.iter().zip(objects(reading)).flat_map(|(input, read)| {
        read.losses.iter().map(|loss| LossReport {
            object: input.object.uri.clone(),
            offset: loss.from,
            bytes: loss.to - loss.from,
            reason: loss.fault.to_string(),
        })
    });
    let folders: BTreeSet<&str> =
        written.files.iter().filter_map(|file| file.path.rsplit_once('/')).map(|(folder, _)| folder).collect();
    Report {
        plan: plan.id.clone(),
        objects: plan.inputs.len() as u64,
        members: objects(reading).map(|object| object.members).sum(),
        rows: manifest.rows,
        bytes_in: plan.bytes(),
        bytes_json: objects(reading).map(|object| object.text_bytes).sum(),
        bytes_out: written.files.iter().map(|file| file.bytes).sum(),
        files: written.files.len() as u64,
        partitions: folders.len() as u64,
        quarantined_rows: manifest.quarantined_rows,
        quarantined_members: manifest.quarantined_members,
        quarantined_objects: objects(reading).filter(|object| !object.losses.is_empty()).count() as u64,
        losses: losses.take(LISTED_LOSSES).collect(),
        quarantine: written.quarantine.clone(),
        replaced_surrogates: reading.units.iter().map(|unit| unit.replaced).sum(),
        spilled_bytes: job.spool.spilled(),
        schema: manifest.schema.clone(),
        ..Report::default()
    }
}
