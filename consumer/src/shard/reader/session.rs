//! What a shard is read by: a subscription, at times its successor on the way, or polling.

use super::renewal::Renewal;
use crate::lease::HeldLease;
use crate::registration::Via;
use crate::shard::Shared;
use crate::status::{ShardState, ShardStatus};
use crate::subscription::{Arrival, Cause, From, Subscription};
use alluvial_record::ShardId;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// Silence after which a subscription is late with its heartbeat, which comes about every five seconds.
const LATE_HEARTBEAT: Duration = Duration::from_secs(8);
/// A wait that is shorter than this is not worth a state of its own.
const NOTICED: Duration = Duration::from_millis(100);
/// Over how much time the shards move from polling to fan-out.
const SWITCH_SPREAD: Duration = Duration::from_secs(3);

/// Reading of one shard, from an opening to an end.
pub(super) struct Session<'a> {
    shared: &'a Shared,
    held: &'a HeldLease,
    status: &'a ShardStatus,
    via: Via,
    changes: watch::Receiver<Via>,
    /// `None` once it was dropped, or has ended while its successor was on the way.
    current: Option<Subscription>,
    successor: Option<BoxFuture<'a, Result<Subscription, Cause>>>,
    renewal: Renewal,
    /// When polling ends, because there is fan-out again.
    switch: Option<Instant>,
    /// When the service accepted the last subscription.
    accepted: Instant,
    random: fastrand::Rng,
}

/// Opens what the registration says at this moment.
async fn open(shared: &Shared, via: &Via, shard: &ShardId, from: &From) -> Result<Subscription, Cause> {
    let source = match via {
        Via::FanOut(_) => &shared.subscriptions,
        Via::Polling => &shared.polling,
    };
    Subscription::open(source, shard, from, &shared.settings).await
}

impl<'a> Session<'a> {
    /// Opens a session as `via` says.
    pub(super) async fn open(
        shared: &'a Shared,
        held: &'a HeldLease,
        status: &'a ShardStatus,
        via: Via,
        from: &From,
        mut random: fastrand::Rng,
    ) -> Result<Self, Cause> {
        let changes = shared.registration.watch();
        let subscription = open(shared, &via, held.shard(), from).await?;
        let accepted = Instant::now();
        let renewal = match via {
            Via::FanOut(_) => Renewal::new(accepted, shared.settings.renew_between, &mut random),
            Via::Polling => Renewal::never(accepted),
        };
        let mut session = Self {
            shared,
            held,
            status,
            via,
            changes,
            current: Some(subscription),
            successor: None,
            renewal,
            switch: None,
            accepted,
            random,
        };
        if session.is_polling() {
            session.status.count_poll();
            session.plan_switch();
        } else {
            session.status.count_subscription();
        }
        session.status.enter(session.state());
        Ok(session)
    }

    pub(super) fn is_polling(&self) -> bool {
        self.via == Via::Polling
    }

    /// When the service accepted the last subscription; polling has no rule about that.
    pub(super) fn accepted(&self) -> Option<Instant> {
        (!self.is_polling()).then_some(self.accepted)
    }

    /// The state of a shard that is being read.
    pub(super) fn state(&self) -> ShardState {
        if self.is_polling() { ShardState::Polling } else { ShardState::Streaming }
    }

    /// Closes everything that is open.
    pub(super) fn close(&mut self) {
        (self.current, self.successor) = (None, None);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.current.is_none() && self.successor.is_none()
    }

