//! Keys of lease rows: a shard of the one stream, or of one among several. Pure.
//!
//! Source: `StreamIdentifier`, `MultiStreamLease` and `DynamoDBMultiStreamLeaseSerializer` of the Kinesis Client Library 3.5.

use super::row::Lease;
use crate::error::{Error, ErrorKind};
use alluvial_record::ShardId;
use std::fmt;
use std::sync::Arc;

/// A stream among several, as it is named in lease keys: `accountId:streamName:creationEpoch`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId {
    account: String,
    name: String,
    created_seconds: u64,
}

impl StreamId {
    /// The stream `name` of an account, created at `created_millis` since 1970. The key holds seconds, as the examples of the
    /// Kinesis Client Library do; there the application chooses, and must choose the same to share a table.
    pub fn new(account: impl Into<String>, name: impl Into<String>, created_millis: u64) -> Self {
        Self { account: account.into(), name: name.into(), created_seconds: created_millis / 1000 }
    }

    /// The stream that an ARN names; `None` when it is none of a stream.
    pub(crate) fn of_arn(arn: &str, created_millis: u64) -> Option<Self> {
        let mut parts = arn.splitn(6, ':').skip(4);
        let (account, resource) = (parts.next()?, parts.next()?);
        let name = resource.strip_prefix("stream/")?;
        let digits = !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit());
        (digits && !name.contains(['/', ':'])).then(|| Self::new(account, name, created_millis))
    }

    fn of_text(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (account, name, created) = (parts.next()?, parts.next()?, parts.next()?);
        let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if parts.next().is_some() || name.is_empty() || !number(account) || !number(created) {
            return None;
        }
        Some(Self { account: account.into(), name: name.into(), created_seconds: created.parse().ok()? })
    }

    fn key_of(&self, shard: &ShardId) -> String {
        format!("{self}:{shard}")
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.account, self.name, self.created_seconds)
    }
}

/// What a key says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LeaseKey {
    /// `None` for the key of an application that reads one stream.
    stream: Option<StreamId>,
    shard: ShardId,
}

impl LeaseKey {
    fn parse(key: &str) -> Self {
        let parts = key.rsplit_once(':').and_then(|(stream, shard)| Some((StreamId::of_text(stream)?, shard)));
        match parts {
            Some((stream, shard)) => Self { stream: Some(stream), shard: shard.into() },
            None => Self { stream: None, shard: key.into() },
        }
    }
}

/// Whose row a key is, seen from a table's handle.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Of a shard of the handle's stream.
    Own(ShardId),
    /// Of another stream that the application reads.
    Sibling(StreamId),
    /// Of a stream that the application does not read, or no longer: nobody's business.
    Stranger,
    /// Of an application that keeps its leases in another way: with streams in the keys, or without.
    OtherKind,
}

/// How a handle of the table names its rows.
#[derive(Debug, Clone, Default)]
pub(super) struct LeaseKeys(Option<Arc<(StreamId, Vec<StreamId>)>>);

impl LeaseKeys {
    /// Keys for `stream`, one of `all` that the application reads.
    pub(super) fn of_stream(stream: StreamId, all: &[StreamId]) -> Self {
        Self(Some(Arc::new((stream, all.to_vec()))))
    }

    /// The handle's stream, where there are several.
    pub(super) fn stream(&self) -> Option<&StreamId> {
        self.0.as_ref().map(|keys| &keys.0)
    }

    /// The key of a shard's row.
    pub(super) fn key_of(&self, shard: &ShardId) -> String {
        self.stream().map_or_else(|| shard.as_str().to_owned(), |stream| stream.key_of(shard))
    }

    /// The error for a row of another kind of application: reading on would begin its shards anew, beside it.
    pub(super) fn refuse(&self, key: &str) -> Error {
        let (there, here) = match self.stream() {
            None => ("several streams", "one"),
            Some(_) => ("one stream", "several"),
        };
        Error::new(
            ErrorKind::Fatal,
            format!(
                "the lease table holds leases of an application that reads {there} (row {key:?}), and this one reads {here}: \
                 name another table (lease_table), or set multi_stream_leases as that application has it"
            ),
        )
    }

