//! A token bucket as a value: how much may still pass, and when more may.
//!
//! Time is an argument, in milliseconds since 1970. All arithmetic is in thousandths, so that no part of a token is lost between two looks.

use std::time::Duration;

/// Lets `rate` pass a second, and one second's worth at once.
///
/// An amount above that passes when the bucket is full, and is paid back before anything else passes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    rate: i64,
    /// Thousandths at `seen_millis`; negative while something is paid back.
    level: i64,
    seen_millis: u64,
}

/// A bucket that is charged for what turns out to be there: any amount passes, even a multiple of the rate, but one that empties
/// the bucket closes it until it is full again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Overdraft {
    bucket: Bucket,
    repaying: bool,
}

impl Bucket {
    /// A full bucket of `per_second`, at least 1.
    pub(crate) fn full(per_second: u32, now_millis: u64) -> Self {
        let rate = i64::from(per_second.max(1));
        Self { rate, level: rate * 1_000, seen_millis: now_millis }
    }

    /// Takes `amount`, or says how long it is until that would pass if nothing else did.
    ///
    /// # Errors
    /// The wait, at least a millisecond; nothing was taken.
    pub(crate) fn take(&mut self, now_millis: u64, amount: u64) -> Result<(), Duration> {
        let missing = thousandths(amount).min(self.capacity()) - self.level_at(now_millis);
        if missing <= 0 {
            self.spend(now_millis, amount);
            return Ok(());
        }
        // Rounded up: a wait that is too short is followed by another one.
        Err(Duration::from_millis(missing.unsigned_abs().div_ceil(self.rate.unsigned_abs())))
    }

    /// Whether `amount` would pass.
    pub(crate) fn has(&self, now_millis: u64, amount: u64) -> bool {
        self.level_at(now_millis) >= thousandths(amount).min(self.capacity())
    }

    fn spend(&mut self, now_millis: u64, amount: u64) {
        self.level = self.level_at(now_millis).saturating_sub(thousandths(amount));
        self.seen_millis = self.seen_millis.max(now_millis);
    }

    fn capacity(&self) -> i64 {
        self.rate * 1_000
    }

    /// Thousandths of a token in a millisecond are as many as tokens in a second.
    fn level_at(&self, now_millis: u64) -> i64 {
        let elapsed = i64::try_from(now_millis.saturating_sub(self.seen_millis)).unwrap_or(i64::MAX);
        self.level.saturating_add(elapsed.saturating_mul(self.rate)).min(self.capacity())
    }
}

impl Overdraft {
    /// A full bucket of `per_second`, at least 1.
    pub(crate) fn full(per_second: u32, now_millis: u64) -> Self {
        Self { bucket: Bucket::full(per_second, now_millis), repaying: false }
    }

    /// Whether anything passes now.
    pub(crate) fn is_open(&self, now_millis: u64) -> bool {
        !self.repaying || self.bucket.level_at(now_millis) >= self.bucket.capacity()
    }

    /// Charges `amount`, which [`Overdraft::is_open`] let pass.
    pub(crate) fn charge(&mut self, now_millis: u64, amount: u64) {
        self.bucket.spend(now_millis, amount);
        self.repaying = self.bucket.level <= 0;
    }
}

fn thousandths(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX).saturating_mul(1_000)
}

#[cfg(test)]
mod tests;
