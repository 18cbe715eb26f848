//! An HTTP client for the AWS SDK for Rust whose connections are pipes in memory.

use super::memory::Dialer;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::rt::Executor as _;
use hyper_util::rt::TokioIo;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Mutex;

/// What the emulator may send on one stream before its reader has read any of it.
const STREAM_WINDOW: u32 = 1024 * 1024;

/// The same for a connection: the largest there is, so that one stream that is not read stops no other
/// (<https://www.rfc-editor.org/rfc/rfc9113#section-6.9.1>).
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// The HTTP client of [`InMemory::http_client`](super::InMemory::http_client). Copies share its connection.
#[derive(Clone)]
pub struct Connector {
    dialer: Dialer,
    connection: Arc<Mutex<Option<SendRequest<SdkBody>>>>,
}

impl Connector {
    pub(super) fn new(dialer: Dialer) -> Self {
        Self { dialer, connection: Arc::default() }
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let mut request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let mut attempts = 0;
        let response = loop {
            attempts += 1;
            match self.sender().await?.try_send_request(request).await {
                Ok(response) => break response,
                Err(mut refused) => match refused.take_message() {
                    // The connection went away before it saw the request: a new one takes it.
                    Some(unsent) if attempts == 1 => request = unsent,
                    _ => return Err(ConnectorError::io(refused.into_error().into())),
                },
            }
        };
        HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
            .map_err(|error| ConnectorError::other(error.into(), None))
    }

    async fn sender(&self) -> Result<SendRequest<SdkBody>, ConnectorError> {
        let mut connection = self.connection.lock().await;
        if let Some(sender) = connection.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let streams = self.dialer.streams.clone();
        let (sender, driver) = http2::Builder::new(streams.clone())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(TokioIo::new(self.dialer.dial()))
            .await
            .map_err(|error| ConnectorError::io(error.into()).never_connected())?;
        streams.execute(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "a connection in memory failed");
            }
        });
        *connection = Some(sender.clone());
        Ok(sender)
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move { connector.send(request).await })
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}
