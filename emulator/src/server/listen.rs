//! One port: binding it, and accepting until told to stop.

use super::StartError;
use super::connection::{self, Protocol};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// The wait after `accept` failed, as it does when the process has no file descriptor left; trying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound port that nothing is accepted on yet.
pub(super) struct Listener {
    socket: TcpListener,
    port: u16,
}

impl Listener {
    /// Binds `port` of `host`, or any free one for 0. `flag` is what the error tells a person to change.
    pub(super) async fn bind(host: IpAddr, port: u16, flag: &'static str) -> Result<Self, StartError> {
        let bound = async {
            let socket = TcpListener::bind((host, port)).await?;
            let port = socket.local_addr()?.port();
            Ok(Self { socket, port })
        };
        bound.await.map_err(|source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => StartError::PortTaken { host, port, flag },
            _ => StartError::Bind { host, port, flag, source },
        })
    }

    /// The port that was bound.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Accepts connections and serves each in a task of its own, until `protocol` is told to stop; then closes the
    /// port, and returns when the last connection has ended.
    pub(super) async fn serve(self, tls: Option<TlsAcceptor>, protocol: Arc<Protocol>) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = protocol.stopped() => break,
                Some(ended) = connections.join_next() => connection::report(ended),
                accepted = self.socket.accept() => match accepted {
                    Ok((socket, _)) => {
                        connections.spawn(serve_one(socket, tls.clone(), Arc::clone(&protocol)));
                    }
                    Err(error) => {
                        tracing::warn!(%error, port = self.port, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.socket);
        while let Some(ended) = connections.join_next().await {
            connection::report(ended);
        }
    }
}

async fn serve_one(socket: TcpStream, tls: Option<TlsAcceptor>, protocol: Arc<Protocol>) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    match tls {
        Some(acceptor) => protocol.serve_tls(socket, acceptor).await,
        None => protocol.serve(socket).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn a_taken_port_is_named_with_its_remedy() {
        let first = Listener::bind(HOST, 0, "--port").await.expect("a free port");
        let error = Listener::bind(HOST, first.port(), "--port").await.map(|_| ()).expect_err("a taken port");
        let expected =
            format!("port {} on 127.0.0.1 is in use: stop what listens there or give another --port", first.port());
        assert_eq!(error.to_string(), expected);
    }
}
