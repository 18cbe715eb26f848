//! Multipart uploads. The file store keeps the parts; here an upload is checked before it is put together, because the
//! file store throws it away when that fails, and the finished object goes through staging like any other.

use super::conditions::Conditions;
use super::layout::{Files, STAGING, check_key, digest_name, upload_marker};
use super::stage::{self, Staged};
use super::store::Store;
use s3s::dto::*;
use s3s::{S3 as _, S3Error, S3Request, S3Response, S3Result, s3_error};
use std::fs;
use std::path::Path;
use uuid::Uuid;

/// The least size of every part but the last (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>).
const MIN_PART_BYTES: u64 = 5 * 1024 * 1024;

impl Store {
    /// Begins an upload. The file store knows it under a name in staging that any key fits into.
    pub(super) async fn create_upload(
        &self,
        mut req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
        self.require_bucket(&bucket).await?;
        check_key(&key)?;
        req.input.key = digest_name(&bucket, &key);
        req.input.bucket = STAGING.to_owned();
        let mut response = self.files().create_multipart_upload(req).await?;
        if let Some(id) = &response.output.upload_id {
            self.uploads().began(&bucket, &key, id);
        }
        response.output.bucket = Some(bucket);
        response.output.key = Some(key);
        Ok(response)
    }

    /// Refuses an upload that was never begun for this object, or has ended.
    pub(super) async fn require_upload(&self, bucket: &str, key: &str, upload_id: &str) -> S3Result<()> {
        self.require_bucket(bucket).await?;
        let missing = || s3_error!(NoSuchUpload, "The specified multipart upload does not exist");
        let id = Uuid::parse_str(upload_id).map_err(|_| missing())?;
        let marker = upload_marker(self.root(), &digest_name(bucket, key), id);
        if tokio::fs::try_exists(marker).await.unwrap_or_default() { Ok(()) } else { Err(missing()) }
    }

    /// Puts the parts together and moves the object into place, in a task that goes on if the client leaves: parts are
    /// used up as they are read.
    pub(super) async fn complete_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let store = self.clone();
        let assembly = self.tasks().spawn(async move { store.assemble(req).await });
        assembly.await.unwrap_or_else(|error| Err(S3Error::internal_error(error)))
    }

    /// What can be refused is refused before a part is touched.
    async fn assemble(
        &self,
        mut req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let (bucket, key) = (req.input.bucket.clone(), req.input.key.clone());
        let name = digest_name(&bucket, &key);
        let _assembling = self.assembly().write(&bucket, &key).await;
        self.require_upload(&bucket, &key, &req.input.upload_id).await?;
        let conditions =
            Conditions { if_match: req.input.if_match.take(), if_none_match: req.input.if_none_match.take() };
        self.check_completion(&req.input, &conditions).await?;

        req.input.bucket = STAGING.to_owned();
        req.input.key = name.clone();
        let staged = Staged::at(self.root(), name);
        let id = req.input.upload_id.clone();
        let mut output = self.files().complete_multipart_upload(req).await?.output;
        if let Some(rest) = output.future.take() {
            output = rest.await?;
        }
        self.uploads().ended(&bucket, &key, &id);
        self.commit(staged, &bucket, &key, conditions).await?;
        output.location = Some(format!("/{bucket}/{key}"));
        output.bucket = Some(bucket);
        output.key = Some(key);
        Ok(S3Response::new(output))
    }

    /// Throws an upload away.
    pub(super) async fn abort_upload(
        &self,
        mut req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let _assembling = self.assembly().write(&req.input.bucket, &req.input.key).await;
        self.require_upload(&req.input.bucket, &req.input.key, &req.input.upload_id).await?;
        let (bucket, key, id) = (req.input.bucket.clone(), req.input.key.clone(), req.input.upload_id.clone());
        req.input.key = digest_name(&bucket, &key);
        req.input.bucket = STAGING.to_owned();
        let aborted = self.files().abort_multipart_upload(req).await?;
        self.uploads().ended(&bucket, &key, &id);
        Ok(aborted)
    }

    async fn check_completion(&self, input: &CompleteMultipartUploadInput, conditions: &Conditions) -> S3Result<()> {
        let target = Files::of(self.root(), &input.bucket, &input.key);
        let (root, upload, conditions) = (self.root().to_owned(), input.upload_id.clone(), conditions.clone());
        let parts = input.multipart_upload.as_ref().and_then(|upload| upload.parts.as_ref());
        let numbers: Vec<_> = parts.into_iter().flatten().map(|part| part.part_number.unwrap_or_default()).collect();
        let check = move || {
            stage::check(&conditions, &target)?;
            let sizes: Vec<_> = numbers.iter().map(|number| part_bytes(&root, &upload, *number)).collect();
            check_parts(&numbers, &sizes)
        };
        tokio::task::spawn_blocking(check).await.unwrap_or_else(|error| Err(S3Error::internal_error(error)))
    }
}

/// The size of an uploaded part; `None` if it was not uploaded.
fn part_bytes(root: &Path, upload_id: &str, number: PartNumber) -> Option<u64> {
    let path = root.join(format!(".upload_id-{upload_id}.part-{number}"));
    fs::metadata(path).ok().map(|found| found.len())
}

/// Whether parts with these numbers and sizes make an object.
fn check_parts(numbers: &[PartNumber], sizes: &[Option<u64>]) -> S3Result<()> {
    if numbers.is_empty() {
        return Err(s3_error!(MalformedXML, "You must specify at least one part"));
    }
    if !numbers.iter().copied().eq((1..).take(numbers.len())) {
        return Err(s3_error!(InvalidPartOrder, "the emulator wants the parts 1, 2, 3 … in this order, without gaps"));
    }
    if sizes.contains(&None) {
        return Err(s3_error!(InvalidPart, "One or more of the specified parts could not be found"));
    }
    let all_but_last = sizes.split_last().map_or(&[][..], |(_, rest)| rest);
    if all_but_last.iter().flatten().any(|size| *size < MIN_PART_BYTES) {
        return Err(s3_error!(EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use s3s::S3ErrorCode;

    fn code(numbers: &[PartNumber], sizes: &[Option<u64>]) -> Option<S3ErrorCode> {
        check_parts(numbers, sizes).err().map(|error| error.code().clone())
    }

    #[test]
    fn parts_in_order_make_an_object_with_a_small_last_part() {
        assert_eq!(code(&[1, 2], &[Some(MIN_PART_BYTES), Some(1)]), None);
        assert_eq!(code(&[1], &[Some(0)]), None);
    }

    #[test]
    fn what_makes_no_object_is_named() {
        assert_eq!(code(&[], &[]), Some(S3ErrorCode::MalformedXML));
        assert_eq!(code(&[2, 1], &[Some(9), Some(9)]), Some(S3ErrorCode::InvalidPartOrder));
        assert_eq!(code(&[1, 2], &[Some(MIN_PART_BYTES), None]), Some(S3ErrorCode::InvalidPart));
        assert_eq!(code(&[1, 2], &[Some(MIN_PART_BYTES - 1), Some(9)]), Some(S3ErrorCode::EntityTooSmall));
    }
}
