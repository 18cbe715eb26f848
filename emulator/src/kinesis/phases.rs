//! The states of a stream or a consumer over time: `CREATING`, `ACTIVE`, `UPDATING`, `DELETING`, gone.
//!
//! Nothing waits for a state to pass. Each look says what the state is at its time, in milliseconds since 1970.

use serde::{Deserialize, Serialize};

/// A state that something which exists is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Not ready yet.
    Creating,
    /// Ready for everything.
    Active,
    /// Ready for records, not for further changes.
    Updating,
    /// About to go.
    Deleting,
}

/// When the states of one thing begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Phases {
    created: u64,
    updated: u64,
    gone: Option<u64>,
}

impl Status {
    /// AWS's word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Active => "ACTIVE",
            Self::Updating => "UPDATING",
            Self::Deleting => "DELETING",
        }
    }
}

impl Phases {
    /// Something that is created now and ready `delay_millis` later.
    pub(crate) fn creating(now_millis: u64, delay_millis: u64) -> Self {
        Self { created: now_millis.saturating_add(delay_millis), updated: 0, gone: None }
    }

    /// The state, or the last one of what is gone.
    pub(crate) fn status(&self, now_millis: u64) -> Status {
        match self {
            Self { gone: Some(_), .. } => Status::Deleting,
            Self { created, .. } if now_millis < *created => Status::Creating,
            Self { updated, .. } if now_millis < *updated => Status::Updating,
            _ => Status::Active,
        }
    }

    /// Whether it exists no longer.
    pub(crate) fn is_gone(&self, now_millis: u64) -> bool {
        self.gone.is_some_and(|gone| now_millis >= gone)
    }

    /// Begins a change that takes `delay_millis`.
    pub(crate) fn update(&mut self, now_millis: u64, delay_millis: u64) {
        self.updated = now_millis.saturating_add(delay_millis);
    }

    /// Begins a deletion that takes `delay_millis`. The first one counts.
    pub(crate) fn delete(&mut self, now_millis: u64, delay_millis: u64) {
        self.gone.get_or_insert(now_millis.saturating_add(delay_millis));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_lasts_as_long_as_it_was_told() {
        let mut phases = Phases::creating(1_000, 10);
        assert_eq!([1_000, 1_009, 1_010].map(|now| phases.status(now).word()), ["CREATING", "CREATING", "ACTIVE"]);
        phases.update(2_000, 10);
        assert_eq!([2_009, 2_010].map(|now| phases.status(now).word()), ["UPDATING", "ACTIVE"]);
        phases.delete(3_000, 10);
        phases.delete(3_005, 10);
        assert_eq!(phases.status(3_000).word(), "DELETING");
        assert_eq!([3_009, 3_010].map(|now| phases.is_gone(now)), [false, true]);
    }

    #[test]
    fn without_a_delay_all_is_at_once() {
        let mut phases = Phases::creating(1_000, 0);
        phases.update(1_000, 0);
        assert_eq!(phases.status(1_000), Status::Active);
        phases.delete(1_000, 0);
        assert!(phases.is_gone(1_000));
    }
}
