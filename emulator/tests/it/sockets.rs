//! Both ports, in every protocol they speak.

use crate::world::{PATIENCE, World};
use alluvial_emulator::{Emulator, Settings, StartError};
use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::{TlsConnector, client::TlsStream};

type RequestBody = UnsyncBoxBody<Bytes, Infallible>;

fn post(target: &str, body: &'static str) -> Request<RequestBody> {
    let body = Full::new(Bytes::from_static(body.as_bytes())).boxed_unsync();
    Request::post("https://localhost/")
        .header("host", "localhost")
        .header("x-amz-target", target)
        .header("content-type", "application/x-amz-json-1.0")
        .body(body)
        .expect("a request")
}

/// Sends one request on a connection of its own.
async fn send<S>(stream: S, http2: bool, request: Request<RequestBody>) -> Response<Bytes>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut connection = JoinSet::new();
    let io = TokioIo::new(stream);
    let response = if http2 {
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await;
        let (mut sender, driver) = handshake.expect("an HTTP/2 handshake");
        connection.spawn(driver);
        sender.send_request(request).await
    } else {
        let (mut sender, driver) = hyper::client::conn::http1::handshake(io).await.expect("an HTTP/1.1 handshake");
        connection.spawn(driver);
        sender.send_request(request).await
    };
    let (head, body) = response.expect("a response").into_parts();
    Response::from_parts(head, body.collect().await.expect("a body").to_bytes())
}

async fn plain(world: &World) -> TcpStream {
    let endpoint = world.emulator.plain_endpoint();
    let address = endpoint.strip_prefix("http://").expect("a plaintext endpoint");
    TcpStream::connect(address).await.expect("a connection")
}

async fn tls(world: &World, alpn: &[&str]) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(world.emulator.ca_bundle()).expect("ca.pem");
    roots.add(ca).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let endpoint = world.emulator.endpoint();
    let address = endpoint.strip_prefix("https://").expect("a TLS endpoint");
    let socket = TcpStream::connect(address).await.expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.expect("a TLS handshake")
}

fn assert_lists_tables(response: &Response<Bytes>, version: Version) {
    assert_eq!(response.status(), StatusCode::OK, "{:?}", response.body());
    assert_eq!(response.version(), version);
    assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.0");
    assert!(response.headers().contains_key("x-amzn-requestid"));
    assert_eq!(response.body().as_ref(), br#"{"TableNames":[]}"#);
}

#[tokio::test]
async fn the_tls_port_speaks_what_alpn_asks_for() {
    let world = World::start().await;
    for (alpn, http2, version) in
        [(["h2", "http/1.1"].as_slice(), true, Version::HTTP_2), (["http/1.1"].as_slice(), false, Version::HTTP_11)]
    {
        let stream = tls(&world, alpn).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), alpn.first().map(|protocol| protocol.as_bytes()));
        let response = send(stream, http2, post("DynamoDB_20120810.ListTables", "{}")).await;
        assert_lists_tables(&response, version);
    }
    world.emulator.stop().await;
}

#[tokio::test]
async fn the_plaintext_port_speaks_http1_and_http2_with_prior_knowledge() {
    let world = World::start().await;
    for (http2, version) in [(false, Version::HTTP_11), (true, Version::HTTP_2)] {
        let response = send(plain(&world).await, http2, post("DynamoDB_20120810.ListTables", "{}")).await;
        assert_lists_tables(&response, version);
    }
    world.emulator.stop().await;
}

