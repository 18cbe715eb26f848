//! Whether a lease can be ours still, by our own clock. Pure.
//!
//! A peer takes a lease when it has seen it unchanged for the failover time. So a lease of which a write succeeded less than
//! that ago is ours. When it is older, there are two cases that look the same in the table, and must not be treated the same:
//!
//! - **We slept** (SIGSTOP, a virtual machine that was moved): peers were awake, and may have the lease. Nothing may be
//!   delivered before a write has succeeded.
//! - **The table is out of reach** while we are awake: nobody can take leases of it, and the streams that run go on being
//!   delivered, without checkpoints. A host that alone is cut off is told by Kinesis, which ends a subscription when
//!   another worker opens it.
//!
//! They are told apart by the attempts: who is awake tries to write three times within the failover time. A failed attempt
//! extends the time in which we may deliver, if it comes within the failover time of the attempt before it. A gap in the
//! attempts is a sleep, and after one, only a write that succeeds counts.

use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug, Clone, Copy)]
pub(super) struct Freshness {
    failover: Duration,
    /// When the last write that succeeded was sent.
    confirmed: Instant,
    /// When the last attempt of an unbroken chain of them failed for want of the table.
    awake: Instant,
}

impl Freshness {
    /// A lease that was written at `now`.
    pub(super) fn new(now: Instant, failover: Duration) -> Self {
        Self { failover, confirmed: now, awake: now }
    }

    /// A write that was sent at `sent` succeeded.
    pub(super) fn confirm(&mut self, sent: Instant) {
        self.confirmed = self.confirmed.max(sent);
    }

    /// The worker's sign of life that was sent at `sent` is known at `now` to be written. It says nothing about a lease
    /// when peers had time to take it before: then this is false, and the lease has to be written itself.
    pub(super) fn confirm_by_heartbeat(&mut self, sent: Instant, now: Instant) -> bool {
        let unbroken = self.is_confirmed(now);
        if unbroken {
            self.confirm(sent);
        }
        unbroken
    }

    /// An attempt to write failed at `now`, for want of the table.
    pub(super) fn out_of_reach(&mut self, now: Instant) {
        if self.may_deliver(now) {
            self.awake = now;
        }
    }

    /// No peer can have taken the lease.
    pub(super) fn is_confirmed(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.confirmed) < self.failover
    }

    /// What was read may be delivered.
    pub(super) fn may_deliver(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.confirmed.max(self.awake)) < self.failover
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_of_hours_lets_deliveries_go_on_and_a_sleep_within_it_ends_them() {
        let start = Instant::now();
        let mut fresh = Freshness::new(start, seconds(10));
        for attempt in 1..1_000 {
            fresh.out_of_reach(start + seconds(6 * attempt));
            assert!(fresh.may_deliver(start + seconds(6 * attempt + 5)));
        }
        assert!(!fresh.is_confirmed(start + seconds(6_000)));
        let woken = start + seconds(6 * 999 + 60);
        assert!(!fresh.may_deliver(woken), "a minute without an attempt is a sleep");
        fresh.out_of_reach(woken);
        assert!(!fresh.may_deliver(woken), "an attempt that failed after a sleep proves nothing");
        fresh.confirm(woken + seconds(1));
        assert!(fresh.may_deliver(woken + seconds(2)) && fresh.is_confirmed(woken + seconds(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_speaks_for_a_lease_only_while_the_chain_is_unbroken() {
        let start = Instant::now();
        let mut fresh = Freshness::new(start, seconds(10));
        assert!(fresh.confirm_by_heartbeat(start + seconds(3), start + seconds(4)));
        assert!(fresh.is_confirmed(start + seconds(12)));
        assert!(!fresh.confirm_by_heartbeat(start + seconds(14), start + seconds(14)), "eleven seconds later");
        assert!(!fresh.may_deliver(start + seconds(14)));
    }
}
