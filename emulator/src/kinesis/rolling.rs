//! How often something may be done in a rolling day.

use std::collections::VecDeque;

const DAY_MILLIS: u64 = 24 * 3_600_000;

/// The times of the last day at which it was done.
#[derive(Debug, Default)]
pub(crate) struct Rolling(VecDeque<u64>);

impl Rolling {
    /// Counts once more, or refuses what would be more than `most` within 24 hours.
    pub(crate) fn take(&mut self, now_millis: u64, most: usize) -> bool {
        while self.0.front().is_some_and(|time| now_millis.saturating_sub(*time) >= DAY_MILLIS) {
            self.0.pop_front();
        }
        let passes = self.0.len() < most;
        if passes {
            self.0.push_back(now_millis);
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_a_day_ago_counts_no_longer() {
        let mut rolling = Rolling::default();
        assert_eq!([0, 10, 20].map(|now| rolling.take(now, 2)), [true, true, false]);
        assert_eq!([DAY_MILLIS - 1, DAY_MILLIS, DAY_MILLIS + 9].map(|now| rolling.take(now, 2)), [false, true, false]);
        assert!(rolling.take(DAY_MILLIS + 10, 2));
    }
}
