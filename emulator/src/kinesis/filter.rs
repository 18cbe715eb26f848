//! Which shards ListShards shows.
//!
//! Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ShardFilter.html>.

use serde::{Deserialize, Serialize};

/// A checked `ShardFilter`. Times are milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ShardFilter {
    /// Shards that come after this one.
    AfterShardId(u32),
    /// Shards that were open at the trim horizon.
    AtTrimHorizon,
    /// All shards that are not expired; what ListShards does without a filter.
    FromTrimHorizon,
    /// Open shards.
    AtLatest,
    /// Shards that were open at this time, the moments of opening and closing included.
    AtTimestamp(u64),
    /// Open shards, and shards that closed at this time or later.
    FromTimestamp(u64),
}

/// What a filter looks at. Times are milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime {
    /// The shard's number.
    pub(crate) shard: u32,
    /// When it opened.
    pub(crate) opened: u64,
    /// When it closed, if it has.
    pub(crate) closed: Option<u64>,
}

impl ShardFilter {
    /// Whether the filter shows a shard. `horizon` is the time of the oldest record that the stream may still hold.
    pub(crate) fn selects(&self, lifetime: &Lifetime, horizon: u64) -> bool {
        let closed = lifetime.closed.unwrap_or(u64::MAX);
        match *self {
            Self::AfterShardId(shard) => lifetime.shard > shard,
            Self::FromTrimHorizon => closed >= horizon,
            // A parent and its children never show together here: the answer is one cut through the shards' history.
            Self::AtTrimHorizon => lifetime.opened <= horizon && closed > horizon,
            Self::AtLatest => lifetime.closed.is_none(),
            Self::AtTimestamp(time) => lifetime.opened <= time.max(horizon) && closed >= time.max(horizon),
            Self::FromTimestamp(time) => closed >= time.max(horizon),
        }
    }
}

#[cfg(test)]
mod tests;
