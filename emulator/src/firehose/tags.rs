//! Tags of delivery streams (<https://docs.aws.amazon.com/firehose/latest/APIReference/API_TagDeliveryStream.html>).

use super::invalid;
use crate::api::ApiError;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Tags of one delivery stream, and the most that one ListTagsForDeliveryStream may ask for.
const MAX_TAGS: usize = 50;

/// Characters of a key, and of a value.
const MAX_KEY_CHARS: usize = 128;
const MAX_VALUE_CHARS: usize = 256;

/// A tag; without a value it has an empty one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    key: String,
    value: Option<String>,
}

/// A TagDeliveryStream request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagRequest {
    pub(super) delivery_stream_name: String,
    pub(super) tags: Vec<Tag>,
}

/// An UntagDeliveryStream request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UntagRequest {
    pub(super) delivery_stream_name: String,
    pub(super) tag_keys: Vec<String>,
}

/// A ListTagsForDeliveryStream request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListTagsRequest {
    pub(super) delivery_stream_name: String,
    exclusive_start_tag_key: Option<String>,
    limit: Option<usize>,
}

/// `tags` with `new` ones in place of those with the same keys.
///
/// # Errors
/// `InvalidArgumentException` for a key or value of the wrong length, `LimitExceededException` if there are too many.
pub(super) fn merged(tags: &BTreeMap<String, String>, new: Vec<Tag>) -> Result<BTreeMap<String, String>, ApiError> {
    let mut merged = tags.clone();
    for Tag { key, value } in new {
        let value = value.unwrap_or_default();
        if !(1..=MAX_KEY_CHARS).contains(&key.chars().count()) || key.starts_with("aws:") {
            return Err(invalid(format!(
                "The key of a tag must have 1 to {MAX_KEY_CHARS} characters and not begin with aws:, and is {key:?}"
            )));
        }
        if value.chars().count() > MAX_VALUE_CHARS {
            return Err(invalid(format!(
                "The value of the tag {key:?} must have at most {MAX_VALUE_CHARS} characters"
            )));
        }
        merged.insert(key, value);
    }
    if merged.len() > MAX_TAGS {
        let message = format!("A delivery stream may have {MAX_TAGS} tags, and would have {}", merged.len());
        return Err(ApiError::client("LimitExceededException", message));
    }
    Ok(merged)
}

/// A page of `tags`.
pub(super) fn list(tags: &BTreeMap<String, String>, request: &ListTagsRequest) -> Result<Value, ApiError> {
    let limit = request.limit.unwrap_or(MAX_TAGS);
    if !(1..=MAX_TAGS).contains(&limit) {
        return Err(invalid(format!("Limit must be between 1 and {MAX_TAGS}, and is {limit}")));
    }
    let after = request.exclusive_start_tag_key.as_ref();
    let mut rest = tags.iter().filter(|(key, _)| after.is_none_or(|after| *key > after));
    let page: Vec<Value> =
        rest.by_ref().take(limit).map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    Ok(json!({ "Tags": page, "HasMoreTags": rest.next().is_some() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: Option<&str>) -> Tag {
        Tag { key: key.to_owned(), value: value.map(str::to_owned) }
    }

    fn page(tags: &BTreeMap<String, String>, request: Value) -> Result<Value, ApiError> {
        list(tags, &serde_json::from_value(request).expect("a request"))
    }

    #[test]
    fn tags_replace_those_of_the_same_key_and_are_listed_in_pages() {
        let tags = merged(&BTreeMap::new(), vec![tag("a", Some("1")), tag("b", None)]).expect("two tags");
        let tags = merged(&tags, vec![tag("a", Some("2"))]).expect("one of another value");
        let first = page(&tags, json!({ "DeliveryStreamName": "orders", "Limit": 1 })).expect("a page");
        assert_eq!(first, json!({ "Tags": [{ "Key": "a", "Value": "2" }], "HasMoreTags": true }));
        let second = page(&tags, json!({ "DeliveryStreamName": "orders", "ExclusiveStartTagKey": "a" }));
        assert_eq!(second.expect("a page"), json!({ "Tags": [{ "Key": "b", "Value": "" }], "HasMoreTags": false }));
        page(&tags, json!({ "DeliveryStreamName": "orders", "Limit": 0 })).expect_err("no page");
    }

    #[test]
    fn what_is_no_tag_or_one_too_many_is_refused() {
        let long = "x".repeat(257);
        for wrong in [tag("", None), tag(&long, None), tag("aws:x", None), tag("a", Some(&long))] {
            assert_eq!(merged(&BTreeMap::new(), vec![wrong]).expect_err("no tag").code, "InvalidArgumentException");
        }
        let many = |count: usize| (0..count).map(|number| tag(&number.to_string(), None)).collect();
        let full = merged(&BTreeMap::new(), many(50)).expect("fifty tags");
        assert_eq!(merged(&full, vec![tag("new", None)]).expect_err("one more").code, "LimitExceededException");
    }
}
