//! Reads one unit: from the bytes of its objects to row groups.

use super::builder::{Refused, RowBuilder};
use super::feed::{self, Piece};
use super::labels::Members;
use super::route::Router;
use super::{Job, LossRead, MAX_FIELDS, ObjectRead, UnitRead};
use crate::columns::Refusal;
use crate::decode::{Decoder, Event, Loss, Origin, Row, RowFault, Rows};
use crate::error::Error;
use crate::quarantine;
use crate::settings::Mismatch;
use crate::store::Object;
use tokio::sync::mpsc;

/// JSON bytes of a batch's rows, about: small enough that a batch is encoded before it has left the cache.
const BATCH_BYTES: usize = 1 << 20;

/// The same for every column, so that what a column costs in each batch is spread over some values.
const BATCH_BYTES_A_COLUMN: usize = 1 << 10;

/// Rows of a batch, at most.
const BATCH_ROWS: usize = 1 << 16;

/// Quarantined bytes that are put aside together.
const QUARANTINE_BYTES: usize = 1 << 20;

/// Reads `objects`, and says how many bytes and rows each has.
pub(super) async fn read_unit(
    job: Job,
    objects: Vec<Object>,
    news: mpsc::Sender<(u64, u64)>,
) -> Result<UnitRead, Error> {
    let (sender, pieces) = mpsc::channel(1);
    let worker = Worker::new(&job);
    let names = objects.clone();
    let work = job.crew.run(move || worker.read(&names, pieces, &news));
    let feed = feed::feed(job.source.clone(), objects, job.ranges_ahead, sender);
    let (worked, fed) = tokio::join!(work, feed);
    let worked = worked?;
    // An object that ended early looks truncated to the decoder; the reason why it did comes first.
    fed.and(worked)
}

struct Worker {
    decoder: Decoder,
    rows: Rows,
    columns: Columns,
    /// Bytes of text since the last segment ended.
    open_text: u64,
    unproven: Option<Checkpoint>,
}

/// Where rows go.
struct Columns {
    job: Job,
    /// The object that is read.
    uri: String,
    object: ObjectRead,
    builder: RowBuilder,
    batch_bytes: usize,
    members: Members,
    router: Router,
    unit: UnitRead,
    quarantine: Vec<u8>,
}

/// What was good before a segment that is read before it is proven.
struct Checkpoint {
    fragments: usize,
    quarantined: usize,
    quarantined_rows: u64,
    members: usize,
    replaced: u64,
    unfit: u64,
    untold: u64,
    object: ObjectRead,
    open_row: Option<(Vec<u8>, Origin)>,
}

impl Worker {
    fn new(job: &Job) -> Self {
        let recipe = &job.recipe;
        Self {
            decoder: Decoder::new(recipe.max_object_bytes, recipe.held_bytes),
            rows: Rows::new(recipe.max_row_bytes, recipe.max_depth),
            columns: Columns {
                uri: String::new(),
                object: ObjectRead::default(),
                builder: RowBuilder::new(job),
                batch_bytes: 0,
                members: Members::new(recipe.dedupe_members),
                router: Router::new(recipe, job.spool.clone()),
                unit: UnitRead::default(),
                quarantine: Vec::new(),
                job: job.clone(),
            },
            open_text: 0,
            unproven: None,
        }
    }

    fn read(
        mut self,
        objects: &[Object],
        mut pieces: mpsc::Receiver<Piece>,
        news: &mpsc::Sender<(u64, u64)>,
    ) -> Result<UnitRead, Error> {
        for object in objects {
            self.columns.uri.clone_from(&object.uri);
            self.decoder.restart();
            self.rows.begin_object();
            self.open_text = 0;
            loop {
                let Some(piece) = pieces.blocking_recv() else { return Err(Error::Stopped) };
                self.decoder.push(&piece.bytes);
                if piece.last {
                    self.decoder.finish();
                }
                self.events()?;
                if piece.last {
                    break;
                }
            }
            self.rows.finish(RowFault::CutByEnd);
            self.take_rows()?;
            let read = std::mem::take(&mut self.columns.object);
            // Nobody has to listen.
            news.blocking_send((object.bytes, read.rows)).ok();
            self.columns.unit.objects.push(read);
        }
        self.columns.finish()
    }

