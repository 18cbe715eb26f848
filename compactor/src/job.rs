//! The one reading of a plan's objects, and the writing of its files.
//!
//! The plan is cut into units, in a way that depends on the plan alone. Each unit is read on a thread of its own: its
//! rows become row groups, with the columns known by then. Once all are read the schema is known, and the row groups
//! become files; where it turns out to be what it was from the start on, they have by then (`ahead`). So the files do not
//! depend on which thread was faster.

mod ahead;
mod builder;
mod crew;
mod feed;
mod labels;
mod route;
mod units;
mod work;
mod write;

pub(crate) use ahead::read_and_write;
pub(crate) use units::{Unit, cut};
pub(crate) use write::{Written, write};

use self::ahead::Part;
use self::crew::Crew;
use crate::columns::{Schema, Table};
use crate::error::Error;
use crate::members::SeenMember;
use crate::partition::{Levels, PartitionBy};
use crate::plan::Plan;
use crate::recipe::Recipe;
use crate::report::{Phase, Progress};
use crate::row_groups::Fragment;
use crate::settings::Machine;
use crate::spool::{Blob, Spool};
use crate::store::Store;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Distinct fields, nested ones included: with their names, some hundred MiB.
const MAX_FIELDS: usize = 1_000_000;

/// Messages on how far the units have come that may wait.
const NEWS: usize = 64;

/// What every part of a job knows.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) recipe: Arc<Recipe>,
    pub(crate) threads: usize,
    pub(crate) crew: Crew,
    /// Ranges of objects that a thread asks for before it decodes them.
    pub(crate) ranges_ahead: usize,
    /// Memory for the keys by which rows are told apart.
    pub(crate) set_bytes: usize,
    pub(crate) source: Store,
    pub(crate) destination: Store,
    pub(crate) spool: Spool,
}

/// What the reading found.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) schema: Schema,
    /// In the plan's order.
    pub(crate) units: Vec<UnitRead>,
}

/// What a unit's objects hold.
#[derive(Debug, Default)]
pub(crate) struct UnitRead {
    pub(crate) fragments: Vec<Fragment>,
    pub(crate) table: Table,
    /// Lines of the quarantine file.
    pub(crate) quarantine: Vec<Blob>,
    /// In the plan's order.
    pub(crate) objects: Vec<ObjectRead>,
    /// Those that have labels, where these are asked for.
    pub(crate) members: Vec<SeenMember>,
    pub(crate) quarantined_rows: u64,
    pub(crate) replaced: u64,
    /// Rows of which something has no place in the schema that was given, and is in the overflow.
    pub(crate) unfit: u64,
    /// Rows whose folder does not tell all of what they are partitioned by.
    pub(crate) untold: u64,
}

/// What an object holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectRead {
    /// Good rows.
    pub(crate) rows: u64,
    /// Gzip members and zstd frames that were read to their end.
    pub(crate) members: u64,
    pub(crate) text_bytes: u64,
    pub(crate) losses: Vec<LossRead>,
}

/// A range of an object that holds no rows we can trust.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LossRead {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) reason: String,
}

impl Job {
    /// What carries out plans of this recipe on this machine.
    ///
    /// # Errors
    /// The system has no threads for it.
    pub(crate) fn new(recipe: &Recipe, machine: &Machine, source: Store, destination: Store) -> Result<Self, Error> {
        Ok(Self {
            recipe: Arc::new(recipe.clone()),
            threads: machine.threads,
            crew: Crew::new(machine.threads)?,
            ranges_ahead: machine.ranges_ahead(source.range_bytes()),
            set_bytes: machine.memory_bytes / 4,
            source,
            destination,
            spool: Spool::new(machine.spool_dir.clone(), machine.waiting_bytes()),
        })
    }
}

/// Reads the inputs of these units of `plan`, several units at once.
///
/// # Errors
/// Those of the source; and [`Error::TooManyFields`].
pub(crate) async fn read(
    job: &Job,
    plan: &Plan,
    units: &[Unit],
    progress: &impl Fn(Progress),
) -> Result<Vec<UnitRead>, Error> {
    read_telling(job, plan, units, progress, None).await
}

