//! Making and removing buckets.

use super::store::Store;
use s3s::dto::CreateBucketOutput;
use s3s::{S3Error, S3Result, s3_error};
use std::fs;
use std::io;
use std::path::Path;

impl Store {
    /// Makes `bucket`. Making one's own bucket again succeeds in us-east-1, the region that the emulator says it is
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>).
    pub(super) async fn make_bucket(&self, bucket: &str) -> S3Result<CreateBucketOutput> {
        match tokio::fs::create_dir(self.root().join(bucket)).await {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(S3Error::internal_error(error)),
            _ => Ok(CreateBucketOutput { location: Some(format!("/{bucket}")) }),
        }
    }

    /// Refuses a bucket that does not exist or holds an object.
    pub(super) async fn require_empty(&self, bucket: &str) -> S3Result<()> {
        self.require_bucket(bucket).await?;
        let folder = self.root().join(bucket);
        match tokio::task::spawn_blocking(move || holds_a_file(&folder)).await {
            Ok(Ok(false)) => Ok(()),
            Ok(Ok(true)) => Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty")),
            Ok(Err(error)) => Err(S3Error::internal_error(error)),
            Err(error) => Err(S3Error::internal_error(error)),
        }
    }
}

/// Whether there is a file below `folder`. Folders without files are what deleted objects leave.
fn holds_a_file(folder: &Path) -> io::Result<bool> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => folders.push(entry.path()),
                false => return Ok(true),
            }
        }
    }
    Ok(false)
}
