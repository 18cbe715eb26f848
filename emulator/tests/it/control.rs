//! The control path over HTTP, and what only a real socket shows of a fault.

use crate::world::World;
use alluvial_emulator::{Emulator, Settings};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

async fn truthful() -> World {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = Settings { truth: true, ..Settings::new(dir.path()) };
    World { emulator: Emulator::start(settings).await.expect("an emulator"), dir }
}

async fn connect(world: &World) -> TcpStream {
    let endpoint = world.emulator.plain_endpoint();
    TcpStream::connect(endpoint.strip_prefix("http://").expect("plaintext")).await.expect("a connection")
}

async fn send(world: &World, request: Request<Full<Bytes>>) -> (StatusCode, String) {
    let (mut sender, driver) =
        hyper::client::conn::http1::handshake(TokioIo::new(connect(world).await)).await.expect("a handshake");
    let mut connection = JoinSet::new();
    connection.spawn(driver);
    let (head, body) = sender.send_request(request).await.expect("a response").into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    (head.status, String::from_utf8(body.to_vec()).expect("UTF-8"))
}

async fn ask(world: &World, method: Method, path: &str, body: &str) -> (StatusCode, String) {
    let request = Request::builder().method(method).uri(format!("/_emulator{path}")).header("host", "localhost");
    send(world, request.body(Full::from(body.to_owned())).expect("a request")).await
}

async fn get(world: &World, path: &str) -> Value {
    let (status, body) = ask(world, Method::GET, path, "").await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
}

const FAULT: &str = "[[fault]]\nname = \"down\"\non = { service = \"kinesis\", operation = \"ListStreams\" }\n";

async fn list_streams(world: &World) -> (StatusCode, String) {
    let request = Request::post("/").header("host", "localhost").header("x-amz-target", "Kinesis_20131202.ListStreams");
    send(world, request.body(Full::from("{}")).expect("a request")).await
}