/// As [`read`]; and says of every unit, in their order, what it has, as soon as those before it are read.
async fn read_telling(
    job: &Job,
    plan: &Plan,
    units: &[Unit],
    progress: &impl Fn(Progress),
    parts: Option<mpsc::Sender<Part>>,
) -> Result<Vec<UnitRead>, Error> {
    let (news, mut heard) = mpsc::channel(NEWS);
    let reading = read_units(job, plan, units, news, parts);
    let telling = async {
        let objects = units.iter().map(|unit| unit.inputs(plan).len()).sum();
        let mut meter = Meter::new(Phase::Reading, objects, units.iter().map(|unit| unit.bytes(plan)).sum());
        progress(meter.progress);
        while let Some((bytes, rows)) = heard.recv().await {
            progress(meter.done(bytes, rows));
        }
    };
    let (units, ()) = tokio::join!(reading, telling);
    units
}

impl Reading {
    /// All units of a plan, and the schema of their rows.
    ///
    /// # Errors
    /// [`Error::TooManyFields`].
    pub(crate) fn new(recipe: &Recipe, units: Vec<UnitRead>) -> Result<Self, Error> {
        let bounds = recipe.bounds();
        let table = units.iter().fold(Table::default(), |table, unit| table.join(unit.table.clone(), bounds));
        check_fields(&table)?;
        let mut schema = Schema::of(table, bounds);
        if !recipe.write_partition_columns && units.iter().all(|unit| unit.untold == 0) {
            // A level that had to take another name does not stand for the column.
            let levels = Levels::beside(&recipe.partition_by, &schema);
            let is_level = |name: &&str| levels.names().iter().any(|level| level == name);
            let columns: Vec<&str> =
                recipe.partition_by.iter().filter_map(PartitionBy::column).filter(is_level).collect();
            schema.leave_out(&columns);
        }
        Ok(Self { schema, units })
    }

    /// Takes the lines of the quarantine file.
    fn quarantine(&mut self) -> Vec<Blob> {
        self.units.iter_mut().flat_map(|unit| std::mem::take(&mut unit.quarantine)).collect()
    }

    /// What was read of every object, in the plan's order.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &ObjectRead> {
        self.units.iter().flat_map(|unit| &unit.objects)
    }
}

async fn read_units(
    job: &Job,
    plan: &Plan,
    units: &[Unit],
    news: mpsc::Sender<(u64, u64)>,
    parts: Option<mpsc::Sender<Part>>,
) -> Result<Vec<UnitRead>, Error> {
    let mut told = 0;
    let mut read = BTreeMap::new();
    let mut tasks = JoinSet::new();
    let mut left = units.iter().enumerate();
    loop {
        while tasks.len() < job.threads
            && let Some((at, unit)) = left.next()
        {
            let objects = unit.inputs(plan).iter().map(|input| input.object.clone()).collect();
            let (job, news) = (job.clone(), news.clone());
            tasks.spawn(async move { work::read_unit(job, objects, news).await.map(|read| (at, read)) });
        }
        let Some(done) = tasks.join_next().await else { return Ok(read.into_values().collect()) };
        let (at, unit) = done??;
        read.insert(at, unit);
        while let Some(parts) = &parts
            && let Some((unit, read)) = units.get(told).zip(read.get(&told))
        {
            // Who listens may have heard enough.
            parts.send(Part::new(unit, plan, read)).await.ok();
            told += 1;
        }
    }
}

fn check_fields(table: &Table) -> Result<(), Error> {
    if table.places() > MAX_FIELDS { Err(Error::TooManyFields { limit: MAX_FIELDS }) } else { Ok(()) }
}

/// Counts the objects of one phase.
struct Meter {
    progress: Progress,
}

impl Meter {
    fn new(phase: Phase, total_objects: usize, total_bytes: u64) -> Self {
        let total_objects = total_objects as u64;
        Self { progress: Progress { phase, objects: 0, total_objects, bytes: 0, total_bytes, rows: 0 } }
    }

    fn done(&mut self, bytes: u64, rows: u64) -> Progress {
        self.progress.objects += 1;
        self.progress.bytes += bytes;
        self.progress.rows += rows;
        self.progress
    }
}
