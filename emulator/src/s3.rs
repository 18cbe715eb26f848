//! S3 on a folder. `s3s` speaks the protocol (XML, signatures, chunked uploads), `s3s-fs` reads and writes files, and
//! [`Store`] between them adds what a commit protocol relies on: writes that appear whole or not at all, conditions
//! that hold under concurrency, and AWS's answers for what does not exist.
//!
//! On disk, with `DIR/s3` as the root: `BUCKET/KEY` is the object, byte for byte; `.bucket-….object-….internal.json`
//! has its ETag and checksums and `….metadata.json` its headers (names in URL-safe base64); `.upload…` are multipart
//! uploads that have not ended;
//! `.staging/` and `.tmp.*` are writes in flight, emptied at start.

mod buckets;
mod conditions;
mod layout;
mod list;
mod locks;
mod multipart;
mod objects;
mod stage;
mod store;
mod subject;
mod uploads;
mod walk;

use crate::api::{ACCESS_KEY, ApiError, Body, BoxError, SECRET_KEY, full};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::{PutObjectInput, StreamingBlob};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3 as _, S3Error, S3Request, S3Result, s3_error};
use std::convert::Infallible;
use std::path::Path;
use store::Store;
pub(crate) use subject::subject;

/// The S3 of one emulator. Copies share it.
#[derive(Clone)]
pub(crate) struct S3 {
    store: Store,
    service: S3Service,
}

impl S3 {
    /// Serves the folder `root`, which must exist. Requests must be signed with the test credentials; buckets are
    /// addressed by path.
    pub(crate) fn open(root: &Path) -> Result<Self, BoxError> {
        let store = Store::open(root)?;
        let mut builder = S3ServiceBuilder::new(store.clone());
        builder.set_auth(TestCredentials);
        Ok(Self { store, service: builder.build() })
    }

    /// Answers one HTTP request; bodies stream both ways.
    pub(crate) async fn call(&self, request: Request<Incoming>) -> Response<Body> {
        let head = request.method() == Method::HEAD;
        match self.service.call(request.map(s3s::Body::from)).await {
            // Over HTTP/2 hyper sends such a body, as an error has it, and clients take it for a broken protocol.
            Ok(response) if head || response.status() == StatusCode::NOT_MODIFIED => {
                response.map(|_| full(Bytes::new()))
            }
            Ok(response) => response.map(BodyExt::boxed_unsync),
            Err(error) => {
                let error = BoxError::from(error);
                ApiError::server("InternalError", format!("the S3 protocol layer failed: {error}")).into_response()
            }
        }
    }

    /// Waits until writes whose clients have left are done.
    pub(crate) async fn stop(&self) {
        self.store.stop().await;
    }

    /// Writes `chunks`, joined, as the object `key`, with the `Content-Encoding` given, as PutObject does.
    ///
    /// # Errors
    /// What PutObject answers, such as `NoSuchBucket`. The object is then as it was before.
    pub(crate) async fn put(
        &self,
        bucket: &str,
        key: &str,
        content_encoding: Option<&str>,
        chunks: Vec<Bytes>,
    ) -> Result<(), S3Error> {
        let length: usize = chunks.iter().map(Bytes::len).sum();
        let body = StreamingBlob::wrap(futures_util::stream::iter(chunks.into_iter().map(Ok::<_, Infallible>)));
        let input = PutObjectInput {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            body: Some(body),
            content_encoding: content_encoding.map(str::to_owned),
            content_length: i64::try_from(length).ok(),
            content_type: Some("application/octet-stream".to_owned()),
            ..PutObjectInput::default()
        };
        self.store.put_object(own_request(Method::PUT, input)).await.map(drop)
    }
}

/// A request that did not come over HTTP.
fn own_request<T>(method: Method, input: T) -> S3Request<T> {
    S3Request {
        input,
        method,
        uri: Uri::default(),
        headers: HeaderMap::new(),
        extensions: http::Extensions::new(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

/// Knows the test credentials only.
struct TestCredentials;

#[async_trait::async_trait]
impl S3Auth for TestCredentials {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match access_key {
            ACCESS_KEY => Ok(SecretKey::from(SECRET_KEY)),
            _ => Err(s3_error!(InvalidAccessKeyId, "the emulator's S3 knows the access key {ACCESS_KEY} only")),
        }
    }
}

#[cfg(test)]
mod tests;
