//! From row groups to staged files, once the schema is known.

use super::{Job, Meter, Reading};
use crate::columns::Schema;
use crate::error::Error;
use crate::manifest::OutputFile;
use crate::outlet::{self, Outlet};
use crate::partition::Levels;
use crate::plan::Plan;
use crate::quarantine;
use crate::report::{Phase, Progress};
use crate::row_groups::{FilePlan, plan_files, write_file};
use crate::spool::{Blob, Spool};
use crate::store::Staged;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use tokio::task::JoinSet;

/// What was written. Nothing of it is visible yet.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) staged: Vec<Staged>,
    pub(crate) files: Vec<OutputFile>,
    pub(crate) quarantine: Option<String>,
}

/// Stages the files of `plan`.
///
/// # Errors
/// Those of the destination. Nothing stays staged.
pub(crate) async fn write(
    job: &Job,
    plan: &Plan,
    reading: &mut Reading,
    progress: &impl Fn(Progress),
) -> Result<Written, Error> {
    let files = files(job, plan, reading);
    let bad = reading.quarantine();
    let schema = Arc::new(reading.schema.clone());
    let (outlet, commands) = outlet::channel();
    let (written, (staged, stored)) = tokio::join!(
        write_all(job, plan, files, bad, schema, outlet, progress),
        outlet::stage_all(&job.destination, commands),
    );
    // The reason comes before what followed from it: a part that stopped because another one had is heard last.
    let result = match (written, stored) {
        (Err(Error::Stopped), Err(error)) | (Err(error), _) | (Ok(_), Err(error)) => Err(error),
        (Ok(written), Ok(())) => Ok(written),
    };
    match result {
        Ok((files, quarantine)) => Ok(Written { staged, files, quarantine }),
        Err(error) => {
            discard(job, &staged).await;
            Err(error)
        }
    }
}

/// Removes staged files that are of no use.
pub(super) async fn discard(job: &Job, staged: &[Staged]) {
    for staged in staged {
        if let Err(error) = job.destination.discard(staged).await {
            tracing::warn!(file = staged.name, %error, "a staged file stays behind");
        }
    }
}

/// Which row groups become which file.
fn files(job: &Job, plan: &Plan, reading: &mut Reading) -> Vec<FilePlan> {
    let levels = Levels::beside(&job.recipe.partition_by, &reading.schema);
    let mut folders: BTreeMap<String, Vec<_>> = BTreeMap::new();
    let mut at = 0;
    for unit in &mut reading.units {
        let hour = plan.inputs.get(at).map(|input| input.hour);
        at += unit.objects.len();
        let Some(hour) = hour else { continue };
        for fragment in std::mem::take(&mut unit.fragments).into_iter().filter(|fragment| fragment.rows_kept() > 0) {
            folders.entry(levels.folder(hour, &fragment.place)).or_default().push(fragment);
        }
    }
    let target = job.recipe.target_file_bytes;
    let plans = folders.into_iter().flat_map(|(folder, parts)| plan_files(&folder, plan.short_id(), parts, target));
    plans.collect()
}

async fn write_all(
    job: &Job,
    plan: &Plan,
    files: Vec<FilePlan>,
    bad: Vec<Blob>,
    schema: Arc<Schema>,
    outlet: Outlet,
    progress: &impl Fn(Progress),
) -> Result<(Vec<OutputFile>, Option<String>), Error> {
    let mut meter = Meter::new(Phase::Writing, files.len(), 0);
    progress(meter.progress);
    let mut written = BTreeMap::new();
    let mut tasks = JoinSet::new();
    let mut left = files.into_iter().enumerate();
    loop {
        while tasks.len() < job.threads
            && let Some((at, file)) = left.next()
        {
            let (job, schema, outlet, id) =
                (job.clone(), Arc::clone(&schema), outlet.clone(), plan.short_id().to_owned());
            let crew = job.crew.clone();
            let write =
                move || write_file(&file, &schema, &job.recipe, &id, &job.spool, &outlet).map(|file| (at, file));
            tasks.spawn(async move { crew.run(write).await? });
        }
        let Some(done) = tasks.join_next().await else { break };
        let (at, file): (usize, OutputFile) = done??;
        progress(meter.done(file.bytes, file.rows));
        written.insert(at, file);
    }
    let quarantine = write_quarantine(job, plan, bad, outlet).await?;
    Ok((written.into_values().collect(), quarantine))
}

async fn write_quarantine(job: &Job, plan: &Plan, bad: Vec<Blob>, outlet: Outlet) -> Result<Option<String>, Error> {
    let (plan_id, spool) = (plan.id.clone(), job.spool.clone());
    tokio::task::spawn_blocking(move || quarantine_file(&plan_id, &bad, &spool, &outlet)).await?
}

/// Writes the quarantine file, if there is something to go there. Returns its name.
pub(super) fn quarantine_file(
    plan_id: &str,
    bad: &[Blob],
    spool: &Spool,
    outlet: &Outlet,
) -> Result<Option<String>, Error> {
    if bad.is_empty() {
        return Ok(None);
    }
    let name = quarantine::file_name(plan_id);
    let mut file = outlet.create(name.clone());
    for blob in bad {
        file.write_all(&spool.get(blob)?).map_err(|_| Error::Stopped)?;
    }
    file.close(0)?;
    Ok(Some(name))
}
