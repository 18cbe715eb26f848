//! Which multipart uploads are under way, for `ListMultipartUploads`.

use super::layout::{digest_name, upload_marker};
use super::store::Store;
use s3s::dto::*;
use s3s::{S3Result, s3_error};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// The most uploads that one call returns
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>).
const MAX_UPLOADS: i32 = 1_000;

/// An upload: bucket, key and id.
type Upload = (String, String, String);

/// The uploads that were begun since the start and have not ended.
#[derive(Debug, Default)]
pub(super) struct Uploads(Mutex<BTreeSet<Upload>>);

impl Uploads {
    pub(super) fn began(&self, bucket: &str, key: &str, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((bucket.into(), key.into(), id.into()));
    }

    pub(super) fn ended(&self, bucket: &str, key: &str, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(bucket.into(), key.into(), id.into()));
    }

    /// By key and id, those of `bucket` that begin with `prefix` and come after `after`; and whether there are more than
    /// `most`.
    fn page(&self, bucket: &str, prefix: &str, after: &(String, String), most: usize) -> (Vec<(String, String)>, bool) {
        let uploads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_bucket = uploads.iter().filter(|(of, key, _)| of == bucket && key.starts_with(prefix));
        let mut page: Vec<(String, String)> = of_bucket
            .map(|(_, key, id)| (key.clone(), id.clone()))
            .filter(|upload| upload > after)
            .take(most + 1)
            .collect();
        let more = page.len() > most;
        page.truncate(most);
        (page, more)
    }
}

impl Store {
    /// Lists a page of uploads, without groups.
    pub(super) async fn list_uploads(&self, input: ListMultipartUploadsInput) -> S3Result<ListMultipartUploadsOutput> {
        self.require_bucket(&input.bucket).await?;
        if input.delimiter.as_ref().is_some_and(|delimiter| !delimiter.is_empty()) {
            return Err(s3_error!(NotImplemented, "the emulator lists uploads without a delimiter only"));
        }
        let most = input.max_uploads.map_or(MAX_UPLOADS, |most| most.clamp(0, MAX_UPLOADS));
        let key_marker = input.key_marker.clone().unwrap_or_default();
        // Without an id, all uploads of the key itself have been listed.
        let id_marker = input.upload_id_marker.clone().unwrap_or_else(|| '\u{10ffff}'.to_string());
        let after = if key_marker.is_empty() { Default::default() } else { (key_marker, id_marker) };
        let prefix = input.prefix.clone().unwrap_or_default();
        let (page, more) =
            self.uploads().page(&input.bucket, &prefix, &after, usize::try_from(most).unwrap_or_default());
        let last = page.last().cloned().filter(|_| more);
        let uploads = page.into_iter().map(|(key, id)| MultipartUpload {
            initiated: self.begun(&input.bucket, &key, &id),
            key: Some(key),
            upload_id: Some(id),
            ..MultipartUpload::default()
        });
        Ok(ListMultipartUploadsOutput {
            uploads: Some(uploads.collect()),
            is_truncated: Some(more),
            next_key_marker: last.as_ref().map(|(key, _)| key.clone()),
            next_upload_id_marker: last.map(|(_, id)| id),
            max_uploads: Some(most),
            bucket: Some(input.bucket),
            key_marker: input.key_marker,
            upload_id_marker: input.upload_id_marker,
            prefix: input.prefix,
            ..ListMultipartUploadsOutput::default()
        })
    }

    /// When an upload was begun.
    fn begun(&self, bucket: &str, key: &str, id: &str) -> Option<Timestamp> {
        let marker = upload_marker(self.root(), &digest_name(bucket, key), Uuid::parse_str(id).ok()?);
        Some(Timestamp::from(std::fs::metadata(marker).ok()?.modified().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_and_uploads_that_ended_are_not_listed() {
        let uploads = Uploads::default();
        for (key, id) in [("a/1", "x"), ("a/1", "y"), ("a/2", "x"), ("b", "x"), ("a/3", "gone")] {
            uploads.began("lake", key, id);
        }
        uploads.began("other", "a/1", "z");
        uploads.ended("lake", "a/3", "gone");
        let mut after = Default::default();
        let mut seen = Vec::new();
        loop {
            let (page, more) = uploads.page("lake", "a/", &after, 2);
            seen.extend(page.iter().map(|(key, id)| format!("{key} {id}")));
            let Some(last) = page.last().filter(|_| more) else { break };
            after = last.clone();
        }
        assert_eq!(seen, ["a/1 x", "a/1 y", "a/2 x"]);
    }
}
