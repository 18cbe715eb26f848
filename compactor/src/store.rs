//! Objects, wherever they lie: a folder of this machine or a prefix of an S3 bucket.
//!
//! Both hold to the same rule: a name shows its whole new content or the old one, never a part. Large files are
//! staged first ([`Upload`], [`Staged`]), which no reader sees, and published in one step.

mod local;
mod s3;
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
    /// Of a file.
    pub(crate) modified: Option<SystemTime>,
}

/// A place that holds objects.
#[derive(Debug, Clone)]
pub(crate) enum Store {
    Local(LocalStore),
    S3(S3Store),
}

impl Store {
    /// Opens `location`; nothing is looked at yet.
    ///
    /// # Errors
    /// [`Error::Usage`] for a bucket without a client.
    pub(crate) fn open(location: &Location, client: Option<&aws_sdk_s3::Client>) -> Result<Self, Error> {
        match (location, client) {
            (Location::Local(root), _) => Ok(Self::Local(LocalStore::new(root))),
            (Location::S3 { bucket, prefix }, Some(client)) => {
                Ok(Self::S3(S3Store::new(client.clone(), bucket.clone(), prefix)))
            }
            (Location::S3 { .. }, None) => Err(Error::Usage(format!("{location}: no S3 client was given"))),
        }
    }

    /// The full name of an object.
    pub(crate) fn uri(&self, name: &str) -> String {
        match self {
            Self::Local(store) => store.path(name).display().to_string(),
            Self::S3(store) => store.uri(name),
        }
    }

    /// Every object below `folder`, or below the root where it is empty. In no order.
    ///
    /// # Errors
    /// [`Error::Usage`] where the root itself does not exist; a `folder` that does not exist is empty.
    pub(crate) async fn list(&self, folder: &str) -> Result<Vec<Object>, Error> {
        match self {
            Self::Local(store) => store.list(folder).await,
            Self::S3(store) => store.list(folder).await,
        }
    }

    /// Bytes that are best asked for at once.
    pub(crate) fn range_bytes(&self) -> u64 {
        match self {
            Self::Local(_) => local::RANGE,
            Self::S3(_) => s3::RANGE,
        }
    }

    /// A part of an object, and the ETag that came with it.
    ///
    /// # Errors
    /// [`Error::Changed`] where it is no longer the object that was listed.
    pub(crate) async fn range(&self, object: &Object, range: Range<u64>) -> Result<(Bytes, Option<String>), Error> {
        match self {
            Self::Local(store) => store.range(object, range).await.map(|bytes| (bytes, None)),
            Self::S3(store) => store.range(object, range).await,
        }
    }

    /// A small object, if it is there.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Local(store) => store.get(name).await,
            Self::S3(store) => store.get(name).await,
        }
    }

    /// Writes a small object, in place of what was there.
    pub(crate) async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Local(store) => store.put(name, bytes).await,
            Self::S3(store) => store.put(name, bytes).await,
        }
    }

    /// Removes an object, if it is there.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), Error> {
        match self {
            Self::Local(store) => store.delete(name).await,
            Self::S3(store) => store.delete(name).await,
        }
    }

    /// Begins a large object, which no reader sees before it is published.
    pub(crate) async fn create(&self, name: String) -> Result<Upload, Error> {
        match self {
            Self::Local(store) => store.create(name).await,
            Self::S3(store) => store.create(name).await,
        }
    }

    /// Shows a staged object to readers, in place of what was there.
    pub(crate) async fn publish(&self, staged: &Staged) -> Result<(), Error> {
        match self {
            Self::Local(store) => store.publish(staged).await,
            Self::S3(store) => store.publish(staged).await,
        }
    }

    /// Gives up a staged object.
    pub(crate) async fn discard(&self, staged: &Staged) -> Result<(), Error> {
        match self {
            Self::Local(store) => store.discard(staged).await,
            Self::S3(store) => store.discard(staged).await,
        }
    }

    /// Removes what stagings left behind, of this run or one that crashed.
    ///
    /// Of S3, a crashed run's uploads stay: they are invisible, and the bucket's lifecycle rule for incomplete
    /// multipart uploads removes them.
    pub(crate) async fn clear_staging(&self) -> Result<(), Error> {
        match self {
            Self::Local(store) => store.clear_staging().await,
            Self::S3(_) => Ok(()),
        }
    }
}
