//! The pool: connections to each host, and the SDK's view of them.

use super::connection::{self, Connection};
use super::placement::place;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::Uri;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use rustls::RootCertStore;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// The window of one of a few streams: enough for a gigabit and a round trip of 8 ms.
const LARGEST_WINDOW_BYTES: u32 = 1024 * 1024;
/// The window of one of very many.
const LEAST_WINDOW_BYTES: u32 = 8 * 1024;

/// How many connections a pool opens, and how each is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Connections to one host, 1 or more. They are opened when a stream is first placed on them.
    pub connections: usize,
    /// Streams that one connection carries at most, 1 to 2,000. Past `connections × streams_per_connection`
    /// a request is refused at once, never left hanging.
    pub streams_per_connection: usize,
    /// Bytes that the server may send on one stream before we read them; the memory of a reader that is held back.
    pub stream_window_bytes: u32,
    /// Time between pings; a half-open connection is noticed after this and [`Settings::ping_timeout`].
    pub ping_interval: Duration,
    /// Longest wait for the answer to a ping before the connection is closed.
    pub ping_timeout: Duration,
    /// Longest wait for TCP, TLS and HTTP/2 handshakes together.
    pub connect_timeout: Duration,
}

impl Settings {
    /// Settings for `streams` concurrent subscriptions.
    ///
    /// 50 streams a connection stay under the 100 that servers commonly allow (RFC 9113, section 5.1.2, recommends that
    /// limits be no smaller than 100), and half as many connections again as needed leave room for a subscription's
    /// successor to open before its predecessor ends.
    pub fn for_streams(streams: usize) -> Self {
        const STREAMS_PER_CONNECTION: usize = 50;
        let streams = streams.max(1);
        Self {
            connections: (streams + streams / 2).div_ceil(STREAMS_PER_CONNECTION).max(2),
            streams_per_connection: STREAMS_PER_CONNECTION,
            stream_window_bytes: LARGEST_WINDOW_BYTES,
            ping_interval: Duration::from_secs(10),
            ping_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(10),
        }
    }

    /// The same with windows that hold an eighth of `bytes` when `streams` are open, and none more than 1 MiB: for a process that
    /// may keep `bytes` of what it reads. With many streams a window is 8 KiB, which at a round trip of 2 ms is 4 MB/s, twice
    /// what a shard takes in.
    #[must_use]
    pub fn sharing(self, bytes: usize, streams: usize) -> Self {
        const SHARE: usize = 8;
        let window = u32::try_from(bytes / SHARE / streams.max(1)).unwrap_or(u32::MAX);
        Self { stream_window_bytes: window.clamp(LEAST_WINDOW_BYTES, LARGEST_WINDOW_BYTES), ..self }
    }

    /// The window of a whole connection: every stream's window fits, so that unread streams cannot starve the others.
    /// At most 2^31-1 (RFC 9113, section 6.9.1).
    pub(super) fn connection_window_bytes(&self) -> u32 {
        const LARGEST_WINDOW: u64 = (1 << 31) - 1;
        let streams = u64::try_from(self.streams_per_connection).unwrap_or(u64::MAX);
        let wanted = u64::from(self.stream_window_bytes).saturating_mul(streams).min(LARGEST_WINDOW);
        u32::try_from(wanted).unwrap_or(u32::MAX >> 1)
    }
}

/// Connections to every host that requests name, shared by all clones.
#[derive(Debug, Clone)]
pub struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    tls: Arc<rustls::ClientConfig>,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

#[derive(Debug)]
struct Host {
    /// Streams on each connection; the lengths of both lists are equal and fixed.
    streams: Mutex<Vec<usize>>,
    connections: Vec<tokio::sync::Mutex<Option<Connection>>>,
    /// Connections on which a stream ended without an answer. A bad connection loses its streams and so becomes the least
    /// loaded; without this mark, every stream would end up on it.
    suspect: Vec<AtomicBool>,
}

/// A place on a connection, given back when dropped.
#[derive(Debug)]
struct Place {
    host: Arc<Host>,
    index: usize,
    /// True once the server has answered on this stream.
    answered: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.answered
            && let Some(suspect) = self.host.suspect.get(self.index)
        {
            suspect.store(true, Ordering::Relaxed);
        }
        if let Some(carried) = lock(&self.host.streams).get_mut(self.index) {
            *carried = carried.saturating_sub(1);
        }
    }
}

/// Every placement was taken: the settings allow fewer streams than are wanted.
#[derive(Debug, thiserror::Error)]
#[error("all {connections} HTTP/2 connections carry {streams} streams each; raise the number of connections")]
struct Full {
    connections: usize,
    streams: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("no HTTP/2 connection to {host} within {limit:?}")]
struct ConnectTimeout {
    host: String,
    limit: Duration,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// An empty pool that trusts `roots`.
    pub fn new(settings: Settings, roots: RootCertStore) -> Self {
        let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
            .unwrap_or_else(|error| unreachable!("ring supports the default TLS versions: {error}"));
        tls.alpn_protocols = vec![b"h2".to_vec()];
        Self(Arc::new(Inner { settings, tls: Arc::new(tls), hosts: Mutex::default() }))
    }

