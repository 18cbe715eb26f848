//! An HTTP client that lets the SDK send a request and see its outcome, and keeps the body of an accepted answer.

use aws_sdk_kinesis::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use std::sync::{Arc, Mutex, PoisonError};

/// Where the body is left.
#[derive(Debug, Clone, Default)]
pub(super) struct Captured(Arc<Mutex<Option<SdkBody>>>);

impl Captured {
    /// The body, once.
    pub(super) fn take(&self) -> Option<SdkBody> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn leave(&self, body: SdkBody) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(body);
    }
}

/// The client `inner`, for one call.
#[derive(Debug)]
pub(super) struct Capture {
    inner: SharedHttpClient,
    captured: Captured,
}

impl Capture {
    /// Leaves the body of the call's answer in `captured`.
    pub(super) fn new(inner: SharedHttpClient, captured: Captured) -> Self {
        Self { inner, captured }
    }
}

impl HttpClient for Capture {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(CapturingConnector { inner, captured: self.captured.clone() })
    }
}

#[derive(Debug)]
struct CapturingConnector {
    inner: SharedHttpConnector,
    captured: Captured,
}

impl HttpConnector for CapturingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (answering, captured) = (self.inner.call(request), self.captured.clone());
        HttpConnectorFuture::new(async move {
            let mut response = answering.await?;
            if response.status().is_success() {
                captured.leave(std::mem::replace(response.body_mut(), SdkBody::empty()));
            }
            Ok(response)
        })
    }
}
