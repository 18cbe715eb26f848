//! The second reading: fills the files.

use super::read::{self, Pass};
use super::scan::{Scan, ScannedObject};
use super::{Job, Meter};
use crate::columns::{Builder, Schema};
use crate::decode::{Decoder, Loss, Row};
use crate::error::Error;
use crate::json::Value;
use crate::manifest::OutputFile;
use crate::outlet::{self, Outlet};
use crate::partition::Names;
use crate::plan::Plan;
use crate::quarantine;
use crate::report::{Phase, Progress};
use crate::row_groups::PartFiles;
use crate::store::{Object, Staged};
use arrow_array::RecordBatch;
use std::io::Write as _;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// JSON bytes of a batch's rows, about: what waits in memory for each object is a few of these.
const BATCH_BYTES: usize = 4 << 20;

/// Rows of a batch, at most.
const BATCH_ROWS: usize = 1 << 16;

/// Batches of one object that wait for the encoder.
const BATCHES: usize = 2;

/// What the second reading wrote. Nothing of it is visible yet.
#[derive(Debug, Default)]
pub(crate) struct Built {
    pub(crate) staged: Vec<Staged>,
    pub(crate) files: Vec<OutputFile>,
    pub(crate) quarantine: Option<String>,
    pub(crate) rows: u64,
    pub(crate) quarantined_rows: u64,
    pub(crate) replaced: u64,
}

/// What a decoding thread hands to the encoding one.
enum Item {
    Batch(RecordBatch),
    Quarantined(Vec<u8>),
}

/// One object's items, and where its rows go. Lanes come in the plan's order.
struct Lane {
    folder: String,
    items: mpsc::Receiver<Item>,
}

#[derive(Debug, Default)]
struct Counts {
    rows: u64,
    quarantined_rows: u64,
    replaced: u64,
}

/// Reads all inputs of `plan` again and stages its files.
///
/// # Errors
/// [`Error::Changed`] where an object does not hold what the first reading found. Nothing stays staged.
pub(crate) async fn build(
    job: &Job,
    plan: &Plan,
    scan: &Scan,
    schema: &Arc<Schema>,
    progress: &impl Fn(Progress),
) -> Result<Built, Error> {
    let (outlet, commands) = outlet::channel();
    let (lanes, lane_queue) = mpsc::channel(1);
    let files = PartFiles::new(schema.to_arrow(), &job.settings, plan.short_id(), outlet.clone())?;
    let quarantine = quarantine::file_name(&plan.id);
    let writer = tokio::task::spawn_blocking(move || encode(lane_queue, files, &outlet, quarantine));
    let (read, (staged, stored), encoded) = tokio::join!(
        read_all(job, plan, scan, schema, lanes, progress),
        outlet::stage_all(&job.destination, commands),
        writer,
    );
    // The reason comes before what followed from it: a part that stopped because another one had is heard last.
    let encoded = encoded.map_err(Error::from).and_then(|encoded| encoded);
    match first_reason(read, stored, encoded) {
        Ok((counts, (files, quarantine))) => {
            let Counts { rows, quarantined_rows, replaced } = counts;
            Ok(Built { staged, files, quarantine, rows, quarantined_rows, replaced })
        }
        Err(error) => {
            for staged in &staged {
                if let Err(error) = job.destination.discard(staged).await {
                    tracing::warn!(file = staged.name, %error, "a staged file stays behind");
                }
            }
            Err(error)
        }
    }
}

fn first_reason<A, C>(
    read: Result<A, Error>,
    stored: Result<(), Error>,
    encoded: Result<C, Error>,
) -> Result<(A, C), Error> {
    match (read, stored, encoded) {
        (Ok(read), Ok(()), Ok(encoded)) => Ok((read, encoded)),
        (read, stored, encoded) => {
            let errors = [read.err(), stored.err(), encoded.err()];
            let mut errors: Vec<Error> = errors.into_iter().flatten().collect();
            errors.sort_by_key(|error| matches!(error, Error::Stopped));
            Err(errors.into_iter().next().unwrap_or(Error::Stopped))
        }
    }
}

