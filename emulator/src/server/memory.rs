//! An emulator without sockets, for tests that decide what time it is.

use super::connection::Streams;
use super::folder::Folder;
use super::{Connector, Control, Core, StartError, clock};
use crate::settings::Settings;
use hyper::rt::Executor as _;
use std::fmt;
use std::sync::Arc;
use tokio::io::DuplexStream;

/// Bytes that a pipe holds in each direction, like the buffers of a socket.
const PIPE_BYTES: usize = 256 * 1024;

/// A running emulator that is reached through pipes in memory: real HTTP/2, but no port, no TLS and no certificate.
///
/// On a current-thread runtime with a paused clock it is deterministic: with the same [`Settings::seed`] and
/// [`Settings::starts_at`], the same requests in the same order get the same answers, ids and faults. What S3 and
/// DynamoDB do on disk takes no time on such a clock.
pub struct InMemory(Core);

impl InMemory {
    /// Opens the data in `settings.dir`; its ports mean nothing here.
    ///
    /// # Errors
    /// As [`Emulator::start`](super::Emulator::start), ports apart.
    pub fn start(settings: &Settings) -> Result<Self, StartError> {
        let folder = Folder::open(&settings.dir)?;
        Ok(Self(Core::open(settings, clock(settings)?, folder)?))
    }

    /// Opens a connection. The client speaks HTTP/2 with prior knowledge, or HTTP/1.1.
    pub fn connect(&self) -> DuplexStream {
        self.dialer().dial()
    }

    /// An HTTP client for the configuration of an SDK. Its requests share one HTTP/2 connection, and open another one
    /// when that has ended.
    pub fn http_client(&self) -> Connector {
        Connector::new(self.dialer())
    }

    /// Faults, the clock and ground truth.
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.0.services))
    }

    /// Cuts every connection, writes what Firehose buffers to S3, and returns when every task has ended.
    pub async fn stop(self) {
        self.0.stop().await;
    }

    fn dialer(&self) -> Dialer {
        Dialer { protocol: Arc::clone(&self.0.protocol), streams: self.0.streams.clone() }
    }
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemory").finish_non_exhaustive()
    }
}

/// Opens connections to one emulator.
#[derive(Clone)]
pub(super) struct Dialer {
    protocol: Arc<super::Protocol>,
    /// Owns the tasks of both sides.
    pub(super) streams: Streams,
}

impl Dialer {
    /// The client's end of a new connection. After the emulator has stopped, it has ended already.
    pub(super) fn dial(&self) -> DuplexStream {
        let (client, server) = tokio::io::duplex(PIPE_BYTES);
        let protocol = Arc::clone(&self.protocol);
        self.streams.execute(async move { protocol.serve(server).await });
        client
    }
}
