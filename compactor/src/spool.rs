//! Row groups that wait for the schema: in memory as far as allowed, then in a file without a name.

use crate::error::Error;
use bytes::Bytes;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Holds blobs for all threads of a run. The file goes when the last holder does, however the process ends.
#[derive(Debug, Clone)]
pub(crate) struct Spool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    max_memory: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    in_memory: usize,
    file: Option<Arc<File>>,
    file_bytes: u64,
}

/// Bytes that were put into a spool.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    place: Place,
    len: usize,
}

#[derive(Debug, Clone)]
enum Place {
    Memory(Bytes),
    File { file: Arc<File>, offset: u64 },
}

impl Spool {
    /// Keeps up to `max_memory` bytes in memory, and what is more in a file in `folder`.
    pub(crate) fn new(folder: PathBuf, max_memory: usize) -> Self {
        Self(Arc::new(Shared { folder, max_memory, state: Mutex::default() }))
    }

    /// Keeps `bytes`.
    ///
    /// # Errors
    /// The disk is full, or the folder cannot be written to.
    pub(crate) fn put(&self, bytes: Vec<u8>) -> Result<Blob, Error> {
        let failed = |error| Error::io("write a temporary file in", &self.0.folder, error);
        let len = bytes.len();
        // A thread that panicked has taken the run with it.
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.in_memory.saturating_add(len) <= self.0.max_memory {
            state.in_memory += len;
            return Ok(Blob { place: Place::Memory(Bytes::from(bytes)), len });
        }
        let file = match &state.file {
            Some(file) => Arc::clone(file),
            None => Arc::clone(state.file.insert(Arc::new(tempfile::tempfile_in(&self.0.folder).map_err(failed)?))),
        };
        let offset = state.file_bytes;
        (&*file).write_all(&bytes).map_err(failed)?;
        state.file_bytes += len as u64;
        Ok(Blob { place: Place::File { file, offset }, len })
    }

    /// Bytes that went to the file.
    pub(crate) fn spilled(&self) -> u64 {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).file_bytes
    }

    /// The bytes of a blob of this spool.
    pub(crate) fn get(&self, blob: &Blob) -> Result<Bytes, Error> {
        match &blob.place {
            Place::Memory(bytes) => Ok(bytes.clone()),
            Place::File { file, offset } => {
                let mut bytes = vec![0; blob.len];
                let read = file.read_exact_at(&mut bytes, *offset);
                read.map_err(|error| Error::io("read a temporary file in", &self.0.folder, error))?;
                Ok(Bytes::from(bytes))
            }
        }
    }
}

impl Blob {
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_in_memory_comes_back_from_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::new(folder.path().to_owned(), 10);
        let blobs: Vec<Blob> = (0..5u8).map(|n| spool.put(vec![n; 4]).expect("kept")).collect();
        assert_eq!(spool.spilled(), 12);
        for (n, blob) in (0..5u8).zip(&blobs) {
            assert_eq!(spool.get(blob).expect("read"), vec![n; 4]);
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "the file has a name");
    }
}
