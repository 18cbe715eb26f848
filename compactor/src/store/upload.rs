//! A large object on its way.

use super::local::LocalUpload;
use super::s3::{S3Upload, UploadedParts};
use crate::error::Error;
use bytes::Bytes;
use std::path::PathBuf;

/// An object that is being written and that no reader sees.
#[derive(Debug)]
pub(crate) enum Upload {
    Local(LocalUpload),
    S3(S3Upload),
}

/// An object that is complete and safely stored, and that no reader sees yet.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(super) place: Place,
}

/// Where a staged object lies.
#[derive(Debug)]
pub(super) enum Place {
    File(PathBuf),
    Parts(UploadedParts),
}

impl Upload {
    /// Appends a part, of [`super::PART_BYTES`] unless it is the last.
    pub(crate) async fn write(&mut self, part: Bytes) -> Result<(), Error> {
        match self {
            Self::Local(upload) => upload.write(part).await,
            Self::S3(upload) => upload.write(part).await,
        }
    }

    /// All parts are written: makes them safe.
    pub(crate) async fn stage(self) -> Result<Staged, Error> {
        match self {
            Self::Local(upload) => upload.stage().await,
            Self::S3(upload) => Ok(upload.stage()),
        }
    }

    /// Gives up what was written, as far as that is possible: an error here would hide the one that led to it.
    pub(crate) async fn abort(self) {
        match self {
            Self::Local(upload) => upload.abort().await,
            Self::S3(upload) => upload.abort().await,
        }
    }
}
