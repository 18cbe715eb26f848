//! What a delivery stream is: a request to make or to change one, read, checked, and refused where it asks for what the
//! emulator lacks.

mod destination;

use super::{invalid, unreadable};
use crate::api::{ACCOUNT, ApiError, REGION};
pub(super) use destination::{Destination, MIB};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::SystemTime;

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
    pub(super) created: SystemTime,
    pub(super) updated: Option<SystemTime>,
}

/// A CreateDeliveryStream request; `rest` has the members that the emulator does not act on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateRequest {
    delivery_stream_name: String,
    delivery_stream_type: Option<String>,
    extended_s3_destination_configuration: Option<Map<String, Value>>,
    s3_destination_configuration: Option<Map<String, Value>>,
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
    /// Reads a request made at `created`.
    ///
    /// # Errors
    /// `InvalidArgumentException` with the member that is wrong, or that the emulator lacks.
    pub(super) fn check(request: CreateRequest, created: SystemTime) -> Result<Self, ApiError> {
        let name = check_name(request.delivery_stream_name)?;
        if request.delivery_stream_type.as_deref().is_some_and(|kind| kind != "DirectPut") {
            return Err(lacks("a DeliveryStreamType other than DirectPut"));
        }
        refuse_rest(&request.rest, &["Tags", "DirectPutSourceConfiguration"])?;
        let members = request.extended_s3_destination_configuration.or(request.s3_destination_configuration);
        let members = members.ok_or_else(|| invalid("Exactly one destination configuration must be given"))?;
        let destination = Destination::check(&members, created)?;
        Ok(Self { name, version: FIRST_VERSION, destination, members, created, updated: None })
    }

    /// The delivery stream after a change at `updated`: members that are not given stay as they are
    /// (<https://docs.aws.amazon.com/firehose/latest/APIReference/API_UpdateDestination.html>).
    ///
    /// # Errors
    /// As [`Definition::check`], and `ConcurrentModificationException` if the request is for another version.
    pub(super) fn changed(&self, request: UpdateRequest, updated: SystemTime) -> Result<Self, ApiError> {
        refuse_rest(&request.rest, &[])?;
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
        let mut members = self.members.clone();
        members.extend(changes.into_iter().filter(|(_, value)| !value.is_null()));
        Ok(Self {
            name: self.name.clone(),
            version: self.version.saturating_add(1),
            destination: Destination::check(&members, updated)?,
            members,
            created: self.created,
            updated: Some(updated),
        })
    }

    /// The Amazon Resource Name.
    pub(super) fn arn(&self) -> String {
        format!("arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/{}", self.name)
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
