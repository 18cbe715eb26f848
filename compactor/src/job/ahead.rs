//! Files that are written while objects are still read, as if the schema that is known by then were the last one.
//!
//! Most often the objects of a plan all have the same columns: then its files are there once all are read. Where a later
//! object has others, what was written is discarded, and the files are written from the row groups, which wait until
//! then in any case. Either way, they are the same.

use super::units::{Unit, cut};
use super::write::{Written, discard, quarantine_file};
use super::{Job, Meter, Reading, UnitRead, read, read_telling};
use crate::columns::{Schema, Table};
use crate::error::Error;
use crate::manifest::OutputFile;
use crate::outlet::{self, Outlet};
use crate::partition::{Hour, Levels, PartitionBy};
use crate::plan::Plan;
use crate::recipe::Recipe;
use crate::report::{Phase, Progress};
use crate::row_groups::{FileNames, FileWriter, Fragment};
use crate::spool::Blob;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Units that may wait to be written. Their row groups are in the spool in any case.
const UNITS: usize = 16;

/// What a unit adds to the files.
#[derive(Debug)]
pub(super) struct Part {
    hour: Option<Hour>,
    fragments: Vec<Fragment>,
    table: Table,
}

impl Part {
    pub(super) fn new(unit: &Unit, plan: &Plan, read: &UnitRead) -> Self {
        let hour = unit.inputs(plan).first().map(|input| input.hour);
        Self { hour, fragments: read.fragments.clone(), table: read.table.clone() }
    }
}

/// The files, and the name of the quarantine file.
type Files = (Vec<OutputFile>, Option<String>);

/// What was known once all was read.
struct End {
    schema: Schema,
    quarantine: Vec<Blob>,
}

/// Reads all objects of a plan, and writes its files meanwhile, where that is possible.
///
/// # Errors
/// Those of the source and the destination; and [`Error::TooManyFields`]. Nothing stays staged.
pub(crate) async fn read_and_write(
    job: &Job,
    plan: &Plan,
    progress: &impl Fn(Progress),
) -> Result<(Reading, Option<Written>), Error> {
    let units = cut(plan);
    if !is_possible(&job.recipe) {
        return Ok((Reading::new(&job.recipe, read(job, plan, &units, progress).await?)?, None));
    }
    let (outlet, commands) = outlet::channel();
    let (sender, parts) = mpsc::channel(UNITS);
    let (tell, told) = oneshot::channel();
    let ahead = Ahead::new(job, plan, outlet);
    let writing = tokio::task::spawn_blocking(move || ahead.run(parts, told));
    let reading = async {
        let units = read_telling(job, plan, &units, progress, Some(sender)).await?;
        let reading = Reading::new(&job.recipe, units)?;
        let quarantine = reading.units.iter().flat_map(|unit| unit.quarantine.clone()).collect();
        // It may have given up.
        tell.send(End { schema: reading.schema.clone(), quarantine }).ok();
        Ok(reading)
    };
    let (reading, written, (staged, stored)) =
        tokio::join!(reading, writing, outlet::stage_all(&job.destination, commands));
    let result = match (reading, written?, stored) {
        (Err(error), _, _) | (_, Err(Error::Stopped), Err(error)) | (_, Err(error), _) | (_, _, Err(error)) => {
            Err(error)
        }
        (Ok(reading), Ok(written), Ok(())) => Ok((reading, written)),
    };
    match result {
        Ok((reading, Some((files, quarantine)))) => {
            let mut meter = Meter::new(Phase::Writing, files.len(), 0);
            progress(meter.progress);
            files.iter().for_each(|file| progress(meter.done(file.bytes, file.rows)));
            Ok((reading, Some(Written { staged, files, quarantine })))
        }
        Ok((reading, None)) => {
            discard(job, &staged).await;
            Ok((reading, None))
        }
        Err(error) => {
            discard(job, &staged).await;
            Err(error)
        }
    }
}

/// Whether files can be made of row groups in the order in which they are read, and named before all are.
fn is_possible(recipe: &Recipe) -> bool {
    let by_rows = recipe.partition_by.iter().any(|by| PartitionBy::column(by).is_some());
    recipe.sort.is_empty() && recipe.dedupe.is_empty() && !recipe.dedupe_members && !by_rows
}

/// Writes files from the parts of units, in the plan's order.
struct Ahead {
    job: Job,
    plan_id: String,
    short_id: String,
    outlet: Outlet,
    table: Table,
    schema: Option<Arc<Schema>>,
    /// The folder that is written to.
    folder: Option<(String, FileNames)>,
    open: Option<(String, FileWriter)>,
    /// By folder and number, as the plan's files are.
    done: BTreeMap<(String, usize), OutputFile>,
}

impl Ahead {
    fn new(job: &Job, plan: &Plan, outlet: Outlet) -> Self {
        Self {
            job: job.clone(),
            plan_id: plan.id.clone(),
            short_id: plan.short_id().to_owned(),
            outlet,
            table: Table::default(),
            schema: None,
            folder: None,
            open: None,
            done: BTreeMap::new(),
        }
    }

    /// The files, and the name of the quarantine file; none, where they have to be written once more.
    fn run(mut self, mut parts: mpsc::Receiver<Part>, end: oneshot::Receiver<End>) -> Result<Option<Files>, Error> {
        while let Some(part) = parts.blocking_recv() {
            if !self.write(part)? {
                return Ok(None);
            }
        }
        let Ok(End { schema, quarantine }) = end.blocking_recv() else { return Ok(None) };
        let foreseen = self.schema.as_ref().is_some_and(|foreseen| foreseen.to_arrow() == schema.to_arrow());
        if !foreseen {
            return Ok(None);
        }
        self.close()?;
        let quarantine = quarantine_file(&self.plan_id, &quarantine, &self.job.spool, &self.outlet)?;
        Ok(Some((self.done.into_values().collect(), quarantine)))
    }