    /// The next event, or that one begins. `from` is where the last one led; a successor starts there.
    ///
    /// A successor that is on the way does not stop the events of the subscription before it. Kinesis ends that one when it
    /// accepts the successor, which repeats what came in between: the caller drops it by its position.
    pub(super) async fn next(&mut self, from: &From) -> Result<Arrival, Cause> {
        if self.is_polling() {
            // A new owner's subscription ends ours; nothing but the lease keeps two workers from polling the same shard.
            confirm(self.held, self.status).await;
            self.status.enter(ShardState::Polling);
        }
        // Silence counts from when we want data, never while we hold back.
        let wanted = Instant::now();
        let silent = wanted + self.shared.settings.silence_deadline;
        let mut late = Some(wanted + LATE_HEARTBEAT.min(self.shared.settings.silence_deadline / 2));
        loop {
            let (renewing, polling) = (self.successor.is_some(), self.is_polling());
            let Some(current) = &mut self.current else {
                let Some(successor) = self.successor.take() else { return Err(Cause::HeldBack) };
                let opened = successor.await;
                self.install(opened)?;
                continue;
            };
            tokio::select! {
                biased;
                arrival = current.next() => match arrival {
                    Ok(Some(arrival)) => {
                        self.status.enter(self.state());
                        return Ok(arrival);
                    }
                    // Taken over by its successor, or just now ended by itself: the successor goes on either way.
                    Ok(None) | Err(_) if renewing => self.current = None,
                    Ok(None) => return Err(Cause::Expired),
                    Err(cause) => return Err(cause),
                },
                opened = arrival(&mut self.successor), if renewing => {
                    self.successor = None;
                    self.install(opened).ok();
                }
                () = at(self.renewal.due()), if !renewing && self.renewal.due().is_some() => {
                    self.renew(from);
                }
                () = at(self.switch), if self.switch.is_some() => return Err(Cause::Switched),
                () = at(late), if late.is_some() => {
                    late = None;
                    self.status.enter(ShardState::NoEvents);
                }
                () = sleep_until(silent) => return Err(Cause::Silent(self.shared.settings.silence_deadline)),
                changed = self.changes.changed(), if polling && self.switch.is_none() => {
                    // An error would mean that the registration is gone, and we with it.
                    if changed.is_ok() {
                        self.plan_switch();
                    }
                }
            }
        }
    }

    /// Starts to open the successor, while the lease is certainly ours: else it would be taken back from its new owner.
    fn renew(&mut self, from: &From) {
        if self.held.confirmed().now_or_never().is_none() {
            self.renewal = self.renewal.again(Instant::now());
            return;
        }
        let (shared, via, held, from) = (self.shared, self.via.clone(), self.held, from.clone());
        tracing::debug!(shard = %held.shard(), "subscription is renewed");
        self.successor = Some(async move { open(shared, &via, held.shard(), &from).await }.boxed());
    }

    /// Puts the successor in the place of its predecessor, or keeps the latter until the service ends it.
    fn install(&mut self, opened: Result<Subscription, Cause>) -> Result<(), Cause> {
        let now = Instant::now();
        match opened {
            Ok(subscription) => {
                self.current = Some(subscription);
                self.accepted = now;
                self.renewal = Renewal::new(now, self.shared.settings.renew_between, &mut self.random);
                self.status.count_subscription();
                self.status.count_end("renewed");
                Ok(())
            }
            Err(cause) => {
                tracing::warn!(shard = %self.held.shard(), reason = %cause, "subscription not renewed");
                self.status.count_end("not_renewed");
                self.renewal = self.renewal.again(now);
                Err(cause)
            }
        }
    }

    /// Polling ends soon when there is a consumer: not in the same instant on all shards.
    fn plan_switch(&mut self) {
        if matches!(&*self.changes.borrow_and_update(), Via::FanOut(_)) {
            self.switch = Some(Instant::now() + SWITCH_SPREAD.mul_f64(self.random.f64()));
        }
    }
}

/// Waits until the lease is certainly ours; with a name for a wait that takes longer than a moment.
pub(super) async fn confirm(held: &HeldLease, status: &ShardStatus) {
    tokio::select! {
        biased;
        () = held.confirmed() => {}
        () = sleep(NOTICED) => {
            status.enter(ShardState::LeaseUnconfirmed);
            held.confirmed().await;
        }
    }
}

/// Waits for the successor; a branch with `None` is guarded.
async fn arrival<T>(successor: &mut Option<BoxFuture<'_, T>>) -> T {
    match successor {
        Some(successor) => successor.await,
        None => std::future::pending().await,
    }
}

/// Waits for the instant; a branch with `None` is guarded.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
