//! Where a process of this machine puts files until they are published.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

/// Below the root, so that publishing is a rename within one file system; readers pass over it.
const FOLDER: &str = "_tmp";

/// A folder of one process, which goes with it. While the process lives it holds a lock on the folder, so that others
/// know that it is not left behind.
#[derive(Debug)]
pub(super) struct Staging {
    folder: TempDir,
    _lock: File,
    files: AtomicU64,
}

impl Staging {
    /// Makes a folder below `root`.
    pub(super) fn new(root: &Path) -> io::Result<Self> {
        loop {
            let all = root.join(FOLDER);
            fs::create_dir_all(&all)?;
            let folder = match tempfile::Builder::new().prefix("run-").tempdir_in(&all) {
                // Another process has just found `_tmp` empty, and removed it.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                folder => folder?,
            };
            match lock(folder.path()) {
                Ok(lock) if folder.path().exists() => {
                    return Ok(Self { folder, _lock: lock, files: AtomicU64::new(0) });
                }
                // Another process took it for one that was left behind, before it was locked.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A path that no file has.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join(self.files.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let (Some(all), Ok(())) = (self.folder.path().parent(), fs::remove_dir_all(self.folder.path())) {
            // Fails, and well, while another process has a folder there.
            fs::remove_dir(all).ok();
        }
    }
}

/// Waits for the lock of a folder, and holds it until dropped.
pub(super) fn lock(folder: &Path) -> io::Result<File> {
    let file = File::open(folder)?;
    file.lock()?;
    Ok(file)
}

/// Removes the folders of processes that are no more.
pub(super) fn clear(root: &Path) -> io::Result<()> {
    let all = root.join(FOLDER);
    let entries = match fs::read_dir(&all) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let removed = match File::open(&path).and_then(|file| match file.try_lock() {
            Ok(()) => fs::remove_dir_all(&path),
            Err(TryLockError::WouldBlock) => Ok(()),
            Err(TryLockError::Error(error)) => Err(error),
        }) {
            // Another process was faster.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        removed?;
    }
    // Fails, and well, while a process has a folder there.
    fs::remove_dir(&all).ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_living_stay_and_those_of_the_dead_go() {
        let root = tempfile::tempdir().expect("a folder");
        let living = Staging::new(root.path()).expect("staging");
        fs::write(living.path(), "x").expect("written");
        let dead = root.path().join(FOLDER).join("run-dead");
        fs::create_dir(&dead).expect("a folder");
        fs::write(dead.join("0"), "x").expect("written");
        clear(root.path()).expect("cleared");
        assert!(!dead.exists() && living.folder.path().join("0").exists());
        drop(living);
        assert!(!root.path().join(FOLDER).exists());
    }
}
