//! Objects, wherever they lie: a folder of this machine or a prefix of an S3 bucket.
//!
//! Both hold to the same rules: a name shows its whole new content or the old one, never a part; and of several writers
//! that each find the same old content, one replaces it ([`Store::swap`]). Large files are staged first ([`Upload`],
//! [`Staged`]), which no reader sees, and published in one step.

#[cfg(test)]
pub(crate) mod faults;
mod local;
mod s3;
mod staging;
mod upload;

pub(crate) use upload::{Staged, Upload};

use crate::error::Error;
use crate::location::Location;
use bytes::Bytes;
use local::LocalStore;
use s3::S3Store;
use std::ops::Range;
use std::time::SystemTime;

/// Bytes of one part of an upload; only the last may have fewer. S3 wants 5 MiB at least and 10,000 parts at most.
pub(crate) const PART_BYTES: usize = 8 << 20;

/// An object as it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    /// Below the store's root, with `/` between folders.
    pub(crate) name: String,
    /// In full: an absolute path or an `s3://` URL. The object's identity over all runs.
    pub(crate) uri: String,
    pub(crate) bytes: u64,
    /// Of S3, where the listing gives one.
    pub(crate) etag: Option<String>,
    /// When it was written last.
    pub(crate) modified: Option<SystemTime>,
}

/// A small object's content, as it was when it was read.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) bytes: Vec<u8>,
    etag: Option<String>,
}

/// A place that holds objects.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    place: Place,
    io: Io,
}

#[derive(Debug, Clone)]
enum Place {
    Local(LocalStore),
    S3(S3Store),
}

/// What all input and output of a store goes through: in tests, a process that dies at one of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Io {
    #[cfg(test)]
    faults: faults::Faults,
}

impl Io {
    pub(crate) async fn of<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        #[cfg(test)]
        return self.faults.of(work).await;
        #[cfg(not(test))]
        work.await
    }
}

impl Store {
    /// Opens `location`; nothing is looked at yet.
    ///
    /// # Errors
    /// [`Error::Usage`] for a bucket without a client.
    pub(crate) fn open(location: &Location, client: Option<&aws_sdk_s3::Client>) -> Result<Self, Error> {
        let place = match (location, client) {
            (Location::Local(root), _) => Place::Local(LocalStore::new(root)),
            (Location::S3 { bucket, prefix }, Some(client)) => {
                Place::S3(S3Store::new(client.clone(), bucket.clone(), prefix))
            }
            (Location::S3 { .. }, None) => return Err(Error::Usage(format!("{location}: no S3 client was given"))),
        };
        Ok(Self { place, io: Io::default() })
    }

    /// The same store, as a process sees it whose I/O fails so.
    #[cfg(test)]
    pub(crate) fn with_faults(self, faults: faults::Faults) -> Self {
        Self { io: Io { faults }, ..self }
    }

    /// The full name of an object.
    pub(crate) fn uri(&self, name: &str) -> String {
        match &self.place {
            Place::Local(store) => store.path(name).display().to_string(),
            Place::S3(store) => store.uri(name),
        }
    }

    /// The object's name below the root; as it is, where it lies elsewhere.
    pub(crate) fn name_of(&self, uri: &str) -> String {
        let root = self.uri("");
        let below = uri.strip_prefix(&root).map(|name| name.trim_start_matches('/'));
        below.filter(|name| !name.is_empty()).unwrap_or(uri).to_owned()
    }

    /// Every object below `folder`, or below the root where it is empty. In no order.
    ///
    /// # Errors
    /// [`Error::Usage`] where the root itself does not exist; a `folder` that does not exist is empty.
    pub(crate) async fn list(&self, folder: &str) -> Result<Vec<Object>, Error> {
        match &self.place {
            Place::Local(store) => self.io.of(store.list(folder)).await,
            Place::S3(store) => self.io.of(Box::pin(store.list(folder))).await,
        }
    }

