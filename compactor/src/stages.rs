//! The stages of a reading, one by one, for `benches/`. No part of the API.

use crate::columns::{Batch, Builder};
use crate::decode::{Decoder, Event, Row, Rows};
use crate::error::Error;
use crate::recipe::Recipe;
use crate::row_groups::FragmentWriter;
use crate::settings::Settings;
use crate::spool::Spool;
use std::sync::Arc;

/// JSON bytes of a batch, as in a run.
const BATCH_BYTES: usize = 1 << 20;

/// What the stages share: the recipe that settings without options make.
#[derive(Debug)]
pub struct Stages {
    recipe: Arc<Recipe>,
    spool: Spool,
}

/// A batch of rows as columns.
#[derive(Debug)]
pub struct Columns(Batch);

impl Columns {
    /// Bytes that the columns take in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.columns.get_array_memory_size()
    }
}

impl Stages {
    /// The stages of a plan that is made by `settings`.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let spool = Spool::new(settings.spool_dir.clone(), usize::MAX);
        Self { recipe: Arc::new(Recipe::of(settings)), spool }
    }

    /// Inflates and checks an object's members, and hands over the text of each. Returns the bytes of text.
    pub fn inflate(&self, object: &[u8], mut member: impl FnMut(&[u8])) -> u64 {
        let mut decoder = Decoder::new(self.recipe.max_object_bytes, self.recipe.held_bytes);
        let mut bytes = 0;
        // As they come from a folder.
        for piece in object.chunks(1 << 20) {
            decoder.push(piece);
            while let Some(event) = decoder.next() {
                if let Event::Inflated(length) = event {
                    bytes += length as u64;
                    member(decoder.text(length));
                }
            }
        }
        bytes
    }

    /// Parses the rows of members, builds columns of them, and hands over each batch. Returns the rows.
    ///
    /// # Errors
    /// Where a batch cannot be made of the rows, or one of them is bad.
    pub fn columns(&self, members: &[Vec<u8>], mut batch: impl FnMut(Columns)) -> Result<u64, Error> {
        let bad = || Error::Misread { object: "a stage".to_owned() };
        let mut rows = Rows::new(self.recipe.max_row_bytes, self.recipe.max_depth);
        let mut builder = Builder::new(self.recipe.bounds(), self.recipe.max_depth, 1_000_000);
        let (mut count, mut bytes) = (0, 0);
        rows.begin_object();
        for text in members {
            rows.begin_segment(0, false);
            rows.push(text);
            rows.end_segment();
            while let Some(row) = rows.next(|text| builder.try_append(text)) {
                bytes += match row {
                    Row::Taken { bytes } => bytes,
                    Row::Object { text, .. } => builder.append(text).map(|()| text.len()).map_err(|_| bad())?,
                    Row::Bad { .. } => return Err(bad()),
                };
                count += 1;
                if bytes >= BATCH_BYTES {
                    bytes = 0;
                    batch(Columns(builder.finish()?));
                }
            }
        }
        if builder.rows() > 0 {
            batch(Columns(builder.finish()?));
        }
        Ok(count)
    }

    /// Encodes columns to row groups. Returns their bytes.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn encode(&self, columns: &[Columns]) -> Result<u64, Error> {
        let mut writer = FragmentWriter::new(Arc::clone(&self.recipe), self.spool.clone(), Arc::new([]));
        let mut bytes = 0;
        for Columns(batch) in columns {
            let done = writer.write(batch.clone(), &[])?;
            bytes += done.iter().map(|group| group.blob.len() as u64).sum::<u64>();
        }
        Ok(bytes + writer.close()?.map_or(0, |group| group.blob.len() as u64))
    }
}
