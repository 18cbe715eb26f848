//! What every emulated service shares: the response body, the error shape and the service dispatch key.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};

/// Any error that a response body can end with.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A response body: one buffer for most calls, an endless stream of frames for SubscribeToShard.
pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// The region that every ARN names.
pub(crate) const REGION: &str = "us-east-1";

/// The account that every ARN names, as other emulators have it.
pub(crate) const ACCOUNT: &str = "000000000000";

/// The access key that [`SECRET_KEY`] belongs to.
pub(crate) const ACCESS_KEY: &str = "test";

/// The only secret key there is, as other emulators have it. S3 checks signatures against it; the other services check
/// none.
pub(crate) const SECRET_KEY: &str = "test";

/// An error as AWS JSON 1.1 services send it: `{"__type": code, "message": message}`.
///
/// Source: <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html#operation-error-serialization>.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct ApiError {
    /// HTTP status: 400 for what the caller did, 500 for what we did.
    pub(crate) status: StatusCode,
    /// The modelled name, such as `ResourceNotFoundException`.
    pub(crate) code: &'static str,
    /// For a person.
    pub(crate) message: String,
}

impl ApiError {
    /// An error that the caller caused.
    pub(crate) fn client(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into() }
    }

    /// An error of the service itself; SDKs retry it.
    pub(crate) fn server(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code, message: message.into() }
    }

    /// The HTTP response that carries this error.
    pub(crate) fn into_response(self) -> Response<Body> {
        let body = serde_json::json!({ "__type": self.code, "message": self.message });
        let mut response = json_bytes(body.to_string().into_bytes());
        *response.status_mut() = self.status;
        if let Ok(value) = http::HeaderValue::from_str(self.code) {
            response.headers_mut().insert("x-amzn-errortype", value);
        }
        response
    }
}

/// The error for an operation that no service here has.
pub(crate) fn unknown_operation(name: &str) -> ApiError {
    ApiError::client("UnknownOperationException", format!("the emulator has no operation {name:?}"))
}

/// A body of one buffer.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A 200 response whose body is the JSON text `bytes`.
pub(crate) fn json_bytes(bytes: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(bytes));
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/x-amz-json-1.1"));
    response
}
