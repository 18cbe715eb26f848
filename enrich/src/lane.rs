//! One shard on its way through the pipeline: its own order, its own open member, one member in flight.

use crate::dead_letter::{DeadLetters, Rejected};
use crate::ledger::{Ledger, ShardLedger};
use crate::pack::{Member, PackLimits, Packer, Pushed};
use crate::row::{Reason, Row};
use crate::sink::Delivery;
use crate::transform::{Outcome, PositionColumns, Transforms};
use alluvial_consumer::{Ack, Batch, Kind, Record, ShardFeed};
use alluvial_record::quota::firehose_billed_bytes;
use alluvial_record::{MemberLabel, Position};
use alluvial_runtime::backoff::Backoff;
use alluvial_runtime::clock::Clock;
use alluvial_runtime::exit::chain;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// Waits between attempts to store dead letters.
const DEAD_LETTER_BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// What all lanes of a pipeline share.
#[derive(Debug)]
pub(crate) struct Context {
    /// Which of all that read the stream this is.
    pub(crate) application: String,
    pub(crate) stream: String,
    pub(crate) transforms: Transforms,
    pub(crate) pack: PackLimits,
    pub(crate) max_wait: Duration,
    pub(crate) position_columns: bool,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Clock,
}

/// What the rows since the last dispatch amount to.
#[derive(Debug, Default)]
struct Open {
    /// The records that the next acknowledgement covers: in the member, filtered, or rejected.
    span: Option<Ack>,
    /// The position of the first of them.
    first: Option<Position>,
    rows: u64,
    /// Arrival times of the rows, in milliseconds, and how many rows share each.
    arrivals: Vec<(u64, u64)>,
    billed_bytes_unpacked: u64,
    /// When the first row came.
    since: Option<Instant>,
    rejected: Vec<Rejected>,
}

impl Open {
    fn cover(&mut self, ordinal: u64, record: &Record) {
        let first = self.span.map_or(ordinal, |span| span.first);
        self.span = Some(Ack { first, last: ordinal, position: record.position });
        self.first.get_or_insert(record.position);
    }

    fn add_row(&mut self, row_bytes: usize, record: &Record, now: Instant) {
        self.rows += 1;
        self.since.get_or_insert(now);
        self.billed_bytes_unpacked += firehose_billed_bytes(u64::try_from(row_bytes).unwrap_or(u64::MAX));
        match self.arrivals.last_mut() {
            Some((millis, rows)) if *millis == record.arrived_millis => *rows += 1,
            _ => self.arrivals.push((record.arrived_millis, 1)),
        }
    }
}

/// A member that the sink has not accepted yet.
struct InFlight {
    receipt: oneshot::Receiver<()>,
    open: Open,
    member_bytes: u64,
    row_bytes: u64,
}

/// The feed was abandoned: nothing more may be delivered or acknowledged.
struct Abandoned;

pub(crate) struct Lane {
    context: Arc<Context>,
    feed: ShardFeed,
    deliveries: mpsc::Sender<Delivery>,
    ledger: Arc<ShardLedger>,
    columns: Option<PositionColumns>,
    packer: Packer,
    open: Open,
    /// The last record that was covered before those in `open`.
    after: Option<Position>,
    in_flight: Option<InFlight>,
    line: Vec<u8>,
    random: fastrand::Rng,
}

impl Lane {
    pub(crate) fn new(
        context: Arc<Context>,
        feed: ShardFeed,
        deliveries: mpsc::Sender<Delivery>,
        random: fastrand::Rng,
    ) -> Self {
        let ledger = context.ledger.shard(&feed.shard);
        let columns = context.position_columns.then(|| PositionColumns::of(feed.shard.as_str()));
        let label_bytes = MemberLabel::max_extra_bytes(&context.application, &context.stream, feed.shard.as_str());
        let packer = Packer::new(context.pack, label_bytes);
        let (open, after, in_flight, line) = (Open::default(), None, None, Vec::new());
        Self { context, feed, deliveries, ledger, columns, packer, open, after, in_flight, line, random }
    }

