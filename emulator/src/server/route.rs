//! Which service answers a request. AWS's JSON services name themselves in `x-amz-target`
//! (<https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>); a request without that header is for S3.

use super::control;
use super::http2::SharedHttp2;
use super::line::Line;
use super::metrics;
use crate::api::{self, ApiError, Body};
use crate::clock::Clock;
use crate::dynamodb::DynamoDb;
use crate::fault::{Cut, Faults, Fired, Service, Subject};
use crate::firehose::Firehose;
use crate::kinesis::{Format, Kinesis};
use crate::random::Random;
use crate::s3::{self, S3};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;

/// The largest request body of a JSON service. PutRecords takes 10 MiB of data
/// (<https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html>), which is 13.4 MiB in base64, plus
/// keys; DynamoDB takes 16 MiB.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

/// All services of one emulator, and what a test may do to them.
pub(super) struct Services {
    pub(super) kinesis: Kinesis,
    pub(super) firehose: Firehose,
    pub(super) dynamodb: DynamoDb,
    pub(super) s3: S3,
    pub(super) faults: Faults,
    pub(super) clock: Clock,
    pub(super) random: Random,
    /// Whether ground truth of Firehose and DynamoDB is kept.
    pub(super) truth: bool,
    pub(super) http2: SharedHttp2,
}

/// A service that speaks JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Json {
    Kinesis,
    Firehose,
    DynamoDb,
}

/// Whom a request is for.
#[derive(Debug, PartialEq, Eq)]
enum Target<'a> {
    /// A JSON service and its operation.
    Json(Json, &'a str),
    /// No target header.
    S3,
    /// A target that no service here has.
    Unknown(&'a str),
}

impl From<Json> for Service {
    fn from(service: Json) -> Self {
        match service {
            Json::Kinesis => Self::Kinesis,
            Json::Firehose => Self::Firehose,
            Json::DynamoDb => Self::DynamoDb,
        }
    }
}

impl Services {
    /// Answers one request, which came over `line`. What goes wrong becomes an error response in the shape of the
    /// service.
    ///
    /// # Errors
    /// [`Cut`] if a fault has it that there is no answer.
    pub(super) async fn answer(&self, request: Request<Incoming>, line: &Line) -> Result<Response<Body>, Cut> {
        let (head, body) = request.into_parts();
        if metrics::is_for_cloudwatch(&head.headers) {
            return Ok(metrics::accepted(&head.headers));
        }
        let mut response = match target(&head.headers) {
            Target::S3 if is_control(head.uri.path()) => match read(body).await {
                Ok(body) => return Ok(self.control(&head.method, head.uri.path(), &head.headers, body).await),
                Err(error) => error.into_response(),
            },
            Target::S3 => return Box::pin(self.answer_s3(Request::from_parts(head, body), line)).await,
            Target::Json(service, operation) => self.answer_json(service, operation, &head.headers, body, line).await?,
            Target::Unknown(target) => api::unknown_operation(target).into_response(),
        };
        if let Ok(id) = HeaderValue::try_from(self.random.uuid().to_string()) {
            response.headers_mut().insert("x-amzn-requestid", id);
        }
        Ok(response)
    }

    async fn answer_s3(&self, request: Request<Incoming>, line: &Line) -> Result<Response<Body>, Cut> {
        let subject = s3::subject(request.method(), request.uri(), request.headers());
        if !self.faults.may_concern(Service::S3, &subject.operation) {
            return Ok(self.s3.call(request).await);
        }
        let mut fired = Fired::on(&self.faults, &self.clock, line, subject, Format::Json);
        if let Some(answer) = fired.before().await? {
            return Ok(answer);
        }
        fired.after(self.s3.call(request).await).await
    }

    async fn answer_json(
        &self,
        service: Json,
        operation: &str,
        headers: &HeaderMap,
        body: Incoming,
        line: &Line,
    ) -> Result<Response<Body>, Cut> {
        let format = Format::of(headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes));
        let readable = if service == Json::Kinesis { Ok(()) } else { refuse_cbor(headers) };
        let body = match readable {
            Ok(()) => read(body).await,
            Err(error) => Err(error),
        };
        let body = match body {
            Ok(body) => body,
            Err(error) => return Ok(format.refuse(error)),
        };
        if !self.faults.may_concern(service.into(), operation) {
            return Ok(self.serve(service, operation, format, body).await);
        }
        let names = match service {
            Json::Kinesis => self.kinesis.names(&format.read(&body).unwrap_or_default()),
            Json::Firehose => self.firehose.names(&body),
            Json::DynamoDb => self.dynamodb.names(body.clone()).await,
        };
        let subject = Subject { service: service.into(), operation: operation.to_owned(), names };
        let mut fired = Fired::on(&self.faults, &self.clock, line, subject, format);
        if let Some(answer) = fired.before().await? {
            return Ok(answer);
        }
        let answer = fired.apply(operation, body, |body| self.serve(service, operation, format, body)).await;
        fired.after(answer).await
    }

    async fn serve(&self, service: Json, operation: &str, format: Format, body: Bytes) -> Response<Body> {
        match service {
            Json::Kinesis => self.kinesis.call(operation, format, body).await,
            Json::Firehose => self.firehose.call(operation, &body).await,
            Json::DynamoDb => self.dynamodb.call(operation, body).await,
        }
    }
}

