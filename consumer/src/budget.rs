//! The byte budget: what may wait in queues, over all shards together.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that may wait at one time. Clones share the budget; waiters are served in the order in which they came.
#[derive(Debug, Clone)]
pub struct Budget {
    semaphore: Arc<Semaphore>,
    limit_bytes: u32,
}

/// A share of the budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    permit: Option<OwnedSemaphorePermit>,
}

#[cfg(any(test, feature = "conformance"))]
impl Share {
    /// A share of nothing.
    pub(crate) fn none() -> Self {
        Self { permit: None }
    }
}

impl Budget {
    /// A budget of `limit_bytes`, at most 4 GiB.
    pub fn new(limit_bytes: usize) -> Self {
        let limit_bytes = u32::try_from(limit_bytes).unwrap_or(u32::MAX).max(1);
        // A semaphore of tokio counts up to usize::MAX / 8, which 32 bits always fit on 64-bit machines.
        let permits = usize::try_from(limit_bytes).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Self { semaphore: Arc::new(Semaphore::new(permits)), limit_bytes }
    }

    /// Waits for `bytes`. A request above the whole budget takes all of it, so that the largest event still gets
    /// through, alone.
    pub(crate) async fn take(&self, bytes: usize) -> Share {
        let wanted = u32::try_from(self.countable(bytes)).unwrap_or(self.limit_bytes);
        // The semaphore is never closed; an error would mean that nothing is left to bound.
        Share { permit: Arc::clone(&self.semaphore).acquire_many_owned(wanted).await.ok() }
    }

    /// The share of something that has `bytes` after all. Less is given back at once. For more, `share` is given up first and
    /// all of it waited for, since those who hold shares must never wait for one another.
    pub(crate) async fn resize(&self, mut share: Share, bytes: usize) -> Share {
        let wanted = self.countable(bytes);
        match &mut share.permit {
            Some(permit) if permit.num_permits() > wanted => {
                drop(permit.split(permit.num_permits() - wanted));
                share
            }
            Some(permit) if permit.num_permits() == wanted => share,
            _ => {
                drop(share);
                self.take(bytes).await
            }
        }
    }

    /// Bytes as they count: at most the whole budget.
    fn countable(&self, bytes: usize) -> usize {
        bytes.min(self.limit_bytes())
    }

    /// Bytes that may wait at one time.
    pub fn limit_bytes(&self) -> usize {
        usize::try_from(self.limit_bytes).unwrap_or(usize::MAX)
    }

    /// Bytes that wait now.
    pub fn used_bytes(&self) -> usize {
        self.limit_bytes().saturating_sub(self.semaphore.available_permits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn what_waits_never_exceeds_the_budget_and_an_oversize_event_passes_alone() {
        let budget = Budget::new(100);
        let first = budget.take(60).await;
        assert!(budget.take(41).now_or_never().is_none(), "101 bytes do not fit");
        let second = budget.take(40).await;
        assert_eq!(budget.used_bytes(), 100);
        assert!(budget.take(5_000).now_or_never().is_none());
        drop((first, second));
        let oversize = budget.take(5_000).await;
        assert_eq!(budget.used_bytes(), 100);
        drop(oversize);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[tokio::test]
    async fn a_share_that_shrinks_gives_back_and_one_that_grows_waits_without_holding_anything() {
        let budget = Budget::new(100);
        let share = budget.take(5_000).await;
        let share = budget.resize(share, 30).await;
        assert_eq!(budget.used_bytes(), 30);
        let other = budget.take(50).await;
        let mut growing = std::pin::pin!(budget.resize(share, 60));
        assert!(growing.as_mut().now_or_never().is_none(), "110 bytes do not fit");
        assert_eq!(budget.limit_bytes() - budget.semaphore.available_permits(), 100, "what is free is kept for it");
        drop(other);
        let share = growing.await;
        assert_eq!(budget.used_bytes(), 60);
        let share = budget.resize(share, 5_000).await;
        assert_eq!(budget.used_bytes(), 100);
        drop(budget.resize(share, 0).await);
        assert_eq!(budget.used_bytes(), 0);
    }
}