    /// Bytes that are best asked for at once.
    pub(crate) fn range_bytes(&self) -> u64 {
        match self.place {
            Place::Local(_) => local::RANGE,
            Place::S3(_) => s3::RANGE,
        }
    }

    /// A part of an object, and the ETag that came with it.
    ///
    /// # Errors
    /// [`Error::Changed`] where it is no longer the object that was listed.
    pub(crate) async fn range(&self, object: &Object, range: Range<u64>) -> Result<(Bytes, Option<String>), Error> {
        match &self.place {
            Place::Local(store) => self.io.of(store.range(object, range)).await.map(|bytes| (bytes, None)),
            Place::S3(store) => self.io.of(Box::pin(store.range(object, range))).await,
        }
    }

    /// A small object, if it is there.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<Version>, Error> {
        match &self.place {
            Place::Local(store) => self.io.of(store.get(name)).await,
            Place::S3(store) => self.io.of(Box::pin(store.get(name))).await,
        }
    }

    /// Writes a small object, in place of what was there.
    pub(crate) async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
        match &self.place {
            Place::Local(store) => self.io.of(store.put(name, bytes)).await,
            Place::S3(store) => self.io.of(Box::pin(store.put(name, bytes))).await,
        }
    }

    /// Writes a small object if what is there is still `old`, or nothing is where that is `None`. Whether it was written:
    /// if its answer is lost, and it is asked again, a write that was done is taken for one that was not. So where it
    /// says no, look.
    pub(crate) async fn swap(&self, name: &str, old: Option<&Version>, new: Vec<u8>) -> Result<bool, Error> {
        match &self.place {
            Place::Local(store) => self.io.of(store.swap(name, old, new)).await,
            Place::S3(store) => self.io.of(Box::pin(store.swap(name, old, new))).await,
        }
    }

    /// Removes an object, if it is there.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), Error> {
        match &self.place {
            Place::Local(store) => self.io.of(store.delete(name)).await,
            Place::S3(store) => self.io.of(Box::pin(store.delete(name))).await,
        }
    }

    /// Begins a large object, which no reader sees before it is published.
    pub(crate) async fn create(&self, name: String) -> Result<Upload, Error> {
        let upload = match &self.place {
            Place::Local(store) => self.io.of(store.create(name)).await?,
            Place::S3(store) => self.io.of(Box::pin(store.create(name))).await?,
        };
        Ok(Upload::new(upload, self.io.clone()))
    }

    /// Shows a staged object to readers. What is there already may stay: the same name has the same content.
    pub(crate) async fn publish(&self, staged: &Staged) -> Result<(), Error> {
        match &self.place {
            Place::Local(store) => self.io.of(store.publish(staged)).await,
            Place::S3(store) => self.io.of(Box::pin(store.publish(staged))).await,
        }
    }

    /// Gives up a staged object.
    pub(crate) async fn discard(&self, staged: &Staged) -> Result<(), Error> {
        match &self.place {
            Place::Local(store) => self.io.of(store.discard(staged)).await,
            Place::S3(store) => self.io.of(Box::pin(store.discard(staged))).await,
        }
    }

    /// Ends uploads that were begun before `before` and never completed, and says how many there were; only that, if it is
    /// a `dry_run`. Of this machine there are none.
    pub(crate) async fn abort_uploads(&self, before: SystemTime, dry_run: bool) -> Result<u64, Error> {
        match &self.place {
            Place::Local(_) => Ok(0),
            Place::S3(store) => self.io.of(Box::pin(store.abort_uploads(before, dry_run))).await,
        }
    }

    /// Removes what processes left behind that stopped while they were staging.
    ///
    /// Of S3, a crashed run's uploads stay, and nobody sees them: see [`Store::abort_uploads`].
    pub(crate) async fn clear_staging(&self) -> Result<(), Error> {
        match &self.place {
            Place::Local(store) => self.io.of(store.clear_staging()).await,
            Place::S3(_) => Ok(()),
        }
    }
}
