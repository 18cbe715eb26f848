//! One HTTP/2 connection: TCP, TLS with ALPN, handshake, and the task that drives it.

use super::pool::Settings;
use aws_smithy_types::body::SdkBody;
use http::Uri;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls_pki_types::ServerName;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

/// Bytes that one call reads from the socket at most. rustls alone asks for 4 KiB at a time, a quarter of a TLS record.
const READ_BYTES: usize = 32 * 1024;

/// Bytes of one DATA frame at most. The default of 16 KiB cuts every larger event into pieces, which are joined by copying.
/// RFC 9113, section 4.2, allows up to 16 MiB; a frame is in memory whole before any of it can be read.
const FRAME_BYTES: u32 = 256 * 1024;

/// A live connection. When it is dropped, no new stream starts on it; those that run end by themselves, and the socket
/// closes with the last of them.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sender: SendRequest<SdkBody>,
    _dispatcher: AbortOnDropHandle<()>,
}

/// Why no connection could be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("{0} names no host")]
    NoHost(Uri),
    #[error("cannot connect to {host}:{port}")]
    Tcp {
        host: String,
        port: u16,
        #[source]
        source: io::Error,
    },
    #[error("TLS handshake with {host} failed")]
    Tls {
        host: String,
        #[source]
        source: io::Error,
    },
    #[error("{host} does not speak HTTP/2 (ALPN chose {chosen})")]
    NotHttp2 { host: String, chosen: String },
    #[error("HTTP/2 handshake with {host} failed")]
    Handshake {
        host: String,
        #[source]
        source: hyper::Error,
    },
}

/// Opens a connection to the host of `uri`.
pub(super) async fn open(
    uri: &Uri,
    tls: &Arc<rustls::ClientConfig>,
    settings: &Settings,
) -> Result<Connection, ConnectError> {
    let host = uri.host().ok_or_else(|| ConnectError::NoHost(uri.clone()))?.trim_matches(['[', ']']).to_owned();
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let tcp = |source| ConnectError::Tcp { host: host.clone(), port, source };
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(tcp)?;
    stream.set_nodelay(true).map_err(tcp)?;
    if !secure {
        return handshake(stream, &host, settings).await;
    }
    let name = ServerName::try_from(host.clone())
        .map_err(|error| ConnectError::Tls { host: host.clone(), source: io::Error::other(error) })?;
    let stream = TlsConnector::from(Arc::clone(tls))
        .connect(name, BufReader::with_capacity(READ_BYTES, stream))
        .await
        .map_err(|source| ConnectError::Tls { host: host.clone(), source })?;
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => handshake(stream, &host, settings).await,
        other => {
            let chosen = other.map_or("none".into(), |name| String::from_utf8_lossy(name).into_owned());
            Err(ConnectError::NotHttp2 { host, chosen })
        }
    }
}

async fn handshake<S>(stream: S, host: &str, settings: &Settings) -> Result<Connection, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(settings.stream_window_bytes)
        .initial_connection_window_size(settings.connection_window_bytes())
        .max_frame_size(FRAME_BYTES)
        .keep_alive_interval(settings.ping_interval)
        .keep_alive_timeout(settings.ping_timeout)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|source| ConnectError::Handshake { host: host.to_owned(), source })?;
    let name = host.to_owned();
    // This future hands requests to the socket, which hyper drives on the executor for as long as streams run.
    #[allow(clippy::disallowed_methods, reason = "owned by the AbortOnDropHandle of the Connection")]
    let dispatcher = tokio::spawn(async move {
        match connection.await {
            Ok(()) => tracing::debug!(host = %name, "HTTP/2 connection closed"),
            Err(error) => tracing::warn!(host = %name, error = %crate::exit::chain(&error), "HTTP/2 connection lost"),
        }
    });
    Ok(Connection { sender, _dispatcher: AbortOnDropHandle::new(dispatcher) })
}
