//! The two readings of a plan's objects: one finds the schema, one fills the files.
//!
//! Reading is asynchronous; decoding, building and encoding run on threads that may block, with bounded channels
//! between them. Decoding runs for several objects at once, and their batches are encoded in the plan's order, so the
//! files do not depend on which thread was faster.

mod build;
mod read;
mod scan;

pub(crate) use build::{Built, build};
pub(crate) use scan::{Scan, scan};

use crate::columns::Bounds;
use crate::decode::Rows;
use crate::report::{Phase, Progress};
use crate::settings::Settings;
use crate::store::{Object, Store};

/// Chunks of an object on their way from the store to the decoder.
const CHUNKS: usize = 2;

/// What every part of a job knows.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) settings: Settings,
    pub(crate) source: Store,
    pub(crate) destination: Store,
}

impl Job {
    /// The bounds of the schema. 64 structs and lists within each other are far from where Parquet's 16-bit levels end,
    /// and the parquet crate reads them back.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { max_columns: self.settings.max_columns, max_nesting: 64 }
    }

    fn rows(&self) -> Rows {
        Rows::new(self.settings.max_row_bytes, self.settings.max_depth)
    }
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

    fn done(&mut self, object: &Object, rows: u64) -> Progress {
        self.progress.objects += 1;
        self.progress.bytes += object.bytes;
        self.progress.rows += rows;
        self.progress
    }
}