#[tokio::test]
async fn what_no_service_has_is_an_unknown_operation() {
    let world = World::start().await;
    for target in [
        "Logs_20140328.PutLogEvents",
        "Firehose_20150804.Nothing",
        "DynamoDB_20120810.Nothing",
        "Kinesis_20131202.Nothing",
    ] {
        let response = send(plain(&world).await, false, post(target, "{}")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{target}");
        let body: serde_json::Value = serde_json::from_slice(response.body()).expect("JSON");
        assert_eq!(body["__type"], "UnknownOperationException", "{target}");
    }
    world.emulator.stop().await;
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_before_it_is_sent() {
    let world = World::start().await;
    let never = futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>();
    let request = Request::post("/")
        .header("host", "localhost")
        .header("x-amz-target", "DynamoDB_20120810.PutItem")
        .header("content-length", 40_000_000)
        .body(StreamBody::new(never).boxed_unsync())
        .expect("a request");
    let response = send(plain(&world).await, false, request).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    world.emulator.stop().await;
}

#[tokio::test]
async fn a_taken_port_stops_the_start_with_its_remedy() {
    let world = World::start().await;
    let endpoint = world.emulator.plain_endpoint();
    let port: u16 = endpoint.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let dir = tempfile::tempdir().expect("a folder");
    let error = Emulator::start(Settings { port, ..Settings::new(dir.path()) }).await.expect_err("a taken port");
    assert!(matches!(error, StartError::PortTaken { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!("port {port} on 127.0.0.1 is in use: stop what listens there or give another --port")
    );
    assert!(!dir.path().join("ca.pem").exists(), "nothing is written before the ports are bound");
    world.emulator.stop().await;
}

#[tokio::test]
async fn a_folder_serves_one_emulator_at_a_time() {
    let world = World::start().await;
    let error = Emulator::start(Settings::new(world.dir.path())).await.expect_err("a folder in use");
    assert!(error.to_string().contains("stop it or give another --dir"), "{error}");
    world.emulator.stop().await;
}

#[tokio::test]
async fn stopping_ends_idle_and_half_open_connections() {
    let world = World::start().await;
    let silent = plain(&world).await;
    let in_handshake =
        TcpStream::connect(world.emulator.endpoint().trim_start_matches("https://")).await.expect("a socket");
    let idle = tls(&world, &["h2"]).await;
    let (_sender, driver) =
        hyper::client::conn::http2::handshake::<_, _, RequestBody>(TokioExecutor::new(), TokioIo::new(idle))
            .await
            .expect("an HTTP/2 handshake");
    let mut connection = JoinSet::new();
    connection.spawn(driver);
    tokio::time::timeout(PATIENCE, world.emulator.stop()).await.expect("the emulator stops");
    drop((silent, in_handshake));
}

#[tokio::test]
async fn the_exports_name_what_a_client_needs() {
    let world = World::start().await;
    let exports = world.emulator.exports();
    let value = |name: &str| exports.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str());
    assert_eq!(value("AWS_ENDPOINT_URL"), Some(world.emulator.endpoint().as_str()));
    assert_eq!(value("AWS_ACCESS_KEY_ID"), Some("test"));
    assert_eq!(value("AWS_SECRET_ACCESS_KEY"), Some("test"));
    assert_eq!(value("AWS_REGION"), Some("us-east-1"));
    let bundle = std::path::Path::new(value("AWS_CA_BUNDLE").expect("a bundle"));
    assert!(bundle.is_absolute() && bundle.is_file(), "{}", bundle.display());
    world.emulator.stop().await;
}

#[tokio::test]
async fn dropping_frees_ports_and_folder() {
    let World { emulator, dir } = World::start().await;
    let endpoint = emulator.plain_endpoint();
    let address = endpoint.trim_start_matches("http://");
    drop(emulator);
    let closed = async { while TcpStream::connect(address).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, closed).await.expect("the port is closed");
    Emulator::start(Settings::new(dir.path())).await.expect("the folder is free").stop().await;
}

#[tokio::test]
async fn another_address_is_listened_on_when_it_is_asked_for() {
    let dir = tempfile::tempdir().expect("a folder");
    for (host, reached) in [("127.0.0.2", "127.0.0.2"), ("0.0.0.0", "127.0.0.1")] {
        let settings = Settings { host: host.parse().expect("an address"), ..Settings::new(dir.path()) };
        let emulator = Emulator::start(settings).await.expect("an emulator");
        let endpoint = emulator.plain_endpoint();
        let address = endpoint.strip_prefix("http://").expect("a plaintext endpoint").to_owned();
        assert!(address.starts_with(&format!("{reached}:")), "{host}: {address}");
        TcpStream::connect(&address).await.expect("a connection");
        emulator.stop().await;
    }
}
