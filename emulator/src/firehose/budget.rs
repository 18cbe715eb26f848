//! A bound on what all delivery streams together hold in memory.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that may be held, and how many of them are.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    held: AtomicUsize,
}

impl Budget {
    /// A budget of `limit` bytes, none of them held.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, held: AtomicUsize::new(0) }
    }

    /// Holds `bytes` more and answers true, or holds nothing and answers false if that would pass the limit.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let add = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    /// Gives back `bytes` that were taken.
    pub(super) fn give(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
