//! CloudWatch's side of a client that publishes metrics, as the Kinesis Client Library does unless told not to: they are
//! accepted and forgotten.

use crate::api::{Body, full};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};

/// CloudWatch's name in the credential scope of a signature
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).
const SCOPE: &str = "/monitoring/aws4_request";

/// An empty map in CBOR.
const EMPTY_CBOR: &[u8] = &[0xa0];

/// The answer to PutMetricData in the query protocol.
const EMPTY_XML: &str = "<PutMetricDataResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\">\
                         <ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></PutMetricDataResponse>";

/// Whether a request is for CloudWatch, by what it is signed for.
pub(super) fn is_for_cloudwatch(headers: &HeaderMap) -> bool {
    let signed = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    signed.is_some_and(|signed| signed.contains(SCOPE))
}

/// Success, in the protocol of the request: the query protocol, JSON, or CBOR
/// (<https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>).
pub(super) fn accepted(headers: &HeaderMap) -> Response<Body> {
    tracing::debug!("metrics for CloudWatch are accepted and forgotten");
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (kind, body) = match content_type {
        kind if kind.contains("cbor") => ("application/cbor", Bytes::from_static(EMPTY_CBOR)),
        kind if kind.contains("json") => ("application/x-amz-json-1.0", Bytes::from_static(b"{}")),
        _ => ("text/xml", Bytes::from_static(EMPTY_XML.as_bytes())),
    };
    let mut response = Response::new(full(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(protocol) = headers.get("smithy-protocol") {
        response.headers_mut().insert("smithy-protocol", protocol.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed_for(service: &str) -> HeaderMap {
        let value = format!("AWS4-HMAC-SHA256 Credential=test/20261125/us-east-1/{service}/aws4_request, Signature=0");
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::try_from(value).unwrap())])
    }

    #[test]
    fn the_credential_scope_decides() {
        assert!(is_for_cloudwatch(&signed_for("monitoring")));
        assert!(!is_for_cloudwatch(&signed_for("s3")));
        assert!(!is_for_cloudwatch(&HeaderMap::new()));
    }

    #[test]
    fn the_answer_is_in_the_protocol_of_the_request() {
        let answer = |content_type: &'static str| {
            let mut headers = signed_for("monitoring");
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
            let response = accepted(&headers);
            assert_eq!(response.headers()["smithy-protocol"], "rpc-v2-cbor");
            response.headers()["content-type"].to_str().unwrap().to_owned()
        };
        assert_eq!(answer("application/cbor"), "application/cbor");
        assert_eq!(answer("application/x-amz-json-1.0"), "application/x-amz-json-1.0");
        assert_eq!(answer("application/x-www-form-urlencoded; charset=utf-8"), "text/xml");
    }
}
