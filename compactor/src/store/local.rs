//! A folder of this machine.

use super::staging::{self, Staging};
use super::upload::{StagedPlace, UploadPlace};
use super::{Object, Staged, Version};
use crate::error::Error;
use crate::location::resolve;
use bytes::Bytes;
use std::fs;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

/// Bytes of one read: what stays in the cache until it is decoded.
pub(super) const RANGE: u64 = 1 << 20;

/// Bytes of a file that the disk is given while more are written: so its end is not waited for all at once.
const SYNC_BYTES: u64 = 32 << 20;

#[derive(Debug, Clone)]
pub(crate) struct LocalStore {
    root: PathBuf,
    /// Made when it is first needed.
    staging: Arc<Mutex<Option<Arc<Staging>>>>,
}

/// A file in the staging folder.
#[derive(Debug)]
pub(crate) struct LocalUpload {
    file: Arc<fs::File>,
    path: PathBuf,
    name: String,
    bytes: u64,
    /// Bytes since the disk was last asked for what it has not got.
    unsynced: u64,
    syncing: Option<JoinHandle<io::Result<()>>>,
}

impl LocalStore {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: resolve(root), staging: Arc::default() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.root.clone() } else { self.root.join(name) }
    }

    pub(super) async fn list(&self, folder: &str) -> Result<Vec<Object>, Error> {
        let (root, folder) = (self.root.clone(), folder.to_owned());
        blocking(move || walk(&root, &folder)).await
    }

    pub(super) async fn range(&self, object: &Object, range: Range<u64>) -> Result<Bytes, Error> {
        let object = object.clone();
        blocking(move || {
            let path = Path::new(&object.uri);
            let failed = |source: io::Error| match source.kind() {
                ErrorKind::NotFound | ErrorKind::UnexpectedEof => Error::Changed { object: object.uri.clone() },
                _ => Error::io("read", path, source),
            };
            let mut file = fs::File::open(path).map_err(failed)?;
            let metadata = file.metadata().map_err(failed)?;
            if metadata.len() != object.bytes
                || object.modified.is_some_and(|then| metadata.modified().ok() != Some(then))
            {
                return Err(Error::Changed { object: object.uri.clone() });
            }
            let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            // Unlike `read_exact_at`, this needs no bytes to write over.
            let mut bytes = Vec::with_capacity(length);
            file.seek(SeekFrom::Start(range.start)).map_err(failed)?;
            (&file).take(range.end - range.start).read_to_end(&mut bytes).map_err(failed)?;
            if bytes.len() < length {
                return Err(failed(ErrorKind::UnexpectedEof.into()));
            }
            Ok(Bytes::from(bytes))
        })
        .await
    }

    pub(super) async fn get(&self, name: &str) -> Result<Option<Version>, Error> {
        let path = self.path(name);
        match tokio::fs::read(&path).await {
            Ok(bytes) => Ok(Some(Version { bytes, etag: None })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", &path, error)),
        }
    }

    pub(super) async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let (path, store) = (self.path(name), self.clone());
        blocking(move || store.write(&path, &bytes).map_err(|error| Error::io("write", &path, error))).await
    }

    /// A lock on the root keeps others from looking or writing in between.
    pub(super) async fn swap(&self, name: &str, old: Option<&Version>, new: Vec<u8>) -> Result<bool, Error> {
        let (path, store) = (self.path(name), self.clone());
        let old = old.map(|old| old.bytes.clone());
        blocking(move || {
            let swap = || {
                fs::create_dir_all(&store.root)?;
                let _lock = staging::lock(&store.root)?;
                let current = match fs::read(&path) {
                    Err(error) if error.kind() == ErrorKind::NotFound => None,
                    content => Some(content?),
                };
                if current != old {
                    return Ok(false);
                }
                store.write(&path, &new).map(|()| true)
            };
            swap().map_err(|error| Error::io("write", &path, error))
        })
        .await
    }

    /// Writes a whole file in one step.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        create_parent(path)?;
        let staged = self.staging()?.path();
        fs::write(&staged, bytes)?;
        fs::File::open(&staged)?.sync_all()?;
        replace(&staged, path)
    }

    fn staging(&self) -> io::Result<Arc<Staging>> {
        // A thread that panicked has taken the run with it.
        let mut staging = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(staging) = &*staging {
            return Ok(Arc::clone(staging));
        }
        Ok(Arc::clone(staging.insert(Arc::new(Staging::new(&self.root)?))))
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), Error> {
        let path = self.path(name);
        absent_is_fine(tokio::fs::remove_file(&path).await).map_err(|error| Error::io("remove", &path, error))
    }

    pub(super) async fn create(&self, name: String) -> Result<UploadPlace, Error> {
        let store = self.clone();
        blocking(move || {
            let create = || {
                let path = store.staging()?.path();
                Ok((fs::File::create(&path)?, path))
            };
            let (file, path) = create().map_err(|error| Error::io("create a file in", &store.root, error))?;
            Ok(UploadPlace::Local(LocalUpload {
                file: Arc::new(file),
                path,
                name,
                bytes: 0,
                unsynced: 0,
                syncing: None,
            }))
        })
        .await
    }

    pub(super) async fn publish(&self, staged: &Staged) -> Result<(), Error> {
        let StagedPlace::File(from) = &staged.place else { return Ok(()) };
        let (from, path) = (from.clone(), self.path(&staged.name));
        blocking(move || {
            create_parent(&path).and_then(|()| replace(&from, &path)).map_err(|error| Error::io("write", &path, error))
        })
        .await
    }

    pub(super) async fn discard(&self, staged: &Staged) -> Result<(), Error> {
        let StagedPlace::File(path) = &staged.place else { return Ok(()) };
        absent_is_fine(tokio::fs::remove_file(path).await).map_err(|error| Error::io("remove", path, error))
    }

    pub(super) async fn clear_staging(&self) -> Result<(), Error> {
        let root = self.root.clone();
        blocking(move || staging::clear(&root).map_err(|error| Error::io("remove temporary files in", &root, error)))
            .await
    }
}

