//! An HTTP client whose answers are written down beforehand, for tests of what reads them.

use super::{AnyEvents, AnySource, Arrival, Cause, Direct, Event, Events as _, From, Sdk, Source as _};
use crate::registration::ConsumerArn;
use alluvial_record::Checkpoint;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use http_body::{Body, Frame};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

/// The credentials of the sources.
pub(crate) const KEY_ID: &str = "AKIDEXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub(crate) const TOKEN: &str = "a session token";

/// What the body of an answer does.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Bytes(Vec<u8>),
    /// The connection breaks.
    Reset,
    /// Nothing more comes, and the stream stays open.
    Silence,
    /// One poll finds nothing.
    Pause,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<Step>,
}

impl Answer {
    pub(crate) fn stream(body: Vec<Step>) -> Self {
        Self { status: 200, headers: vec![("content-type", "application/vnd.amazon.eventstream".into())], body }
    }

    /// A refusal as the service writes it.
    pub(crate) fn refusal(status: u16, code: &str) -> Self {
        Self { status, ..Self::json(&format!(r#"{{"__type":"{code}","message":"refused"}}"#)) }
    }

    /// The same with the time of the service.
    pub(crate) fn dated(mut self, date: &str) -> Self {
        self.headers.push(("date", date.to_owned()));
        self
    }

    /// An answer that is no stream.
    pub(crate) fn json(body: &str) -> Self {
        let headers = vec![("content-type", "application/x-amz-json-1.1".into())];
        Self { status: 200, headers, body: vec![Step::Bytes(body.into())] }
    }
}

struct ScriptedBody(VecDeque<Step>);

impl Body for ScriptedBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.0.pop_front() {
            Some(Step::Bytes(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes.into())))),
            Some(Step::Reset) => Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into()))),
            Some(Step::Silence) => {
                self.0.push_front(Step::Silence);
                Poll::Pending
            }
            Some(Step::Pause) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }
}

/// Gives its answers in their order, and keeps the requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    pub(crate) requests: Arc<Mutex<Vec<HttpRequest>>>,
}

impl HttpConnector for Script {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.requests.lock().unwrap().push(request);
        let answer = self.answers.lock().unwrap().pop_front().expect("an answer for each request");
        let body = SdkBody::from_body_1_x(ScriptedBody(answer.body.into()));
        let mut response = HttpResponse::new(answer.status.try_into().unwrap(), body);
        for (name, value) in answer.headers {
            response.headers_mut().insert(name, value);
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

/// A client that gets `answers` in their order and makes no retries.
pub(crate) fn client(answers: &[Answer]) -> (Client, Script) {
    let script = Script { answers: Arc::new(Mutex::new(answers.to_vec().into())), ..Script::default() };
    let connector = SharedHttpConnector::new(script.clone());
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("eu-north-1"))
        .credentials_provider(Credentials::new(KEY_ID, SECRET, Some(TOKEN.into()), None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build();
    (Client::from_conf(config), script)
}

/// The sources under test, by name, with scripts of their own that give `answers`.
pub(crate) fn sources(answers: &[Answer]) -> [(&'static str, AnySource, Script); 2] {
    let scripted = |make: fn(Sdk) -> AnySource| {
        let (client, script) = client(answers);
        let arn = ConsumerArn::fixed("arn:aws:kinesis:eu-north-1:1:stream/s/consumer/c:1");
        (make(Sdk::new(client, arn)), script)
    };
    let (sdk, sdk_script) = scripted(AnySource::Sdk);
    let (direct, direct_script) = scripted(|sdk| AnySource::Direct(Direct::new(sdk)));
    [("sdk", sdk, sdk_script), ("direct", direct, direct_script)]
}

pub(crate) async fn open(source: &AnySource) -> Result<AnyEvents, Cause> {
    source.open(&"shardId-000000000000".into(), &From::Checkpoint(Checkpoint::TrimHorizon)).await
}

/// All events, and how they ended.
pub(crate) async fn read_all(source: &AnySource) -> (Vec<Event>, Result<(), Cause>) {
    let mut events = Vec::new();
    let mut opened = match open(source).await {
        Ok(opened) => opened,
        Err(cause) => return (events, Err(cause)),
    };
    loop {
        match opened.next().await {
            Ok(Some(Arrival::Event(event))) => events.push(event),
            Ok(Some(Arrival::Begins(_))) => {}
            Ok(None) => return (events, Ok(())),
            Err(cause) => return (events, Err(cause)),
        }
    }
}

/// A message with text headers, as the SDK writes it.
pub(crate) fn message(headers: &[(&'static str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut message = Message::new(Bytes::copy_from_slice(payload));
    for (name, value) in headers {
        message = message.add_header(Header::new(*name, HeaderValue::String((*value).to_owned().into())));
    }
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).unwrap();
    bytes
}

const JSON: (&str, &str) = (":content-type", "application/x-amz-json-1.1");

/// An event of the type `name`.
pub(crate) fn event_of(name: &str, payload: &[u8]) -> Vec<u8> {
    message(&[(":message-type", "event"), (":event-type", name), JSON], payload)
}

pub(crate) fn event(payload: impl AsRef<[u8]>) -> Vec<u8> {
    event_of("SubscribeToShardEvent", payload.as_ref())
}

pub(crate) fn initial_response() -> Vec<u8> {
    event_of("initial-response", b"{}")
}

pub(crate) fn exception(code: &str) -> Vec<u8> {
    message(&[(":message-type", "exception"), (":exception-type", code), JSON], br#"{"message":"as asked"}"#)
}

/// The JSON of a record as the service writes it.
pub(crate) fn record_json(sequence: u64, key: &str, data: &[u8]) -> String {
    let data = base64_simd::STANDARD.encode_to_string(data);
    format!(
        r#"{{"SequenceNumber":"{sequence}","ApproximateArrivalTimestamp":1.732504512{:03}E9,"Data":"{data}","PartitionKey":"{key}","EncryptionType":"NONE"}}"#,
        sequence % 1000
    )
}

/// The JSON of an event as the service writes it.
pub(crate) fn event_json(records: &[String], continuation: u64) -> String {
    let records = records.join(",");
    format!(r#"{{"ContinuationSequenceNumber":"{continuation}","MillisBehindLatest":7,"Records":[{records}]}}"#)
}

/// The answer to DescribeStreamSummary.
pub(crate) fn stream_summary() -> Answer {
    Answer::json(
        r#"{"StreamDescriptionSummary":{"StreamName":"s","StreamARN":"arn:aws:kinesis:eu-north-1:1:stream/s",
        "StreamStatus":"ACTIVE","RetentionPeriodHours":24,"StreamCreationTimestamp":1795000000,"EnhancedMonitoring":[],
        "OpenShardCount":1}}"#,
    )
}
