//! The first reading: finds the schema, and the damage.

use super::read::{self, Pass};
use super::{Job, Meter};
use crate::columns::{Bounds, Shape};
use crate::decode::{Decoder, Loss, Row};
use crate::error::Error;
use crate::json::Value;
use crate::plan::Plan;
use crate::report::{Phase, Progress};
use crate::store::Object;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Distinct fields, nested ones included: with their names, some hundred MiB.
const MAX_FIELDS: usize = 1_000_000;

/// Bytes of rows between two looks at the number of fields.
const LOOK_BYTES: usize = 16 << 20;

/// What the first reading found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Of all rows of all objects.
    pub(crate) shape: Shape,
    /// In the plan's order.
    pub(crate) objects: Vec<ScannedObject>,
}

/// What an object holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ScannedObject {
    pub(crate) rows: u64,
    pub(crate) members: u64,
    pub(crate) text_bytes: u64,
    pub(crate) losses: Vec<Loss>,
}

/// Reads all inputs of `plan`, several at once.
pub(crate) async fn scan(job: &Job, plan: &Plan, progress: &impl Fn(Progress)) -> Result<Scan, Error> {
    let mut meter = Meter::new(Phase::Scanning, plan.inputs.len(), plan.bytes());
    let mut result = Scan { objects: vec![ScannedObject::default(); plan.inputs.len()], ..Scan::default() };
    let mut tasks = JoinSet::new();
    let mut inputs = plan.inputs.iter().enumerate();
    loop {
        while tasks.len() < job.settings.threads
            && let Some((at, input)) = inputs.next()
        {
            let (job, object) = (job.clone(), input.object.clone());
            tasks.spawn(async move { (at, scan_object(&job, &object).await) });
        }
        let Some(done) = tasks.join_next().await else { return Ok(result) };
        let (at, scanned) = done?;
        let (shape, scanned) = scanned?;
        result.shape.merge_rows(shape, job.bounds());
        check_fields(&result.shape)?;
        progress(meter.done(&plan.inputs[at].object, scanned.rows));
        result.objects[at] = scanned;
    }
}

async fn scan_object(job: &Job, object: &Object) -> Result<(Shape, ScannedObject), Error> {
    let (rows, bounds) = (job.rows(), job.bounds());
    let decoder = Decoder::new(job.settings.max_object_bytes);
    read::read(job, object, move |chunks: mpsc::Receiver<_>| {
        let mut pass = Scanning::new(bounds);
        let tally = read::decode(chunks, decoder, rows, &mut pass)?;
        let scanned = ScannedObject {
            rows: pass.rows,
            members: tally.members,
            text_bytes: tally.text_bytes,
            losses: pass.losses,
        };
        Ok((pass.trusted, scanned))
    })
    .await
}

struct Scanning {
    bounds: Bounds,
    trusted: Shape,
    rows: u64,
    /// Of the rows that are not to be trusted yet.
    open: Shape,
    open_rows: u64,
    /// Bytes of rows since the number of fields was looked at.
    unlooked: usize,
    losses: Vec<Loss>,
}

impl Scanning {
    fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            trusted: Shape::default(),
            rows: 0,
            open: Shape::default(),
            open_rows: 0,
            unlooked: 0,
            losses: Vec::new(),
        }
    }
}

impl Pass for Scanning {
    fn row(&mut self, row: Row<'_>) -> Result<(), Error> {
        // Bad rows are for the second reading, which can say where they are.
        let Row::Object { text, tape } = row else { return Ok(()) };
        self.open.observe_row(Value::root(text, tape), self.bounds);
        self.open_rows += 1;
        self.unlooked += text.len();
        if self.unlooked > LOOK_BYTES {
            self.unlooked = 0;
            check_fields(&self.open)?;
            check_fields(&self.trusted)?;
        }
        Ok(())
    }

    fn trusted(&mut self) -> Result<(), Error> {
        self.trusted.merge_rows(std::mem::take(&mut self.open), self.bounds);
        self.rows += std::mem::take(&mut self.open_rows);
        Ok(())
    }

    fn spoilt(&mut self) -> Result<(), Error> {
        self.open = Shape::default();
        self.open_rows = 0;
        Ok(())
    }

    fn lost(&mut self, loss: Loss) -> Result<(), Error> {
        self.losses.push(loss);
        Ok(())
    }
}

fn check_fields(shape: &Shape) -> Result<(), Error> {
    if shape.places() > MAX_FIELDS { Err(Error::TooManyFields { limit: MAX_FIELDS }) } else { Ok(()) }
}
