//! The two ways in which clients write Kinesis requests: AWS JSON 1.1, and the same shapes in CBOR.

use super::cbor;
use crate::api::{ApiError, Body, full};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use std::borrow::Cow;

/// How a request is written, and so its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// AWS JSON 1.1: <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>.
    Json,
    /// CBOR as the AWS SDK for Java writes it unless told not to.
    Cbor,
}

impl Format {
    /// The format that a request's `Content-Type` names; JSON unless it is CBOR.
    pub(crate) fn of(content_type: &[u8]) -> Self {
        if content_type.starts_with(Self::Cbor.content_type().as_bytes()) { Self::Cbor } else { Self::Json }
    }

    /// The `Content-Type` of answers, and of the events in a stream.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Cbor => "application/x-amz-cbor-1.1",
        }
    }

    /// The JSON of a request.
    ///
    /// # Errors
    /// `SerializationException` if the request is not what it says it is; JSON is not looked at.
    pub(crate) fn read(self, body: &[u8]) -> Result<Cow<'_, [u8]>, ApiError> {
        match self {
            Self::Json => Ok(Cow::Borrowed(body)),
            Self::Cbor => cbor::to_json(body).map(Cow::Owned).map_err(|error| {
                ApiError::client("SerializationException", format!("the request is no valid CBOR: {error}"))
            }),
        }
    }

    /// JSON of ours in this format.
    ///
    /// # Errors
    /// `InternalFailure` if it is no JSON.
    pub(crate) fn write(self, json: Vec<u8>) -> Result<Vec<u8>, ApiError> {
        match self {
            Self::Json => Ok(json),
            Self::Cbor => {
                cbor::from_json(&json).map_err(|error| ApiError::server("InternalFailure", error.to_string()))
            }
        }
    }

    /// A 200 response whose body means `json`. A result without members has no body at all, in CBOR too.
    ///
    /// # Errors
    /// As [`Format::write`].
    pub(crate) fn respond(self, json: Vec<u8>) -> Result<Response<Body>, ApiError> {
        let mut response = Response::new(full(self.write(json)?));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type()));
        Ok(response)
    }

    /// The response that carries `error`.
    pub(crate) fn refuse(self, error: ApiError) -> Response<Body> {
        let ApiError { status, code, message } = error;
        let json = serde_json::json!({ "__type": code, "message": message }).to_string().into_bytes();
        match self.respond(json) {
            Ok(mut response) => {
                *response.status_mut() = status;
                response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(code));
                response
            }
            Err(_) => {
                let mut response = Response::new(full(""));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_decides() {
        for (content_type, format) in [
            ("application/x-amz-cbor-1.1", Format::Cbor),
            ("application/x-amz-cbor-1.1; charset=utf-8", Format::Cbor),
            ("application/x-amz-json-1.1", Format::Json),
            ("application/cbor", Format::Json),
            ("", Format::Json),
        ] {
            assert_eq!(Format::of(content_type.as_bytes()), format, "{content_type}");
        }
    }
}
