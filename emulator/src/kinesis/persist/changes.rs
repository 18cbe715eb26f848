//! What happened in memory that the files do not know yet.

use super::super::sync::lock;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts changes of a service, and collects the segments that nobody needs any more.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    count: AtomicU64,
    unused: Mutex<Vec<PathBuf>>,
}

impl Changes {
    /// Counts a change. To be called under the lock of what changes, before it does.
    pub(crate) fn note(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    /// The changes so far.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Says that the segment at `path` holds nothing that is needed. It may be deleted once all streams are saved.
    pub(crate) fn unused(&self, path: PathBuf) {
        lock(&self.unused).push(path);
        self.note();
    }

    /// The segments that nobody needs, each given once.
    pub(crate) fn take_unused(&self) -> Vec<PathBuf> {
        std::mem::take(&mut *lock(&self.unused))
    }
}
