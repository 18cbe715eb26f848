//! The S3 operations there are, each handed to the module that knows it.

use super::layout::{STAGING, is_staged_sidecar, remove_if_there, upload_of, upload_record};
use super::locks::Locks;
use super::uploads::Uploads;
use crate::api::BoxError;
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::task::TaskTracker;

/// A folder of buckets. Copies share it.
#[derive(Clone)]
pub(super) struct Store(Arc<Inner>);

struct Inner {
    files: FileSystem,
    root: PathBuf,
    locks: Locks,
    assembly: Locks,
    tasks: TaskTracker,
    uploads: Uploads,
}

impl Store {
    /// Opens the folder `root` and removes what writes of an earlier process left unfinished.
    pub(super) fn open(root: &Path) -> Result<Self, BoxError> {
        let staging = root.join(STAGING);
        match fs::remove_dir_all(&staging) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => fs::create_dir_all(&staging)?,
        }
        for entry in fs::read_dir(root)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let abandoned = || upload_of(name).is_some_and(|id| !upload_record(root, id).exists());
            if is_staged_sidecar(name) || abandoned() {
                remove_if_there(&entry.path())?;
            }
        }
        let files = FileSystem::new(root).map_err(|error| format!("{error:?}"))?;
        let (locks, assembly, tasks) = (Locks::new(), Locks::new(), TaskTracker::new());
        let inner = Inner { files, root: root.to_owned(), locks, assembly, tasks, uploads: Uploads::default() };
        Ok(Self(Arc::new(inner)))
    }

    /// The file store below.
    pub(super) fn files(&self) -> &FileSystem {
        &self.0.files
    }

    /// The folder of all buckets.
    pub(super) fn root(&self) -> &Path {
        &self.0.root
    }

    /// The locks of objects that clients see.
    pub(super) fn locks(&self) -> &Locks {
        &self.0.locks
    }

    /// The locks of objects that are put together from parts.
    pub(super) fn assembly(&self) -> &Locks {
        &self.0.assembly
    }

    /// The multipart uploads that are under way.
    pub(super) fn uploads(&self) -> &Uploads {
        &self.0.uploads
    }

    /// Owns the tasks that run to their end even if the caller leaves.
    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// Waits for them. No request may come any more.
    pub(super) async fn stop(&self) {
        self.tasks().close();
        self.tasks().wait().await;
    }

    /// Refuses a bucket that does not exist.
    pub(super) async fn require_bucket(&self, bucket: &str) -> S3Result<()> {
        match tokio::fs::metadata(self.root().join(bucket)).await {
            Ok(found) if found.is_dir() => Ok(()),
            _ => Err(s3_error!(NoSuchBucket, "The specified bucket does not exist: {bucket}")),
        }
    }
}

#[async_trait::async_trait]
impl S3 for Store {
    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        self.make_bucket(&req.input.bucket).await.map(S3Response::new)
    }

    async fn delete_bucket(&self, req: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.require_empty(&req.input.bucket).await?;
        self.files().delete_bucket(req).await
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.files().head_bucket(req).await
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.files().get_bucket_location(req).await
    }

    async fn list_buckets(&self, req: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let mut response = self.files().list_buckets(req).await?;
        if let Some(buckets) = &mut response.output.buckets {
            buckets.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Ok(response)
    }

    async fn list_objects(&self, req: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        self.list_first_version(req.input).await.map(S3Response::new)
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.list(req.input).await.map(S3Response::new)
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        self.put(req).await
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        self.copy(req).await
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        self.get(req).await
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        self.head(req).await
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.require_bucket(&req.input.bucket).await?;
        self.delete(&req.input.bucket, &req.input.key).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.delete_many(req.input).await.map(S3Response::new)
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.create_upload(req).await
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        self.list_uploads(req.input).await.map(S3Response::new)
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        self.require_upload(&req.input.bucket, &req.input.key, &req.input.upload_id).await?;
        self.files().upload_part(req).await
    }

    async fn upload_part_copy(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        self.require_upload(&req.input.bucket, &req.input.key, &req.input.upload_id).await?;
        self.files().upload_part_copy(req).await
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        self.require_upload(&req.input.bucket, &req.input.key, &req.input.upload_id).await?;
        let mut response = self.files().list_parts(req).await?;
        if let Some(parts) = &mut response.output.parts {
            parts.sort_by_key(|part| part.part_number);
        }
        Ok(response)
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.complete_upload(req).await
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.abort_upload(req).await
    }
}
