//! Tags of streams and consumers.

use super::super::Kinesis;
use super::super::sync::lock;
use super::super::validate::{invalid_argument, length, required, violation, within};
use super::StreamOnly;
use super::resource::{Resource, ResourceOnly};
use crate::api::ApiError;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Tags that a stream or a consumer may have.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_TagResource.html>, also of what they may hold.
const MOST_TAGS: usize = 50;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct AddTags {
    #[serde(flatten)]
    stream: StreamOnly,
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct RemoveTags {
    #[serde(flatten)]
    stream: StreamOnly,
    tag_keys: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct TagResource {
    #[serde(rename = "ResourceARN")]
    resource_arn: Option<String>,
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct UntagResource {
    #[serde(rename = "ResourceARN")]
    resource_arn: Option<String>,
    tag_keys: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct ListTags {
    #[serde(flatten)]
    stream: StreamOnly,
    exclusive_start_tag_key: Option<String>,
    limit: Option<i64>,
}

impl Kinesis {
    pub(in crate::kinesis) fn add_tags(&self, request: AddTags) -> Result<(), ApiError> {
        let added = added(request.tags)?;
        let stream = self.stream_only(&request.stream)?;
        self.change_tags(&Resource::Stream(stream), |tags| tags.extend(added))
    }

    pub(in crate::kinesis) fn remove_tags(&self, request: &RemoveTags) -> Result<(), ApiError> {
        let keys = keys(request.tag_keys.as_deref())?;
        let stream = self.stream_only(&request.stream)?;
        self.change_tags(&Resource::Stream(stream), |tags| tags.retain(|key, _| !keys.contains(key)))
    }

    pub(in crate::kinesis) fn list_tags(&self, request: &ListTags) -> Result<Value, ApiError> {
        let limit = request.limit.map_or(Ok(50), |limit| within("limit", limit, 1..=50))? as usize;
        let stream = self.stream_only(&request.stream)?;
        let tags = lock(&stream.tags);
        let rest: Vec<_> = tags
            .iter()
            .filter(|(key, _)| request.exclusive_start_tag_key.as_ref().is_none_or(|after| *key > after))
            .collect();
        let page: Vec<_> = rest.iter().take(limit).map(|(key, value)| tag(key, value)).collect();
        Ok(json!({ "Tags": page, "HasMoreTags": rest.len() > limit }))
    }

    pub(in crate::kinesis) fn tag_resource(&self, request: TagResource) -> Result<(), ApiError> {
        let added = added(request.tags)?;
        let resource = self.resource(request.resource_arn.as_deref())?;
        self.change_tags(&resource, |tags| tags.extend(added))
    }

    pub(in crate::kinesis) fn untag_resource(&self, request: &UntagResource) -> Result<(), ApiError> {
        let keys = keys(request.tag_keys.as_deref())?;
        let resource = self.resource(request.resource_arn.as_deref())?;
        self.change_tags(&resource, |tags| tags.retain(|key, _| !keys.contains(key)))
    }

    pub(in crate::kinesis) fn list_resource_tags(&self, request: &ResourceOnly) -> Result<Value, ApiError> {
        let all = |tags: &BTreeMap<String, String>| -> Vec<Value> {
            tags.iter().map(|(key, value)| tag(key, value)).collect()
        };
        let tags = match self.resource(request.resource_arn.as_deref())? {
            Resource::Stream(stream) => all(&lock(&stream.tags)),
            Resource::Consumer(stream, arn) => self.with_consumer(&stream, &arn, |consumer| Ok(all(&consumer.tags)))?,
        };
        Ok(json!({ "Tags": tags }))
    }

    /// Changes the tags of an active stream or consumer, all or none.
    fn change_tags(
        &self,
        resource: &Resource,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Result<(), ApiError> {
        let apply = |tags: &mut BTreeMap<String, String>| {
            let mut changed = tags.clone();
            change(&mut changed);
            check(&changed)?;
            *tags = changed;
            Ok(())
        };
        match resource {
            Resource::Stream(stream) => {
                stream.check_active(self.now())?;
                apply(&mut stream.change_tags())
            }
            Resource::Consumer(stream, arn) => {
                self.with_active_consumer(stream, arn, |consumer| apply(&mut consumer.tags))
            }
        }
    }
}

fn tag(key: &str, value: &str) -> Value {
    json!({ "Key": key, "Value": value })
}

fn added(tags: Option<BTreeMap<String, String>>) -> Result<BTreeMap<String, String>, ApiError> {
    let tags = required("tags", tags)?;
    if tags.is_empty() || tags.len() > 200 {
        return Err(violation("tags", format!("{} tags", tags.len()), "Member must have length from 1 to 200"));
    }
    Ok(tags)
}

fn keys(keys: Option<&[String]>) -> Result<&[String], ApiError> {
    let keys = required("tagKeys", keys)?;
    if keys.is_empty() || keys.len() > MOST_TAGS {
        let constraint = format!("Member must have length from 1 to {MOST_TAGS}");
        return Err(violation("tagKeys", format!("{} keys", keys.len()), &constraint));
    }
    keys.iter().try_for_each(|key| length("tagKeys", key, 1..=128))?;
    Ok(keys)
}

/// Refuses too many tags, and keys or values that are too long or hold what they may not.
pub(super) fn check(tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if tags.len() > MOST_TAGS {
        return Err(invalid_argument(format!("A resource may have {MOST_TAGS} tags, not {}.", tags.len())));
    }
    tags.iter().try_for_each(|(key, value)| {
        length("tags.key", key, 1..=128)?;
        length("tags.value", value, 0..=256)?;
        if key.starts_with("aws:") {
            return Err(invalid_argument(format!("The tag {key} begins with aws:, which is kept for AWS.")));
        }
        let allowed = |letter: char| letter.is_alphanumeric() || letter.is_whitespace() || "_.:/=+-@".contains(letter);
        if key.chars().chain(value.chars()).all(allowed) {
            return Ok(());
        }
        Err(invalid_argument(format!(
            "The tag {key}: {value} holds other than letters, digits, white space and the symbols _ . : / = + - @"
        )))
    })
}