    /// The pool as the HTTP client of an SDK configuration.
    pub fn into_http_client(self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self);
        http_client_fn(move |_, _| connector.clone())
    }

    /// Streams open now, over all connections to all hosts.
    pub fn open_streams(&self) -> usize {
        lock(&self.0.hosts).values().map(|host| lock(&host.streams).iter().sum::<usize>()).sum()
    }

    fn host(&self, uri: &Uri) -> Arc<Host> {
        let name = format!("{}://{}", uri.scheme_str().unwrap_or("https"), uri.authority().map_or("", |a| a.as_str()));
        let connections = self.0.settings.connections.max(1);
        let host = || Host {
            streams: Mutex::new(vec![0; connections]),
            connections: std::iter::repeat_with(Default::default).take(connections).collect(),
            suspect: std::iter::repeat_with(AtomicBool::default).take(connections).collect(),
        };
        Arc::clone(lock(&self.0.hosts).entry(name).or_insert_with(|| Arc::new(host())))
    }

    fn take_place(&self, uri: &Uri) -> Result<Place, Full> {
        let host = self.host(uri);
        let settings = &self.0.settings;
        let mut streams = lock(&host.streams);
        let index = place(&streams, settings.streams_per_connection)
            .ok_or(Full { connections: settings.connections, streams: settings.streams_per_connection })?;
        if let Some(carried) = streams.get_mut(index) {
            *carried += 1;
        }
        drop(streams);
        Ok(Place { host, index, answered: false })
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let mut request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let mut place = self.take_place(request.uri()).map_err(|error| ConnectorError::other(error.into(), None))?;
        let mut attempts = 0;
        let response = loop {
            attempts += 1;
            let mut sender = self.sender_in_time(&place, request.uri()).await?;
            match sender.try_send_request(request).await {
                Ok(response) => break response,
                Err(mut refused) => match refused.take_message() {
                    // The connection was closing (GOAWAY) and never saw the request: a fresh one takes it.
                    Some(unsent) if attempts == 1 => request = unsent,
                    _ => return Err(ConnectorError::io(refused.into_error().into())),
                },
            }
        };
        place.answered = true;
        let response = response.map(|incoming| SdkBody::from_body_1_x(PlacedBody { incoming, _place: place }));
        HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
    }

    async fn sender_in_time(&self, place: &Place, uri: &Uri) -> Result<SendRequest<SdkBody>, ConnectorError> {
        let limit = self.0.settings.connect_timeout;
        tokio::time::timeout(limit, self.sender(place, uri)).await.map_err(|_| {
            let host = uri.host().unwrap_or_default().to_owned();
            ConnectorError::timeout(ConnectTimeout { host, limit }.into())
        })?
    }

    /// A sender on the live connection of `place`, which is opened when there is none or the present one is suspect.
    /// Callers of one place wait here for one another, so that one handshake serves them all.
    async fn sender(&self, place: &Place, uri: &Uri) -> Result<SendRequest<SdkBody>, ConnectorError> {
        let out_of_range = || ConnectorError::other("connection slot out of range".into(), None);
        let slot = place.host.connections.get(place.index).ok_or_else(out_of_range)?;
        let suspect = place.host.suspect.get(place.index).ok_or_else(out_of_range)?;
        let mut slot = slot.lock().await;
        let suspected = suspect.swap(false, Ordering::Relaxed);
        if let Some(connection) = slot.as_ref().filter(|connection| !suspected && !connection.sender.is_closed()) {
            return Ok(connection.sender.clone());
        }
        // Streams that run on the old connection end by themselves: it closes with the last of them.
        let fresh = connection::open(uri, &self.0.tls, &self.0.settings)
            .await
            .map_err(|error| ConnectorError::io(error.into()).never_connected())?;
        let sender = fresh.sender.clone();
        *slot = Some(fresh);
        Ok(sender)
    }
}

impl HttpConnector for Pool {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let pool = self.clone();
        HttpConnectorFuture::new(async move { pool.send(request).await })
    }
}

/// A response body that holds its place until it ends or is dropped.
struct PlacedBody {
    incoming: Incoming,
    _place: Place,
}

impl Body for PlacedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.incoming).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_window_holds_every_stream_window() {
        for streams in [1, 4, 100, 1_000, 20_000] {
            let settings = Settings::for_streams(streams);
            let per_stream = u64::from(settings.stream_window_bytes);
            let all = per_stream * settings.streams_per_connection as u64;
            assert!(u64::from(settings.connection_window_bytes()) >= all, "{streams} streams");
            assert!(settings.connections * settings.streams_per_connection >= streams + streams / 2);
        }
    }

    #[test]
    fn windows_share_the_bytes_and_stay_within_their_bounds() {
        let window = |bytes, streams| Settings::for_streams(streams).sharing(bytes, streams).stream_window_bytes;
        assert_eq!(window(64 << 20, 1), 1 << 20);
        assert_eq!(window(64 << 20, 64), 128 << 10);
        assert_eq!(window(64 << 20, 100_000), 8 << 10);
        assert_eq!(window(usize::MAX, 0), 1 << 20);
    }
}
