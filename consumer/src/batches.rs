//! A stream of batches, for those who acknowledge by hand and in any order.

use crate::application::{Application, Status};
use crate::budget::Share;
use crate::error::{Error, ErrorKind};
use crate::feed::{Batch, Record, ShardFeed, ShardName};
use crate::processor::{Limits, cut};
use crate::progress::Ack;
use alluvial_record::Position;
use alluvial_runtime::tasks::Tasks;
use futures_util::stream::{self, BoxStream, SelectAll};
use futures_util::{Stream, StreamExt as _};
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Batches of all shards, as they come; those of one shard in order.
///
/// It ends after [`Batches::stop`], when the batches that were read have been yielded and their acknowledgements written, or
/// after an error, which is its last item. Poll it to that end: it is how the last checkpoints get written and the leases given
/// back. Dropping it before stops at once, as a crash would. Reading, leases and checkpoints go on in a task of their own
/// while it is not polled, and the byte budget holds the reading back.
pub struct Batches {
    feeds: mpsc::Receiver<ShardFeed>,
    feeds_ended: bool,
    shards: SelectAll<BoxStream<'static, ShardBatch>>,
    /// `None` once it was heard.
    ended: Option<oneshot::Receiver<Result<(), Error>>>,
    _running: Tasks<()>,
    stop: CancellationToken,
    limits: Limits,
    status: Status,
}

impl Batches {
    pub(crate) fn start(application: Application) -> Self {
        let (limits, stop, status) = (application.limits, application.stop(), application.status());
        let (reading, feeds) = application.feeds();
        let (ending, ended) = oneshot::channel();
        let mut running = Tasks::new();
        running.spawn("consumer", async move {
            // Nobody to tell when the stream is gone.
            ending.send(reading.await).ok();
        });
        let shards = SelectAll::new();
        Self { feeds, feeds_ended: false, shards, ended: Some(ended), _running: running, stop, limits, status }
    }

    /// What the application is doing.
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// Begins the end: nothing more is read. Go on with the stream until it ends.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl Stream for Batches {
    type Item = Result<ShardBatch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while !this.feeds_ended {
            match this.feeds.poll_recv(cx) {
                Poll::Ready(Some(feed)) => this.shards.push(batches_of(feed, this.limits)),
                Poll::Ready(None) => this.feeds_ended = true,
                Poll::Pending => break,
            }
        }
        let shards_ended = match this.shards.poll_next_unpin(cx) {
            Poll::Ready(Some(batch)) => return Poll::Ready(Some(Ok(batch))),
            Poll::Ready(None) => true,
            Poll::Pending => false,
        };
        if !(this.feeds_ended && shards_ended) {
            return Poll::Pending;
        }
        let Some(ended) = &mut this.ended else { return Poll::Ready(None) };
        let result = match Pin::new(ended).poll(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(result)) => result,
            Poll::Ready(Err(_)) => Err(Error::new(ErrorKind::Internal, "the task of the consumer panicked")),
        };
        this.ended = None;
        Poll::Ready(result.err().map(Err))
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches")
            .field("shards", &self.shards.len())
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// The batches of one shard, until it ends or is abandoned.
fn batches_of(feed: ShardFeed, limits: Limits) -> BoxStream<'static, ShardBatch> {
    let state = (feed, VecDeque::new());
    stream::unfold(state, move |(mut feed, mut cuts)| async move {
        let abandon = feed.abandon.clone();
        let next = async {
            while cuts.is_empty() {
                let batch = feed.batches.recv().await?;
                cuts.extend(ShardBatch::cut(batch, &feed, limits));
            }
            feed.gate.open().await;
            cuts.pop_front()
        };
        let batch = tokio::select! {
            biased;
            () = abandon.cancelled() => None,
            batch = next => batch,
        };
        batch.map(|batch| (batch, (feed, cuts)))
    })
    .boxed()
}

