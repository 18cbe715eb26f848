//! When a rule fires: a pure decision over counts, emulated time and a random number.

use super::effect::Span;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The conditions of a rule. All that are given must hold; without any, every request that it is about fires.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct When {
    /// The only request that fires, counted from 1 over those that the rule is about and that come in its time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nth: Option<u64>,
    /// Every so many requests, counted likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) every: Option<u64>,
    /// The chance of each request, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) probability: Option<f64>,
    /// Emulated time behind the plan's beginning at which the rule wakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Span>,
    /// Emulated time behind the plan's beginning at which the rule ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Span>,
    /// How often it fires at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<u64>,
}

/// What a rule has seen so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Count {
    /// Requests that it was about, in its time.
    pub(crate) seen: u64,
    /// Those of them that it fired on.
    pub(crate) fired: u64,
}

impl When {
    /// Whether the next request fires, `elapsed` of emulated time behind the plan's beginning. `fraction` draws a number
    /// from 0 up to 1, and is asked only for a rule with a probability.
    pub(crate) fn fires(&self, count: &mut Count, elapsed: Duration, fraction: impl FnOnce() -> f64) -> bool {
        let early = self.from.is_some_and(|Span(from)| elapsed < from);
        if early || self.until.is_some_and(|Span(until)| elapsed >= until) {
            return false;
        }
        count.seen += 1;
        let chosen = self.nth.is_none_or(|nth| count.seen == nth)
            && self.every.is_none_or(|every| every != 0 && count.seen.is_multiple_of(every))
            && self.times.is_none_or(|times| count.fired < times)
            && self.probability.is_none_or(|probability| fraction() < probability);
        count.fired += u64::from(chosen);
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The requests, one a second from second 0, on which the rule fires; counted from 1.
    fn fired(when: When, requests: u64, fraction: f64) -> Vec<u64> {
        let mut count = Count::default();
        (1..=requests).filter(|request| when.fires(&mut count, Duration::from_secs(request - 1), || fraction)).collect()
    }

    #[test]
    fn without_conditions_every_request_fires() {
        assert_eq!(fired(When::default(), 3, 0.99), [1, 2, 3]);
    }

    #[test]
    fn counts_choose_requests() {
        assert_eq!(fired(When { nth: Some(2), ..When::default() }, 4, 0.0), [2]);
        assert_eq!(fired(When { every: Some(2), ..When::default() }, 5, 0.0), [2, 4]);
        assert_eq!(fired(When { every: Some(2), times: Some(1), ..When::default() }, 9, 0.0), [2]);
    }

    #[test]
    fn counting_begins_when_the_rule_wakes() {
        let window = When {
            from: Some(Span(Duration::from_secs(2))),
            until: Some(Span(Duration::from_secs(5))),
            ..When::default()
        };
        assert_eq!(fired(window, 9, 0.0), [3, 4, 5]);
        assert_eq!(fired(When { nth: Some(1), ..window }, 9, 0.0), [3]);
    }

    #[test]
    fn chance_is_strictly_below_its_probability() {
        let when = |probability| When { probability: Some(probability), ..When::default() };
        assert_eq!(fired(when(0.0), 2, 0.0), [0_u64; 0]);
        assert_eq!(fired(when(0.5), 2, 0.5), [0_u64; 0]);
        assert_eq!(fired(when(1.0), 2, 0.999), [1, 2]);
    }
}
