//! From subscriptions to batches: one after the other, without gap or repetition, for as long as the shard is ours.

mod renewal;
mod session;
mod verdict;

use super::{Shared, Tip};
use crate::budget::Share;
use crate::deaggregate::{Admitted, Rules, admit};
use crate::error::Error;
use crate::feed::Batch;
use crate::lease::HeldLease;
use crate::loss::{LossReason, begins_late};
use crate::registration::Via;
use crate::status::{ShardState, ShardStatus};
use crate::subscription::{Arrival, Cause, Event, From, Next, Waits};
use crate::topology::Shard;
use alluvial_record::{Checkpoint, Position, SequenceNumber, ShardId};
use session::{Session, confirm};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use verdict::Verdict;

/// A wait for the sink that is shorter than this is not worth a state of its own.
const NOTICED_AS_BLOCKED: Duration = Duration::from_millis(100);

/// Why a shard is no longer read.
#[derive(Debug)]
pub(super) enum ReadEnd {
    /// Its last record was handed out.
    ShardEnd { children: Vec<Shard>, handed_out: u64 },
    /// We were told to stop, or nobody takes the batches any more.
    Stopped,
    /// It cannot be read.
    Failed(Error),
}

/// Nobody takes batches any more.
struct Closed;

/// What a subscription led to.
enum Led {
    To(ReadEnd),
    Back(Cause),
}