    fn events(&mut self) -> Result<(), Error> {
        while let Some(event) = self.decoder.next() {
            match event {
                Event::Start { offset, plain } => {
                    // What began in the member before is not this one's.
                    let alone = self.rows.is_empty();
                    self.columns.members.begin(alone.then(|| self.decoder.extra()));
                    self.rows.begin_segment(offset, plain);
                }
                Event::Text(text) => {
                    self.open_text += text.len() as u64;
                    self.rows.push(text);
                    self.take_rows()?;
                }
                Event::Inflated(length) => {
                    self.open_text += length as u64;
                    let Self { rows, decoder, .. } = self;
                    if rows.is_empty() {
                        rows.swap(length, |buffer| decoder.swap_text(buffer));
                    } else {
                        rows.push(decoder.text(length));
                    }
                    self.take_rows()?;
                }
                Event::End { plain } => {
                    self.columns.object.members += u64::from(!plain);
                    self.columns.object.text_bytes += std::mem::take(&mut self.open_text);
                    self.rows.end_segment();
                    self.take_rows()?;
                    let alone = self.rows.is_empty();
                    self.columns.members.end(alone);
                    self.unproven = None;
                }
                Event::Unproven => self.unproven = Some(self.columns.checkpoint(self.rows.open_row())?),
                Event::Cut(loss) => {
                    self.columns.object.text_bytes += std::mem::take(&mut self.open_text);
                    self.rows.finish(RowFault::CutByEnd);
                    self.take_rows()?;
                    self.unproven = None;
                    self.columns.lose(loss)?;
                }
                Event::Spoilt { unproven } => self.spoilt(unproven)?,
                Event::Lost(loss) => self.columns.lose(loss)?,
            }
        }
        Ok(())
    }

    fn spoilt(&mut self, unproven: bool) -> Result<(), Error> {
        self.open_text = 0;
        if let Some(checkpoint) = self.unproven.take().filter(|_| unproven) {
            let open_row = self.columns.go_back(checkpoint);
            if let Some((raw, origin)) = open_row {
                self.columns.quarantine_row(&raw, &RowFault::CutByLoss, origin)?;
            }
        } else {
            self.rows.finish(RowFault::CutByLoss);
            self.take_rows()?;
        }
        self.rows.restart();
        Ok(())
    }

    fn take_rows(&mut self) -> Result<(), Error> {
        let Self { rows, columns, .. } = self;
        while let Some(row) = rows.next(|text| columns.builder.try_append(text)) {
            columns.row(row)?;
        }
        Ok(())
    }
}

impl Columns {
    #[inline]
    fn row(&mut self, row: Row<'_>) -> Result<(), Error> {
        match row {
            Row::Taken { bytes } => self.batch_bytes += bytes,
            Row::Object { text, value, origin } => {
                if let Err(refused) = self.builder.append(text, value) {
                    return self.refused(refused, text, origin);
                }
                self.batch_bytes += text.len();
            }
            Row::Bad { raw, fault, origin } => return self.quarantine_row(raw, &fault, origin),
        }
        self.object.rows += 1;
        self.members.add_row();
        let enough = BATCH_BYTES.max(self.builder.columns() * BATCH_BYTES_A_COLUMN);
        if self.batch_bytes >= enough || self.builder.rows() >= BATCH_ROWS || self.builder.is_full() {
            self.flush()?;
        }
        Ok(())
    }