    /// Takes batches until the feed ends and all is delivered, or the feed is abandoned.
    pub(crate) async fn run(mut self) {
        let (abandon, acks) = (self.feed.abandon.clone(), self.feed.acks.clone());
        let ended = tokio::select! {
            biased;
            () = abandon.cancelled() => Err(Abandoned),
            // Nobody keeps acknowledgements any more: the shard's task is gone.
            () = acks.closed() => Err(Abandoned),
            ended = self.deliver() => ended,
        };
        if ended.is_err() {
            let abandoned = self.ledger.abandon();
            tracing::warn!(shard = %self.feed.shard, records = abandoned,
                "abandoned: what is not acknowledged is read again by the next owner");
        }
    }

    async fn deliver(&mut self) -> Result<(), Abandoned> {
        loop {
            let deadline = self.open.since.map(|since| since + self.context.max_wait);
            tokio::select! {
                settled = settled(&mut self.in_flight) => self.settle(settled).await?,
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() && self.in_flight.is_none() => {
                    self.dispatch().await?;
                }
                batch = self.feed.batches.recv() => match batch {
                    Some(batch) => self.process(batch).await?,
                    None => break,
                },
            }
        }
        self.dispatch().await?;
        self.wait_for_in_flight().await
    }

    async fn process(&mut self, batch: Batch) -> Result<(), Abandoned> {
        self.ledger.receive(u64::try_from(batch.records.len()).unwrap_or(u64::MAX));
        if batch.after_loss {
            // No member may claim to cover what was lost.
            self.dispatch().await?;
            self.after = None;
        }
        for (ordinal, record) in (batch.first..).zip(&batch.records) {
            self.process_record(record).await?;
            self.open.cover(ordinal, record);
            // Many records are one long stretch of computing; others get their turn in between.
            tokio::task::consume_budget().await;
        }
        // Here and not later: their payloads would outlive the batch's share of the byte budget.
        self.store_rejected().await;
        if self.packer.is_empty() {
            self.acknowledge_rowless().await;
        }
        Ok(())
    }

    async fn process_record(&mut self, record: &Record) -> Result<(), Abandoned> {
        self.line.clear();
        match self.render_row(record) {
            Ok(Outcome::Keep) => self.push(record).await,
            Ok(Outcome::Drop) => {
                self.ledger.filter(1);
                Ok(())
            }
            Ok(Outcome::Reject(reason)) | Err(reason) => {
                self.reject(record, reason);
                Ok(())
            }
        }
    }

    /// Renders the row into `line`.
    fn render_row(&mut self, record: &Record) -> Result<Outcome, Reason> {
        if let Kind::Corrupt(corruption) = record.kind {
            return Err(Reason::CorruptAggregate(corruption));
        }
        let mut row = Row::parse(&record.data)?;
        let outcome = self.context.transforms.apply(&mut row);
        if outcome == Outcome::Keep {
            if let Some(columns) = &self.columns {
                columns.add(&mut row, record.position);
            }
            row.render(&mut self.line);
        }
        Ok(outcome)
    }

    async fn push(&mut self, record: &Record) -> Result<(), Abandoned> {
        let mut pushed = self.packer.push(&self.line);
        if pushed == Pushed::Full {
            self.dispatch().await?;
            pushed = self.packer.push(&self.line);
        }
        if pushed == Pushed::Taken {
            self.open.add_row(self.line.len(), record, Instant::now());
        } else {
            let limit_bytes = self.context.pack.target_bytes;
            self.reject(record, Reason::TooLarge { row_bytes: self.line.len(), limit_bytes });
        }
        Ok(())
    }

    fn reject(&mut self, record: &Record, reason: Reason) {
        tracing::warn!(shard = %self.feed.shard, position = %record.position, %reason, "record goes to the dead-letter store");
        self.open.rejected.push(Rejected {
            position: record.position,
            partition_key: record.partition_key.to_string(),
            arrived_millis: record.arrived_millis,
            payload: record.data.clone(),
            reason,
        });
    }

