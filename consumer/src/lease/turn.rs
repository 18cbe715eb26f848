//! Who writes first while the lease table is throttled: renewals, which keep shards; then checkpoints, which only keep
//! records from coming again; then listings, which can be late.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// How long one throttled call makes the less urgent wait for the more urgent: as long as the retries of the SDK may go on.
const THROTTLED_FOR: Duration = Duration::from_secs(10);
/// Longest wait of a call for those that are more urgent. Short enough for the last checkpoint of a process that stops.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a call to the table is for. The lesser is the more urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    Renewal,
    Checkpoint,
    Listing,
}

/// The calls to one table. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns(Arc<watch::Sender<State>>);

#[derive(Debug, Default)]
struct State {
    throttled_at: Option<Instant>,
    /// Calls under way, by urgency.
    under_way: [usize; 3],
}

impl State {
    /// Whether a call may go ahead at `now`.
    fn may_go(&self, urgency: Urgency, now: Instant) -> bool {
        let throttled = self.throttled_at.is_some_and(|at| now.duration_since(at) < THROTTLED_FOR);
        !throttled || self.under_way.iter().take(urgency as usize).all(|calls| *calls == 0)
    }
}

/// A call under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Turns,
    urgency: Urgency,
}

impl Turns {
    /// Takes note that a call was throttled.
    pub(crate) fn note_throttled(&self) {
        self.0.send_modify(|state| state.throttled_at = Some(Instant::now()));
    }

    /// Waits for the turn of a call; not at all unless the table was throttled lately.
    pub(crate) async fn take(&self, urgency: Urgency) -> Turn {
        let mut state = self.0.subscribe();
        let waiting = state.wait_for(|state| state.may_go(urgency, Instant::now()));
        // Whoever has waited for long goes all the same: the more urgent may never come to an end.
        timeout(PATIENCE, waiting).await.ok();
        self.count(urgency, |calls| calls.saturating_add(1));
        Turn { turns: self.clone(), urgency }
    }

    fn count(&self, urgency: Urgency, change: impl FnOnce(usize) -> usize) {
        self.0.send_modify(|state| {
            if let Some(calls) = state.under_way.get_mut(urgency as usize) {
                *calls = change(*calls);
            }
        });
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.count(self.urgency, |calls| calls.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_anybody_while_the_table_is_not_throttled() {
        let turns = Turns::default();
        let _renewal = turns.take(Urgency::Renewal).now_or_never().expect("no wait");
        let _checkpoint = turns.take(Urgency::Checkpoint).now_or_never().expect("no wait");
        turns.take(Urgency::Listing).now_or_never().expect("no wait");
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_table_is_throttled_renewals_go_first_then_checkpoints_then_listings() {
        let turns = Turns::default();
        let renewal = turns.take(Urgency::Renewal).await;
        turns.note_throttled();
        let mut listing = std::pin::pin!(turns.take(Urgency::Listing));
        let mut checkpoint = std::pin::pin!(turns.take(Urgency::Checkpoint));
        assert!(listing.as_mut().now_or_never().is_none() && checkpoint.as_mut().now_or_never().is_none());
        let other = turns.take(Urgency::Renewal).now_or_never().expect("renewals wait for nobody");
        drop((renewal, other));
        let checkpoint = checkpoint.now_or_never().expect("the renewals are over");
        assert!(listing.as_mut().now_or_never().is_none(), "a checkpoint is under way");
        drop(checkpoint);
        listing.now_or_never().expect("all others are over");
    }

    #[tokio::test(start_paused = true)]
    async fn no_call_waits_for_longer_than_a_second_and_none_once_the_throttling_is_over() {
        let turns = Turns::default();
        let _renewal = turns.take(Urgency::Renewal).await;
        turns.note_throttled();
        let began = Instant::now();
        turns.take(Urgency::Checkpoint).await;
        assert_eq!(began.elapsed(), PATIENCE);
        tokio::time::advance(THROTTLED_FOR).await;
        turns.take(Urgency::Checkpoint).now_or_never().expect("no wait");
    }
}