    /// Whose row `key` is.
    pub(super) fn place(&self, key: &str) -> Place {
        let LeaseKey { stream, shard } = LeaseKey::parse(key);
        match (self.0.as_deref(), stream) {
            (None, None) => Place::Own(shard),
            (Some((own, _)), Some(stream)) if *own == stream => Place::Own(shard),
            (Some((_, all)), Some(stream)) if all.contains(&stream) => Place::Sibling(stream),
            (Some(_), Some(_)) => Place::Stranger,
            (None, Some(_)) | (Some(_), None) => Place::OtherKind,
        }
    }
}

/// A lease of another stream, with names that none of ours has: key in place of shard, for its relatives too.
pub(super) fn as_sibling(lease: Lease, stream: &StreamId) -> Lease {
    let name = |shard: &ShardId| ShardId::from(stream.key_of(shard));
    let LeaseKey { shard, .. } = LeaseKey::parse(lease.shard.as_str());
    Lease {
        shard: name(&shard),
        parents: lease.parents.iter().map(name).collect(),
        children: lease.children.iter().map(name).collect(),
        ..lease
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "123456789012:orders:1795000000:shardId-000000000003";

    fn orders() -> StreamId {
        StreamId::of_arn("arn:aws:kinesis:eu-west-1:123456789012:stream/orders", 1_795_000_000_999).unwrap()
    }

    #[test]
    fn a_key_among_several_streams_is_that_of_the_kinesis_client_library() {
        let keys = LeaseKeys::of_stream(orders(), &[orders()]);
        let shard = ShardId::from("shardId-000000000003");
        assert_eq!(keys.key_of(&shard), KEY);
        assert_eq!(keys.place(KEY), Place::Own(shard.clone()));
        assert_eq!(LeaseKeys::default().key_of(&shard), shard.as_str());
        assert_eq!(LeaseKeys::default().place(shard.as_str()), Place::Own(shard));
    }

    #[test]
    fn rows_of_others_are_told_apart() {
        let (other, gone) = (StreamId::new("123456789012", "audit", 5_000), StreamId::new("1", "gone", 5_000));
        let keys = LeaseKeys::of_stream(orders(), &[orders(), other.clone()]);
        let shard = ShardId::from("shardId-0");
        assert_eq!(keys.place(&other.key_of(&shard)), Place::Sibling(other));
        assert_eq!(keys.place(&gone.key_of(&shard)), Place::Stranger);
        // The same name, made anew: its checkpoints mean nothing here.
        let anew = StreamId { created_seconds: 1, ..orders() };
        assert_eq!(keys.place(&anew.key_of(&shard)), Place::Stranger);
        assert_eq!(keys.place("shardId-0"), Place::OtherKind);
        assert_eq!(LeaseKeys::default().place(KEY), Place::OtherKind);
    }

    #[test]
    fn what_is_no_stream_is_none() {
        for text in ["", "a:b:c", "1:b:", "1::3", "1:b:3:4", ":b:3"] {
            assert_eq!(StreamId::of_text(text), None, "{text}");
        }
        for arn in [
            "",
            "arn:aws:kinesis:eu-west-1:1:stream/s/consumer/c:1",
            "arn:aws:kinesis:eu-west-1::stream/s",
            "arn:aws:s3:::bucket",
        ] {
            assert_eq!(StreamId::of_arn(arn, 0), None, "{arn}");
        }
    }

    #[test]
    fn relatives_of_a_sibling_are_named_as_it_is() {
        let stream = StreamId::new("1", "s", 2_000);
        let parent = ShardId::from("shardId-0");
        let row = Lease {
            shard: "1:s:2:shardId-1".into(),
            parents: vec![parent],
            ..Lease::new(
                &crate::topology::Shard {
                    id: "x".into(),
                    parents: vec![],
                    hash_keys: alluvial_record::HashKeyRange::ALL,
                    open: true,
                },
                alluvial_record::Checkpoint::TrimHorizon,
            )
        };
        let sibling = as_sibling(row, &stream);
        assert_eq!((sibling.shard.as_str(), sibling.parents[0].as_str()), ("1:s:2:shardId-1", "1:s:2:shardId-0"));
    }
}
