//! A bound on what all delivery streams together hold in memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Bytes that may be held, and how many of them are.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    held: AtomicUsize,
    /// Told whenever bytes were given back.
    given: Notify,
}

impl Budget {
    /// A budget of `limit` bytes, none of them held.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, held: AtomicUsize::new(0), given: Notify::new() }
    }

    /// Holds `bytes` more and answers true, or holds nothing and answers false if that would pass the limit.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let add = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    /// Holds `bytes` more as soon as there is room. Answers false at once if there never will be: they are more than the
    /// limit. Dropped while it waits, it holds nothing.
    pub(super) async fn acquire(&self, bytes: usize) -> bool {
        if bytes > self.limit {
            return false;
        }
        loop {
            let mut given = std::pin::pin!(self.given.notified());
            // Listens before it looks, so that what is given back in between is heard of.
            given.as_mut().enable();
            if self.take(bytes) {
                return true;
            }
            given.await;
        }
    }

    /// Gives back `bytes` that were taken.
    pub(super) fn give(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        self.given.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let budget = Budget::new(10);
        assert!(budget.take(6));
        assert!(!budget.take(5), "past the limit");
        assert!(budget.take(4), "a refusal holds nothing");
        budget.give(6);
        assert!(budget.take(6));
        assert!(!budget.take(usize::MAX), "no overflow");
    }

    #[tokio::test]
    async fn who_waits_for_room_gets_it_when_enough_is_given_back() {
        let budget = Budget::new(10);
        assert!(budget.take(8));
        let mut waits = std::pin::pin!(budget.acquire(6));
        assert!(poll!(waits.as_mut()).is_pending());
        budget.give(1);
        assert!(poll!(waits.as_mut()).is_pending(), "seven are still held");
        budget.give(3);
        assert!(waits.await);
        assert!(!budget.take(1), "all ten are held");
        assert!(!budget.acquire(11).await, "more than there ever is");
    }
}
