//! Hash keys: 128-bit numbers that a stream's open shards divide among themselves.
//!
//! Source: <https://docs.aws.amazon.com/streams/latest/dev/key-concepts.html#partition-key>.

use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

/// An inclusive range of hash keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HashRange {
    /// The lowest key.
    pub(crate) start: u128,
    /// The highest key.
    pub(crate) end: u128,
}

impl HashRange {
    /// The two ranges below `at` and from `at` on, or `None` if one of them would be empty.
    pub(crate) fn split(&self, at: u128) -> Option<(Self, Self)> {
        let below = at.checked_sub(1)?;
        (self.start < at && at <= self.end)
            .then_some((Self { start: self.start, end: below }, Self { start: at, end: self.end }))
    }

    /// The union of two ranges that touch, in either order, or `None` if they do not.
    pub(crate) fn join(&self, other: &Self) -> Option<Self> {
        let (low, high) = if self.start <= other.start { (self, other) } else { (other, self) };
        (low.end.checked_add(1) == Some(high.start)).then_some(Self { start: low.start, end: high.end })
    }
}

/// The ranges of a new stream of `count` shards: 2^128 divided evenly, the last one taking what is left over.
///
/// A `count` of 0 counts as 1.
pub(crate) fn even_ranges(count: u32) -> Vec<HashRange> {
    let starts = even_starts(count);
    let ends = starts.iter().skip(1).map(|next| next - 1).chain([u128::MAX]);
    starts.iter().zip(ends).map(|(&start, end)| HashRange { start, end }).collect()
}

/// The lowest keys of [`even_ranges`].
pub(crate) fn even_starts(count: u32) -> Vec<u128> {
    let count = u128::from(count.max(1));
    // 2^128 / count without 2^128, which does not fit; for a count of 1 the step is never used.
    let step = (u128::MAX / count).wrapping_add(u128::from(u128::MAX % count == count - 1));
    (0..count).map(|position| position.wrapping_mul(step)).collect()
}

/// The hash key of a partition key: its MD5, read as a big-endian number.
pub(crate) fn of_partition_key(key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(key.as_bytes()).0)
}

/// Reads a hash key as Kinesis writes it: decimal digits without leading zeros, below 2^128.
pub(crate) fn parse(text: &str) -> Option<u128> {
    let plain = text == "0" || (text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
