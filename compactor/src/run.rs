//! One run: list, finish what was left, plan, read, write, commit.

use crate::commit;
use crate::error::Error;
use crate::job::{self, Job, ObjectRead, Reading, Written};
use crate::ledger::Ledger;
use crate::list::{self, Listing};
use crate::manifest::{ConsumedInput, Manifest};
use crate::partition::Levels;
use crate::peak::peak_memory;
use crate::plan::{self, Plan};
use crate::recipe::Recipe;
use crate::report::{LISTED_LOSSES, LossReport, Phase, Progress, Report};
use crate::settings::Settings;
use crate::spool::Spool;
use crate::store::{Object, Store};
use crate::table::TableSchema;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::time::Instant;

/// Compacts every object at the source that no plan has taken, after it has finished the plans that earlier runs left.
///
/// `s3` is needed if one of the locations is in S3. `progress` is called between objects, on the caller's task.
/// Any number of runs may go on at once. Cancel by dropping the future: what is visible by then is whole, or is
/// completed by the next run. Memory: about [`Settings::memory_bytes`].
///
/// # Errors
/// See [`Error`]. A damaged object or a bad row is no error: see [`Report::is_complete`].
pub async fn run(
    settings: &Settings,
    s3: Option<aws_sdk_s3::Client>,
    progress: impl Fn(Progress) + Send + Sync,
) -> Result<Report, Error> {
    settings.check()?;
    let source = Store::open(&settings.src, s3.as_ref())?;
    let destination = Store::open(&settings.dst, s3.as_ref())?;
    Run { settings, source, destination, progress: &progress }.run().await
}

/// One run.
pub(crate) struct Run<'a, P> {
    pub(crate) settings: &'a Settings,
    pub(crate) source: Store,
    pub(crate) destination: Store,
    pub(crate) progress: &'a P,
}

impl<P: Fn(Progress) + Send + Sync> Run<'_, P> {
    pub(crate) async fn run(&self) -> Result<Report, Error> {
        let started = Instant::now();
        (self.progress)(begun(Phase::Listing));
        let listing = list::list(&self.source).await?;
        let mut ledger = Ledger::read(&self.destination).await?;
        if listing.objects.is_empty() && ledger.last == 0 {
            return Err(no_objects(self.settings, &listing));
        }
        commit::tidy(&self.destination, &ledger).await?;
        let (mut report, skipped) = Box::pin(self.all_plans(&mut ledger, listing.objects)).await?;
        report.source = self.settings.src.to_string();
        report.destination = self.settings.dst.to_string();
        report.skipped_objects = skipped;
        report.hidden_objects = listing.hidden;
        report.peak_memory_bytes = peak_memory();
        report.seconds = started.elapsed().as_secs_f64();
        Ok(report)
    }

    /// Finishes what is left, and makes and finishes a plan for the rest. Also says how many of the objects were taken
    /// before.
    async fn all_plans(&self, ledger: &mut Ledger, objects: Vec<Object>) -> Result<(Report, u64), Error> {
        let mut report: Option<Report> = None;
        loop {
            for plan in std::mem::take(&mut ledger.pending).into_values() {
                if plan.source != self.settings.src.to_string() {
                    tracing::warn!(plan = plan.number, source = plan.source, "a plan of another source is unfinished");
                    continue;
                }
                tracing::info!(plan = plan.number, "finishing a plan that an earlier run has left");
                let number = plan.number;
                let mut done = self.finish(ledger, plan).await?;
                done.resumed.push(number);
                report = Some(add(report, done));
            }
            let (free, skipped) = plan::untaken(objects.clone(), ledger.taken())?;
            if free.is_empty() {
                commit::finish(&self.destination, ledger).await?;
                let nothing = || Report { already_done: true, ..Report::default() };
                return Ok((report.unwrap_or_else(nothing), skipped));
            }
            let source = self.settings.src.to_string();
            let plan = Plan::new(ledger.last + 1, source, Recipe::of(self.settings), free);
            if commit::propose(&self.destination, &plan).await? {
                let done = self.finish(ledger, plan).await?;
                return Ok((add(report, done), skipped));
            }
            // Another run has made a plan of this number: it may have taken some of the objects.
            *ledger = Ledger::read(&self.destination).await?;
        }
    }

    /// Carries out a plan. Where one of its objects is no longer what it was, the plan can never be finished, and is
    /// given up.
    async fn finish(&self, ledger: &mut Ledger, plan: Plan) -> Result<Report, Error> {
        let plan = plan.found_in(&self.source);
        match Box::pin(self.carry_out(ledger, &plan)).await {
            Err(Error::Changed { object }) => {
                let reason = format!("{object} changed after it was planned");
                if commit::give_up(&self.destination, &plan, reason).await? {
                    return Err(Error::Changed { object });
                }
                // Another run had read it in time.
                ledger.refresh(&self.destination).await?;
                let note = format!("plan {} was finished by another run", plan.number);
                Ok(Report { plan: plan.id, warnings: vec![note], ..Report::default() })
            }
            done => done,
        }
    }

    async fn carry_out(&self, ledger: &mut Ledger, plan: &Plan) -> Result<Report, Error> {
        let job = Job {
            recipe: Arc::new(plan.recipe.clone()),
            threads: self.settings.threads,
            ranges_ahead: self.settings.ranges_ahead(self.source.range_bytes()),
            source: self.source.clone(),
            destination: self.destination.clone(),
            spool: Spool::new(self.settings.spool_dir.clone(), self.settings.waiting_bytes()),
        };
        let mut reading = job::read(&job, plan, self.progress).await?;
        let written = job::write(&job, plan, &mut reading, self.progress).await?;
        (self.progress)(begun(Phase::Committing));
        let levels = Levels::beside(&plan.recipe.partition_by, &reading.schema);
        let table = TableSchema::new(&reading.schema, levels.names());
        let manifest = manifest(plan, &reading, &written, table.clone());
        let mut report = report(&job, plan, &reading, &written, &manifest);
        report.partition_columns.clone_from(&table.partitions);
        report.warnings = table.warnings();
        report.warnings.extend(misnamed(plan, &reading));
        report.schema_changes = ledger.table().map(|earlier| earlier.changes(&table)).unwrap_or_default();
        commit::commit(&self.destination, ledger, plan, &written.staged, &manifest).await?;
        Ok(report)
    }
}

