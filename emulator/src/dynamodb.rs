//! DynamoDB (JSON 1.0) by the embedded library `dynoxide`, which keeps its tables in one SQLite file.
//!
//! The library has types for every request and response; this module names the operations, and puts results and errors
//! on the wire as DynamoDB does.

mod wire;

use crate::api::{self, Body, full};
use bytes::Bytes;
use dynoxide::{Database, DynoxideError};
use http::{HeaderValue, Response, StatusCode, header};
use std::path::Path;

/// <https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html>.
const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// All tables of one emulator. Copies share them.
#[derive(Clone)]
pub(crate) struct DynamoDb {
    database: Database,
}

impl DynamoDb {
    /// Opens the tables in the SQLite file `path`, or makes it. Every write is on disk when it is answered.
    pub(crate) fn open(path: &Path) -> Result<Self, DynoxideError> {
        let path = path.to_str().ok_or_else(|| {
            DynoxideError::InternalServerError(format!("{} is not UTF-8, which SQLite's path must be", path.display()))
        })?;
        Ok(Self { database: Database::new(path)? })
    }

    /// Answers one operation. SQLite blocks, so it runs on a thread that may; an operation that began ends even if its
    /// caller leaves.
    pub(crate) async fn call(&self, operation: &str, body: Bytes) -> Response<Body> {
        let (database, name) = (self.database.clone(), operation.to_owned());
        let run = tokio::task::spawn_blocking(move || wire::run(&database, &name, &body));
        match run.await {
            Ok(Some(Ok(json))) => response(StatusCode::OK, json),
            Ok(Some(Err(error))) => failure(&error),
            Ok(None) => retype(api::unknown_operation(operation).into_response()),
            Err(panic) => failure(&DynoxideError::InternalServerError(format!("{operation}: {panic}"))),
        }
    }
}

fn failure(error: &DynoxideError) -> Response<Body> {
    let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response(status, error.to_json())
}

fn response(status: StatusCode, json: String) -> Response<Body> {
    let mut response = Response::new(full(json));
    *response.status_mut() = status;
    retype(response)
}

fn retype(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    response
}
