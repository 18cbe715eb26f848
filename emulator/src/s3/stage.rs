//! Writes that appear whole or not at all: an object is written under a name that no client can see, and moved into
//! place once its length and checksums are known to be right.

use super::conditions::Conditions;
use super::layout::{Files, STAGING, remove_if_there};
use super::store::Store;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// How often a folder may vanish under a write. Each time takes another write that finds it empty.
const MOVE_RETRIES: usize = 100;

/// An object in the staging bucket. Dropping it before [`Store::commit`] removes it.
#[derive(Debug)]
pub(super) struct Staged {
    /// Its key in [`STAGING`].
    pub(super) key: String,
    files: Files,
}

impl Staged {
    /// A place for an object that does not exist yet.
    pub(super) fn new(root: &Path) -> Self {
        Self::at(root, Uuid::new_v4().simple().to_string())
    }

    /// The place of the name `key`.
    pub(super) fn at(root: &Path, key: String) -> Self {
        let files = Files::of(root, STAGING, &key);
        Self { key, files }
    }

    /// Moves the object to `target`, replacing what is there.
    ///
    /// The old ETag and checksums go first and the new ones come last, so that a process killed in between leaves the
    /// old bytes or the new ones, without checksums, and never one with the checksums of the other.
    fn publish(&self, target: &Files) -> io::Result<()> {
        if target.data.is_dir() {
            remove_empty(&target.data).or_else(ignore_absence)?;
        }
        if let Some(info) = &target.info {
            remove_if_there(info)?;
        }
        move_into_place(&self.files.data, &target.data)?;
        for (from, to) in [(&self.files.attributes, &target.attributes), (&self.files.info, &target.info)] {
            if let (Some(from), Some(to)) = (from, to) {
                rename_if_there(from, to)?;
            }
        }
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Err(error) = self.files.remove() {
            tracing::warn!(%error, key = self.key, "cannot remove a staged object; it is removed at the next start");
        }
    }
}

impl Store {
    /// Moves `staged` into place as `key` of `bucket` if the object there meets `conditions`; readers and other writers
    /// of the object wait. Runs to its end even if the caller leaves.
    pub(super) async fn commit(&self, staged: Staged, bucket: &str, key: &str, conditions: Conditions) -> S3Result<()> {
        let lock = self.locks().write(bucket, key).await;
        let bucket_folder = self.root().join(bucket);
        let target = Files::of(self.root(), bucket, key);
        let commit = move || {
            let _held = lock;
            if !bucket_folder.is_dir() {
                return Err(s3_error!(NoSuchBucket));
            }
            check(&conditions, &target)?;
            staged.publish(&target).map_err(unwritable)
        };
        self.tasks().spawn_blocking(commit).await.unwrap_or_else(|error| Err(S3Error::internal_error(error)))
    }
}

/// Removes a folder in which there are only folders, as deleted objects leave them.
fn remove_empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        remove_empty(&entry.path())?;
    }
    fs::remove_dir(folder)
}

/// Renames `from` to `to` and makes the folders above it, again if another write removes them as empty meanwhile.
fn move_into_place(from: &Path, to: &Path) -> io::Result<()> {
    let folder = to.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut again = 0..MOVE_RETRIES;
    loop {
        match fs::create_dir_all(folder).and_then(|()| fs::rename(from, to)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && again.next().is_some() => {}
            done => return done,
        }
    }
}

/// Checks `conditions` against the object as it is on disk.
pub(super) fn check(conditions: &Conditions, files: &Files) -> S3Result<()> {
    if conditions.is_empty() {
        return Ok(());
    }
    let current = files.etag().map_err(S3Error::internal_error)?;
    conditions.allow_write(current.as_ref())
}

fn rename_if_there(from: &PathBuf, to: &PathBuf) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => remove_if_there(to),
        done => done,
    }
}

fn ignore_absence(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn unwritable(error: io::Error) -> S3Error {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, IsADirectory, NotADirectory};
    match error.kind() {
        AlreadyExists | DirectoryNotEmpty | IsADirectory | NotADirectory => S3Error::with_message(
            S3ErrorCode::InvalidArgument,
            "the emulator keeps objects as files: a key cannot be the folder of another key",
        ),
        _ => S3Error::internal_error(error),
    }
}
