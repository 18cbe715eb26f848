//! A prefix of an S3 bucket.

use super::upload::{StagedPlace, UploadPlace};
use super::{Object, Staged, Version};
use crate::error::Error;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use std::ops::Range;
use std::time::{Duration, SystemTime};

/// Bytes of one ranged GET. A range that breaks off is asked for again; what came before it is not.
pub(super) const RANGE: u64 = 8 << 20;

/// Times that one range is asked for. The SDK repeats requests; this repeats bodies that broke off.
const ATTEMPTS: u32 = 4;

/// Times that a write is asked for while others to the same name are under way, and the wait between the first two.
const CONFLICTS: u32 = 6;
const CONFLICT_WAIT: Duration = Duration::from_millis(100);

#[derive(Debug, Clone)]
pub(crate) struct S3Store {
    client: Client,
    bucket: String,
    /// Empty, or with a slash at its end.
    prefix: String,
}

/// A multipart upload.
#[derive(Debug)]
pub(crate) struct S3Upload {
    store: S3Store,
    name: String,
    parts: UploadedParts,
    bytes: u64,
}

/// What completes a multipart upload.
#[derive(Debug)]
pub(crate) struct UploadedParts {
    id: String,
    parts: Vec<CompletedPart>,
}

impl S3Store {
    pub(super) fn new(client: Client, bucket: String, prefix: &str) -> Self {
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { client, bucket, prefix }
    }

    pub(super) fn uri(&self, name: &str) -> String {
        format!("s3://{}/{}{name}", self.bucket, self.prefix)
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(super) async fn list(&self, folder: &str) -> Result<Vec<Object>, Error> {
        let slash = if folder.is_empty() { "" } else { "/" };
        let prefix = format!("{}{folder}{slash}", self.prefix);
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let mut pages = request.into_paginator().send();
        let mut objects = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Error::s3("list", &self.uri(folder), error))?;
            for object in page.contents.unwrap_or_default() {
                let (Some(key), Some(size)) = (object.key, object.size) else { continue };
                // A key that ends with a slash is a folder that a console made.
                let Some(name) = key.strip_prefix(&self.prefix).filter(|name| !name.ends_with('/')) else { continue };
                objects.push(Object {
                    name: name.to_owned(),
                    uri: self.uri(name),
                    bytes: u64::try_from(size).unwrap_or(0),
                    etag: object.e_tag,
                    modified: object.last_modified.and_then(|time| SystemTime::try_from(time).ok()),
                });
            }
        }
        Ok(objects)
    }

    pub(super) async fn range(&self, object: &Object, range: Range<u64>) -> Result<(Bytes, Option<String>), Error> {
        let mut attempt = 1;
        loop {
            let request = self
                .client
                .get_object()
                .bucket(&self.bucket)
                .key(self.key(&object.name))
                .range(format!("bytes={}-{}", range.start, range.end - 1))
                .set_if_match(object.etag.clone());
            let response = request.send().await.map_err(|error| unless_changed(object, error))?;
            // Not every server honours If-Match.
            if differ(object.etag.as_deref(), response.e_tag.as_deref()) {
                return Err(Error::Changed { object: object.uri.clone() });
            }
            let tag = response.e_tag;
            match response.body.collect().await {
                Ok(body) => {
                    let bytes = body.into_bytes();
                    if bytes.len() as u64 != range.end - range.start {
                        return Err(Error::Changed { object: object.uri.clone() });
                    }
                    return Ok((bytes, tag));
                }
                Err(error) if attempt < ATTEMPTS => {
                    tracing::warn!(object = object.uri, attempt, %error, "the download broke off, asking again");
                    attempt += 1;
                }
                Err(error) => return Err(Error::body(&object.uri, error)),
            }
        }
    }

    pub(super) async fn get(&self, name: &str) -> Result<Option<Version>, Error> {
        let response = match self.client.get_object().bucket(&self.bucket).key(self.key(name)).send().await {
            Ok(response) => response,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => return Ok(None),
            Err(error) => return Err(Error::s3("read", &self.uri(name), error)),
        };
        let etag = response.e_tag;
        let body = response.body.collect().await.map_err(|error| Error::body(&self.uri(name), error))?;
        Ok(Some(Version { bytes: body.to_vec(), etag }))
    }

    pub(super) async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let request = self.client.put_object().bucket(&self.bucket).key(self.key(name)).body(ByteStream::from(bytes));
        request.send().await.map_err(|error| Error::s3("write", &self.uri(name), error))?;
        Ok(())
    }

    /// `If-None-Match: *` or `If-Match`, which S3 answers with 412 where the object is another, and with 409 where
    /// another write is under way
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>).
    pub(super) async fn swap(&self, name: &str, old: Option<&Version>, new: Vec<u8>) -> Result<bool, Error> {
        let mut attempt = 1;
        loop {
            let request =
                self.client.put_object().bucket(&self.bucket).key(self.key(name)).body(ByteStream::from(new.clone()));
            let request = match old {
                None => request.if_none_match("*"),
                Some(old) => request.set_if_match(old.etag.clone()),
            };
            let Err(error) = request.send().await else { return Ok(true) };
            match error.raw_response().map(|response| response.status().as_u16()) {
                Some(412) => return Ok(false),
                // What was to be replaced has been removed.
                Some(404) if old.is_some() && error.code() == Some("NoSuchKey") => return Ok(false),
                Some(409) if attempt < CONFLICTS => tokio::time::sleep(CONFLICT_WAIT * attempt).await,
                _ => return Err(Error::s3("write", &self.uri(name), error)),
            }
            attempt += 1;
        }
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), Error> {
        let request = self.client.delete_object().bucket(&self.bucket).key(self.key(name));
        request.send().await.map_err(|error| Error::s3("remove", &self.uri(name), error))?;
        Ok(())
    }

    pub(super) async fn create(&self, name: String) -> Result<UploadPlace, Error> {
        let request = self.client.create_multipart_upload().bucket(&self.bucket).key(self.key(&name));
        let response = request.send().await.map_err(|error| Error::s3("write", &self.uri(&name), error))?;
        let parts = UploadedParts { id: response.upload_id.unwrap_or_default(), parts: Vec::new() };
        Ok(UploadPlace::S3(S3Upload { store: self.clone(), name, parts, bytes: 0 }))
    }

    pub(super) async fn publish(&self, staged: &Staged) -> Result<(), Error> {
        let StagedPlace::Parts(UploadedParts { id, parts }) = &staged.place else { return Ok(()) };
        let upload = CompletedMultipartUpload::builder().set_parts(Some(parts.clone())).build();
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(self.key(&staged.name))
            .upload_id(id)
            .if_none_match("*")
            .multipart_upload(upload);
        match request.send().await {
            Ok(_) => Ok(()),
            // Another run of the same plan was faster, with the same content.
            Err(error) if error.raw_response().is_some_and(|response| response.status().as_u16() == 412) => {
                self.abort(&staged.name, id).await
            }
            // The first answer may have been lost: then the upload is gone because the object is there.
            Err(error) if error.code() == Some("NoSuchUpload") && self.is_there(staged).await? => Ok(()),
            Err(error) => Err(Error::s3("write", &self.uri(&staged.name), error)),
        }
    }

    async fn is_there(&self, staged: &Staged) -> Result<bool, Error> {
        let request = self.client.head_object().bucket(&self.bucket).key(self.key(&staged.name));
        match request.send().await {
            Ok(head) => Ok(head.content_length.and_then(|length| u64::try_from(length).ok()) == Some(staged.bytes)),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => Ok(false),
            Err(error) => Err(Error::s3("read", &self.uri(&staged.name), error)),
        }
    }

    pub(super) async fn discard(&self, staged: &Staged) -> Result<(), Error> {
        match &staged.place {
            StagedPlace::Parts(parts) => self.abort(&staged.name, &parts.id).await,
            StagedPlace::File(_) => Ok(()),
        }
    }

    pub(super) async fn abort_uploads(&self, before: SystemTime, dry_run: bool) -> Result<u64, Error> {
        let mut aborted = 0;
        let request = self.client.list_multipart_uploads().bucket(&self.bucket).prefix(&self.prefix);
        let (mut key_marker, mut id_marker) = (None, None);
        loop {
            let request = request.clone().set_key_marker(key_marker).set_upload_id_marker(id_marker);
            let page = request.send().await.map_err(|error| Error::s3("list uploads of", &self.uri(""), error))?;
            for upload in page.uploads.unwrap_or_default() {
                let begun = upload.initiated.and_then(|time| SystemTime::try_from(time).ok());
                let (Some(key), Some(id), Some(begun)) = (upload.key, upload.upload_id, begun) else { continue };
                let Some(name) = key.strip_prefix(&self.prefix).filter(|_| begun <= before) else { continue };
                aborted += 1;
                if !dry_run {
                    self.abort(name, &id).await?;
                }
            }
            if page.is_truncated != Some(true) {
                return Ok(aborted);
            }
            (key_marker, id_marker) = (page.next_key_marker, page.next_upload_id_marker);
        }
    }

    async fn abort(&self, name: &str, id: &str) -> Result<(), Error> {
        let request = self.client.abort_multipart_upload().bucket(&self.bucket).key(self.key(name)).upload_id(id);
        request.send().await.map_err(|error| Error::s3("remove", &self.uri(name), error))?;
        Ok(())
    }
}

