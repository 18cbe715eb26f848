//! The control path, `/_emulator/…`: faults, the clock and the connections are set here, and ground truth is read.
//!
//! No bucket can have that name. Requests from a web page are refused, since any page may send one to a loopback port.

use super::http2::Http2;
use super::route::Services;
use crate::api::{Body, BoxError, full};
use crate::fault::{ClockChange, Plan};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io;

/// What every path of the control path begins with.
pub(super) const PREFIX: &str = "/_emulator";

/// The paths, for a person who asks.
const INDEX: [(&str, &str); 10] = [
    ("GET /_emulator/faults", "the fault plan in force, with what each fault has seen and how often it fired"),
    ("PUT /_emulator/faults", "puts a fault plan (TOML) in force; it begins now"),
    ("DELETE /_emulator/faults", "ends all faults"),
    ("GET /_emulator/faults/log", "every fault that took effect, NDJSON"),
    ("GET /_emulator/clock", "the emulated time and the clock's speed"),
    ("PUT /_emulator/clock", "changes it: {\"advance\": \"5m\"}, {\"speed\": 60}, or both"),
    ("POST /_emulator/kinesis/expire-subscriptions", "ends every subscription as if its five minutes were over"),
    ("GET /_emulator/kinesis/STREAM/records", "the records of a stream in the order of their shards, NDJSON"),
    ("GET /_emulator/firehose/DELIVERY_STREAM/records", "the records that a delivery stream accepted, NDJSON"),
    ("GET /_emulator/dynamodb/TABLE/history", "the writes to a table, with the items before and behind them, NDJSON"),
];

/// A request that was not done, and why.
#[derive(Debug)]
struct Refused(StatusCode, String);

impl Services {
    /// Answers a request to the control path.
    pub(super) async fn control(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Response<Body> {
        if headers.contains_key(header::ORIGIN) {
            return refuse(Refused(StatusCode::FORBIDDEN, "web pages may not use the control path".to_owned()));
        }
        let rest = path.strip_prefix(PREFIX).unwrap_or_default();
        let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
        self.dispatch(method, &parts, &body).unwrap_or_else(refuse)
    }

    fn dispatch(&self, method: &Method, parts: &[&str], body: &[u8]) -> Result<Response<Body>, Refused> {
        match (method.as_str(), parts) {
            ("GET", []) => Ok(answer(&json!(INDEX.map(|(path, what)| json!({ "path": path, "does": what }))))),
            ("GET", ["faults"]) => Ok(answer(&self.faults.describe())),
            ("PUT", ["faults"]) => {
                let text = str::from_utf8(body).map_err(|_| invalid("a fault plan is TOML in UTF-8"))?;
                self.faults.set(Plan::parse(text).map_err(|error| invalid(&error))?);
                Ok(answer(&self.faults.describe()))
            }
            ("DELETE", ["faults"]) => {
                self.faults.set(Plan::default());
                Ok(answer(&self.faults.describe()))
            }
            ("GET", ["faults", "log"]) => Ok(self.fault_log()),
            ("GET", ["clock"]) => Ok(self.clock_now()),
            ("PUT", ["clock"]) => {
                parse::<ClockChange>(body)?.apply(&self.clock).map_err(|error| invalid(&error))?;
                Ok(self.clock_now())
            }
            ("GET", ["http2"]) => Ok(answer(&json!(self.http2.get()))),
            ("PUT", ["http2"]) => {
                self.http2.set(parse::<Http2>(body)?.check().map_err(|error| invalid(&error))?);
                Ok(answer(&json!(self.http2.get())))
            }
            ("POST", ["kinesis", "expire-subscriptions"]) => {
                self.kinesis.expire_subscriptions();
                Ok(answer(&json!({})))
            }
            ("GET", truth) => self.truth(truth),
            _ => Err(unknown(parts)),
        }
    }

    fn truth(&self, parts: &[&str]) -> Result<Response<Body>, Refused> {
        match *parts {
            ["kinesis", stream, "records"] => match self.kinesis.truth(stream) {
                Some(records) => Ok(lines(records)),
                None => Err(Refused(StatusCode::NOT_FOUND, format!("there is no stream {stream}"))),
            },
            ["firehose" | "dynamodb", ..] if !self.truth => {
                let fix = "ground truth of Firehose and DynamoDB is not kept: start the emulator with --truth on";
                Err(Refused(StatusCode::CONFLICT, fix.to_owned()))
            }
            ["firehose", stream, "records"] => Ok(lines(self.firehose.accepted(stream))),
            ["dynamodb", table, "history"] => Ok(lines(self.dynamodb.history(table))),
            _ => Err(unknown(parts)),
        }
    }

    fn fault_log(&self) -> Response<Body> {
        let (log, dropped) = self.faults.log();
        let mut response = ndjson(full(log));
        response.headers_mut().insert("x-emulator-dropped", HeaderValue::from(dropped));
        response
    }

    fn clock_now(&self) -> Response<Body> {
        answer(&json!({ "time_millis": self.clock.now_millis(), "speed": self.clock.speed() }))
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| invalid(&format!("the body is not what this path takes: {error}")))
}

fn invalid(error: &(impl ToString + ?Sized)) -> Refused {
    Refused(StatusCode::BAD_REQUEST, error.to_string())
}

fn unknown(parts: &[&str]) -> Refused {
    let path = parts.join("/");
    Refused(
        StatusCode::NOT_FOUND,
        format!("no such method and path: {PREFIX}/{path}; GET {PREFIX} lists what there is"),
    )
}

fn refuse(Refused(status, error): Refused) -> Response<Body> {
    let mut response = answer(&json!({ "error": error }));
    *response.status_mut() = status;
    response
}

fn answer(value: &Value) -> Response<Body> {
    typed(full(value.to_string() + "\n"), "application/json")
}

fn ndjson(body: Body) -> Response<Body> {
    typed(body, "application/x-ndjson")
}

fn lines(pieces: impl Iterator<Item = io::Result<Bytes>> + Send + 'static) -> Response<Body> {
    let frames = pieces.map(|piece| piece.map(Frame::data).map_err(BoxError::from));
    ndjson(StreamBody::new(stream::iter(frames)).boxed_unsync())
}

fn typed(body: Body, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