/// Whether a path is the control path, or below it.
fn is_control(path: &str) -> bool {
    path.strip_prefix(control::PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn target(headers: &HeaderMap) -> Target<'_> {
    let Some(value) = headers.get("x-amz-target") else { return Target::S3 };
    let value = value.to_str().unwrap_or_default();
    match value.split_once('.') {
        Some(("Kinesis_20131202", operation)) => Target::Json(Json::Kinesis, operation),
        Some(("Firehose_20150804", operation)) => Target::Json(Json::Firehose, operation),
        Some(("DynamoDB_20120810" | "DynamoDBStreams_20120810", operation)) => Target::Json(Json::DynamoDb, operation),
        _ => Target::Unknown(value),
    }
}

/// A CBOR body would come out as a JSON syntax error; this says what to do about it.
fn refuse_cbor(headers: &HeaderMap) -> Result<(), ApiError> {
    let content_type = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if content_type.starts_with(b"application/x-amz-cbor") {
        let hint =
            "only Kinesis reads CBOR here: for the SDK for Java set CBOR_ENABLED=false or -Daws.cborEnabled=false";
        return Err(ApiError::client("SerializationException", hint));
    }
    Ok(())
}

async fn read(body: Incoming) -> Result<Bytes, ApiError> {
    // A body that says its length is refused before it is sent; one that does not, when it has grown too long.
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(too_large());
    }
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(ApiError::client("SerializationException", format!("the request body ended early: {error}"))),
    }
}

fn too_large() -> ApiError {
    ApiError {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        code: "RequestEntityTooLargeException",
        message: format!("the request body is above {MAX_BODY_BYTES} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn the_target_header_names_service_and_operation() {
        let cases = [
            ("Kinesis_20131202.PutRecords", Target::Json(Json::Kinesis, "PutRecords")),
            ("Firehose_20150804.PutRecordBatch", Target::Json(Json::Firehose, "PutRecordBatch")),
            ("DynamoDB_20120810.GetItem", Target::Json(Json::DynamoDb, "GetItem")),
            ("DynamoDBStreams_20120810.GetRecords", Target::Json(Json::DynamoDb, "GetRecords")),
            ("Logs_20140328.PutLogEvents", Target::Unknown("Logs_20140328.PutLogEvents")),
            ("PutRecords", Target::Unknown("PutRecords")),
        ];
        for (value, expected) in cases {
            assert_eq!(target(&headers("x-amz-target", value)), expected);
        }
    }

    #[test]
    fn no_target_is_s3() {
        assert_eq!(target(&HeaderMap::new()), Target::S3);
    }

    #[test]
    fn cbor_is_refused_with_its_remedy() {
        let error = refuse_cbor(&headers("content-type", "application/x-amz-cbor-1.1")).expect_err("CBOR");
        assert!(error.message.contains("CBOR_ENABLED=false"), "{error}");
        refuse_cbor(&headers("content-type", "application/x-amz-json-1.1")).expect("JSON");
    }
}
