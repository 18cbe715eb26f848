//! The body of an answer, taken out of the SDK's hands before it reads any of it.

use aws_sdk_kinesis::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_kinesis::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_kinesis::error::BoxError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// An interceptor that keeps the body of an accepted request, and puts one in its place that holds what it is given.
/// For one request.
#[derive(Debug, Clone, Default)]
pub(super) struct Tap(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    body: Option<SdkBody>,
    aside: VecDeque<Bytes>,
}

/// What the SDK reads instead of the body. It ends where nothing more was put in: a reader of it never waits.
struct Aside(Tap);

/// `{":message-type": "event", ":event-type": "initial-response"}` without payload, so that `send` need not wait for that of
/// the service. The test beside it writes it with the SDK's encoder.
const INITIAL_RESPONSE: &[u8] = b"\x00\x00\x00E\x00\x00\x005\xa3\x82\xccs\x0d:message-type\x07\x00\x05event\x0b\
      :event-type\x07\x00\x10initial-response\xb7bM\xee";

impl Tap {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The body, once the request was accepted.
    pub(super) fn body(&self) -> Option<SdkBody> {
        self.inner().body.take()
    }

    /// Gives the SDK a whole frame to read.
    pub(super) fn put(&self, frame: Bytes) {
        self.inner().aside.push_back(frame);
    }
}

impl Intercept for Tap {
    fn name(&self) -> &'static str {
        "Tap"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        if response.status().is_success() {
            let aside = SdkBody::from_body_1_x(Aside(self.clone()));
            self.put(Bytes::from_static(INITIAL_RESPONSE));
            self.inner().body = Some(std::mem::replace(response.body_mut(), aside));
        }
        Ok(())
    }
}

impl Body for Aside {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.inner().aside.pop_front().map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subscription::script;

    #[test]
    fn the_initial_response_is_what_the_sdk_writes() {
        let written = script::message(&[(":message-type", "event"), (":event-type", "initial-response")], b"");
        assert_eq!(INITIAL_RESPONSE, written);
    }
}
