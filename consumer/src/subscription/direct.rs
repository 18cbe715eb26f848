//! A subscription whose frames we read ourselves.
//!
//! The SDK finds the endpoint, signs the request (Signature Version 4, by `aws-sigv4`), and reads a refusal; the body of an
//! answer that was accepted is taken out of its hands. Each frame is gathered once into one buffer, its JSON is scanned
//! in place, its base64 is decoded in place, and records are slices of that buffer. What the scan does not expect, an
//! escape, white space, or a field that it does not know, is left to a full parser, which reads the same bytes.

mod capture;
mod event;
mod frame;
mod full;

use super::{Cause, Event, Events, From, Sdk, Source, sdk};
use alluvial_record::ShardId;
use aws_smithy_types::body::SdkBody;
use frame::{Frame, Frames, Message};
use http_body::Body as _;
use std::future::poll_fn;
use std::pin::Pin;

/// Subscribes as [`Sdk`] does, and reads by itself.
#[derive(Debug, Clone)]
pub(crate) struct Direct(Sdk);

/// An open stream.
#[derive(Debug)]
pub(crate) struct Opened {
    body: SdkBody,
    frames: Frames,
    /// The first frame, where it was no mere greeting.
    first: Option<Frame>,
}

impl Direct {
    pub(crate) fn new(sdk: Sdk) -> Self {
        Self(sdk)
    }
}

impl Source for Direct {
    type Events = Opened;

    /// Waits for the first frame too, as the reference does.
    async fn open(&self, shard: &ShardId, from: &From) -> Result<Opened, Cause> {
        let request = self.0.request(shard, from)?;
        let Some(http) = self.0.http_client() else {
            return Err(Cause::Failed("the client for subscriptions has no HTTP client".into()));
        };
        let captured = capture::Captured::default();
        let config = aws_sdk_kinesis::Config::builder().http_client(capture::Capture::new(http, captured.clone()));
        request.customize().config_override(config).send().await.map_err(|error| sdk::cause(&error))?;
        let body = captured.take().ok_or_else(|| Cause::Failed("an answer without a body".into()))?;
        let mut opened = Opened { body, frames: Frames::default(), first: None };
        let greeting = Message::Event("initial-response".into());
        opened.first = opened.frame().await?.filter(|frame| *frame.message() != greeting);
        Ok(opened)
    }
}

impl Opened {
    /// The next frame; `None` at the end of the body.
    async fn frame(&mut self) -> Result<Option<Frame>, Cause> {
        loop {
            if let Some(frame) = self.frames.take().map_err(|error| Cause::Failed(error.to_string()))? {
                return Ok(Some(frame));
            }
            match poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await {
                Some(Ok(chunk)) => {
                    if let Ok(data) = chunk.into_data() {
                        self.frames.push(data);
                    }
                }
                Some(Err(error)) => return Err(Cause::Failed(alluvial_runtime::exit::chain(error.as_ref()))),
                None if self.frames.is_between_frames() => return Ok(None),
                None => return Err(Cause::Failed("the stream was cut in the middle of an event".into())),
            }
        }
    }
}

impl Events for Opened {
    async fn next(&mut self) -> Result<Option<Event>, Cause> {
        let frame = match self.first.take() {
            Some(first) => first,
            None => match self.frame().await? {
                Some(frame) => frame,
                None => return Ok(None),
            },
        };
        match frame.message() {
            Message::Event(kind) if kind == "SubscribeToShardEvent" => event::read(frame).map(Some),
            Message::Event(kind) => Err(Cause::Failed(format!("an event of an unknown kind: {kind:?}"))),
            Message::Exception(code) => {
                let text = full::message(frame.payload()).unwrap_or_else(|| code.clone());
                Err(Cause::of_code(Some(code), text))
            }
            Message::Error { code, text } => Err(Cause::of_code(Some(code), format!("{code}: {text}"))),
        }
    }
}
