//! Streams and consumers alike, as the operations on a `ResourceARN` see them.

use super::super::Kinesis;
use super::super::phases::Status;
use super::super::registry::Consumer;
use super::super::stream::Stream;
use super::super::sync::lock;
use super::super::validate::{consumer_arn, in_use, required, stream_arn};
use crate::api::ApiError;
use serde::Deserialize;
use std::sync::Arc;

/// A request that names a resource and nothing else.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct ResourceOnly {
    #[serde(rename = "ResourceARN")]
    pub(super) resource_arn: Option<String>,
}

/// What a `ResourceARN` names.
pub(super) enum Resource {
    Stream(Arc<Stream>),
    /// A consumer of the stream, by its ARN.
    Consumer(Arc<Stream>, String),
}

impl Kinesis {
    /// Finds a resource. Whether a consumer is there is seen by [`Kinesis::with_consumer`].
    pub(super) fn resource(&self, arn: Option<&str>) -> Result<Resource, ApiError> {
        let arn = required("resourceARN", arn)?;
        stream_arn("resourceARN", arn)?;
        if arn.contains("/consumer/") {
            consumer_arn("resourceARN", arn)?;
            return Ok(Resource::Consumer(self.stream_of_consumer(arn)?, arn.to_owned()));
        }
        self.stream(None, Some(arn)).map(Resource::Stream)
    }

    /// Looks at a consumer.
    pub(super) fn with_consumer<T>(
        &self,
        stream: &Stream,
        arn: &str,
        act: impl FnOnce(&mut Consumer) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        act(lock(&stream.registry).find(Some(arn), None, self.now())?)
    }

    /// Changes a consumer, which only an active one lets happen.
    pub(super) fn with_active_consumer<T>(
        &self,
        stream: &Stream,
        arn: &str,
        act: impl FnOnce(&mut Consumer) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let now = self.now();
        let mut registry = stream.change_consumers();
        let consumer = registry.find(Some(arn), None, now)?;
        match consumer.phases.status(now) {
            Status::Active => act(consumer),
            status => Err(in_use(format!("Consumer {arn} is not ACTIVE, instead in state {}.", status.word()))),
        }
    }
}
