//! DynamoDB (JSON 1.0) by the embedded library `dynoxide`, which keeps its tables in one SQLite file.
//!
//! The library has types for every request and response; this module names the operations, and puts results and errors
//! on the wire as DynamoDB does.

mod history;
mod wire;

use crate::api::{self, Body, full};
use crate::clock::Clock;
use crate::fault::Names;
use crate::journal::{Journals, Pieces};
use bytes::Bytes;
use dynoxide::{Database, DynoxideError};
use history::Write;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// <https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html>.
const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// All tables of one emulator. Copies share them.
#[derive(Clone)]
pub(crate) struct DynamoDb {
    database: Database,
    clock: Clock,
    journals: Journals,
    /// Held from the look at an item before a write to the look behind it.
    writes: Arc<Mutex<()>>,
}

impl DynamoDb {
    /// Opens the tables in the SQLite file `path`, or makes it. Every write is on disk when it is answered, and in
    /// `journals`, dated by `clock`.
    pub(crate) fn open(path: &Path, clock: Clock, journals: Journals) -> Result<Self, DynoxideError> {
        let path = path.to_str().ok_or_else(|| {
            DynoxideError::InternalServerError(format!("{} is not UTF-8, which SQLite's path must be", path.display()))
        })?;
        Ok(Self { database: Database::new(path)?, clock, journals, writes: Arc::default() })
    }

    /// Answers one operation. SQLite blocks, so it runs on a thread that may; an operation that began ends even if its
    /// caller leaves.
    pub(crate) async fn call(&self, operation: &str, body: Bytes) -> Response<Body> {
        let (service, name) = (self.clone(), operation.to_owned());
        match tokio::task::spawn_blocking(move || service.run(&name, &body)).await {
            Ok(Some(Ok(json))) => response(StatusCode::OK, json),
            Ok(Some(Err(error))) => failure(&error),
            Ok(None) => retype(api::unknown_operation(operation).into_response()),
            Err(panic) => failure(&DynoxideError::InternalServerError(format!("{operation}: {panic}"))),
        }
    }

    fn run(&self, operation: &str, body: &[u8]) -> Option<Result<String, DynoxideError>> {
        if !self.journals.on() {
            return wire::run(&self.database, operation, body);
        }
        let _one_at_a_time = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(write) = Write::begin(&self.database, operation, body) else {
            return wire::run(&self.database, operation, body);
        };
        let outcome = wire::run(&self.database, operation, body)?;
        write.end(&self.database, &outcome, &self.journals, self.clock.now_millis());
        Some(outcome)
    }

    /// Every write that named the table, oldest first, as NDJSON.
    pub(crate) fn history(&self, table: &str) -> Pieces {
        self.journals.read(table)
    }

    /// What the request `body` names: its table, and the first string in the key of its first item.
    pub(crate) async fn names(&self, body: Bytes) -> Names {
        let database = self.database.clone();
        let places = tokio::task::spawn_blocking(move || {
            let request: Value = serde_json::from_slice(&body).unwrap_or_default();
            let table = request.get("TableName").and_then(Value::as_str).map(str::to_owned);
            (table, history::places(&database, &request).into_iter().next())
        });
        let (table, place) = places.await.unwrap_or_default();
        let text = |value: &Value| value.get("S").or_else(|| value.get("N"))?.as_str().map(str::to_owned);
        let key = place.as_ref().and_then(|(_, key)| key.as_object()?.values().find_map(text));
        Names { table: table.or_else(|| place.map(|(table, _)| table)), key, ..Names::default() }
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