pub(super) struct Reader<'a> {
    shared: &'a Shared,
    held: &'a HeldLease,
    shard: &'a ShardId,
    status: &'a ShardStatus,
    tip: watch::Sender<Tip>,
    from: From,
    rules: Rules,
    /// The last record that was read, or the checkpoint: nothing up to here is handed out again.
    passed: Option<Position>,
    handed_out: u64,
    waits: Waits,
    random: fastrand::Rng,
    /// When the service last accepted a subscription.
    accepted: Option<Instant>,
    /// When the shard was last seen to hold nothing that we had not read.
    at_tip: Option<Instant>,
    brought_events: bool,
    /// Records were lost since the last batch.
    after_loss: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        held: &'a HeldLease,
        from: Checkpoint,
        status: &'a ShardStatus,
        tip: watch::Sender<Tip>,
        mut random: fastrand::Rng,
    ) -> Self {
        let passed = match from {
            Checkpoint::At(position) => Some(position),
            _ => None,
        };
        let (waits, shard) = (Waits::new(random.fork()), held.shard());
        let (from, handed_out, brought_events) = (From::Checkpoint(from), 0, false);
        let (accepted, at_tip) = (None, None);
        let rules = Rules { split: shared.settings.deaggregate, hash_keys: held.hash_keys() };
        Self {
            shared,
            held,
            shard,
            status,
            tip,
            from,
            rules,
            passed,
            handed_out,
            waits,
            random,
            accepted,
            at_tip,
            brought_events,
            after_loss: false,
        }
    }

    /// Hands out batches until the shard ends or one of the tokens is cancelled.
    pub(super) async fn read(
        mut self,
        batches: mpsc::Sender<Batch>,
        stop: &CancellationToken,
        lost: &CancellationToken,
    ) -> ReadEnd {
        let end = tokio::select! {
            end = self.read_all(&batches) => end,
            () = stop.cancelled() => ReadEnd::Stopped,
            () = lost.cancelled() => ReadEnd::Stopped,
        };
        self.status.enter(ShardState::Draining);
        end
    }

    async fn read_all(&mut self, batches: &mpsc::Sender<Batch>) -> ReadEnd {
        loop {
            self.status.enter(ShardState::Subscribing);
            self.brought_events = false;
            let via = self.shared.registration.via();
            let cause = match self.read_one(&via, batches).await {
                Led::To(end) => return end,
                Led::Back(cause) => cause,
            };
            self.status.count_end(cause.reason());
            if let Verdict::End(end) = Box::pin(self.judge(&cause, &via, Instant::now())).await {
                return end;
            }
            // The rule of five seconds is one on subscriptions: what follows may be polling.
            let since = self.accepted.filter(|_| self.shared.registration.via() != Via::Polling);
            let delay = self.waits.before_next(&cause, self.brought_events, since.map(|at| at.elapsed()));
            match &cause {
                Cause::Expired => tracing::debug!(shard = %self.shard, "subscription expired"),
                cause => tracing::warn!(shard = %self.shard, reason = %cause, next_in = ?delay, "subscription ended"),
            }
            self.status.enter(cause.state());
            tokio::time::sleep(delay).await;
            // A stream that broke off may have been taken over together with the lease. While the table is out of reach
            // nobody can tell, and subscribing would take it back from its new owner.
            if !cause.is_expected() {
                confirm(self.held, self.status).await;
            }
        }
    }

    /// One session, from its opening to its end.
    async fn read_one(&mut self, via: &Via, batches: &mpsc::Sender<Batch>) -> Led {
        let random = self.random.fork();
        let opening = Session::open(self.shared, self.held, self.status, via.clone(), &self.from, random);
        let mut session = match Box::pin(opening).await {
            Ok(session) => session,
            Err(cause) => return Led::Back(cause),
        };
        let led = self.read_session(&mut session, batches).await;
        self.accepted = session.accepted().or(self.accepted);
        led
    }

    async fn read_session(&mut self, session: &mut Session<'_>, batches: &mpsc::Sender<Batch>) -> Led {
        let mut first_records = true;
        // For the event that comes next, when it was announced.
        let mut share = None;
        while !session.is_closed() {
            let event = match session.next(&self.from).await {
                Ok(Arrival::Event(event)) => event,
                Ok(Arrival::Begins(bytes)) => {
                    // Another one may have been announced by a subscription that has ended since.
                    drop(share.take());
                    share = Some(self.while_held_back(session, self.shared.budget.take(bytes)).await);
                    continue;
                }
                Err(cause) => return Led::Back(cause),
            };
            let share = share.take();
            self.brought_events = true;
            self.status.set_behind(event.millis_behind_latest);
            if first_records && !event.records.is_empty() {
                first_records = false;
                if let Some(Verdict::End(end)) = self.find_late_beginning(&event) {
                    return Led::To(end);
                }
            }
            // Taken before the sink may hold the event back for hours.
            let at_tip = (event.millis_behind_latest == 0).then(Instant::now);
            let mut admitted = admit(event.records, self.rules, self.passed);
            // A record keeps the whole buffer of its event, where records are slices of it.
            if !admitted.records.is_empty() {
                admitted.held_bytes = admitted.held_bytes.max(event.bytes);
            }
            self.note_misplaced(admitted.misplaced);
            let last = admitted.last;
            if !admitted.records.is_empty() && self.hand_out(admitted, share, batches, session).await.is_err() {
                return Led::To(ReadEnd::Stopped);
            }
            self.passed = last.or(self.passed);
            self.at_tip = at_tip;
            match event.next {
                Next::Continuation(number) => self.advance(number),
                Next::Unmoved => {}
                Next::ShardEnd(children) => {
                    return Led::To(ReadEnd::ShardEnd { children, handed_out: self.handed_out });
                }
            }
        }
        Led::Back(Cause::HeldBack)
    }

    /// A successor repeats what its predecessor brought while it was opened; the position does not go back for that.
    fn advance(&mut self, number: String) {
        let parsed = |number: &str| number.parse::<SequenceNumber>().ok();
        if let From::Continuation(known) = &self.from
            && parsed(&number) < parsed(known)
        {
            return;
        }
        let (handed_out, continuation) = (self.handed_out, Some(number.clone()));
        self.tip.send_replace(Tip { handed_out, continuation });
        self.from = From::Continuation(number);
    }

    /// Looks whether records that should come first are missing: GetRecords begins with the oldest record when a
    /// checkpoint is trimmed, and says nothing about it.
    fn find_late_beginning(&mut self, event: &Event) -> Option<Verdict> {
        let &From::Checkpoint(Checkpoint::At(checkpoint)) = &self.from else { return None };
        let first = event.records.first()?;
        // The event is as far behind as its last record, and may hold all that there is.
        let age = match first.arrived_millis {
            0 => 0,
            arrived => self.shared.clock.now_millis().saturating_sub(arrived),
        };
        let (first, age) = (first.position.sequence, age.max(event.millis_behind_latest));
        if !begins_late(checkpoint.sequence, first, age, self.shared.stream.retention_millis()) {
            return None;
        }
        self.lose(Some(first), LossReason::Retention)
    }

    /// Said once a shard: after a split it is what must happen, at other times a mistake.
    fn note_misplaced(&self, records: u64) {
        if self.status.count_misplaced(records) {
            tracing::warn!(shard = %self.shard, records,
                "user records of other shards left out of aggregates; the Kinesis Producer Library puts them again after a \
                 split or merge, and another producer must not pack records of several shards together");
        }
    }

    /// Waits for what holds the reading back, which is not the service. A session that is held back for too long is closed: it
    /// is resumed at its continuation, and its stream does not stay unread meanwhile.
    async fn while_held_back<T>(&self, session: &mut Session<'_>, waiting: impl Future<Output = T>) -> T {
        let mut waiting = std::pin::pin!(waiting);
        tokio::select! {
            biased;
            done = &mut waiting => return done,
            () = tokio::time::sleep(NOTICED_AS_BLOCKED) => {}
        }
        self.status.enter(ShardState::BlockedOnSink);
        tokio::select! {
            biased;
            done = &mut waiting => done,
            () = tokio::time::sleep(self.shared.settings.held_back_limit) => {
                session.close();
                waiting.await
            }
        }
    }

    /// Waits for the byte budget, unless the records have their `share`, and for the pipeline.
    async fn hand_out(
        &mut self,
        admitted: Admitted,
        share: Option<Share>,
        batches: &mpsc::Sender<Batch>,
        session: &mut Session<'_>,
    ) -> Result<(), Closed> {
        let Admitted { records, payload_bytes, held_bytes, .. } = admitted;
        let (count, first, after_loss) = (records.len(), self.handed_out, self.after_loss);
        let sending = async {
            let share = match share {
                Some(share) => self.shared.budget.resize(share, held_bytes).await,
                None => self.shared.budget.take(held_bytes).await,
            };
            let place = batches.reserve().await.map_err(|_| Closed)?;
            self.held.may_deliver().await;
            self.status.hand_out(first, &records);
            // Known before the records are: an acknowledgement may follow at once.
            let handed_out = first.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            self.tip.send_modify(|tip| tip.handed_out = handed_out);
            place.send(Batch { first, records, after_loss, _share: share });
            Ok(())
        };
        self.while_held_back(session, sending).await?;
        self.after_loss = false;
        self.status.enter(session.state());
        self.status.count_received(count, payload_bytes);
        self.handed_out += u64::try_from(count).unwrap_or(u64::MAX);
        Ok(())
    }
}
