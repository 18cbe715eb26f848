//! Kinesis in CBOR, as the AWS SDK for Java speaks it, over HTTP/2 and TLS-less with prior knowledge. Requests are written and
//! answers read by another CBOR library than the emulator's.

use crate::world::{PATIENCE, World};
use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use aws_smithy_types::event_stream::Message;
use bytes::{Bytes, BytesMut};
use ciborium::Value;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const CBOR: &str = "application/x-amz-cbor-1.1";

struct Client {
    sender: SendRequest<Full<Bytes>>,
    _connection: JoinSet<Result<(), hyper::Error>>,
}

/// What a subscription sends, message by message.
struct Events {
    body: Incoming,
    decoder: MessageFrameDecoder,
    received: BytesMut,
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let entries = value.as_map().unwrap_or_else(|| panic!("no map but {value:?}"));
    entries.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value)
}

/// What lies at `path`, whose numbers are places in arrays.
fn at<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(value, |value, name| {
        let found = match name.parse::<usize>() {
            Ok(place) => value.as_array().and_then(|items| items.get(place)),
            Err(_) => member(value, name),
        };
        found.unwrap_or_else(|| panic!("no {name} in {value:?}"))
    })
}

fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    at(value, path).as_text().expect("a text")
}

impl Client {
    async fn connect(world: &World) -> Self {
        let endpoint = world.emulator.plain_endpoint();
        let address = endpoint.strip_prefix("http://").expect("a plaintext endpoint");
        let io = TokioIo::new(TcpStream::connect(address).await.expect("a connection"));
        let (sender, driver) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("an HTTP/2 handshake");
        let mut connection = JoinSet::new();
        connection.spawn(driver);
        Self { sender, _connection: connection }
    }

    async fn post(&mut self, target: &str, body: Vec<u8>) -> Response<Incoming> {
        let request = Request::post("http://localhost/")
            .header("x-amz-target", target)
            .header("content-type", CBOR)
            .body(Full::new(Bytes::from(body)))
            .expect("a request");
        self.sender.send_request(request).await.expect("a response")
    }

    async fn send(&mut self, operation: &str, request: &Value) -> (StatusCode, Value) {
        let mut body = Vec::new();
        ciborium::into_writer(request, &mut body).expect("CBOR");
        let response = self.post(&format!("Kinesis_20131202.{operation}"), body).await;
        read(response).await
    }

    async fn ok(&mut self, operation: &str, request: Value) -> Value {
        let (status, body) = self.send(operation, &request).await;
        assert_eq!(status, StatusCode::OK, "{operation}: {body:?}");
        body
    }

    async fn subscribe(&mut self, request: Value) -> Events {
        let mut body = Vec::new();
        ciborium::into_writer(&request, &mut body).expect("CBOR");
        let response = self.post("Kinesis_20131202.SubscribeToShard", body).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/vnd.amazon.eventstream");
        Events { body: response.into_body(), decoder: MessageFrameDecoder::new(), received: BytesMut::new() }
    }
}

async fn read(response: Response<Incoming>) -> (StatusCode, Value) {
    let (head, body) = response.into_parts();
    assert_eq!(head.headers["content-type"], CBOR);
    let body = body.collect().await.expect("a body").to_bytes();
    let value = if body.is_empty() { Value::Null } else { ciborium::from_reader(&*body).expect("CBOR") };
    if !head.status.is_success() {
        assert_eq!(head.headers["x-amzn-errortype"], text(&value, &["__type"]));
        assert!(!text(&value, &["message"]).is_empty());
    }
    (head.status, value)
}

impl Events {
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let DecodedFrame::Complete(message) = self.decoder.decode_frame(&mut self.received).expect("a message") {
                let header = |name| header(&message, name);
                assert_eq!(header(":content-type"), Some(CBOR));
                let kind = header(":event-type").or(header(":exception-type")).expect("a type").to_owned();
                return Some((kind, ciborium::from_reader(&**message.payload()).expect("CBOR")));
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("a frame in time")?;
            if let Ok(data) = frame.expect("a frame").into_data() {
                self.received.extend_from_slice(&data);
            }
        }
    }
}

fn header<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    let found = message.headers().iter().find(|header| header.name().as_str() == name)?;
    Some(found.value().as_string().expect("a text").as_str())
}

/// The data of the records in an answer or event; each has a time in milliseconds, near enough to now.
fn data(answer: &Value) -> Vec<Vec<u8>> {
    let records = at(answer, &["Records"]).as_array().expect("records");
    let of = |record: &Value| {
        let Value::Tag(1, millis) = at(record, &["ApproximateArrivalTimestamp"]) else { panic!("no time: {record:?}") };
        let millis = u64::try_from(millis.as_integer().expect("an integer")).expect("a time");
        assert!((1_600_000_000_000..10_000_000_000_000).contains(&millis), "{millis}");
        at(record, &["Data"]).as_bytes().expect("bytes").clone()
    };
    records.iter().map(of).collect()
}