async fn read_all(
    job: &Job,
    plan: &Plan,
    scan: &Scan,
    schema: &Arc<Schema>,
    lanes: mpsc::Sender<Lane>,
    progress: &impl Fn(Progress),
) -> Result<Counts, Error> {
    let names = Names::beside(schema);
    let mut meter = Meter::new(Phase::Writing, plan.inputs.len(), plan.bytes());
    let mut total = Counts::default();
    let mut tasks = JoinSet::new();
    let mut inputs = plan.inputs.iter().zip(&scan.objects).enumerate();
    loop {
        while tasks.len() < job.settings.threads
            && let Some((at, (input, scanned))) = inputs.next()
        {
            let (sender, items) = mpsc::channel(BATCHES);
            let lane = Lane { folder: input.hour.folder(&names), items };
            lanes.send(lane).await.map_err(|_| Error::Stopped)?;
            let (job, object, scanned) = (job.clone(), input.object.clone(), scanned.clone());
            let schema = Arc::clone(schema);
            tasks.spawn(async move { (at, build_object(&job, object, scanned, &schema, sender).await) });
        }
        let Some(done) = tasks.join_next().await else { return Ok(total) };
        let (at, counts) = done?;
        let counts = counts?;
        total.rows += counts.rows;
        total.quarantined_rows += counts.quarantined_rows;
        total.replaced += counts.replaced;
        progress(meter.done(&plan.inputs[at].object, counts.rows));
    }
}

async fn build_object(
    job: &Job,
    object: Object,
    scanned: ScannedObject,
    schema: &Schema,
    items: mpsc::Sender<Item>,
) -> Result<Counts, Error> {
    let rows = job.rows();
    let decoder = Decoder::with_gaps(job.settings.max_object_bytes, scanned.losses.clone());
    let builder = Builder::new(schema);
    let uri = object.uri.clone();
    read::read(job, &object, move |chunks| {
        let mut pass = Building { object: uri, builder, batch_bytes: 0, items, counts: Counts::default() };
        let tally = read::decode(chunks, decoder, rows, &mut pass)?;
        pass.flush()?;
        pass.counts.replaced = pass.builder.replaced();
        let read = (pass.counts.rows, tally.members, tally.text_bytes);
        if read != (scanned.rows, scanned.members, scanned.text_bytes) {
            return Err(pass.changed());
        }
        Ok(pass.counts)
    })
    .await
}

struct Building {
    object: String,
    builder: Builder,
    batch_bytes: usize,
    items: mpsc::Sender<Item>,
    counts: Counts,
}

impl Building {
    fn changed(&self) -> Error {
        Error::Changed { object: self.object.clone() }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.batch_bytes = 0;
        if self.builder.rows() == 0 {
            return Ok(());
        }
        let batch = self.builder.finish()?;
        self.send(Item::Batch(batch))
    }

    fn quarantine(&mut self, line: Result<Vec<u8>, serde_json::Error>) -> Result<(), Error> {
        let line = line.map_err(|source| Error::Manifest { path: self.object.clone(), source })?;
        self.send(Item::Quarantined(line))
    }

    fn send(&mut self, item: Item) -> Result<(), Error> {
        self.items.blocking_send(item).map_err(|_| Error::Stopped)
    }
}

impl Pass for Building {
    fn row(&mut self, row: Row<'_>) -> Result<(), Error> {
        match row {
            Row::Object { text, tape } => {
                self.builder.append(Value::root(text, tape)).map_err(|_| self.changed())?;
                self.counts.rows += 1;
                self.batch_bytes += text.len();
                if self.batch_bytes >= BATCH_BYTES || self.builder.rows() >= BATCH_ROWS {
                    self.flush()?;
                }
                Ok(())
            }
            Row::Bad { raw, fault, origin } => {
                self.counts.quarantined_rows += 1;
                self.quarantine(quarantine::row(&self.object, raw, fault, origin))
            }
        }
    }

    fn trusted(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn spoilt(&mut self) -> Result<(), Error> {
        // All damage was known: this is new.
        Err(self.changed())
    }

    fn lost(&mut self, loss: Loss) -> Result<(), Error> {
        self.quarantine(quarantine::loss(&self.object, &loss))
    }
}

/// Encodes what the lanes bring, one lane after the other.
fn encode(
    mut lanes: mpsc::Receiver<Lane>,
    mut files: PartFiles,
    outlet: &Outlet,
    quarantine: String,
) -> Result<(Vec<OutputFile>, Option<String>), Error> {
    let mut bad = None;
    while let Some(mut lane) = lanes.blocking_recv() {
        while let Some(item) = lane.items.blocking_recv() {
            match item {
                Item::Batch(batch) => files.write(&lane.folder, &batch)?,
                Item::Quarantined(line) => {
                    let file = bad.get_or_insert_with(|| outlet.create(quarantine.clone()));
                    file.write_all(&line).map_err(|_| Error::Stopped)?;
                }
            }
        }
    }
    let files = files.finish()?;
    let quarantine = match bad {
        Some(file) => file.close().map(|_| Some(quarantine))?,
        None => None,
    };
    Ok((files, quarantine))
}
