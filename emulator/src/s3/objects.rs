//! Single objects: put, copy, get, head, delete.

use super::conditions::Conditions;
use super::layout::{Files, STAGING, check_key};
use super::stage::Staged;
use super::store::Store;
use s3s::dto::*;
use s3s::{S3 as _, S3Error, S3Request, S3Response, S3Result, s3_error};
use std::io::{self, SeekFrom};
use std::path::Path;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

/// Bytes of a body that are read and sent at once; the last piece may be smaller. An HTTP/2 frame holds 16 KiB.
const PIECE_BYTES: usize = 128 * 1024;

impl Store {
    /// Writes an object whole or not at all. Checksums are verified before it can be seen, conditions at the moment it
    /// is.
    pub(super) async fn put(&self, mut req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
        self.require_bucket(&bucket).await?;
        check_key(&key)?;
        if key.ends_with('/') {
            // A folder marker, as consoles and Hadoop make them: a folder, which listings do not show.
            return self.files().put_object(req).await;
        }
        let conditions =
            Conditions { if_match: req.input.if_match.take(), if_none_match: req.input.if_none_match.take() };
        let staged = Staged::new(self.root());
        req.input.bucket = STAGING.to_owned();
        req.input.key = staged.key.clone();
        let response = self.files().put_object(req).await?;
        self.commit(staged, &bucket, &key, conditions).await?;
        Ok(response)
    }

    /// Copies an object with its headers, or with those of the request if it says `REPLACE`.
    pub(super) async fn copy(&self, mut req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
        self.require_bucket(&bucket).await?;
        check_key(&key)?;
        let staged = Staged::new(self.root());
        req.input.bucket = STAGING.to_owned();
        req.input.key = staged.key.clone();
        let response = {
            let source = match &req.input.copy_source {
                CopySource::Bucket { bucket, key, .. } => (bucket.to_string(), key.to_string()),
                _ => return Err(s3_error!(NotImplemented, "the emulator copies from buckets only")),
            };
            // Released before the commit, which may need the same lock.
            let _reading = self.locks().read(&source.0, &source.1).await;
            self.require_object(&source.0, &source.1).await?;
            self.files().copy_object(req).await?
        };
        self.commit(staged, &bucket, &key, Conditions::default()).await?;
        Ok(response)
    }

    /// Opens an object. Its bytes, ETag and checksums belong together even if it is replaced meanwhile.
    pub(super) async fn get(&self, mut req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
        let conditions =
            Conditions { if_match: req.input.if_match.take(), if_none_match: req.input.if_none_match.take() };
        let _reading = self.locks().read(&bucket, &key).await;
        let length = self.require_object(&bucket, &key).await?;
        req.input.range = req.input.range.map(|range| within(range, length));
        let span = req.input.range.map_or(Ok(0..length), |range| range.check(length))?;
        let mut response = self.files().get_object(req).await?;
        if let Some(etag) = &response.output.e_tag {
            conditions.allow_read(etag)?;
        }
        // The file store's own body goes on with empty pieces to the end of the file: h2 0.4.16 and later count them as
        // `too_many_data_frames` and close the connection.
        let data = Files::of(self.root(), &bucket, &key).data;
        response.output.body = Some(read_span(&data, span).await.map_err(S3Error::internal_error)?);
        Ok(response)
    }

    /// Describes an object.
    pub(super) async fn head(&self, mut req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
        let conditions =
            Conditions { if_match: req.input.if_match.take(), if_none_match: req.input.if_none_match.take() };
        let _reading = self.locks().read(&bucket, &key).await;
        self.require_object(&bucket, &key).await?;
        let response = self.files().head_object(req).await?;
        if let Some(etag) = &response.output.e_tag {
            conditions.allow_read(etag)?;
        }
        Ok(response)
    }

    /// Removes an object and all that is known of it. Removing one that does not exist succeeds, as in S3.
    pub(super) async fn delete(&self, bucket: &str, key: &str) -> S3Result<()> {
        if check_key(key).is_err() {
            return Ok(());
        }
        let lock = self.locks().write(bucket, key).await;
        let files = Files::of(self.root(), bucket, key);
        let marker = key.ends_with('/');
        let delete = move || {
            let _held = lock;
            let removed = if marker { std::fs::remove_dir(&files.data) } else { files.remove() };
            removed.or_else(ignore_absence)
        };
        match self.tasks().spawn_blocking(delete).await {
            Ok(removed) => removed.map_err(S3Error::internal_error),
            Err(error) => Err(S3Error::internal_error(error)),
        }
    }

    /// Removes up to 1,000 objects.
    pub(super) async fn delete_many(&self, input: DeleteObjectsInput) -> S3Result<DeleteObjectsOutput> {
        self.require_bucket(&input.bucket).await?;
        let mut deleted = Vec::new();
        for object in input.delete.objects {
            self.delete(&input.bucket, &object.key).await?;
            deleted.push(DeletedObject { key: Some(object.key), ..DeletedObject::default() });
        }
        let deleted = (!input.delete.quiet.unwrap_or_default()).then_some(deleted);
        Ok(DeleteObjectsOutput { deleted, ..DeleteObjectsOutput::default() })
    }

    /// The length of an object in bytes. A folder is no object.
    async fn require_object(&self, bucket: &str, key: &str) -> S3Result<u64> {
        let missing = || s3_error!(NoSuchKey, "The specified key does not exist: {key}");
        if check_key(key).is_err() {
            return Err(missing());
        }
        match tokio::fs::metadata(Files::of(self.root(), bucket, key).data).await {
            Ok(found) if found.is_file() => Ok(found.len()),
            _ => self.require_bucket(bucket).await.and(Err(missing())),
        }
    }
}

/// The bytes `span` of a file, and no others. The file stays open, whatever replaces it.
async fn read_span(path: &Path, span: std::ops::Range<u64>) -> io::Result<StreamingBlob> {
    let mut file = File::open(path).await?;
    file.seek(SeekFrom::Start(span.start)).await?;
    let span = file.take(span.end.saturating_sub(span.start));
    Ok(StreamingBlob::wrap(ReaderStream::with_capacity(span, PIECE_BYTES)))
}

/// `range` as the file store can read it: it fails on a suffix longer than the object, which S3 answers with all of it.
fn within(range: Range, length: u64) -> Range {
    match range {
        Range::Suffix { length: wanted } if wanted > length && length > 0 => Range::Int { first: 0, last: None },
        range => range,
    }
}

/// What is not there, or is a folder that still holds objects, need not be removed.
fn ignore_absence(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::DirectoryNotEmpty => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_longer_than_the_object_is_all_of_it() {
        assert_eq!(within(Range::Suffix { length: 8 }, 5), Range::Int { first: 0, last: None });
        assert_eq!(within(Range::Suffix { length: 5 }, 5), Range::Suffix { length: 5 });
        assert_eq!(within(Range::Suffix { length: 8 }, 0), Range::Suffix { length: 8 });
    }
}
