//! Ground truth on disk: append-only NDJSON, one journal for each table or delivery stream, in unnamed files that go
//! with the process.

use bytes::Bytes;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What one piece of a journal that is read back holds at most, in bytes.
const PIECE_BYTES: usize = 256 * 1024;

/// The journals of one service. Copies share them.
#[derive(Debug, Clone)]
pub(crate) struct Journals {
    /// `None` if nothing is to be written.
    dir: Option<PathBuf>,
    open: Arc<Mutex<BTreeMap<String, Arc<Journal>>>>,
}

#[derive(Debug)]
struct Journal {
    file: File,
    length: Mutex<u64>,
}

/// What was written to a journal so far, in pieces.
#[derive(Debug)]
pub(crate) struct Pieces {
    journal: Option<Arc<Journal>>,
    from: u64,
    until: u64,
}

impl Journals {
    /// Journals whose files lie in `dir`; without one, nothing is written.
    pub(crate) fn new(dir: Option<PathBuf>) -> Self {
        Self { dir, open: Arc::default() }
    }

    /// Whether anything is written at all.
    pub(crate) fn on(&self) -> bool {
        self.dir.is_some()
    }

    /// Writes `lines` at the end of the journal `name`, one behind the other. A failure is logged: the service that
    /// writes goes on.
    pub(crate) fn write<T: Serialize>(&self, name: &str, lines: impl IntoIterator<Item = T>) {
        let Some(dir) = &self.dir else { return };
        let mut text = Vec::new();
        for line in lines {
            if let Err(error) = serde_json::to_writer(&mut text, &line) {
                tracing::error!(%error, journal = name, "a line of ground truth is lost");
            }
            text.push(b'\n');
        }
        let written = self.journal(name, dir).and_then(|journal| journal.append(&text));
        if let Err(error) = written {
            tracing::error!(%error, journal = name, "ground truth is lost");
        }
    }

    /// What the journal `name` holds at this moment; nothing if nothing was written to it.
    pub(crate) fn read(&self, name: &str) -> Pieces {
        let journal = lock(&self.open).get(name).cloned();
        let until = journal.as_ref().map_or(0, |journal| *lock(&journal.length));
        Pieces { journal, from: 0, until }
    }

    fn journal(&self, name: &str, dir: &std::path::Path) -> io::Result<Arc<Journal>> {
        let mut open = lock(&self.open);
        if let Some(journal) = open.get(name) {
            return Ok(Arc::clone(journal));
        }
        let journal = Arc::new(Journal { file: unnamed(dir)?, length: Mutex::new(0) });
        open.insert(name.to_owned(), Arc::clone(&journal));
        Ok(journal)
    }
}

impl Journal {
    fn append(&self, text: &[u8]) -> io::Result<()> {
        let mut length = lock(&self.length);
        self.file.write_all_at(text, *length)?;
        *length += text.len() as u64;
        Ok(())
    }
}

impl Iterator for Pieces {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        let journal = self.journal.as_ref()?;
        let length = usize::try_from(self.until - self.from).unwrap_or(usize::MAX).min(PIECE_BYTES);
        if length == 0 {
            return None;
        }
        let mut piece = vec![0; length];
        let read = journal.file.read_exact_at(&mut piece, self.from);
        self.from += length as u64;
        if read.is_err() {
            self.journal = None;
        }
        Some(read.map(|()| piece.into()))
    }
}

/// A file in `dir` that has no name any more, and goes with its last user.
pub(crate) fn unnamed(dir: &std::path::Path) -> io::Result<File> {
    std::fs::create_dir_all(dir)?;
    let path = dir.join(format!(".truth-{}", uuid::Uuid::new_v4()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(journals: &Journals, name: &str) -> String {
        journals.read(name).map(|piece| String::from_utf8(piece.unwrap().to_vec()).unwrap()).collect()
    }

    #[test]
    fn what_is_written_reads_back_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let journals = Journals::new(Some(dir.path().join("made")));
        journals.write("a", [1, 2]);
        journals.write("b", ["x".repeat(PIECE_BYTES)]);
        journals.write("a", [3]);
        assert_eq!(text(&journals, "a"), "1\n2\n3\n");
        assert_eq!(text(&journals, "b").len(), PIECE_BYTES + 3);
        assert_eq!(text(&journals, "c"), "");
        assert_eq!(std::fs::read_dir(dir.path().join("made")).unwrap().count(), 0);
    }

    #[test]
    fn without_a_folder_nothing_is_written() {
        let journals = Journals::new(None);
        journals.write("a", [1]);
        assert!(!journals.on());
        assert_eq!(text(&journals, "a"), "");
    }
}