    /// Says whether it still may come true.
    fn write(&mut self, part: Part) -> Result<bool, Error> {
        if part.fragments.is_empty() {
            return Ok(true);
        }
        let bounds = self.job.recipe.bounds();
        self.table = std::mem::take(&mut self.table).join(part.table, bounds);
        let known = Schema::of(self.table.clone(), bounds);
        let schema = Arc::clone(self.schema.get_or_insert_with(|| Arc::new(known.clone())));
        if schema.to_arrow() != known.to_arrow() {
            return Ok(false);
        }
        let levels = Levels::beside(&self.job.recipe.partition_by, &schema);
        for fragment in part.fragments.into_iter().filter(|fragment| fragment.rows_kept() > 0) {
            let Some(hour) = part.hour.filter(|_| fragment.is_of(&schema)) else { return Ok(false) };
            let folder = levels.folder(hour, &fragment.place);
            if !self.enter(&folder)? {
                return Ok(false);
            }
            self.append(fragment, &schema)?;
        }
        Ok(true)
    }

    /// Goes on in `folder`, which must not have been left before.
    fn enter(&mut self, folder: &str) -> Result<bool, Error> {
        if self.folder.as_ref().is_some_and(|(current, _)| current == folder) {
            return Ok(true);
        }
        self.close()?;
        let target = self.job.recipe.target_file_bytes;
        self.folder = Some((folder.to_owned(), FileNames::new(folder, &self.short_id, target)));
        Ok(!self.done.keys().any(|(left, _)| left == folder))
    }

    fn append(&mut self, fragment: Fragment, schema: &Arc<Schema>) -> Result<(), Error> {
        let begun = self.folder.as_mut().and_then(|(folder, names)| Some((folder.clone(), names.next(&fragment)?)));
        if let Some((folder, path)) = begun {
            self.close()?;
            let file = self.outlet.create(path);
            let writer = FileWriter::new(file, schema, &self.job.recipe, &self.short_id, &self.job.spool)?;
            self.open = Some((folder, writer));
        }
        self.open.as_mut().map_or(Ok(()), |(_, writer)| writer.push(fragment))
    }

    /// Ends the file that is open.
    fn close(&mut self) -> Result<(), Error> {
        if let Some((folder, writer)) = self.open.take() {
            let number = self.done.range((folder.clone(), 0)..=(folder.clone(), usize::MAX)).count();
            self.done.insert((folder, number), writer.close()?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use crate::store::Store;
    use crate::{Location, list, plan};
    use std::fs;
    use std::path::Path;

    async fn ahead(root: &Path, rows: &[&str]) -> (Option<Written>, Job) {
        let (src, dst) = (root.join("raw"), root.join("parquet"));
        fs::create_dir_all(&src).expect("a folder");
        for (n, rows) in rows.iter().enumerate() {
            fs::write(src.join(format!("{n}")), rows).expect("an object");
        }
        let mut settings = Settings::new(Location::Local(src), Location::Local(dst));
        (settings.unit_bytes, settings.target_file_bytes) = (1, 1);
        let open = |at| Store::open(at, None).expect("a store");
        let (source, destination) = (open(&settings.src), open(&settings.dst));
        let listing = list::list(&source).await.expect("listed");
        let free = plan::untaken(listing.objects, std::iter::empty()).expect("objects").0;
        let plan = Plan::new(1, source.uri(""), Recipe::of(&settings), free);
        let job = Job::new(&plan.recipe, &settings.machine(), source, destination).expect("a job");
        let (reading, written) = read_and_write(&job, &plan, &|_| {}).await.expect("read");
        assert_eq!(reading.objects().map(|object| object.rows).sum::<u64>(), rows.len() as u64);
        (written, job)
    }

    fn staged_files(root: &Path) -> usize {
        let runs = fs::read_dir(root.join("parquet/_tmp")).into_iter().flatten();
        let files = runs.flat_map(|run| fs::read_dir(run.expect("a folder").path()).expect("a folder"));
        files.filter(|file| file.as_ref().expect("a file").metadata().expect("a file").len() > 0).count()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn files_are_there_once_all_is_read() {
        let root = tempfile::tempdir().expect("a folder");
        let (written, _job) = ahead(root.path(), &[r#"{"n":1}"#, r#"{"n":9007199254740993}"#, r#"{"n":null}"#]).await;
        let files = written.expect("written").files;
        assert_eq!(files.iter().map(|file| file.rows).collect::<Vec<_>>(), [1, 1, 1]);
        assert!(files.is_sorted_by_key(|file| &file.path));
        assert_eq!(staged_files(root.path()), 3);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_stays_of_files_that_have_other_columns_in_the_end() {
        for last in [r#"{"n":1,"late":2}"#, r#"{"n":1.5}"#, r#"{"n":"x"}"#] {
            let root = tempfile::tempdir().expect("a folder");
            let (written, _job) = ahead(root.path(), &[r#"{"n":1}"#, r#"{"n":2}"#, last]).await;
            assert!(written.is_none(), "{last}");
            assert_eq!(staged_files(root.path()), 0, "{last}");
        }
    }
}
