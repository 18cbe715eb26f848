//! Drives the decoders over one object, for either reading.

use super::{CHUNKS, Job};
use crate::decode::{Decoder, Event, Loss, Row, RowFault, Rows};
use crate::error::Error;
use crate::store::Object;
use bytes::Bytes;
use tokio::sync::mpsc;

/// Bytes that are pushed into the decoder at once.
const PIECE: usize = 256 << 10;

/// What a reading does with what an object holds.
pub(super) trait Pass {
    /// The next row, good or bad. It counts once [`Pass::trusted`] is called.
    fn row(&mut self, row: Row<'_>) -> Result<(), Error>;
    /// All rows so far are to be trusted.
    fn trusted(&mut self) -> Result<(), Error>;
    /// The rows since the last [`Pass::trusted`] are not.
    fn spoilt(&mut self) -> Result<(), Error>;
    /// A range of the object is lost.
    fn lost(&mut self, loss: Loss) -> Result<(), Error>;
}

/// What was read of an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Gzip members that are to be trusted.
    pub(super) members: u64,
    /// Bytes of text that are to be trusted.
    pub(super) text_bytes: u64,
}

/// Reads `object` from the store, with `work` on a thread of its own taking the bytes.
pub(super) async fn read<T: Send + 'static>(
    job: &Job,
    object: &Object,
    work: impl FnOnce(mpsc::Receiver<Bytes>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let work = tokio::task::spawn_blocking(move || work(receiver));
    let fed = job.source.read(object, sender).await;
    let worked = work.await?;
    // An object that ended early looks truncated to the decoder; the reason why it did comes first.
    fed.and(worked)
}

/// Decodes all of an object, from its first chunk to the end of `chunks`.
pub(super) fn decode(
    mut chunks: mpsc::Receiver<Bytes>,
    decoder: Decoder,
    rows: Rows,
    pass: &mut impl Pass,
) -> Result<Tally, Error> {
    let mut reading = Reading { decoder, rows, tally: Tally::default(), open_text: 0 };
    while let Some(chunk) = chunks.blocking_recv() {
        for piece in chunk.chunks(PIECE) {
            reading.decoder.push(piece);
            reading.events(pass)?;
        }
    }
    reading.decoder.finish();
    reading.events(pass)?;
    reading.rows.finish(RowFault::CutByEnd);
    reading.rows(pass)?;
    pass.trusted()?;
    Ok(reading.tally)
}

struct Reading {
    decoder: Decoder,
    rows: Rows,
    tally: Tally,
    /// Bytes of text since the last segment ended.
    open_text: u64,
}

impl Reading {
    fn events(&mut self, pass: &mut impl Pass) -> Result<(), Error> {
        while let Some(event) = self.decoder.next() {
            match event {
                Event::Start { offset, plain } => self.rows.begin_segment(offset, plain),
                Event::Text(text) => {
                    self.open_text += text.len() as u64;
                    self.rows.push(text);
                    drain(&mut self.rows, pass)?;
                }
                Event::End { plain } => {
                    self.tally.members += u64::from(!plain);
                    self.tally.text_bytes += std::mem::take(&mut self.open_text);
                    self.rows.end_segment();
                    self.rows(pass)?;
                    pass.trusted()?;
                }
                Event::Spoilt => {
                    self.open_text = 0;
                    self.rows.restart();
                    pass.spoilt()?;
                }
                Event::Lost(loss) => pass.lost(loss)?,
                Event::Gap(loss) => {
                    self.rows.finish(RowFault::CutByLoss);
                    self.rows(pass)?;
                    self.rows.restart();
                    pass.lost(loss)?;
                }
            }
        }
        Ok(())
    }

    fn rows(&mut self, pass: &mut impl Pass) -> Result<(), Error> {
        drain(&mut self.rows, pass)
    }
}

fn drain(rows: &mut Rows, pass: &mut impl Pass) -> Result<(), Error> {
    while let Some(row) = rows.next() {
        pass.row(row)?;
    }
    Ok(())
}
