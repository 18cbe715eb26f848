//! Delays between attempts: exponential, capped, with full jitter.

use std::time::Duration;

/// How long to wait before attempt 1, 2, 3, …
///
/// Full jitter, after "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): a delay is uniform
/// between `floor` and `min(cap, floor × 2^attempt)`, so that a fleet that failed together does not return together.
#[derive(Debug, Clone)]
pub struct Backoff {
    floor: Duration,
    cap: Duration,
    attempt: u32,
    random: fastrand::Rng,
}

impl Backoff {
    /// Delays from `floor` to `cap`; `random` is the source of jitter.
    pub fn new(floor: Duration, cap: Duration, random: fastrand::Rng) -> Self {
        Self { floor, cap: cap.max(floor), attempt: 0, random }
    }

    /// The delay before the next attempt; each call grows the range of the one after it.
    pub fn next_delay(&mut self) -> Duration {
        let ceiling =
            self.floor.saturating_mul(1_u32.checked_shl(self.attempt.min(20)).unwrap_or(u32::MAX)).min(self.cap);
        self.attempt = self.attempt.saturating_add(1);
        self.floor + ceiling.saturating_sub(self.floor).mul_f64(self.random.f64())
    }

    /// Starts again at the floor, after a success.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    /// Delays handed out since the last success.
    pub fn attempts(&self) -> u32 {
        self.attempt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff(seed: u64) -> Backoff {
        Backoff::new(Duration::from_millis(100), Duration::from_secs(5), fastrand::Rng::with_seed(seed))
    }

    #[test]
    fn delays_stay_between_floor_and_cap_however_many_attempts() {
        let mut backoff = backoff(1);
        for _ in 0..200 {
            let delay = backoff.next_delay();
            assert!(delay >= Duration::from_millis(100) && delay <= Duration::from_secs(5), "{delay:?}");
        }
    }

    #[test]
    fn first_delay_is_the_floor_and_a_reset_returns_to_it() {
        let mut backoff = backoff(2);
        assert_eq!(backoff.next_delay(), Duration::from_millis(100));
        backoff.next_delay();
        backoff.reset();
        assert_eq!(backoff.next_delay(), Duration::from_millis(100));
    }

    #[test]
    fn two_seeds_do_not_return_together() {
        let delays = |seed| {
            let mut b = backoff(seed);
            (0..6).map(|_| b.next_delay()).collect::<Vec<_>>()
        };
        assert_ne!(delays(3), delays(4));
    }
}
