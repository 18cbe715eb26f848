//! One of several shares of a plan.

use crate::error::Error;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// One of several shares of a plan, counted from 0. Written `0/4`, as for the first of four.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    count: u32,
    index: u32,
}

impl Shard {
    /// All of a plan, in one share.
    pub const ALL: Self = Self { count: 1, index: 0 };

    /// Share `index` of `count`.
    ///
    /// # Errors
    /// [`Error::Usage`] unless `index` is below `count`.
    pub fn new(index: u32, count: u32) -> Result<Self, Error> {
        if index < count {
            return Ok(Self { count, index });
        }
        Err(Error::Usage(format!("{index}/{count}: shares are counted from 0, so the last of {count} is one less")))
    }

    /// Which share.
    pub fn index(self) -> u32 {
        self.index
    }

    /// Of how many.
    pub fn count(self) -> u32 {
        self.count
    }

    /// The part of `bytes` that is this share's: neighbours, and of all shares about the same sum. Each item is in the
    /// share in which its middle byte lies, so a share has at most one item's bytes more than its part.
    pub(crate) fn part(self, bytes: &[u64]) -> Range<usize> {
        let count = u128::from(self.count);
        let total: u128 = bytes.iter().map(|bytes| u128::from(*bytes).max(1)).sum::<u128>().max(1);
        let mut before: u128 = 0;
        let mut share_of = Vec::with_capacity(bytes.len());
        for bytes in bytes {
            // An empty object is some work, too.
            let bytes = u128::from(*bytes).max(1);
            share_of.push((2 * before + bytes) * count / (2 * total));
            before += bytes;
        }
        let index = u128::from(self.index);
        share_of.partition_point(|share| *share < index)..share_of.partition_point(|share| *share <= index)
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let numbers = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match numbers {
            Some((index, count)) => Self::new(index, count),
            None => Err(Error::Usage(format!("{text:?} is no share; write 0/4 for the first of four"))),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shares_read_and_print() {
        let shard: Shard = "2/3".parse().expect("a share");
        assert_eq!((shard.index(), shard.count(), shard.to_string()), (2, 3, "2/3".to_owned()));
        for bad in ["3/3", "1", "a/b", "-1/2", "0/0", "1/2/3"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn shares_are_balanced_and_hold_each_item_once(
            bytes in prop::collection::vec(0u64..1 << 40, 0..60),
            count in 1u32..20,
        ) {
            let total: u64 = bytes.iter().map(|bytes| (*bytes).max(1)).sum();
            let largest = bytes.iter().copied().max().unwrap_or(0).max(1);
            let mut next = 0;
            for index in 0..count {
                let part = Shard::new(index, count).expect("a share").part(&bytes);
                prop_assert_eq!(part.start, next);
                next = part.end;
                let sum: u64 = bytes[part].iter().map(|bytes| (*bytes).max(1)).sum();
                prop_assert!(sum <= total / u64::from(count) + largest + 1, "{} of {}", sum, total);
            }
            prop_assert_eq!(next, bytes.len());
        }
    }
}
