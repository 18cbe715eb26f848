//! Subscriptions whose events are read here, ahead of the SDK.
//!
//! The SDK asks for the subscription: endpoint, credentials, signature and refusals are its own. Once the service has
//! accepted, the body of the answer is [tapped](tap), split into [frames](frames), and an event of the usual shape is
//! [read in one pass](payload): each byte is looked at once, and the records of an event share one buffer. Whatever is not
//! of that shape (an exception, children, an escape in a key, a field in another form) is handed to the SDK's receiver as
//! it came. So an answer means what the SDK says that it means, and only the path of an ordinary event is ours.

mod frames;
mod payload;
mod tap;

use super::sdk::{self, Sdk, cause, time_is_refused};
use super::{Arrival, Cause, Events, From, Source};
use alluvial_record::ShardId;
use frames::{Found, Frames};
use tap::Tap;

/// Subscribes with a client of the SDK and reads the events itself.
#[derive(Debug, Clone)]
pub(crate) struct Direct {
    sdk: Sdk,
}

/// An open subscription.
#[derive(Debug)]
pub(crate) struct Opened {
    frames: Frames,
    /// What was found first, when it was no initial response.
    first: Option<Found>,
    /// The SDK's receiver, which reads what [`Opened::tap`] holds.
    aside: sdk::Opened,
    tap: Tap,
}

impl Direct {
    pub(crate) fn new(sdk: Sdk) -> Self {
        Self { sdk }
    }
}

impl Source for Direct {
    type Events = Opened;

    /// Waits for the first frame, as the SDK does.
    async fn open(&self, shard: &ShardId, from: &From) -> Result<Opened, Cause> {
        let tap = Tap::default();
        let request = self.sdk.request(shard, from)?;
        // In boxes, as in the other source.
        let send = || Box::pin(request.clone().customize().interceptor(tap.clone()).send());
        let accepted = match send().await {
            Err(error) if time_is_refused(&error) => send().await,
            sent => sent,
        };
        let aside = sdk::Opened::from(accepted.map_err(|error| cause(&error))?);
        let body = tap.body().ok_or_else(|| Cause::Failed("the service accepted without a body".into()))?;
        let mut frames = Frames::new(body);
        let first = frames.next().await?.filter(|first| !first.is_initial_response());
        Ok(Opened { frames, first, aside, tap })
    }
}

impl Events for Opened {
    async fn next(&mut self) -> Result<Option<Arrival>, Cause> {
        let found = match self.first.take() {
            Some(first) => Some(first),
            None => self.frames.next().await?,
        };
        let frame = match found {
            Some(Found::Frame(frame)) => frame,
            Some(Found::Begins(bytes)) => return Ok(Some(Arrival::Begins(bytes))),
            None => return Ok(None),
        };
        if let Some(event) = frame.plain_event().and_then(payload::read) {
            return Ok(Some(Arrival::Event(event)));
        }
        self.tap.put(frame.into_bytes());
        // Never waits, for its whole frame is there: nothing is lost by cancelling.
        Ok(self.aside.event().await?.map(Arrival::Event))
    }
}