    /// Stores what was rejected, however long it takes: until then its records are not acknowledged.
    async fn store_rejected(&mut self) {
        let rejected = std::mem::take(&mut self.open.rejected);
        if rejected.is_empty() {
            return;
        }
        let mut backoff = Backoff::new(DEAD_LETTER_BACKOFF.0, DEAD_LETTER_BACKOFF.1, self.random.fork());
        loop {
            // Before each attempt: while an attempt waits for its turn, the lease may pass to a peer as at any other time.
            self.feed.gate.open().await;
            let store = self.context.dead_letters.store(&self.context.stream, &self.feed.shard, &rejected);
            let Err(error) = store.await else { break };
            let delay = backoff.next_delay();
            tracing::error!(shard = %self.feed.shard, error = %chain(&error), again_in = ?delay, "dead letters not stored");
            tokio::time::sleep(delay).await;
        }
        self.ledger.dead_letter(u64::try_from(rejected.len()).unwrap_or(u64::MAX));
    }

    /// Acknowledges records that left no row.
    async fn acknowledge_rowless(&mut self) {
        self.open.first = None;
        if let Some(span) = self.open.span.take() {
            self.after = Some(span.position);
            // A keeper that is gone has no use for it.
            self.feed.acks.send(span).await.ok();
        }
    }

    /// Closes the member and hands it to the sink, after the one before it was accepted: so order is kept even when
    /// single entries of a call fail.
    async fn dispatch(&mut self) -> Result<(), Abandoned> {
        self.store_rejected().await;
        let label = self.label();
        let Some(Member { bytes, row_bytes, .. }) = self.packer.close(label.as_ref()) else {
            self.acknowledge_rowless().await;
            return Ok(());
        };
        self.after = label.map(|label| label.last);
        self.wait_for_in_flight().await?;
        let (sender, receipt) = oneshot::channel();
        let member_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let delivery = Delivery { shard: self.feed.shard.clone(), bytes, receipt: sender };
        self.feed.gate.open().await;
        self.deliveries.send(delivery).await.map_err(|_| Abandoned)?;
        self.in_flight = Some(InFlight { receipt, open: std::mem::take(&mut self.open), member_bytes, row_bytes });
        Ok(())
    }

    /// What the open member covers.
    fn label(&self) -> Option<MemberLabel> {
        let (first, last) = self.open.first.zip(self.open.span.map(|span| span.position))?;
        Some(MemberLabel {
            application: self.context.application.clone(),
            stream: self.context.stream.clone(),
            shard: self.feed.shard.to_string(),
            after: self.after,
            first,
            last,
            rows: self.packer.rows(),
        })
    }

    async fn wait_for_in_flight(&mut self) -> Result<(), Abandoned> {
        if self.in_flight.is_some() {
            let accepted = settled(&mut self.in_flight).await;
            self.settle(accepted).await?;
        }
        Ok(())
    }

    /// Counts and acknowledges a member that was accepted.
    async fn settle(&mut self, accepted: bool) -> Result<(), Abandoned> {
        let Some(done) = self.in_flight.take().filter(|_| accepted) else {
            return Err(Abandoned);
        };
        let ledger = &self.context.ledger;
        self.ledger.deliver(done.open.rows);
        let billed = firehose_billed_bytes(done.member_bytes);
        ledger.count_sent(done.member_bytes, billed, done.row_bytes, done.open.billed_bytes_unpacked);
        let now = self.context.clock.now_millis();
        for (arrived, rows) in &done.open.arrivals {
            ledger.record_latency(now.saturating_sub(*arrived), *rows);
        }
        if let Some(span) = done.open.span {
            self.feed.acks.send(span).await.ok();
        }
        Ok(())
    }
}

/// Waits for the receipt of the member in flight; for ever when there is none. False when the sink is gone.
async fn settled(in_flight: &mut Option<InFlight>) -> bool {
    match in_flight {
        Some(in_flight) => (&mut in_flight.receipt).await.is_ok(),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
