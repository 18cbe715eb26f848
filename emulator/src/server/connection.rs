//! One connection: TLS if the port has it, then HTTP/1.1 or HTTP/2 as the client's first bytes say, until the client
//! leaves or the emulator stops.

use super::http2::Http2;
use super::line::{Fate, Line, Socket, Wire};
use super::route::Services;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinError;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// A TLS handshake on loopback takes milliseconds; a peer that needs longer than this is not talking TLS.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// What requests in flight get to finish once the emulator stops. Subscriptions never finish by themselves and are cut
/// after it.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// Response bytes that wait in one HTTP/2 stream for the client to read. Past it no frame of the body is added, but hyper
/// adds a frame whole and polls the next one before it waits for room: a stream that nobody reads holds this and up to
/// two frames, so bodies have small frames.
const SEND_BUFFER: usize = 256 * 1024;

/// A connection that is silent for this long is asked whether it still lives, and closed after as long again without an
/// answer.
const PING_EVERY: Duration = Duration::from_secs(20);

/// Real time that streams have to finish behind a GOAWAY that a fault sent, before their connection ends.
const GOAWAY_GRACE: Duration = Duration::from_secs(1);

/// How connections are spoken to. One for all ports.
pub(super) struct Protocol {
    services: Arc<Services>,
    streams: Streams,
    stop: CancellationToken,
}

impl Protocol {
    pub(super) fn new(services: Arc<Services>, streams: Streams, stop: CancellationToken) -> Self {
        Self { services, streams, stop }
    }

    /// How the next connection is spoken to.
    fn http(&self) -> Builder<Streams> {
        let Http2 { max_concurrent_streams, stream_window_bytes, connection_window_bytes } = self.services.http2.get();
        let mut http = Builder::new(self.streams.clone());
        http.http1().timer(TokioTimer::new());
        http.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(max_concurrent_streams)
            .adaptive_window(false)
            .initial_stream_window_size(stream_window_bytes)
            .initial_connection_window_size(connection_window_bytes)
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_EVERY);
        http
    }

    /// Returns when the emulator has been told to stop.
    pub(super) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Serves `socket` after a TLS handshake.
    pub(super) async fn serve_tls(&self, socket: TcpStream, acceptor: TlsAcceptor) {
        let line = Line::new();
        let handshake = tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(Wire::new(socket, line.clone())));
        match self.stop.run_until_cancelled(handshake).await {
            Some(Ok(Ok(stream))) => self.serve_on(stream, line).await,
            Some(Ok(Err(error))) => tracing::debug!(%error, "TLS handshake failed"),
            Some(Err(_)) => tracing::debug!(limit = ?HANDSHAKE_LIMIT, "TLS handshake took too long"),
            None => {}
        }
    }

    /// Serves plain HTTP on `socket`.
    pub(super) async fn serve(&self, socket: impl Socket) {
        let line = Line::new();
        self.serve_on(Wire::new(socket, line.clone()), line).await;
    }

    /// Serves HTTP on `stream` until the client closes it, or a fault decides so on `line`. Once the emulator stops, no
    /// new request is taken, and those in flight have [`STOP_GRACE`] to finish.
    async fn serve_on(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, line: Line) {
        let (services, of_requests) = (Arc::clone(&self.services), line.clone());
        let service = service_fn(move |request| {
            let (services, line) = (Arc::clone(&services), of_requests.clone());
            async move { services.answer(request, &line).await }
        });
        let http = self.http();
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        let grace = tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection failed");
                }
                return;
            }
            fate = line.decided() => match fate {
                Fate::GoesAway => GOAWAY_GRACE,
                _ => return,
            },
            () = self.stopped() => STOP_GRACE,
        };
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            biased;
            _ = connection => {}
            () = line.ended() => {}
            () = tokio::time::sleep(grace) => tracing::debug!("connection cut with requests in flight"),
        }
    }
}

/// Owns the tasks that hyper starts, one for each HTTP/2 stream.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    tasks: TaskTracker,
    end: CancellationToken,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self { tasks: TaskTracker::new(), end: CancellationToken::new() }
    }

    /// Ends every stream when the guard is dropped.
    pub(super) fn cut_on_drop(&self) -> DropGuard {
        self.end.clone().drop_guard()
    }

    /// Ends every stream and waits for its task.
    pub(super) async fn cut(&self) {
        self.end.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let end = self.end.clone();
        self.tasks.spawn(async move {
            end.run_until_cancelled(stream).await;
        });
    }
}

/// Logs a task that panicked. A cancelled one ended as it was meant to.
pub(super) fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a task of the emulator panicked");
    }
}
