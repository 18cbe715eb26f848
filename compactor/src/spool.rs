//! Row groups that wait for the schema: in memory as far as allowed, then in a file without a name.

use crate::error::Error;
use crate::store::{Object, Store};
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
    Stored(Arc<Part>),
}

/// A part of an object that a share of a plan has left.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) store: Store,
    pub(crate) object: Arc<Object>,
    pub(crate) offset: u64,
    pub(crate) crc32: u32,
}

impl Part {
    /// The part, which has so many bytes. To be called on a thread that may block.
    fn get(&self, len: usize) -> Result<Bytes, Error> {
        let range = self.offset..self.offset + len as u64;
        let read = tokio::runtime::Handle::current().block_on(self.store.range(&self.object, range));
        let missing = || Error::Share { path: self.object.uri.clone(), fault: "it is not there, or has another size" };
        let (bytes, _) = match read {
            // Of an object that was planned, this would give the plan up.
            Err(Error::Changed { .. }) => return Err(missing()),
            read => read?,
        };
        if crc32fast::hash(&bytes) == self.crc32 {
            Ok(bytes)
        } else {
            Err(Error::Share { path: self.object.uri.clone(), fault: "its content is not what the share wrote" })
        }
    }
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

    /// The bytes of a blob of this spool, or of one that is stored. To be called on a thread that may block.
    pub(crate) fn get(&self, blob: &Blob) -> Result<Bytes, Error> {
        match &blob.place {
            Place::Memory(bytes) => Ok(bytes.clone()),
            Place::File { file, offset } => {
                let mut bytes = vec![0; blob.len];
                let read = file.read_exact_at(&mut bytes, *offset);
                read.map_err(|error| Error::io("read a temporary file in", &self.0.folder, error))?;
                Ok(Bytes::from(bytes))
            }
            Place::Stored(part) => part.get(blob.len),
        }
    }
}

/// A blob as a file of which parts are read.
#[derive(Debug, Clone)]
pub(crate) struct BlobReader {
    spool: Spool,
    blob: Blob,
}

impl BlobReader {
    pub(crate) fn new(spool: Spool, blob: Blob) -> Self {
        Self { spool, blob }
    }

    fn part(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let beyond = || parquet::errors::ParquetError::EOF("past the end of a blob".to_owned());
        let from = usize::try_from(start).map_err(|_| beyond())?;
        let to = from.checked_add(length).filter(|to| *to <= self.blob.len).ok_or_else(beyond)?;
        match &self.blob.place {
            Place::Memory(bytes) => Ok(bytes.slice(from..to)),
            Place::File { file, offset } => {
                let mut bytes = vec![0; length];
                let read = file.read_exact_at(&mut bytes, offset + start);
                let failed = |error| Error::io("read a temporary file in", &self.spool.0.folder, error);
                read.map_err(|error| parquet::errors::ParquetError::External(Box::new(failed(error))))?;
                Ok(Bytes::from(bytes))
            }
            Place::Stored(part) => match part.get(self.blob.len) {
                Ok(bytes) => Ok(bytes.slice(from..to)),
                Err(error) => Err(parquet::errors::ParquetError::External(Box::new(error))),
            },
        }
    }
}

impl parquet::file::reader::Length for BlobReader {
    fn len(&self) -> u64 {
        self.blob.len as u64
    }
}

impl parquet::file::reader::ChunkReader for BlobReader {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        // Headers of pages are read so; a page is fetched by its length.
        const HEADER: usize = 4 << 10;
        let left = self.blob.len.saturating_sub(usize::try_from(start).unwrap_or(usize::MAX));
        Ok(bytes::Buf::reader(self.part(start, left.min(HEADER))?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.part(start, length)
    }
}

impl Blob {
    /// Bytes that lie elsewhere.
    pub(crate) fn stored(part: Part, len: usize) -> Self {
        Self { place: Place::Stored(Arc::new(part)), len }
    }

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
