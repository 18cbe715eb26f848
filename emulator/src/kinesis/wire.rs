//! JSON shapes that several operations share.

use super::hash::HashRange;
use crate::api::ApiError;
use serde::Serialize;
use std::time::Duration;

/// `HashKeyRange`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HashKeyRange {
    /// The lowest key.
    pub(crate) starting_hash_key: String,
    /// The highest key.
    pub(crate) ending_hash_key: String,
}

/// `ChildShard`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ChildShard {
    /// The child's id.
    pub(crate) shard_id: String,
    /// One id after a split, two after a merge.
    pub(crate) parent_shards: Vec<String>,
    /// The child's hash keys.
    pub(crate) hash_key_range: HashKeyRange,
}

/// `Shard`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Shard {
    /// The shard's id.
    pub(crate) shard_id: String,
    /// The shard that was split, or the first of the two that were merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent_shard_id: Option<String>,
    /// The second of the two that were merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) adjacent_parent_shard_id: Option<String>,
    /// The shard's hash keys.
    pub(crate) hash_key_range: HashKeyRange,
    /// The shard's sequence numbers.
    pub(crate) sequence_number_range: SequenceNumberRange,
}

/// `SequenceNumberRange`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SequenceNumberRange {
    /// Below every record's.
    pub(crate) starting_sequence_number: String,
    /// Above every record's; only closed shards have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ending_sequence_number: Option<String>,
}

impl From<HashRange> for HashKeyRange {
    fn from(range: HashRange) -> Self {
        Self { starting_hash_key: range.start.to_string(), ending_hash_key: range.end.to_string() }
    }
}

/// A time as JSON 1.1 writes it: seconds since 1970 with a fraction.
pub(crate) fn seconds(millis: u64) -> f64 {
    millis as f64 / 1_000.0
}

/// Reads a time that a request gives, to the nearest millisecond.
///
/// # Errors
/// `SerializationException` for what is no time since 1970.
pub(crate) fn millis(seconds: f64) -> Result<u64, ApiError> {
    let since =
        Duration::try_from_secs_f64(seconds).ok().and_then(|since| since.checked_add(Duration::from_micros(500)));
    since.and_then(|since| u64::try_from(since.as_millis()).ok()).ok_or_else(|| {
        ApiError::client("SerializationException", format!("{seconds} is no timestamp: give seconds since 1970"))
    })
}

/// A shard's id, such as `shardId-000000000007`.
pub(crate) fn shard_id(shard: u32) -> String {
    format!("shardId-{shard:012}")
}

/// The number in a shard's id.
pub(crate) fn parse_shard_id(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("shardId-")?;
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_milliseconds() {
        for time in [0, 1, 1_459_799_926_480, 1_732_300_000_123, 1_800_000_000_999] {
            assert_eq!(millis(seconds(time)), Ok(time));
        }
        assert_eq!(serde_json::to_string(&seconds(1_732_300_000_123)).unwrap(), "1732300000.123");
        for bad in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(millis(bad).unwrap_err().code, "SerializationException");
        }
    }

    #[test]
    fn shard_ids_carry_their_number() {
        assert_eq!(shard_id(7), "shardId-000000000007");
        assert_eq!(parse_shard_id("shardId-000000000007"), Some(7));
        assert_eq!(parse_shard_id(&shard_id(u32::MAX)), Some(u32::MAX));
        for bad in ["", "7", "shardId-", "shardId-x", "shardId-+7", "shardId-99999999999999"] {
            assert_eq!(parse_shard_id(bad), None, "{bad}");
        }
    }
}
