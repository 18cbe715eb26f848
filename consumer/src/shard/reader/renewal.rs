//! When a subscription is replaced by its successor. Pure, but for the jitter that its argument brings.

use std::time::Duration;
use tokio::time::Instant;

/// Time until the next attempt, when a successor could not be opened.
const AGAIN: Duration = Duration::from_secs(10);

/// The renewal of one subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Renewal {
    /// When a successor is due; `None` when the service is to end the subscription.
    due: Option<Instant>,
    latest: Instant,
}

impl Renewal {
    /// The renewal of a subscription that was accepted at `opened`: at an age between the two, by chance.
    pub(super) fn new(opened: Instant, between: (Duration, Duration), random: &mut fastrand::Rng) -> Self {
        let (least, most) = (between.0, between.1.max(between.0));
        let age = least + (most - least).mul_f64(random.f64());
        Self { due: Some(opened + age), latest: opened + most }
    }

    /// No renewal, as for polling.
    pub(super) fn never(now: Instant) -> Self {
        Self { due: None, latest: now }
    }

    /// When a successor is due.
    pub(super) fn due(self) -> Option<Instant> {
        self.due
    }

    /// After an attempt that failed at `now`, or was not made: once more if there is time, else the service ends it.
    pub(super) fn again(self, now: Instant) -> Self {
        Self { due: Some(now + AGAIN).filter(|due| *due <= self.latest), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: (Duration, Duration) = (Duration::from_secs(240), Duration::from_secs(290));

    #[tokio::test(start_paused = true)]
    async fn renewals_are_spread_over_the_whole_window_and_never_leave_it() {
        let (opened, mut random) = (Instant::now(), fastrand::Rng::with_seed(1));
        let ages: Vec<Duration> = (0..1_000)
            .map(|_| Renewal::new(opened, WINDOW, &mut random).due().expect("a renewal is due") - opened)
            .collect();
        assert!(ages.iter().all(|age| (WINDOW.0..=WINDOW.1).contains(age)));
        for tenth in 0..10 {
            let from = WINDOW.0 + Duration::from_secs(5) * tenth;
            let within = ages.iter().filter(|age| **age >= from && **age < from + Duration::from_secs(5)).count();
            assert!((50..200).contains(&within), "{within} of 1,000 in tenth {tenth}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_renewal_is_tried_again_only_while_there_is_time() {
        let opened = Instant::now();
        let renewal = Renewal::new(opened, WINDOW, &mut fastrand::Rng::with_seed(1));
        let early = renewal.again(opened + Duration::from_secs(250));
        assert_eq!(early.due(), Some(opened + Duration::from_secs(260)));
        assert_eq!(early.again(opened + Duration::from_secs(281)).due(), None);
        assert_eq!(Renewal::never(opened).due(), None);
    }
}