/// Records of one shard, in order, to be acknowledged. Never empty.
///
/// Dropping a batch, a record's [`Acknowledgement`], or a part of either without acknowledging it holds the checkpoint of the
/// shard back for as long as this worker has the shard: all that comes after it comes again to the next owner, and a shard that
/// ended is read again from there.
#[derive(Debug)]
#[must_use = "a batch that is dropped unacknowledged holds the checkpoint back"]
pub struct ShardBatch {
    name: ShardName,
    first: u64,
    records: Vec<Record>,
    acks: mpsc::Sender<Ack>,
    abandon: CancellationToken,
    share: Arc<Share>,
}

impl ShardBatch {
    /// Cuts a batch to the limits.
    fn cut(batch: Batch, feed: &ShardFeed, limits: Limits) -> Vec<Self> {
        let parts = cut(&batch.records, limits);
        let Batch { mut first, records, _share, .. } = batch;
        let (share, mut records) = (Arc::new(_share), records.into_iter());
        let part = |len: usize| {
            let part = Self {
                name: feed.name(),
                first,
                records: records.by_ref().take(len).collect(),
                acks: feed.acks.clone(),
                abandon: feed.abandon.clone(),
                share: Arc::clone(&share),
            };
            first += u64::try_from(len).unwrap_or(u64::MAX);
            part
        };
        parts.into_iter().map(|range| range.len()).map(part).collect()
    }

    /// Stream and shard.
    pub fn shard(&self) -> &ShardName {
        &self.name
    }

    /// The records.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Cancelled when another worker has the shard, or the time for draining is over: what is not delivered yet must not be
    /// delivered any more, and acknowledgements count for nothing.
    pub fn abandoned(&self) -> CancellationToken {
        self.abandon.clone()
    }

    /// Acknowledges all records.
    pub async fn ack(self) {
        let (_, ack) = self.into_parts();
        ack.ack().await;
    }

    /// Splits off the records from place `at` on, to be acknowledged by themselves. `None` when there would be none on one
    /// side; the batch then stays as it is.
    pub fn split_off(&mut self, at: usize) -> Option<Self> {
        if at == 0 || at >= self.records.len() {
            return None;
        }
        Some(Self {
            name: self.name.clone(),
            first: self.first + u64::try_from(at).unwrap_or(u64::MAX),
            records: self.records.split_off(at),
            acks: self.acks.clone(),
            abandon: self.abandon.clone(),
            share: Arc::clone(&self.share),
        })
    }

    /// The records, and the acknowledgement of all of them.
    pub fn into_parts(self) -> (Vec<Record>, Acknowledgement) {
        let (first, count) = (self.first, u64::try_from(self.records.len()).unwrap_or(u64::MAX));
        let ack = self.records.last().map(|record| ranged(first, count, record.position));
        (self.records, Acknowledgement { ack, acks: self.acks, _share: self.share })
    }

    /// Each record with an acknowledgement of its own.
    pub fn into_records(self) -> impl Iterator<Item = (Record, Acknowledgement)> {
        let Self { first, records, acks, share, .. } = self;
        (first..).zip(records).map(move |(ordinal, record)| {
            let ack = Some(ranged(ordinal, 1, record.position));
            (record, Acknowledgement { ack, acks: acks.clone(), _share: Arc::clone(&share) })
        })
    }
}

fn ranged(first: u64, count: u64, position: Position) -> Ack {
    Ack { first, last: first + count.saturating_sub(1), position }
}

/// Leave for the checkpoint to pass some records, to be given once they are done; in any order, see [`ShardBatch`].
///
/// Their share of the byte budget is free again once this and the others of the batch are acknowledged or dropped.
#[derive(Debug)]
#[must_use = "records that are not acknowledged hold the checkpoint back"]
pub struct Acknowledgement {
    ack: Option<Ack>,
    acks: mpsc::Sender<Ack>,
    _share: Arc<Share>,
}

impl Acknowledgement {
    /// The records are done. A shard that was lost meanwhile takes no notice: its records come again to the next owner.
    pub async fn ack(self) {
        if let Some(ack) = self.ack {
            self.acks.send(ack).await.ok();
        }
    }
}

#[cfg(test)]
mod tests;
