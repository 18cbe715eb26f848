//! What a delivery stream is: a request to make or to change one, read, checked, and refused where it asks for what the
//! emulator lacks.

mod destination;
mod encryption;
mod source;

use super::lane::Lane;
use super::{invalid, tags, unreadable};
use crate::api::{ACCOUNT, ApiError, REGION};
pub(super) use destination::{BACKUP, Destination, MIB};
pub(super) use encryption::{Encryption, EncryptionRequest};
use serde::Deserialize;
use serde_json::{Map, Value};
pub(super) use source::Source;
use source::SourceRequest;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// The longest name of a delivery stream
/// (<https://docs.aws.amazon.com/firehose/latest/APIReference/API_CreateDeliveryStream.html>).
const MAX_NAME_CHARS: usize = 64;

/// The version of a delivery stream that was never changed.
const FIRST_VERSION: u32 = 1;

/// The one destination of each delivery stream.
pub(super) const DESTINATION_ID: &str = "destinationId-000000000001";

/// A delivery stream as it was created or last changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) name: String,
    /// Counts changes, and is part of the names of objects.
    pub(super) version: u32,
    pub(super) destination: Destination,
    /// The destination as requests gave it. A change is merged into it.
    pub(super) members: Map<String, Value>,
    /// Where records come from, unless producers put them.
    pub(super) source: Option<Source>,
    pub(super) encryption: Encryption,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) created: SystemTime,
    /// When it has been made.
    pub(super) active: SystemTime,
    pub(super) updated: Option<SystemTime>,
}

/// How far a delivery stream is. One that is deleted is gone at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Creating,
    Active,
}

/// A CreateDeliveryStream request; `rest` has the members that the emulator does not act on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateRequest {
    delivery_stream_name: String,
    delivery_stream_type: Option<String>,
    extended_s3_destination_configuration: Option<Map<String, Value>>,
    s3_destination_configuration: Option<Map<String, Value>>,
    kinesis_stream_source_configuration: Option<SourceRequest>,
    delivery_stream_encryption_configuration_input: Option<EncryptionRequest>,
    tags: Option<Vec<tags::Tag>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// An UpdateDestination request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateRequest {
    pub(super) delivery_stream_name: String,
    current_delivery_stream_version_id: String,
    destination_id: String,
    extended_s3_destination_update: Option<Map<String, Value>>,
    s3_destination_update: Option<Map<String, Value>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Definition {
    /// Reads a request made at `created`; what it asks for takes `state_delay`.
    ///
    /// # Errors
    /// `InvalidArgumentException` with the member that is wrong, or that the emulator lacks.
    pub(super) fn check(request: CreateRequest, created: SystemTime, state_delay: Duration) -> Result<Self, ApiError> {
        let name = check_name(request.delivery_stream_name)?;
        let kind = request.delivery_stream_type.as_deref();
        let source = Source::check(kind, request.kinesis_stream_source_configuration, created)?;
        refuse_rest(&request.rest, &["DirectPutSourceConfiguration"])?;
        let members = request.extended_s3_destination_configuration.or(request.s3_destination_configuration);
        let members = members.ok_or_else(|| invalid("Exactly one destination configuration must be given"))?;
        let active = created + state_delay;
        let encryption = match request.delivery_stream_encryption_configuration_input {
            Some(_) if source.is_some() => return Err(Source::no_encryption()),
            Some(asked) => Encryption::enabled(asked, active)?,
            None => Encryption::never(created),
        };
        Ok(Self {
            name,
            version: FIRST_VERSION,
            destination: Destination::check(&members, created)?,
            members,
            source,
            encryption,
            tags: tags::merged(&BTreeMap::new(), request.tags.unwrap_or_default())?,
            created,
            active,
            updated: None,
        })
    }

    /// How far it is at `now`.
    pub(super) fn status(&self, now: SystemTime) -> Status {
        if now < self.active { Status::Creating } else { Status::Active }
    }

    /// Lets a change in.
    ///
    /// # Errors
    /// `ResourceInUseException` while the delivery stream is being made.
    pub(super) fn check_active(&self, now: SystemTime) -> Result<(), ApiError> {
        if self.status(now) == Status::Active {
            return Ok(());
        }
        let message = format!("Firehose {} under accountId {ACCOUNT} is CREATING: wait until it is ACTIVE", self.name);
        Err(ApiError::client("ResourceInUseException", message))
    }

    /// Where the objects of a lane go.
    pub(super) fn destination_of(&self, lane: Lane) -> &Destination {
        match (lane, &self.destination.backup) {
            (Lane::Backup, Some(backup)) => backup,
            _ => &self.destination,
        }
    }

    /// The delivery stream after a change at `updated`: members that are not given stay as they are
    /// (<https://docs.aws.amazon.com/firehose/latest/APIReference/API_UpdateDestination.html>).
    ///
    /// # Errors
    /// As [`Definition::check`], and `ConcurrentModificationException` if the request is for another version.
    pub(super) fn changed(&self, request: UpdateRequest, updated: SystemTime) -> Result<Self, ApiError> {
        refuse_rest(&request.rest, &[])?;
        self.check_active(updated)?;
        if request.current_delivery_stream_version_id != self.version.to_string() {
            let message = format!(
                "Cannot update firehose: {} since the current version id: {} and specified version id: {} do not match",
                self.name, self.version, request.current_delivery_stream_version_id
            );
            return Err(ApiError::client("ConcurrentModificationException", message));
        }
        if request.destination_id != DESTINATION_ID {
            let message = format!("Destination Id {} not found: it is {DESTINATION_ID}", request.destination_id);
            return Err(invalid(message));
        }
        let changes = request.extended_s3_destination_update.or(request.s3_destination_update);
        let changes = changes.ok_or_else(|| invalid("Exactly one destination update must be given"))?;
        let members = destination::merged(&self.members, changes)?;
        Ok(Self {
            version: self.version.saturating_add(1),
            destination: Destination::check(&members, updated)?,
            members,
            updated: Some(updated),
            ..self.clone()
        })
    }

    /// The Amazon Resource Name.
    pub(super) fn arn(&self) -> String {
        format!("arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/{}", self.name)
    }
}

impl Status {
    /// The name that the API has for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Active => "ACTIVE",
        }
    }
}

fn refuse_rest(rest: &Map<String, Value>, harmless: &[&str]) -> Result<(), ApiError> {
    match rest.iter().find(|(member, value)| !value.is_null() && !harmless.contains(&member.as_str())) {
        Some((member, _)) => Err(lacks(member)),
        None => Ok(()),
    }
}

fn check_name(name: String) -> Result<String, ApiError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if (1..=MAX_NAME_CHARS).contains(&name.len()) && name.chars().all(legal) {
        return Ok(name);
    }
    Err(invalid(format!(
        "1 validation error detected: Value '{name}' at 'deliveryStreamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+ and have length 1 to {MAX_NAME_CHARS}"
    )))
}

fn lacks(what: &str) -> ApiError {
    invalid(format!("the emulator's Firehose lacks {what}: leave it out"))
}

#[cfg(test)]
mod tests;
