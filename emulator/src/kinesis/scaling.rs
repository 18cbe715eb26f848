//! UpdateShardCount's uniform scaling, as the splits and merges that carry it out.
//!
//! Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateShardCount.html>: "Kinesis Data Streams performs splits or merges on
//! individual shards. This can cause short-lived shards to be created, in addition to the final shards."

use super::hash;
use std::collections::BTreeSet;

/// One change to the open shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Split the shard that holds this key, so that the key becomes the lowest of the upper child.
    Split(u128),
    /// Merge the shard whose lowest key this is into the one below it.
    Merge(u128),
}

/// The steps that turn open shards with these lowest keys into `target` shards of equal width.
///
/// `starts` holds 0. Splits come first, so that no shard grows wider than it need.
pub(crate) fn uniform(starts: impl IntoIterator<Item = u128>, target: u32) -> Vec<Step> {
    let present: BTreeSet<u128> = starts.into_iter().collect();
    let wanted: BTreeSet<u128> = hash::even_starts(target).into_iter().collect();
    let splits = wanted.difference(&present).copied().map(Step::Split);
    let merges = present.difference(&wanted).copied().map(Step::Merge);
    splits.chain(merges).collect()
}

#[cfg(test)]
mod tests;