#[tokio::test]
async fn records_go_in_and_come_out_by_both_ways_of_reading() {
    let world = World::start().await;
    let mut kinesis = Client::connect(&world).await;
    let name = || ("StreamName", Value::from("orders"));
    assert_eq!(kinesis.ok("CreateStream", map([name(), ("ShardCount", 1.into())])).await, Value::Null);
    let summary = kinesis.ok("DescribeStreamSummary", map([name()])).await;
    let stream = text(&summary, &["StreamDescriptionSummary", "StreamARN"]);
    let created = at(&summary, &["StreamDescriptionSummary", "StreamCreationTimestamp"]);

    let blobs = [vec![], vec![0, 159, 255], vec![7; 100_000]];
    let record = |blob: &Vec<u8>| map([("Data", Value::Bytes(blob.clone())), ("PartitionKey", "é\"".into())]);
    let records = Value::Array(blobs.iter().map(record).collect());
    let put = kinesis.ok("PutRecords", map([name(), ("Records", records)])).await;
    assert_eq!(at(&put, &["FailedRecordCount"]), &Value::from(0));
    let shard = text(&put, &["Records", "2", "ShardId"]);

    let listed = kinesis.ok("ListShards", map([name(), ("StreamCreationTimestamp", created.clone())])).await;
    assert_eq!(text(&listed, &["Shards", "0", "ShardId"]), shard);

    let begin = map([
        name(),
        ("ShardId", shard.into()),
        ("ShardIteratorType", "AT_TIMESTAMP".into()),
        ("Timestamp", created.clone()),
    ]);
    let iterator = kinesis.ok("GetShardIterator", begin).await;
    let got = kinesis.ok("GetRecords", map([("ShardIterator", text(&iterator, &["ShardIterator"]).into())])).await;
    assert_eq!(data(&got), blobs);
    assert_eq!(text(&got, &["Records", "0", "PartitionKey"]), "é\"");

    let consumer = map([("StreamARN", stream.into()), ("ConsumerName", "app".into())]);
    let registered = kinesis.ok("RegisterStreamConsumer", consumer).await;
    let arn = text(&registered, &["Consumer", "ConsumerARN"]);
    let from = map([("Type", "TRIM_HORIZON".into())]);
    let subscription = map([("ConsumerARN", arn.into()), ("ShardId", shard.into()), ("StartingPosition", from)]);
    let mut events = kinesis.subscribe(subscription).await;
    assert_eq!(events.next().await, Some(("initial-response".to_owned(), map([]))));
    let (kind, event) = events.next().await.expect("an event");
    assert_eq!((kind.as_str(), data(&event)), ("SubscribeToShardEvent", blobs.to_vec()));
    assert!(text(&event, &["ContinuationSequenceNumber"]).parse::<u128>().is_err(), "56 digits");

    kinesis.ok("DeregisterStreamConsumer", map([("ConsumerARN", arn.into())])).await;
    let (kind, last) = events.next().await.expect("an exception");
    assert_eq!(kind, "ResourceNotFoundException");
    assert!(text(&last, &["message"]).contains("app"));
    assert_eq!(events.next().await, None);
    world.emulator.stop().await;
}

#[tokio::test]
async fn errors_come_in_cbor_and_other_services_name_the_remedy() {
    let world = World::start().await;
    let mut kinesis = Client::connect(&world).await;
    for (operation, request, code) in [
        ("DescribeStream", map([("StreamName", "none".into())]), "ResourceNotFoundException"),
        ("CreateStream", map([("StreamName", 5.into())]), "SerializationException"),
        ("Nothing", map([]), "UnknownOperationException"),
    ] {
        let (status, body) = kinesis.send(operation, &request).await;
        assert_eq!((status, text(&body, &["__type"])), (StatusCode::BAD_REQUEST, code), "{operation}");
    }
    for malformed in [b"{}".as_slice(), b"\xa1\x61", b"\xa0\x00"] {
        let (status, body) = read(kinesis.post("Kinesis_20131202.ListStreams", malformed.to_vec()).await).await;
        assert_eq!((status, text(&body, &["__type"])), (StatusCode::BAD_REQUEST, "SerializationException"));
    }
    let (status, body) = read(kinesis.post("Kinesis_20131202.ListStreams", Vec::new()).await).await;
    assert_eq!((status, at(&body, &["StreamNames"])), (StatusCode::OK, &Value::Array(Vec::new())));

    let refused = kinesis.post("Firehose_20150804.ListDeliveryStreams", b"\xa0".to_vec()).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let body = refused.into_body().collect().await.expect("a body").to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("CBOR_ENABLED=false"));
    world.emulator.stop().await;
}
