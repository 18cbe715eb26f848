//! A lean client: bodies that are made once, no signatures, and answers that are looked at no closer than they must be.

use crate::Result;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;
use serde_json::Value;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 in plain text.
    Http1,
    /// HTTP/2 in plain text.
    H2c,
    /// HTTP/2 over TLS.
    Tls,
}

/// What the server may send ahead, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// On one stream.
    pub stream: u32,
    /// On all streams of a connection together.
    pub connection: u32,
}

impl Windows {
    /// As the AWS SDKs for Rust have it by hyper's defaults: 2 MiB and 5 MiB.
    pub const SDK: Self = Self { stream: 2 << 20, connection: 5 << 20 };
}

/// One connection. Dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    sender: Sender,
    /// Held so that the connection lives as long.
    _driver: JoinSet<()>,
    hung: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// Opens a connection to `host`, an address with a port.
    ///
    /// # Errors
    /// The network's, or a handshake's.
    pub async fn open(
        host: &str,
        protocol: Protocol,
        tls: Arc<rustls::ClientConfig>,
        windows: Windows,
    ) -> Result<Self> {
        let socket = TcpStream::connect(host).await?;
        socket.set_nodelay(true)?;
        match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
                Ok(Self::driven(Sender::Http1(sender), connection, Arc::default()))
            }
            Protocol::H2c => Self::http2(socket, windows).await,
            Protocol::Tls => {
                let name = ServerName::try_from("localhost")?;
                Self::http2(TlsConnector::from(tls).connect(name, socket).await?, windows).await
            }
        }
    }

    async fn http2(socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, windows: Windows) -> Result<Self> {
        let hung = Arc::new(AtomicBool::new(false));
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(windows.stream)
            .initial_connection_window_size(windows.connection)
            .initial_max_send_streams(1_000)
            .handshake(TokioIo::new(Socket { inner: socket, hung: Arc::clone(&hung) }))
            .await?;
        Ok(Self::driven(Sender::Http2(sender), connection, hung))
    }

    fn driven(
        sender: Sender,
        connection: impl Future<Output = hyper::Result<()>> + Send + 'static,
        hung: Arc<AtomicBool>,
    ) -> Self {
        let mut driver = JoinSet::new();
        // A connection that breaks is an error of the requests on it.
        driver.spawn(async { drop(connection.await) });
        Self { sender, _driver: driver, hung }
    }

    /// Reads no more from the socket, for good, as a client does that hangs. What is sent still goes out.
    pub fn hang(&self) {
        self.hung.store(true, Ordering::Relaxed);
    }

    /// Sends one request to Kinesis; returns the answer as soon as it begins.
    ///
    /// # Errors
    /// The network's, or an answer that is not 200.
    pub async fn send(&mut self, operation: &str, body: Bytes) -> Result<Response<Incoming>> {
        let request = Request::post("http://localhost/")
            .header("host", "localhost")
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("Kinesis_20131202.{operation}"))
            .body(Full::new(body))?;
        self.answer(operation, request).await
    }

    /// Sends one request to the emulator's control path; returns the bytes of the answer.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn control(&mut self, method: &str, path: &str, body: Bytes) -> Result<Bytes> {
        let uri = format!("http://localhost{path}");
        let request = Request::builder().method(method).uri(uri).header("host", "localhost").body(Full::new(body))?;
        Ok(self.answer(path, request).await?.into_body().collect().await?.to_bytes())
    }

    async fn answer(&mut self, name: &str, request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        let response = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        if response.status() != 200 {
            let status = response.status();
            let text = response.into_body().collect().await?.to_bytes();
            return Err(format!("{name}: {status}: {}", String::from_utf8_lossy(&text)).into());
        }
        Ok(response)
    }

    /// Sends one request to Kinesis; returns the bytes of the answer.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn bytes(&mut self, operation: &str, body: Bytes) -> Result<Bytes> {
        Ok(self.send(operation, body).await?.into_body().collect().await?.to_bytes())
    }

    /// Sends one request to Kinesis; returns the JSON of the answer.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn call(&mut self, operation: &str, request: &Value) -> Result<Value> {
        let answer = self.bytes(operation, request.to_string().into()).await?;
        if answer.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&answer)?) }
    }

    /// Another user of the same connection, if it carries more than one request at a time.
    pub fn share(&self) -> Option<Self> {
        let Sender::Http2(sender) = &self.sender else { return None };
        let hung = Arc::clone(&self.hung);
        Some(Self { sender: Sender::Http2(sender.clone()), _driver: JoinSet::new(), hung })
    }
}

/// A socket that can be left unread.
struct Socket<S> {
    inner: S,
    hung: Arc<AtomicBool>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Nobody is woken: it hangs for good.
        if self.hung.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