/// What was done so far, and now.
fn add(before: Option<Report>, now: Report) -> Report {
    let Some(mut before) = before else { return now };
    let mut resumed = std::mem::take(&mut before.resumed);
    resumed.extend(&now.resumed);
    Report { resumed, ..now.after(before) }
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

fn manifest(plan: &Plan, reading: &Reading, written: &Written, table: TableSchema) -> Manifest {
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
        table: Some(table),
        ..Manifest::new(plan.number, plan.id.clone(), plan.source.clone())
    }
}

/// What names of objects say wrongly.
fn misnamed(plan: &Plan, reading: &Reading) -> Vec<String> {
    let says_gzip = |name: &str| name.ends_with(".gz") || name.ends_with(".gzip") || name.ends_with(".zst");
    let read = || plan.inputs.iter().zip(objects(reading)).map(|(input, read)| (&input.object.uri, read));
    let mut notes = Vec::new();
    let hidden: Vec<&String> =
        read().filter(|(uri, read)| read.members > 0 && !says_gzip(uri)).map(|(uri, _)| uri).collect();
    if let Some(first) = hidden.first() {
        notes.push(format!(
            "{first} is gzip; its name has no .gz, so Athena and Spark cannot read it as it is ({} such objects); \
             FileExtension .json.gz of the delivery stream would tell them",
            hidden.len()
        ));
    }
    let plain = |read: &ObjectRead| read.members == 0 && read.text_bytes > 0;
    let wrong: Vec<&String> = read().filter(|(uri, read)| plain(read) && says_gzip(uri)).map(|(uri, _)| uri).collect();
    if let Some(first) = wrong.first() {
        notes.push(format!("{first} is plain text, though its name says otherwise ({} such objects)", wrong.len()));
    }
    notes
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
        written.files.iter().map(|file| file.path.rsplit_once('/').map_or("", |(folder, _)| folder)).collect();
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
        unfit_rows: reading.units.iter().map(|unit| unit.unfit).sum(),
        untold_rows: reading.units.iter().map(|unit| unit.untold).sum(),
        spilled_bytes: job.spool.spilled(),
        schema: manifest.schema.clone(),
        ..Report::default()
    }
}

#[cfg(test)]
mod crashes;
