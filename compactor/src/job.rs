//! The one reading of a plan's objects, and the writing of its files.
//!
//! The plan is cut into units, in a way that depends on the plan alone. Each unit is read on a thread of its own: its
//! rows become row groups, with the columns known by then. Once all are read the schema is known, and the row groups
//! become files. So the files do not depend on which thread was faster.

mod feed;
mod units;
mod work;
mod write;

pub(crate) use write::{Written, write};

use crate::columns::{Bounds, Schema, Table};
use crate::decode::Loss;
use crate::error::Error;
use crate::plan::Plan;
use crate::report::{Phase, Progress};
use crate::row_groups::Fragment;
use crate::settings::Settings;
use crate::spool::{Blob, Spool};
use crate::store::Store;
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Distinct fields, nested ones included: with their names, some hundred MiB.
const MAX_FIELDS: usize = 1_000_000;

/// Messages on how far the units have come that may wait.
const NEWS: usize = 64;

/// What every part of a job knows.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) settings: Settings,
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
    pub(crate) quarantined_rows: u64,
    pub(crate) replaced: u64,
}

/// What an object holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ObjectRead {
    /// Good rows.
    pub(crate) rows: u64,
    /// Gzip members and zstd frames that were read to their end.
    pub(crate) members: u64,
    pub(crate) text_bytes: u64,
    pub(crate) losses: Vec<Loss>,
}

impl Job {
    /// The bounds of the schema. 64 structs and lists within each other are far from where Parquet's 16-bit levels end,
    /// and the parquet crate reads them back.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { max_columns: self.settings.max_columns, max_nesting: 64 }
    }
}

/// Reads all inputs of `plan`, several units at once.
///
/// # Errors
/// Those of the source; and [`Error::TooManyFields`].
pub(crate) async fn read(job: &Job, plan: &Plan, progress: &impl Fn(Progress)) -> Result<Reading, Error> {
    let units = units::cut(plan, job.settings.unit_bytes);
    let (news, mut heard) = mpsc::channel(NEWS);
    let reading = read_units(job, plan, &units, news);
    let telling = async {
        let mut meter = Meter::new(Phase::Reading, plan.inputs.len(), plan.bytes());
        while let Some((bytes, rows)) = heard.recv().await {
            progress(meter.done(bytes, rows));
        }
    };
    let (units, ()) = tokio::join!(reading, telling);
    let units = units?;
    let table = units.iter().fold(Table::default(), |table, unit| table.join(unit.table.clone(), job.bounds()));
    check_fields(&table)?;
    Ok(Reading { schema: Schema::of(table, job.bounds()), units })
}

async fn read_units(
    job: &Job,
    plan: &Plan,
    units: &[units::Unit],
    news: mpsc::Sender<(u64, u64)>,
) -> Result<Vec<UnitRead>, Error> {
    let mut read = BTreeMap::new();
    let mut tasks = JoinSet::new();
    let mut left = units.iter().enumerate();
    loop {
        while tasks.len() < job.settings.threads
            && let Some((at, unit)) = left.next()
        {
            let objects = plan.inputs[unit.inputs.clone()].iter().map(|input| input.object.clone()).collect();
            let (job, news) = (job.clone(), news.clone());
            tasks.spawn(async move { work::read_unit(job, objects, news).await.map(|read| (at, read)) });
        }
        let Some(done) = tasks.join_next().await else { return Ok(read.into_values().collect()) };
        let (at, unit) = done??;
        read.insert(at, unit);
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
