//! The data folder: made if missing, and held by one emulator at a time.

use super::StartError;
use std::error::Error;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Locked while an emulator runs. The system frees the lock when the process ends in whatever way.
const LOCK: &str = "emulator.lock";

/// The data folder of a running emulator. Dropping it lets another one in.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes `dir` and takes it for this emulator. The path becomes absolute, so that `AWS_CA_BUNDLE` survives a change
    /// of folder.
    pub(super) fn open(dir: &Path) -> Result<Self, StartError> {
        let write_error = |source| StartError::Write { path: dir.to_owned(), source };
        let dir = std::path::absolute(dir).map_err(write_error)?;
        let lock = fs::create_dir_all(&dir)
            .and_then(|()| File::options().create(true).append(true).open(dir.join(LOCK)))
            .map_err(write_error)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StartError::FolderTaken { dir }),
            Err(TryLockError::Error(source)) => Err(write_error(source)),
        }
    }

    /// The path of `name` in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes the folder `name` inside.
    pub(super) fn subfolder(&self, name: &str) -> Result<PathBuf, StartError> {
        let path = self.path(name);
        match fs::create_dir_all(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(StartError::Write { path, source }),
        }
    }

    /// Writes the file `name` in one step: a reader sees the old content or the new one.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, StartError> {
        let path = self.path(name);
        let part = self.path(&format!("{name}.part"));
        match fs::write(&part, content).and_then(|()| fs::rename(&part, &path)) {
            Ok(()) => Ok(path),
            Err(source) => Err(StartError::Write { path, source }),
        }
    }

    /// The error for `name` holding what `source` complains of.
    pub(super) fn unreadable(&self, name: &str, source: Box<dyn Error + Send + Sync>) -> StartError {
        match source.downcast::<io::Error>() {
            Ok(source) => StartError::Write { path: self.path(name), source: *source },
            Err(source) => StartError::Data { path: self.path(name), source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_at_a_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("deep/data");
        let first = Folder::open(&path).expect("the first holder");
        let error = Folder::open(&path).expect_err("a second holder");
        assert!(matches!(error, StartError::FolderTaken { .. }), "{error}");
        drop(first);
        Folder::open(&path).expect("the next holder");
    }

    #[test]
    fn what_is_written_into_a_relative_folder_has_an_absolute_path() {
        let dir = tempfile::tempdir().expect("a folder");
        let here = std::env::current_dir().expect("a folder");
        let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
        let relative = up.join(dir.path().strip_prefix("/").expect("an absolute path")).join("data of mine");
        let written = Folder::open(&relative).and_then(|folder| folder.write("ca.pem", b"x")).expect("a file");
        assert!(relative.is_relative() && written.is_absolute(), "{}", written.display());
        assert_eq!(fs::read(&written).expect("the file"), b"x");
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        fs::write(&path, "").expect("a file");
        let error = Folder::open(&path).expect_err("a file is no folder");
        assert!(error.to_string().contains("file: make it writable or give another --dir"), "{error}");
    }
}