#[tokio::test]
async fn faults_are_put_read_logged_and_ended() {
    let world = truthful().await;
    let plan = format!("{FAULT}effect = {{ error = {{ code = \"InternalFailure\" }} }}\n");
    let (status, body) = ask(&world, Method::PUT, "/faults", &plan).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(list_streams(&world).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(get(&world, "/faults").await["fault"][0]["fired"], 1);
    assert_eq!(get(&world, "/faults/log").await["fault"], "down");

    let (status, body) = ask(&world, Method::PUT, "/faults", &format!("{FAULT}effect = {{ explode = {{}} }}\n")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("explode") && body.contains("expected one of"), "{body}");
    assert_eq!(get(&world, "/faults").await["fault"][0]["name"], "down", "the plan before goes on");

    assert_eq!(ask(&world, Method::DELETE, "/faults", "").await.0, StatusCode::OK);
    assert_eq!(list_streams(&world).await.0, StatusCode::OK);
    world.emulator.stop().await;
}

#[tokio::test]
async fn the_clock_jumps_and_changes_its_speed() {
    let world = truthful().await;
    let before = get(&world, "/clock").await["time_millis"].as_u64().expect("a time");
    let (status, body) = ask(&world, Method::PUT, "/clock", "{\"advance\": \"2h\", \"speed\": 0}").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let clock = get(&world, "/clock").await;
    assert!(clock["time_millis"].as_u64().expect("a time") >= before + 7_200_000, "{clock}");
    assert_eq!(clock["speed"], 0.0);
    for bad in ["{\"speed\": -1}", "{\"advance\": \"soon\"}", "{\"jump\": 1}", ""] {
        let (status, body) = ask(&world, Method::PUT, "/clock", bad).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {body}");
    }
    world.emulator.stop().await;
}

#[tokio::test]
async fn ground_truth_is_what_clients_were_promised() {
    let world = truthful().await;
    let kinesis = world.kinesis();
    kinesis.create_stream().stream_name("orders").shard_count(2).send().await.expect("a stream");
    for key in ["a", "b", "c"] {
        let put = kinesis.put_record().stream_name("orders").partition_key(key);
        let put = put.data(aws_sdk_kinesis::primitives::Blob::new(key)).send().await.expect("a record");
        let (_, truth) = ask(&world, Method::GET, "/kinesis/orders/records", "").await;
        let found = truth.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let found: Vec<Value> = found.filter(|line| line["PartitionKey"] == key).collect();
        assert_eq!(found.len(), 1, "{truth}");
        assert_eq!(found[0]["SequenceNumber"], put.sequence_number());
        assert_eq!(found[0]["ShardId"], put.shard_id());
    }
    assert_eq!(ask(&world, Method::GET, "/kinesis/none/records", "").await.0, StatusCode::NOT_FOUND);
    assert_eq!(ask(&world, Method::GET, "/dynamodb/none/history", "").await, (StatusCode::OK, String::new()));
    world.emulator.stop().await;
    let silent = World::start().await;
    let (status, body) = ask(&silent, Method::GET, "/firehose/raw/records", "").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(body.contains("--truth on"), "{body}");
    silent.emulator.stop().await;
}

#[tokio::test]
async fn what_is_not_there_and_what_a_web_page_sends_is_refused() {
    let world = truthful().await;
    assert!(get(&world, "").await.as_array().is_some_and(|paths| paths.len() >= 10));
    let (status, body) = ask(&world, Method::POST, "/nothing", "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.contains("GET /_emulator lists"), "{body}");
    let foreign = Request::put("/_emulator/faults").header("host", "localhost").header("origin", "https://example.com");
    let (status, _) = send(&world, foreign.body(Full::default()).expect("a request")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    world.emulator.stop().await;
}

#[tokio::test]
async fn connections_begin_with_the_http2_settings_of_the_moment() {
    let world = truthful().await;
    let (status, body) = ask(&world, Method::PUT, "/http2", "{\"max_concurrent_streams\": 3}").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(get(&world, "/http2").await["max_concurrent_streams"], json!(3));
    let mut socket = connect(&world).await;
    // The client's preface with an empty SETTINGS frame (RFC 9113, section 3.4); the server answers with its own.
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("a preface");
    let mut header = [0; 9];
    socket.read_exact(&mut header).await.expect("a frame");
    assert_eq!(header[3], 4, "SETTINGS");
    let mut settings = vec![0; usize::from(header[2])];
    socket.read_exact(&mut settings).await.expect("settings");
    // Identifier 3 is SETTINGS_MAX_CONCURRENT_STREAMS (RFC 9113, section 6.5.2).
    assert!(settings.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 3]), "{settings:?}");
    assert_eq!(ask(&world, Method::PUT, "/http2", "{\"max_concurrent_streams\": 0}").await.0, StatusCode::BAD_REQUEST);
    world.emulator.stop().await;
}

/// What a client reads on a socket whose request meets the fault.
async fn socket_under(effect: &str) -> io::Result<Vec<u8>> {
    let world = truthful().await;
    let plan = format!("{FAULT}effect = {{ {effect} }}\n");
    world.emulator.control().set_faults(&plan).expect("a plan");
    let mut socket = connect(&world).await;
    let request = "POST / HTTP/1.1\r\nhost: localhost\r\nx-amz-target: Kinesis_20131202.ListStreams\r\ncontent-length: 2\r\n\r\n{}";
    socket.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let read = socket.read_to_end(&mut answer).await.map(|_| answer);
    world.emulator.stop().await;
    read
}

#[tokio::test]
async fn a_reset_is_a_reset_and_a_fin_is_an_end() {
    let reset = socket_under("cut = { how = \"tcp_reset\" }").await;
    assert_eq!(reset.expect_err("no end").kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(socket_under("cut = { how = \"fin\" }").await.expect("an end"), b"");
    let lost = socket_under("lose_response = { how = \"tcp_reset\" }").await;
    assert_eq!(lost.expect_err("no end").kind(), io::ErrorKind::ConnectionReset);
}
