//! A large object on its way.

use super::Io;
use super::local::LocalUpload;
use super::s3::{S3Upload, UploadedParts};
use crate::error::Error;
use bytes::Bytes;
use std::path::PathBuf;

/// An object that is being written and that no reader sees.
#[derive(Debug)]
pub(crate) struct Upload {
    place: UploadPlace,
    io: Io,
}

#[derive(Debug)]
pub(super) enum UploadPlace {
    Local(LocalUpload),
    S3(S3Upload),
}

/// An object that is complete and safely stored, and that no reader sees yet.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(super) place: StagedPlace,
}

/// Where a staged object lies.
#[derive(Debug)]
pub(super) enum StagedPlace {
    File(PathBuf),
    Parts(UploadedParts),
}

impl Upload {
    pub(super) fn new(place: UploadPlace, io: Io) -> Self {
        Self { place, io }
    }

    /// Appends a part, of [`super::PART_BYTES`] unless it is the last.
    pub(crate) async fn write(&mut self, part: Bytes) -> Result<(), Error> {
        match &mut self.place {
            UploadPlace::Local(upload) => self.io.of(upload.write(part)).await,
            UploadPlace::S3(upload) => self.io.of(Box::pin(upload.write(part))).await,
        }
    }

    /// All parts are written: makes them safe.
    pub(crate) async fn stage(self) -> Result<Staged, Error> {
        match self.place {
            UploadPlace::Local(upload) => self.io.of(upload.stage()).await,
            UploadPlace::S3(upload) => Ok(upload.stage()),
        }
    }

    /// Gives up what was written, as far as that is possible: an error here would hide the one that led to it.
    pub(crate) async fn abort(self) {
        match self.place {
            UploadPlace::Local(upload) => upload.abort().await,
            UploadPlace::S3(upload) => upload.abort().await,
        }
    }
}
