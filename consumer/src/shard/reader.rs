//! From subscriptions to batches: one after the other, without gap or repetition, for as long as the shard is ours.

use super::{Shared, Tip};
use crate::deaggregate::{Admitted, Rules, admit};
use crate::error::{Error, ErrorKind};
use crate::feed::Batch;
use crate::lease::HeldLease;
use crate::status::{ShardState, ShardStatus};
use crate::subscription::{Cause, From, Next, Subscription, delay_before_next};
use crate::topology::Shard;
use alluvial_record::{Checkpoint, Position, ShardId};
use alluvial_runtime::backoff::Backoff;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Waits between attempts that bring nothing.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

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
    backoff: Backoff,
    last_success: Option<Instant>,
    brought_events: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        held: &'a HeldLease,
        from: Checkpoint,
        status: &'a ShardStatus,
        tip: watch::Sender<Tip>,
        random: fastrand::Rng,
    ) -> Self {
        let passed = match from {
            Checkpoint::At(position) => Some(position),
            _ => None,
        };
        let backoff = Backoff::new(BACKOFF.0, BACKOFF.1, random);
        let (from, shard) = (From::Checkpoint(from), held.shard());
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
            handed_out: 0,
            backoff,
            last_success: None,
            brought_events: false,
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
            let cause = match self.read_one(batches).await {
                Led::To(end) => return end,
                Led::Back(cause) => cause,
            };
            if let Some(error) = self.fatal(&cause).await {
                return ReadEnd::Failed(error);
            }
            let since = self.last_success.map(|at| at.elapsed());
            let delay = delay_before_next(&cause, self.brought_events, since, &mut self.backoff);
            match &cause {
                Cause::Expired => tracing::debug!(shard = %self.shard, "subscription expired"),
                cause => tracing::warn!(shard = %self.shard, reason = %cause, next_in = ?delay, "subscription ended"),
            }
            self.status.enter(cause.state());
            tokio::time::sleep(delay).await;
            // A stream that broke off may have been taken over together with the lease. While the table is out of reach
            // nobody can tell, and subscribing would take it back from its new owner.
            if !matches!(cause, Cause::Expired | Cause::HeldBack) {
                self.held.confirmed().await;
            }
        }
    }

    /// One subscription, from its opening to its end.
    async fn read_one(&mut self, batches: &mpsc::Sender<Batch>) -> Led {
        let shared = self.shared;
        let opened = Subscription::open(&shared.subscriptions, self.shard, &self.from, &shared.settings);
        let mut subscription = match opened.await {
            Ok(subscription) => Some(subscription),
            Err(cause) => return Led::Back(cause),
        };
        self.last_success = Some(Instant::now());
        self.status.count_subscription();
        self.status.enter(ShardState::Streaming);
        while let Some(open) = &mut subscription {
            let event = match open.next().await {
                Ok(Some(event)) => event,
                Ok(None) => return Led::Back(Cause::Expired),
                Err(cause) => return Led::Back(cause),
            };
            self.brought_events = true;
            self.status.set_behind(event.millis_behind_latest);
            let mut admitted = admit(event.records, self.rules, self.passed);
            // A record keeps the whole buffer of its event, where records are slices of it.
            if !admitted.records.is_empty() {
                admitted.held_bytes = admitted.held_bytes.max(event.bytes);
            }
            self.note_misplaced(admitted.misplaced);
            let last = admitted.last;
            if !admitted.records.is_empty() && self.hand_out(admitted, batches, &mut subscription).await.is_err() {
                return Led::To(ReadEnd::Stopped);
            }
            self.passed = last.or(self.passed);
            match event.next {
                Next::Continuation(number) => {
                    let (handed_out, continuation) = (self.handed_out, Some(number.clone()));
                    self.tip.send_replace(Tip { handed_out, continuation });
                    self.from = From::Continuation(number);
                }
                Next::ShardEnd(children) => {
                    return Led::To(ReadEnd::ShardEnd { children, handed_out: self.handed_out });
                }
            }
        }
        Led::Back(Cause::HeldBack)
    }

    /// Said once a shard: after a split it is what must happen, at other times a mistake.
    fn note_misplaced(&self, records: u64) {
        if self.status.count_misplaced(records) {
            tracing::warn!(shard = %self.shard, records,
                "user records of other shards left out of aggregates; the Kinesis Producer Library puts them again after a \
                 split or merge, and another producer must not pack records of several shards together");
        }
    }

    /// Waits for the byte budget and for the pipeline. A subscription that is held back for too long is given up
    /// (`open` becomes `None`): it is resumed at its continuation, and its stream does not stay unread meanwhile.
    async fn hand_out(
        &mut self,
        admitted: Admitted,
        batches: &mpsc::Sender<Batch>,
        open: &mut Option<Subscription>,
    ) -> Result<(), Closed> {
        let Admitted { records, payload_bytes, held_bytes, .. } = admitted;
        let (count, first) = (records.len(), self.handed_out);
        let mut sending = std::pin::pin!(async {
            let share = self.shared.budget.take(held_bytes).await;
            let place = batches.reserve().await.map_err(|_| Closed)?;
            self.held.may_deliver().await;
            self.status.hand_out(first, &records);
            place.send(Batch { first, records, _share: share });
            Ok(())
        });
        let sent = tokio::select! {
            sent = &mut sending => sent,
            () = tokio::time::sleep(NOTICED_AS_BLOCKED) => {
                self.status.enter(ShardState::BlockedOnSink);
                tokio::select! {
                    sent = &mut sending => sent,
                    () = tokio::time::sleep(self.shared.settings.held_back_limit) => {
                        *open = None;
                        sending.await
                    }
                }
            }
        };
        sent?;
        self.status.enter(ShardState::Streaming);
        self.status.count_received(count, payload_bytes);
        self.handed_out += u64::try_from(count).unwrap_or(u64::MAX);
        Ok(())
    }

    /// The error that no further attempt can mend, if `cause` is one. What "not found" means is asked, not guessed.
    async fn fatal(&self, cause: &Cause) -> Option<Error> {
        let shard = self.shard;
        let fatal = |text: String| Some(Error::new(ErrorKind::Fatal, text));
        match cause {
            Cause::Denied(text) => {
                fatal(format!("{shard}: not allowed to subscribe (kinesis:SubscribeToShard): {text}"))
            }
            // A moment that is ahead of the clock of Kinesis will come.
            Cause::BadPosition(_) if matches!(self.from, From::Checkpoint(Checkpoint::AtTimestamp(_))) => None,
            Cause::BadPosition(text) => fatal(format!(
                "{shard}: Kinesis refuses the position {:?}; records after the checkpoint may have passed out of retention: {text}",
                self.from
            )),
            Cause::NotFound(_) => {
                let name = &self.shared.settings.consumer_name;
                match self.shared.stream.consumer_status(name).await {
                    Ok(Some((_, arn))) if arn == self.shared.consumer_arn => {}
                    Ok(Some(_)) => {
                        return fatal(format!("consumer {name:?} was registered anew; start again to use it"));
                    }
                    Ok(None) => {
                        return fatal(format!("consumer {name:?} was deregistered; start again to register it"));
                    }
                    Err(error) if error.kind() == ErrorKind::Fatal => return Some(error),
                    Err(_) => return None,
                }
                match self.shared.stream.shards().await {
                    Ok(shards) if shards.iter().any(|listed| listed.id == *shard) => None,
                    Ok(_) => {
                        fatal(format!("{shard} is gone: its records passed out of retention before they were read"))
                    }
                    Err(error) if error.kind() == ErrorKind::Fatal => Some(error),
                    Err(_) => None,
                }
            }
            _ => None,
        }
    }
}
