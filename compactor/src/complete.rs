//! From what was read of a plan to what is committed, and what is told of it.

use crate::commit;
use crate::dedupe;
use crate::error::Error;
use crate::job::{self, Job, ObjectRead, Reading, Written};
use crate::ledger::Ledger;
use crate::manifest::{ConsumedInput, Manifest};
use crate::members::{self, Marked};
use crate::partition::Levels;
use crate::plan::Plan;
use crate::report::{LISTED_LOSSES, LossReport, Phase, Progress, Report};
use crate::spool::Spool;
use crate::table::TableSchema;
use std::collections::BTreeSet;

/// Writes the files of `plan`, of which everything was read, unless they are `written` already, and commits them.
///
/// # Errors
/// Those of the destination, and of [`commit::commit`].
pub(crate) async fn complete(
    job: &Job,
    ledger: &mut Ledger,
    plan: &Plan,
    mut reading: Reading,
    written: Option<Written>,
    progress: &impl Fn(Progress),
) -> Result<Report, Error> {
    // First of all: of equal rows, the first must not be one whose member is left out.
    let members =
        if job.recipe.dedupe_members { members::mark(&mut reading.units, &plan.covered) } else { Marked::default() };
    if !job.recipe.dedupe.is_empty() {
        reading = mark_duplicates(reading, job.spool.clone(), job.set_bytes).await?;
    }
    let duplicates = reading.units.iter().flat_map(|unit| &unit.fragments).map(|part| part.dropped.len() as u64).sum();
    let written = match written {
        Some(written) => written,
        None => job::write(job, plan, &mut reading, progress).await?,
    };
    progress(Progress::begun(Phase::Committing));
    let levels = Levels::beside(&plan.recipe.partition_by, &reading.schema);
    let table = TableSchema::new(&reading.schema, levels.names());
    let mut manifest = manifest(plan, &reading, &written, table.clone(), duplicates);
    manifest.covered = members.covered;
    let mut report = report(job, plan, &reading, &written, &manifest);
    report.partition_columns.clone_from(&table.partitions);
    report.warnings = table.warnings();
    report.warnings.extend(misnamed(plan, &reading));
    (report.duplicate_members, report.overlapping_members) = (members.dropped, members.overlapping);
    report.schema_changes = ledger.table().map(|earlier| earlier.changes(&table)).unwrap_or_default();
    commit::commit(&job.destination, ledger, plan, &written.staged, &manifest).await?;
    Ok(report)
}

async fn mark_duplicates(mut reading: Reading, spool: Spool, memory_bytes: usize) -> Result<Reading, Error> {
    let mark = move || dedupe::mark(&mut reading.units, &spool, memory_bytes).map(|()| reading);
    tokio::task::spawn_blocking(mark).await?
}

fn manifest(plan: &Plan, reading: &Reading, written: &Written, table: TableSchema, duplicate_rows: u64) -> Manifest {
    let inputs = plan.inputs.iter().zip(reading.objects()).map(|(input, read)| ConsumedInput {
        object: input.object.uri.clone(),
        bytes: input.object.bytes,
        etag: input.object.etag.clone(),
        rows: read.rows,
        members: read.members,
    });
    Manifest {
        schema: reading.schema.types(),
        rows: reading.objects().map(|object| object.rows).sum::<u64>().saturating_sub(duplicate_rows),
        duplicate_rows,
        quarantined_rows: reading.units.iter().map(|unit| unit.quarantined_rows).sum(),
        quarantined_members: reading.objects().map(|object| object.losses.len() as u64).sum(),
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
    let read = || plan.inputs.iter().zip(reading.objects()).map(|(input, read)| (&input.object.uri, read));
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

fn report(job: &Job, plan: &Plan, reading: &Reading, written: &Written, manifest: &Manifest) -> Report {
    let losses = plan.inputs.iter().zip(reading.objects()).flat_map(|(input, read)| {
        read.losses.iter().map(|loss| LossReport {
            object: input.object.uri.clone(),
            offset: loss.offset,
            bytes: loss.bytes,
            reason: loss.reason.clone(),
        })
    });
    let folders: BTreeSet<&str> =
        written.files.iter().map(|file| file.path.rsplit_once('/').map_or("", |(folder, _)| folder)).collect();
    Report {
        plan: plan.id.clone(),
        objects: plan.inputs.len() as u64,
        members: reading.objects().map(|object| object.members).sum(),
        rows: manifest.rows,
        bytes_in: plan.bytes(),
        bytes_json: reading.objects().map(|object| object.text_bytes).sum(),
        bytes_out: written.files.iter().map(|file| file.bytes).sum(),
        files: written.files.len() as u64,
        partitions: folders.len() as u64,
        duplicate_rows: manifest.duplicate_rows,
        quarantined_rows: manifest.quarantined_rows,
        quarantined_members: manifest.quarantined_members,
        quarantined_objects: reading.objects().filter(|object| !object.losses.is_empty()).count() as u64,
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
