//! What a fault can do to a connection: silence it, or end it in a way that HTTP does not know.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// What is to become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is spoken to as its protocol has it.
    Lives,
    /// Nothing is read or written any more, and nothing says so.
    Silent,
    /// No new requests: GOAWAY, and the end a little later.
    GoesAway,
    /// It ends with a FIN, without any word of HTTP.
    Closed,
    /// It ends with a TCP reset.
    Reset,
}

/// A handle to the fate of one connection. Copies are for the same one.
#[derive(Debug, Clone)]
pub(crate) struct Line(Arc<watch::Sender<Fate>>);

impl Line {
    /// A connection that lives.
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Fate::Lives)))
    }

    /// Decides the connection's fate. What has ended stays so.
    pub(crate) fn decide(&self, fate: Fate) {
        self.0.send_if_modified(|now| {
            let ended = matches!(now, Fate::Closed | Fate::Reset);
            if !ended {
                *now = fate;
            }
            !ended
        });
    }

    fn fate(&self) -> Fate {
        *self.0.borrow()
    }

    /// Waits until the connection is to go away or to end, and says which.
    pub(super) async fn decided(&self) -> Fate {
        self.becomes(|fate| !matches!(fate, Fate::Lives | Fate::Silent)).await
    }

    /// Waits until the connection is to end.
    pub(super) async fn ended(&self) {
        self.becomes(|fate| matches!(fate, Fate::Closed | Fate::Reset)).await;
    }

    async fn becomes(&self, what: impl Fn(&Fate) -> bool) -> Fate {
        let mut fate = self.0.subscribe();
        let found = fate.wait_for(what).await.map(|fate| *fate);
        match found {
            Ok(fate) => fate,
            Err(_) => std::future::pending().await,
        }
    }
}

/// Something that bytes go through, and that can be torn.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Has the other side see a reset instead of an end, once this one is dropped.
    fn tear(&mut self);
}

impl Socket for TcpStream {
    fn tear(&mut self) {
        if let Err(error) = self.set_zero_linger() {
            tracing::debug!(%error, "cannot reset the connection; it closes instead");
        }
    }
}

impl Socket for DuplexStream {
    /// A pipe in memory knows one end only.
    fn tear(&mut self) {}
}

/// A socket that follows its line.
#[derive(Debug)]
pub(super) struct Wire<S: Socket> {
    socket: S,
    line: Line,
}

impl<S: Socket> Wire<S> {
    pub(super) fn new(socket: S, line: Line) -> Self {
        Self { socket, line }
    }

    /// Whether bytes may pass. A silent line never wakes its task: what ends the connection is awaited elsewhere.
    fn open(&self) -> Poll<()> {
        if self.line.fate() == Fate::Silent { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl<S: Socket> Drop for Wire<S> {
    fn drop(&mut self) {
        if self.line.fate() == Fate::Reset {
            self.socket.tear();
        }
    }
}

impl<S: Socket> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.open());
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl<S: Socket> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.open());
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.open());
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.open());
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.open());
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
