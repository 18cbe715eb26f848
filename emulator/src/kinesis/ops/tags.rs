//! Tags of streams.

use super::super::Kinesis;
use super::super::sync::lock;
use super::super::validate::{length, required, within};
use super::StreamOnly;
use crate::api::ApiError;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Tags that a stream may have.
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
pub(in crate::kinesis) struct ListTags {
    #[serde(flatten)]
    stream: StreamOnly,
    exclusive_start_tag_key: Option<String>,
    limit: Option<i64>,
}

impl Kinesis {
    pub(in crate::kinesis) fn add_tags(&self, request: AddTags) -> Result<(), ApiError> {
        let added = required("tags", request.tags)?;
        let stream = self.stream(request.stream.stream_name.as_deref(), request.stream.stream_arn.as_deref())?;
        let mut tags = lock(&stream.tags);
        let mut all = tags.clone();
        all.extend(added);
        check(&all)?;
        *tags = all;
        Ok(())
    }

    pub(in crate::kinesis) fn remove_tags(&self, request: &RemoveTags) -> Result<(), ApiError> {
        let keys = required("tagKeys", request.tag_keys.as_ref())?;
        let stream = self.stream(request.stream.stream_name.as_deref(), request.stream.stream_arn.as_deref())?;
        lock(&stream.tags).retain(|key, _| !keys.contains(key));
        Ok(())
    }

    pub(in crate::kinesis) fn list_tags(&self, request: &ListTags) -> Result<Value, ApiError> {
        let limit = request.limit.map_or(Ok(50), |limit| within("limit", limit, 1..=50))? as usize;
        let stream = self.stream(request.stream.stream_name.as_deref(), request.stream.stream_arn.as_deref())?;
        let tags = lock(&stream.tags);
        let rest: Vec<_> = tags
            .iter()
            .filter(|(key, _)| request.exclusive_start_tag_key.as_ref().is_none_or(|after| *key > after))
            .collect();
        let page: Vec<_> = rest.iter().take(limit).map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        Ok(json!({ "Tags": page, "HasMoreTags": rest.len() > limit }))
    }
}

/// Refuses too many tags, and keys or values that are too long.
pub(super) fn check(tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if tags.len() > MOST_TAGS {
        return Err(super::super::validate::invalid_argument(format!(
            "A stream may have {MOST_TAGS} tags, not {}.",
            tags.len()
        )));
    }
    tags.iter().try_for_each(|(key, value)| {
        length("tags.key", key, 1..=128)?;
        length("tags.value", value, 0..=256)
    })
}
