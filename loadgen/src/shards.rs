//! The shards of the stream and their hash keys: which records may share an aggregate, and whether they came where they
//! belong.

use crate::load::Error;
use alluvial_record::{HashKeyRange, hash_key};
use alluvial_runtime::exit::chain;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::ProvideErrorMetadata as _;
use aws_sdk_kinesis::types::Shard;

/// The shards of a stream at one time, closed ones too.
#[derive(Debug, Clone, Default)]
pub(crate) struct ShardMap(Vec<Known>);

#[derive(Debug, Clone)]
struct Known {
    name: String,
    range: HashKeyRange,
    open: bool,
}

impl ShardMap {
    /// Asks Kinesis, page by page, with the client's own retries.
    ///
    /// # Errors
    /// [`Error::Remote`] with the code, and the permission where that is what is missing.
    pub(crate) async fn list(client: &Client, stream: &str) -> Result<Self, Error> {
        let mut known = Vec::new();
        let mut page = client.list_shards().stream_name(stream).send().await;
        loop {
            let answer = page.map_err(|error| {
                let needed = match error.code() {
                    Some("AccessDeniedException") => "; --aggregate needs kinesis:ListShards",
                    _ => "",
                };
                Error::Remote(format!("the shards of stream `{stream}` cannot be listed: {}{needed}", chain(&error)))
            })?;
            known.extend(answer.shards.unwrap_or_default().iter().filter_map(Known::read));
            match answer.next_token {
                Some(token) => page = client.list_shards().next_token(token).send().await,
                None => return Ok(Self(known)),
            }
        }
    }

    /// The hash keys of the open shard that takes records of `partition_key` by what is known, and the record's own.
    pub(crate) fn place(&self, partition_key: &str) -> (HashKeyRange, u128) {
        let key = hash_key(partition_key);
        let open = self.0.iter().find(|shard| shard.open && shard.range.contains(key));
        // Only in the middle of a split or merge: alone in its range, it shares an aggregate with its like.
        (open.map_or(HashKeyRange { start: key, end: key }, |shard| shard.range), key)
    }

    /// The lane, of so many, that packs records of `partition_key`: one for all of an open shard, so that its aggregates
    /// are as full as can be.
    pub(crate) fn lane(&self, partition_key: &str, lanes: usize) -> usize {
        let key = hash_key(partition_key);
        let open = self.0.iter().filter(|shard| shard.open);
        open.take_while(|shard| !shard.range.contains(key)).count() % lanes.max(1)
    }

    /// The hash keys of a shard; `None` for one that is newer than the map.
    pub(crate) fn range_of(&self, shard: &str) -> Option<HashKeyRange> {
        self.0.iter().find(|known| known.name == shard).map(|known| known.range)
    }
}

impl Known {
    fn read(shard: &Shard) -> Option<Self> {
        let keys = shard.hash_key_range()?;
        Some(Self {
            name: shard.shard_id().to_owned(),
            range: HashKeyRange::parse(keys.starting_hash_key(), keys.ending_hash_key()).ok()?,
            open: shard.sequence_number_range().is_none_or(|numbers| numbers.ending_sequence_number().is_none()),
        })
    }
}

#[cfg(test)]
pub(crate) mod fixture {
    use super::*;

    /// Open shards named `0`, `1`, …, that start at these hash keys.
    pub(crate) fn shards(starts: &[u128]) -> ShardMap {
        let ends = starts.iter().skip(1).map(|start| start - 1).chain([u128::MAX]);
        let known = |(index, (start, end)): (usize, (&u128, u128))| Known {
            name: index.to_string(),
            range: HashKeyRange { start: *start, end },
            open: true,
        };
        ShardMap(starts.iter().zip(ends).enumerate().map(known).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_belongs_to_the_open_shard_that_holds_its_hash_key() {
        let mut map = fixture::shards(&[0, 1 << 127]);
        let (range, key) = map.place("a");
        assert!(range.contains(key) && range.start == 0, "MD5 of a begins with 0c");
        map.0[0].open = false;
        assert_eq!(map.place("a").0, HashKeyRange { start: key, end: key });
        assert_eq!(map.range_of("0"), Some(range));
        assert_eq!(map.range_of("2"), None);
    }

    #[test]
    fn a_shard_has_one_lane_and_lanes_share_the_shards() {
        let map = fixture::shards(&[0, 1 << 126, 1 << 127, 3 << 126]);
        for key in (0..100).map(|key| format!("key-{key}")) {
            let shard = map.place(&key).0.start >> 126;
            assert_eq!(map.lane(&key, 8) as u128, shard);
            assert_eq!(map.lane(&key, 3) as u128, shard % 3);
        }
    }
}
