//! Shards: names, and the hash keys that they hold.

use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The name of a shard, such as `shardId-000000000000`. Clones share the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(Arc<str>);

impl ShardId {
    /// The name as AWS writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without the prefix and zeros that all shards share: `0` for `shardId-000000000000`.
    pub fn short(&self) -> &str {
        let digits = self.0.strip_prefix("shardId-").unwrap_or(&self.0);
        let trimmed = digits.trim_start_matches('0');
        if trimmed.is_empty() && !digits.is_empty() { "0" } else { trimmed }
    }
}

impl From<&str> for ShardId {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for ShardId {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The hash keys of a shard: MD5 of the partition key as an integer, from `start` to `end`, both included.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_HashKeyRange.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HashKeyRange {
    /// The lowest key.
    pub start: u128,
    /// The highest key, not below `start`.
    pub end: u128,
}

/// A text that is no hash key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a hash key: a decimal integer below 2^128 is wanted")]
pub struct InvalidHashKey(String);

impl HashKeyRange {
    /// Every hash key there is.
    pub const ALL: Self = Self { start: 0, end: u128::MAX };

    /// Reads the two decimals that AWS sends.
    ///
    /// # Errors
    /// [`InvalidHashKey`] with the text.
    pub fn parse(start: &str, end: &str) -> Result<Self, InvalidHashKey> {
        let key = |text: &str| text.parse().map_err(|_| InvalidHashKey(text.chars().take(100).collect()));
        Ok(Self { start: key(start)?, end: key(end)? })
    }

    /// True when a record with this hash key belongs to the shard.
    pub fn contains(&self, key: u128) -> bool {
        (self.start..=self.end).contains(&key)
    }
}

/// The hash key of a record that was put without an explicit one: the MD5 of its partition key.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecord.html> (`PartitionKey`).
pub fn hash_key(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_both_of_its_ends() {
        let range = HashKeyRange::parse("0", "170141183460469231731687303715884105727").unwrap();
        assert!(range.contains(0) && range.contains(range.end) && !range.contains(range.end + 1));
        assert!(HashKeyRange::parse("0", "2^127").unwrap_err().to_string().contains("2^127"));
    }

    #[test]
    fn the_hash_key_is_the_md5_as_a_number() {
        // RFC 1321, appendix A.5.
        assert_eq!(hash_key("abc"), 0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72);
    }

    #[test]
    fn the_short_name_drops_what_all_shards_share() {
        assert_eq!(ShardId::from("shardId-000000000000").short(), "0");
        assert_eq!(ShardId::from("shardId-000000000017").short(), "17");
        assert_eq!(ShardId::from("other").short(), "other");
    }
}