impl S3Upload {
    pub(super) async fn write(&mut self, part: Bytes) -> Result<(), Error> {
        let number = i32::try_from(self.parts.parts.len() + 1).unwrap_or(i32::MAX);
        self.bytes += part.len() as u64;
        let store = &self.store;
        let request = store
            .client
            .upload_part()
            .bucket(&store.bucket)
            .key(store.key(&self.name))
            .upload_id(&self.parts.id)
            .part_number(number)
            .body(ByteStream::from(part));
        let response = request.send().await.map_err(|error| Error::s3("write", &store.uri(&self.name), error))?;
        let part = CompletedPart::builder().part_number(number).set_e_tag(response.e_tag).build();
        self.parts.parts.push(part);
        Ok(())
    }

    pub(super) fn stage(self) -> Staged {
        Staged { name: self.name, bytes: self.bytes, place: StagedPlace::Parts(self.parts) }
    }

    pub(super) async fn abort(self) {
        if let Err(error) = self.store.abort(&self.name, &self.parts.id).await {
            tracing::warn!(object = self.store.uri(&self.name), %error, "an unfinished upload stays behind");
        }
    }
}

/// Whether both are known and not the same; some servers list ETags without their quotes.
fn differ(a: Option<&str>, b: Option<&str>) -> bool {
    a.zip(b).is_some_and(|(a, b)| a.trim_matches('"') != b.trim_matches('"'))
}

/// A GET that fails because the object is not the listed one any more says so.
fn unless_changed(object: &Object, error: SdkError<GetObjectError>) -> Error {
    let status = error.raw_response().map(|response| response.status().as_u16());
    let gone = error.as_service_error().is_some_and(GetObjectError::is_no_such_key);
    // 412: If-Match failed. 416: the object has become shorter.
    if gone || matches!(status, Some(412 | 416)) {
        return Error::Changed { object: object.uri.clone() };
    }
    Error::s3("read", &object.uri, error)
}
