//! The emulator's only source of randomness: seeded, so that a run can be repeated.

use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// Random values that follow from a seed. Copies draw from one sequence.
#[derive(Debug, Clone)]
pub(crate) struct Random(Arc<Mutex<fastrand::Rng>>);

impl Random {
    /// The sequence of `seed`.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// A sequence that no other run has.
    pub(crate) fn from_entropy() -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::new())))
    }

    /// Any number.
    pub(crate) fn u64(&self) -> u64 {
        self.draw(|rng| rng.u64(..))
    }

    /// A number from 0 up to, and not including, 1.
    pub(crate) fn fraction(&self) -> f64 {
        self.draw(fastrand::Rng::f64)
    }

    /// A UUID of version 4.
    pub(crate) fn uuid(&self) -> Uuid {
        let bytes = self.draw(|rng| rng.u128(..)).to_be_bytes();
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// `count` letters and digits.
    pub(crate) fn alphanumeric(&self, count: usize) -> String {
        self.draw(|rng| std::iter::repeat_with(|| rng.alphanumeric()).take(count).collect())
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence() {
        let draw = |random: &Random| (random.uuid(), random.u64(), random.alphanumeric(8));
        assert_eq!(draw(&Random::seeded(7)), draw(&Random::seeded(7)));
        assert_ne!(draw(&Random::seeded(7)), draw(&Random::seeded(8)));
        let shared = Random::seeded(7);
        assert_ne!(shared.clone().uuid(), shared.uuid(), "copies draw from one sequence");
        assert_eq!(shared.uuid().get_version_num(), 4);
    }
}