    #[cold]
    fn refused(&mut self, refused: Refused, text: &str, origin: Origin) -> Result<(), Error> {
        let object = self.uri.clone();
        Err(match refused {
            Refused::Row(Refusal::TooManyFields) => Error::TooManyFields { limit: MAX_FIELDS },
            Refused::Row(Refusal::Misread) => Error::Misread { object },
            Refused::Misfit(misfit) if self.job.recipe.mismatch == Mismatch::Reject => {
                Error::Misfit { object, text_offset: origin.text_offset, misfit: misfit.to_string() }
            }
            Refused::Misfit(misfit) => return self.quarantine_row(text.as_bytes(), &misfit, origin),
        })
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.batch_bytes = 0;
        if self.builder.rows() > 0 {
            let batch = self.builder.finish()?;
            self.unit.fragments.extend(self.router.write(batch, &self.members.take_rows())?);
        }
        Ok(())
    }

    fn quarantine_row(&mut self, raw: &[u8], fault: &dyn std::fmt::Display, origin: Origin) -> Result<(), Error> {
        self.unit.quarantined_rows += 1;
        self.quarantine(quarantine::row(&self.uri, raw, fault, origin))
    }

    fn lose(&mut self, loss: Loss) -> Result<(), Error> {
        let line = quarantine::loss(&self.uri, &loss);
        let (offset, bytes) = (loss.from, loss.to - loss.from);
        self.object.losses.push(LossRead { offset, bytes, reason: loss.fault.to_string() });
        self.quarantine(line)
    }

    fn quarantine(&mut self, line: Result<Vec<u8>, serde_json::Error>) -> Result<(), Error> {
        let line = line.map_err(|source| Error::Manifest { path: self.uri.clone(), source })?;
        self.quarantine.extend_from_slice(&line);
        if self.quarantine.len() >= QUARANTINE_BYTES { self.put_quarantine() } else { Ok(()) }
    }

    fn put_quarantine(&mut self) -> Result<(), Error> {
        if !self.quarantine.is_empty() {
            let blob = self.job.spool.put(std::mem::take(&mut self.quarantine))?;
            self.unit.quarantine.push(blob);
        }
        Ok(())
    }

    /// All that is good so far is put where it can be told apart from what follows.
    fn checkpoint(&mut self, open_row: Option<(Vec<u8>, Origin)>) -> Result<Checkpoint, Error> {
        self.flush()?;
        self.unit.fragments.extend(self.router.close()?);
        self.put_quarantine()?;
        Ok(Checkpoint {
            fragments: self.unit.fragments.len(),
            quarantined: self.unit.quarantine.len(),
            quarantined_rows: self.unit.quarantined_rows,
            members: self.members.count(),
            replaced: self.builder.replaced(),
            unfit: self.builder.unfit(),
            untold: self.router.untold,
            object: self.object.clone(),
            open_row,
        })
    }

    /// Forgets all that came after the checkpoint, columns too.
    fn go_back(&mut self, to: Checkpoint) -> Option<(Vec<u8>, Origin)> {
        self.unit.replaced += to.replaced;
        self.unit.unfit += to.unfit;
        self.builder = RowBuilder::new(&self.job);
        self.batch_bytes = 0;
        self.members.go_back(to.members);
        self.router.discard();
        self.router.untold = to.untold;
        self.unit.fragments.truncate(to.fragments);
        self.unit.quarantine.truncate(to.quarantined);
        self.quarantine.clear();
        self.unit.quarantined_rows = to.quarantined_rows;
        self.object = to.object;
        to.open_row
    }

    fn finish(mut self) -> Result<UnitRead, Error> {
        self.flush()?;
        self.unit.fragments.extend(self.router.close()?);
        self.put_quarantine()?;
        self.unit.replaced += self.builder.replaced();
        self.unit.unfit += self.builder.unfit();
        self.unit.untold = self.router.untold;
        self.unit.members = self.members.all();
        let tables = self.unit.fragments.iter().map(|fragment| fragment.table.clone());
        self.unit.table = tables
            .fold(Default::default(), |all: crate::columns::Table, table| all.join(table, self.job.recipe.bounds()));
        Ok(self.unit)
    }
}
