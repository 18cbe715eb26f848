//! What a request to S3 is, by its method, path and query
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>).

use crate::fault::{Names, Service, Subject};
use http::{HeaderMap, Method, Uri};
use percent_encoding::percent_decode_str;

/// The operation, bucket and key of a request that addresses its bucket by path.
pub(crate) fn subject(method: &Method, uri: &Uri, headers: &HeaderMap) -> Subject {
    let path = uri.path().trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let query = uri.query().unwrap_or_default();
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let copies = headers.contains_key("x-amz-copy-source");
    let operation = match (method.as_str(), bucket.is_empty(), key.is_empty()) {
        ("GET", true, _) => "ListBuckets",
        ("GET", _, true) if has("location") => "GetBucketLocation",
        ("GET", _, true) if has("list-type") => "ListObjectsV2",
        ("GET", _, true) if has("uploads") => "ListMultipartUploads",
        ("GET", _, true) => "ListObjects",
        ("HEAD", _, true) => "HeadBucket",
        ("PUT", _, true) => "CreateBucket",
        ("DELETE", _, true) => "DeleteBucket",
        ("POST", _, true) if has("delete") => "DeleteObjects",
        ("GET", ..) if has("uploadId") => "ListParts",
        ("GET", ..) => "GetObject",
        ("HEAD", ..) => "HeadObject",
        ("PUT", ..) if has("uploadId") && copies => "UploadPartCopy",
        ("PUT", ..) if has("uploadId") => "UploadPart",
        ("PUT", ..) if copies => "CopyObject",
        ("PUT", ..) => "PutObject",
        ("POST", ..) if has("uploads") => "CreateMultipartUpload",
        ("POST", ..) if has("uploadId") => "CompleteMultipartUpload",
        ("DELETE", ..) if has("uploadId") => "AbortMultipartUpload",
        ("DELETE", ..) => "DeleteObject",
        _ => "Unknown",
    };
    let named = |text: &str| (!text.is_empty()).then(|| percent_decode_str(text).decode_utf8_lossy().into_owned());
    let names = Names { bucket: named(bucket), key: named(key), ..Names::default() };
    Subject { service: Service::S3, operation: operation.to_owned(), names }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(method: Method, uri: &str) -> (String, Option<String>, Option<String>) {
        let subject = subject(&method, &uri.parse().unwrap(), &HeaderMap::new());
        (subject.operation, subject.names.bucket, subject.names.key)
    }

    #[test]
    fn method_path_and_query_name_the_operation() {
        let cases = [
            (Method::GET, "/", "ListBuckets"),
            (Method::GET, "/lake?list-type=2&prefix=a", "ListObjectsV2"),
            (Method::PUT, "/lake", "CreateBucket"),
            (Method::PUT, "/lake/a/b?x-id=PutObject", "PutObject"),
            (Method::PUT, "/lake/a?partNumber=1&uploadId=u", "UploadPart"),
            (Method::POST, "/lake/a?uploads", "CreateMultipartUpload"),
            (Method::POST, "/lake/a?uploadId=u", "CompleteMultipartUpload"),
            (Method::POST, "/lake?delete", "DeleteObjects"),
            (Method::DELETE, "/lake/a?uploadId=u", "AbortMultipartUpload"),
            (Method::HEAD, "/lake/a", "HeadObject"),
        ];
        for (method, uri, operation) in cases {
            assert_eq!(named(method, uri).0, operation, "{uri}");
        }
    }

    #[test]
    fn bucket_and_key_are_decoded() {
        let (_, bucket, key) = named(Method::GET, "/lake/a%20b/%E2%82%AC%2");
        assert_eq!((bucket.as_deref(), key.as_deref()), (Some("lake"), Some("a b/€%2")));
    }
}
