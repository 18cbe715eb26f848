//! Faults on purpose: a seeded plan says which requests go wrong, when, and how.
//!
//! A [`Plan`] is read from TOML. For every request the [`Faults`] decide which rules fire; what they do to it is in
//! `apply` (errors, delays, lost responses) and `body` (what happens in the middle of a response). Every fault that took
//! effect is logged, and can be read back from the control path.

mod apply;
mod body;
mod delivery;
mod effect;
mod engine;
mod partial;
mod plan;
mod subject;
mod trigger;

#[cfg(test)]
mod tests;

pub(crate) use apply::{Cut, Fired};
pub(crate) use effect::ClockChange;
pub(crate) use engine::Faults;
pub(crate) use plan::Plan;
pub use plan::{PlanError, check_faults};
pub(crate) use subject::{Names, Service, Subject};
