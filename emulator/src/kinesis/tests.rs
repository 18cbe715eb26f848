//! The service as a client sees it: requests in, responses and event-stream frames out.

mod consumers;
mod limits;
mod records;
mod reshard;
mod settings;
mod states;
mod streams;
mod subscribe;

use super::{Format, Kinesis};
use crate::api::Body;
use crate::clock::Clock;
use aws_smithy_eventstream::frame::read_message_from;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::time::Duration;

/// A service with helpers to talk to it.
struct Service(Kinesis);

impl Service {
    fn new() -> Self {
        Self(Kinesis::new(Clock::new(1.0).unwrap(), None, false, Duration::ZERO))
    }

    /// A service whose states last so many seconds.
    fn slow(seconds: u64) -> Self {
        Self(Kinesis::new(Clock::new(1.0).unwrap(), None, false, Duration::from_secs(seconds)))
    }

    /// A service with the stream `orders`, of so many shards, and its consumer `app`, whose ARN is returned.
    async fn with_stream(shards: u32) -> (Self, String) {
        Self::new().and_stream(shards).await
    }

    /// The same, with AWS's limits on rates.
    async fn limited(shards: u32) -> (Self, String) {
        Self(Kinesis::new(Clock::new(1.0).unwrap(), None, true, Duration::ZERO)).and_stream(shards).await
    }

    async fn and_stream(self, shards: u32) -> (Self, String) {
        let service = self;
        service.ok("CreateStream", json!({ "StreamName": "orders", "ShardCount": shards })).await;
        let arn = service.register("app").await;
        (service, arn)
    }

    async fn send(&self, operation: &str, request: &Value) -> (StatusCode, Value) {
        let response = self.0.call(operation, Format::Json, request.to_string().into()).await;
        assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.1", "{operation}");
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() })
    }

    async fn ok(&self, operation: &str, request: Value) -> Value {
        let (status, body) = self.send(operation, &request).await;
        assert_eq!(status, StatusCode::OK, "{operation} {request}: {body}");
        body
    }

    /// The code of the error that the request gets.
    async fn refused(&self, operation: &str, request: Value) -> String {
        let (status, body) = self.send(operation, &request).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{operation} {request}: {body}");
        assert!(!body["message"].as_str().unwrap().is_empty());
        body["__type"].as_str().unwrap().to_owned()
    }

    async fn register(&self, name: &str) -> String {
        let stream = super::arn::stream("orders");
        let answer = self.ok("RegisterStreamConsumer", json!({ "StreamARN": stream, "ConsumerName": name })).await;
        answer["Consumer"]["ConsumerARN"].as_str().unwrap().to_owned()
    }

    /// Puts one record and returns its sequence number.
    async fn put(&self, key: &str, data: &str) -> String {
        let request = json!({ "StreamName": "orders", "PartitionKey": key, "Data": STANDARD.encode(data) });
        self.ok("PutRecord", request).await["SequenceNumber"].as_str().unwrap().to_owned()
    }

    async fn iterator(&self, shard: u32, position: Value) -> String {
        let mut request = json!({ "StreamName": "orders", "ShardId": super::wire::shard_id(shard) });
        request.as_object_mut().unwrap().extend(position.as_object().unwrap().clone());
        self.ok("GetShardIterator", request).await["ShardIterator"].as_str().unwrap().to_owned()
    }

    /// Reads once from the shard's beginning.
    async fn get_all(&self, shard: u32) -> Value {
        let iterator = self.iterator(shard, json!({ "ShardIteratorType": "TRIM_HORIZON" })).await;
        self.ok("GetRecords", json!({ "ShardIterator": iterator })).await
    }

    async fn subscribe(&self, arn: &str, shard: u32, position: Value) -> Frames {
        let request =
            json!({ "ConsumerARN": arn, "ShardId": super::wire::shard_id(shard), "StartingPosition": position });
        let response = self.0.call("SubscribeToShard", Format::Json, request.to_string().into()).await;
        assert_eq!(response.status(), StatusCode::OK, "{request}");
        assert_eq!(response.headers()["content-type"], "application/vnd.amazon.eventstream");
        let mut frames = Frames(response.into_body());
        assert_eq!(frames.next().await, Some(Frame::Initial));
        frames
    }

    async fn subscribe_refused(&self, arn: &str, shard: &str, position: Value) -> String {
        self.refused("SubscribeToShard", json!({ "ConsumerARN": arn, "ShardId": shard, "StartingPosition": position }))
            .await
    }
}

/// What a subscription sends.
struct Frames(Body);

#[derive(Debug, PartialEq)]
enum Frame {
    Initial,
    Event(Value),
    Exception(String),
}

impl Frames {
    async fn next(&mut self) -> Option<Frame> {
        let bytes = self.0.frame().await?.unwrap().into_data().unwrap();
        let message = read_message_from(bytes).unwrap();
        let header = |name: &str| {
            let found = message.headers().iter().find(|header| header.name().as_str() == name);
            found.map(|header| header.value().as_string().unwrap().as_str().to_owned()).unwrap_or_default()
        };
        Some(match (header(":message-type").as_str(), header(":event-type").as_str()) {
            ("exception", _) => Frame::Exception(header(":exception-type")),
            ("event", "initial-response") => Frame::Initial,
            ("event", "SubscribeToShardEvent") => Frame::Event(serde_json::from_slice(message.payload()).unwrap()),
            other => panic!("unexpected frame: {other:?}"),
        })
    }

    async fn event(&mut self) -> Value {
        match self.next().await {
            Some(Frame::Event(event)) => event,
            other => panic!("expected an event, got {other:?}"),
        }
    }
}

/// The data of records, as text.
fn data(answer: &Value) -> Vec<String> {
    let text = |record: &Value| String::from_utf8(STANDARD.decode(record["Data"].as_str().unwrap()).unwrap()).unwrap();
    answer["Records"].as_array().unwrap().iter().map(text).collect()
}

fn ids(shards: &Value) -> Vec<&str> {
    shards
        .as_array()
        .unwrap()
        .iter()
        .map(|shard| shard["ShardId"].as_str().unwrap().trim_start_matches("shardId-00000000000"))
        .collect()
}

async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}