impl LocalUpload {
    pub(super) async fn write(&mut self, part: Bytes) -> Result<(), Error> {
        let bytes = part.len() as u64;
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        blocking(move || (&*file).write_all(&part).map_err(|error| Error::io("write", &path, error))).await?;
        self.bytes += bytes;
        self.unsynced += bytes;
        if self.unsynced >= SYNC_BYTES && self.syncing.as_ref().is_none_or(JoinHandle::is_finished) {
            self.synced().await?;
            let file = Arc::clone(&self.file);
            self.unsynced = 0;
            self.syncing = Some(tokio::task::spawn_blocking(move || file.sync_data()));
        }
        Ok(())
    }

    /// Waits until the disk has what it was given last. An error is told once, so it must not be lost here.
    async fn synced(&mut self) -> Result<(), Error> {
        let Some(syncing) = self.syncing.take() else { return Ok(()) };
        syncing.await?.map_err(|error| Error::io("write", &self.path, error))
    }

    pub(super) async fn abort(mut self) {
        if let Err(error) = self.synced().await {
            tracing::debug!(%error, "in a file that is given up");
        }
        if let Err(error) = tokio::fs::remove_file(&self.path).await {
            tracing::warn!(path = %self.path.display(), %error, "an unfinished file stays behind");
        }
    }

    pub(super) async fn stage(mut self) -> Result<Staged, Error> {
        self.synced().await?;
        let (file, path) = (self.file, self.path.clone());
        blocking(move || file.sync_all().map_err(|error| Error::io("write", &path, error))).await?;
        Ok(Staged { name: self.name, bytes: self.bytes, place: StagedPlace::File(self.path) })
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await?
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn create_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// Renames, and makes the new name survive a power cut.
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    match to.parent() {
        Some(parent) => fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Every file below `root/folder`. Links to files are followed, links to folders are not: they may form a circle.
fn walk(root: &Path, folder: &str) -> Result<Vec<Object>, Error> {
    let start = if folder.is_empty() { root.to_owned() } else { root.join(folder) };
    let metadata = match fs::metadata(&start) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound && !folder.is_empty() => return Ok(Vec::new()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Error::Usage(format!("{}: there is no such file or folder", start.display())));
        }
        Err(error) => return Err(Error::io("list", &start, error)),
    };
    if metadata.is_file() {
        let parent = start.parent().unwrap_or(root);
        return Ok(vec![object(parent, &start, &metadata)?]);
    }
    let mut objects = Vec::new();
    let mut folders = vec![start];
    while let Some(folder) = folders.pop() {
        let failed = |error| Error::io("list", &folder, error);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            if entry.file_type().map_err(failed)?.is_dir() {
                folders.push(path);
                continue;
            }
            let metadata = fs::metadata(&path).map_err(|error| Error::io("list", &path, error))?;
            if metadata.is_file() {
                objects.push(object(root, &path, &metadata)?);
            }
        }
    }
    Ok(objects)
}

fn object(root: &Path, path: &Path, metadata: &fs::Metadata) -> Result<Object, Error> {
    let uri = path.to_str().ok_or_else(|| {
        Error::Usage(format!(
            "{}: the name is not UTF-8 and cannot be written to a manifest; rename it",
            path.display()
        ))
    })?;
    let name = path.strip_prefix(root).ok().and_then(Path::to_str).unwrap_or(uri);
    Ok(Object {
        name: name.to_owned(),
        uri: uri.to_owned(),
        bytes: metadata.len(),
        etag: None,
        modified: metadata.modified().ok(),
    })
}
