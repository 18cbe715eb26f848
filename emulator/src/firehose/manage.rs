//! The operations on delivery streams that neither make nor end one.

use super::definition::{Encryption, EncryptionRequest, Source, UpdateRequest};
use super::tags::{self, ListTagsRequest, TagRequest, UntagRequest};
use super::{Firehose, control, lock, parse};
use crate::api::{self, ApiError};
use serde::Deserialize;
use serde_json::{Value, json};

/// A StartDeliveryStreamEncryption request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StartEncryption {
    delivery_stream_name: String,
    delivery_stream_encryption_configuration_input: Option<EncryptionRequest>,
}

impl Firehose {
    /// Answers one operation.
    ///
    /// # Errors
    /// What the operation has, and `UnknownOperationException` if there is no such operation.
    pub(super) fn manage(&self, operation: &str, body: &[u8]) -> Result<Value, ApiError> {
        match operation {
            "DescribeDeliveryStream" => self.describe(body),
            "UpdateDestination" => self.update(body),
            "ListDeliveryStreams" => self.list(body),
            "TagDeliveryStream" => self.tag(body),
            "UntagDeliveryStream" => self.untag(body),
            "ListTagsForDeliveryStream" => self.list_tags(body),
            "StartDeliveryStreamEncryption" => self.start_encryption(body),
            "StopDeliveryStreamEncryption" => self.stop_encryption(body),
            _ => Err(api::unknown_operation(operation)),
        }
    }

    fn describe(&self, body: &[u8]) -> Result<Value, ApiError> {
        let request: control::Named = parse(body)?;
        Ok(control::describe(&self.channel(&request.name)?.definition(), self.0.setup.clock.now()))
    }

    fn update(&self, body: &[u8]) -> Result<Value, ApiError> {
        let request: UpdateRequest = parse(body)?;
        let channel = self.channel(&request.delivery_stream_name)?;
        channel.change(|definition| definition.changed(request, self.0.setup.clock.now()))?;
        Ok(json!({}))
    }

    fn list(&self, body: &[u8]) -> Result<Value, ApiError> {
        let request = parse(body)?;
        let channels = lock(&self.0.channels);
        let kind = |source: Option<&Source>| Source::kind(source);
        let streams =
            channels.iter().map(|(name, channel)| (name.as_str(), kind(channel.definition().source.as_ref())));
        control::list(&request, streams)
    }

    fn tag(&self, body: &[u8]) -> Result<Value, ApiError> {
        let request: TagRequest = parse(body)?;
        self.channel(&request.delivery_stream_name)?.change(|definition| {
            let mut changed = definition.clone();
            changed.tags = tags::merged(&definition.tags, request.tags)?;
            Ok(changed)
        })?;
        Ok(json!({}))
    }

    fn untag(&self, body: &[u8]) -> Result<Value, ApiError> {
        let request: UntagRequest = parse(body)?;
        self.channel(&request.delivery_stream_name)?.change(|definition| {
            let mut changed = definition.clone();
            changed.tags.retain(|key, _| !request.tag_keys.contains(key));
            Ok(changed)
        })?;
        Ok(json!({}))
    }

    fn list_tags(&self, body: &[u8]) -> Result<Value, ApiError> {
        let request: ListTagsRequest = parse(body)?;
        tags::list(&self.channel(&request.delivery_stream_name)?.definition().tags, &request)
    }

    fn start_encryption(&self, body: &[u8]) -> Result<Value, ApiError> {
        let request: StartEncryption = parse(body)?;
        let settled = self.0.setup.clock.now() + self.0.setup.state_delay;
        let asked = request.delivery_stream_encryption_configuration_input.unwrap_or_default();
        self.encrypt(&request.delivery_stream_name, Encryption::enabled(asked, settled)?)
    }

    fn stop_encryption(&self, body: &[u8]) -> Result<Value, ApiError> {
        let request: control::Named = parse(body)?;
        let settled = self.0.setup.clock.now() + self.0.setup.state_delay;
        self.encrypt(&request.name, Encryption::disabled(settled))
    }

    fn encrypt(&self, name: &str, encryption: Encryption) -> Result<Value, ApiError> {
        let now = self.0.setup.clock.now();
        self.channel(name)?.change(|definition| {
            definition.check_active(now)?;
            if definition.source.is_some() {
                return Err(Source::no_encryption());
            }
            if !definition.encryption.is_settled(now) {
                let message = format!("The encryption of Firehose {name} is being changed: wait until it is not");
                return Err(ApiError::client("ResourceInUseException", message));
            }
            let mut changed = definition.clone();
            changed.encryption = encryption;
            Ok(changed)
        })?;
        Ok(json!({}))
    }
}
