//! What a fault does to a request, as written in a plan and checked.

use crate::api::BoxError;
use crate::clock::Clock;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::Duration;

/// A span of emulated time, written as `"90s"`, `"1m30s"` or `"250ms"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(pub(crate) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let span = text.parse::<jiff::SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
        span.map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!("{text:?} is no span of time: write \"90s\", \"1m30s\" or \"250ms\""))
        })
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:?}", self.0))
    }
}

/// One effect, written as a table with its name as the only key: `effect = { delay = { for = "2s" } }`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Effect {
    /// The request is answered with an error.
    Error(ErrorEffect),
    /// The request is applied, and its answer never arrives.
    LoseResponse(LoseResponse),
    /// Some entries of PutRecords or PutRecordBatch fail; the others are applied.
    Partial(Partial),
    /// Time passes before the request is applied, before it is answered, or inside of the response.
    Delay(Delay),
    /// Nothing more is sent, and nothing says so: a half-open connection.
    Stall(Stall),
    /// The stream or the connection ends.
    Cut(CutEffect),
    /// One bit of the response body is flipped.
    Garble(Point),
    /// The request is applied twice; in an event stream, one event is sent twice.
    Duplicate(Point),
    /// An event stream ends with an exception.
    Exception(Exception),
    /// The body and status of the answer are replaced, after the request has been applied.
    Replace(Replace),
    /// The emulated clock jumps ahead, or changes its speed.
    Clock(ClockChange),
}

/// Where in a response something happens. Without either it is the first event, or the first byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// Behind this many events of SubscribeToShard; the initial response is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after_events: Option<u64>,
    /// Behind this many bytes of the response body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after_bytes: Option<u64>,
}

impl Point {
    /// Whether it names a place inside of the response.
    pub(crate) fn is_inside(self) -> bool {
        self.after_events.is_some() || self.after_bytes.is_some()
    }
}

/// An error instead of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErrorEffect {
    /// AWS's name of it, such as `ProvisionedThroughputExceededException` or, of S3, `SlowDown`.
    pub(crate) code: String,
    /// For a person.
    #[serde(default = "injected")]
    pub(crate) message: String,
    /// HTTP status; 400 unless the code is known to be a failure of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// Whether the request is applied first.
    #[serde(default)]
    pub(crate) applied: bool,
}

/// How an answer gets lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LoseResponse {
    pub(crate) how: Loss,
}

/// What the client meets in place of the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Loss {
    /// The stream is reset (RST_STREAM); over HTTP/1.1 the connection ends.
    #[default]
    RstStream,
    /// The TCP connection is reset.
    TcpReset,
    /// Nothing: the client waits until its own patience ends.
    Hang,
}

/// Which entries of a batch fail. All that is given must hold; without any of them, every entry fails.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Partial {
    /// The entries' `ErrorCode`.
    pub(crate) code: String,
    /// The entries' `ErrorMessage`.
    #[serde(default = "injected")]
    pub(crate) message: String,
    /// Places in the request, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) indices: Option<Vec<usize>>,
    /// The chance of each entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) probability: Option<f64>,
    /// Entries with this partition key; `*` at its end stands for any rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) partition_key: Option<String>,
}

/// Time that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delay {
    /// How long, in emulated time.
    pub(crate) r#for: Span,
    /// Before the request is applied, or before it is answered; not looked at inside of a response.
    #[serde(default)]
    pub(crate) at: At,
    /// Inside of the response, behind this many events; the initial response is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after_events: Option<u64>,
    /// Inside of the response, behind this many bytes of its body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after_bytes: Option<u64>,
}

/// On which side of a request's application.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum At {
    /// Before it.
    #[default]
    Request,
    /// Behind it.
    Response,
}

/// A silence without an end: before the request is applied, or inside of the response if a point there is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stall {
    /// What falls silent.
    #[serde(default)]
    pub(crate) scope: Scope,
    /// Inside of the response, behind this many events; the initial response is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after_events: Option<u64>,
    /// Inside of the response, behind this many bytes of its body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after_bytes: Option<u64>,
}

/// What falls silent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    /// This response alone.
    #[default]
    Stream,
    /// The connection with all its streams: neither read nor written any more.
    Connection,
}

/// An end that the protocol did not foresee: before the request is applied, or inside of the response if a point there
/// is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CutEffect {
    /// How it ends.
    #[serde(default)]
    pub(crate) how: How,
    /// Whether half of the next event, or of the next piece of the body, is sent first.
    #[serde(default)]
    pub(crate) in_frame: bool,
    /// Inside of the response, behind this many events; the initial response is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after_events: Option<u64>,
    /// Inside of the response, behind this many bytes of its body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after_bytes: Option<u64>,
}

/// How a stream or connection ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    /// RST_STREAM with INTERNAL_ERROR; over HTTP/1.1 the connection ends.
    #[default]
    RstStream,
    /// GOAWAY, then, a second of real time later, the end of the connection with all that runs on it.
    Goaway,
    /// A TCP reset.
    TcpReset,
    /// A TCP FIN without any word of HTTP.
    Fin,
}

/// The last message of an event stream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exception {
    /// Its type, such as `InternalFailureException` or `KMSThrottlingException`.
    pub(crate) code: String,
    /// For a person.
    #[serde(default = "injected")]
    pub(crate) message: String,
    /// Behind this many events; the initial response is none.
    #[serde(default)]
    pub(crate) after_events: u64,
}

/// Another answer than the service's, such as S3's 200 with an error in its body.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replace {
    /// HTTP status.
    pub(crate) status: u16,
    /// The whole body.
    pub(crate) body: String,
    /// Its content type; the service's own if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
}

/// What happens to the clock.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClockChange {
    /// How far it jumps ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) advance: Option<Span>,
    /// Its speed from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) speed: Option<f64>,
}

impl ClockChange {
    /// Changes `clock`.
    ///
    /// # Errors
    /// What the clock refuses; a jump that came first stays.
    pub(crate) fn apply(&self, clock: &Clock) -> Result<(), BoxError> {
        if let Some(Span(span)) = self.advance {
            clock.advance(span)?;
        }
        if let Some(speed) = self.speed {
            clock.set_speed(speed)?;
        }
        Ok(())
    }
}

impl Effect {
    /// Where in the response it happens, if it happens there.
    pub(crate) fn point(&self) -> Option<Point> {
        let (after_events, after_bytes) = match self {
            Self::Delay(delay) => (delay.after_events, delay.after_bytes),
            Self::Stall(stall) => (stall.after_events, stall.after_bytes),
            Self::Cut(cut) => (cut.after_events, cut.after_bytes),
            // A bit of the answer is flipped in any case.
            Self::Garble(point) if !point.is_inside() => (None, Some(0)),
            Self::Garble(point) | Self::Duplicate(point) => (point.after_events, point.after_bytes),
            Self::Exception(exception) => (Some(exception.after_events), None),
            _ => (None, None),
        };
        let point = Point { after_events, after_bytes };
        point.is_inside().then_some(point)
    }

    /// Its name in a plan.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Error(_) => "error",
            Self::LoseResponse(_) => "lose_response",
            Self::Partial(_) => "partial",
            Self::Delay(_) => "delay",
            Self::Stall(_) => "stall",
            Self::Cut(_) => "cut",
            Self::Garble(_) => "garble",
            Self::Duplicate(_) => "duplicate",
            Self::Exception(_) => "exception",
            Self::Replace(_) => "replace",
            Self::Clock(_) => "clock",
        }
    }
}

fn injected() -> String {
    "a fault of the emulator's plan".to_owned()
}
