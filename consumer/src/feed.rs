//! What the consumer hands out: a feed for each shard, batches of records, and the way back for acknowledgements.

use crate::budget::Share;
use crate::lease::DeliveryGate;
use crate::progress::Ack;
use crate::status::ShardStatus;
use alluvial_record::aggregate::Corruption;
use alluvial_record::{Position, ShardId};
use bytes::Bytes;
use bytestring::ByteString;
use std::fmt;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// What a record is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// A Kinesis record of its own.
    #[default]
    Plain,
    /// A user record out of an aggregate. It shares its sequence number with the others, and its place among them is
    /// its sub-sequence number.
    User,
    /// An aggregate of the Kinesis Producer Library as it came: [`crate::Settings::deaggregate`] is off.
    Aggregate,
    /// It begins as an aggregate does, and cannot be read as one: handed out as it came, with the reason. The Kinesis
    /// Client Library too hands out such a record whole.
    Corrupt(Corruption),
}

/// One record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Where it stands in its shard.
    pub position: Position,
    /// The key that the producer gave it; it may be a slice of the buffer that it came in.
    pub partition_key: ByteString,
    /// The payload, as the producer gave it.
    pub data: Bytes,
    /// When Kinesis took it, in milliseconds since 1970; 0 where Kinesis does not say.
    pub arrived_millis: u64,
    /// Whether it came by itself or in an aggregate.
    pub kind: Kind,
}

/// Records of one shard, in order. Its share of the byte budget is free again once it is dropped.
#[derive(Debug)]
pub struct Batch {
    /// Ordinal of the first record: records of a shard are counted from 0 as they are handed out.
    pub first: u64,
    /// The records; never empty.
    pub records: Vec<Record>,
    /// Records before these were lost: between them and those of the batch before lies something that nobody has read.
    pub after_loss: bool,
    pub(crate) _share: Share,
}

#[cfg(any(test, feature = "conformance"))]
impl Batch {
    /// A batch outside of any budget, for tests of what takes batches.
    pub fn unbudgeted(first: u64, records: Vec<Record>) -> Self {
        Self { first, records, after_loss: false, _share: Share::none() }
    }
}

/// A shard of a stream, by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardName {
    /// The stream, as the builder was told it: its name or its ARN.
    pub stream: Arc<str>,
    /// The shard.
    pub shard: ShardId,
}

impl fmt::Display for ShardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stream, self.shard)
    }
}

/// Why a feed brings no more batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeedEnd {
    /// The shard was split or merged, and its last record was handed out.
    ShardEnded,
    /// The consumer stops.
    Stopped,
    /// The lease goes to a peer, which asked for it or took it.
    HandedOver,
    /// The shard cannot be read any more; [`crate::Consumer::run`] says why.
    Failed,
}

/// One shard, for as long as this worker reads it.
///
/// `batches` ends when the shard ends, the lease is lost, or the consumer stops. What was read is then delivered and
/// acknowledged, and the feed dropped: that is how the consumer learns that nothing more will be acknowledged.
#[derive(Debug)]
pub struct ShardFeed {
    /// Name of its stream.
    pub stream: Arc<str>,
    /// The shard.
    pub shard: ShardId,
    /// Its records, in order.
    pub batches: mpsc::Receiver<Batch>,
    /// For records that are done, in any order.
    pub acks: mpsc::Sender<Ack>,
    /// Cancelled when what is not yet delivered must not be delivered any more: another worker has the shard, or the
    /// time for draining is over.
    pub abandon: CancellationToken,
    /// To be passed right before anything of this shard is delivered: closed while the lease may have passed to a peer.
    pub gate: DeliveryGate,
    /// Cancelled when no more is read: the consumer stops, or a peer asked for the lease. What was read is still delivered.
    pub stopping: CancellationToken,
    pub(crate) status: Arc<ShardStatus>,
    pub(crate) ended: watch::Receiver<Option<FeedEnd>>,
}

impl ShardFeed {
    /// The name of stream and shard.
    pub fn name(&self) -> ShardName {
        ShardName { stream: Arc::clone(&self.stream), shard: self.shard.clone() }
    }

    /// Waits until `batches` has ended, and says why.
    pub async fn end(&mut self) -> FeedEnd {
        // Without its reader a shard is stopped.
        self.ended.wait_for(Option::is_some).await.ok().and_then(|end| *end).unwrap_or(FeedEnd::Stopped)
    }
}

#[cfg(any(test, feature = "conformance"))]
impl ShardFeed {
    /// A feed without a shard behind it, for tests of what takes feeds. The sender says how it ends.
    pub fn detached(
        shard: ShardId,
        batches: mpsc::Receiver<Batch>,
        acks: mpsc::Sender<Ack>,
        abandon: CancellationToken,
    ) -> (Self, watch::Sender<Option<FeedEnd>>) {
        let (ending, ended) = watch::channel(None);
        let (stream, gate, stopping) = (Arc::from("s"), DeliveryGate::default(), CancellationToken::new());
        (Self { stream, shard, batches, acks, abandon, gate, stopping, status: Arc::default(), ended }, ending)
    }
}
