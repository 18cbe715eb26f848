//! What to do after a subscription ended. Pure, but for the jitter that its argument brings.

use crate::status::ShardState;
use alluvial_record::quota::RESUBSCRIBE_SECONDS;
use alluvial_runtime::backoff::Backoff;
use std::time::Duration;

/// Why a subscription did not open, or ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cause {
    /// The service ended it after its five minutes; nothing is wrong.
    #[error("expired")]
    Expired,
    /// We held it back for too long and dropped it.
    #[error("held back by the sink")]
    HeldBack,
    /// Another subscription of this consumer to the shard is younger than five seconds, or has replaced ours.
    #[error("resource in use: {0}")]
    InUse(String),
    /// The shard, the consumer or the stream is gone.
    #[error("not found: {0}")]
    NotFound(String),
    /// The position lies outside of what the shard keeps.
    #[error("position refused: {0}")]
    BadPosition(String),
    /// We may not subscribe.
    #[error("denied: {0}")]
    Denied(String),
    /// No frame came for this long.
    #[error("no event for {0:?}")]
    Silent(Duration),
    /// Anything else: a reset, a service fault, a frame that cannot be read.
    #[error("{0}")]
    Failed(String),
}

impl Cause {
    /// Sorts by the error's code; the HTTP status is no guide (ResourceInUse was seen with 500).
    pub(crate) fn of_code(code: Option<&str>, text: String) -> Self {
        match code {
            Some("ResourceInUseException") => Self::InUse(text),
            Some("ResourceNotFoundException") => Self::NotFound(text),
            Some("InvalidArgumentException" | "ValidationException") => Self::BadPosition(text),
            Some("AccessDeniedException" | "UnrecognizedClientException" | "InvalidSignatureException") => {
                Self::Denied(text)
            }
            _ => Self::Failed(text),
        }
    }

    /// The state that a shard is in until the next attempt.
    pub(crate) fn state(&self) -> ShardState {
        match self {
            Self::Expired | Self::HeldBack => ShardState::Subscribing,
            Self::InUse(_) => ShardState::ResourceInUse,
            _ => ShardState::BackingOff,
        }
    }
}

/// How long to wait before the next subscription.
///
/// `since_success` is the time since the last call that the service accepted: before five seconds have passed it refuses
/// the next one, so asking earlier is of no use. Waits grow only while attempts die without bringing any event;
/// a takeover or an expiry is no failure.
pub(crate) fn delay_before_next(
    cause: &Cause,
    brought_events: bool,
    since_success: Option<Duration>,
    backoff: &mut Backoff,
) -> Duration {
    if brought_events {
        backoff.reset();
    }
    let five_second_rule =
        since_success.map_or(Duration::ZERO, |since| Duration::from_secs(RESUBSCRIBE_SECONDS).saturating_sub(since));
    match cause {
        Cause::Expired | Cause::HeldBack => five_second_rule,
        Cause::InUse(_) => {
            let delay = five_second_rule + backoff.next_delay();
            // Contention is not an outage: the wait stays at its floor.
            backoff.reset();
            delay
        }
        _ if brought_events => five_second_rule,
        _ => five_second_rule.max(backoff.next_delay()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff() -> Backoff {
        Backoff::new(Duration::from_secs(1), Duration::from_secs(30), fastrand::Rng::with_seed(1))
    }

    const FAILED: fn() -> Cause = || Cause::Failed("reset".into());

    #[test]
    fn an_expiry_after_five_minutes_is_followed_at_once() {
        let delay = delay_before_next(&Cause::Expired, true, Some(Duration::from_secs(300)), &mut backoff());
        assert_eq!(delay, Duration::ZERO);
    }

    #[test]
    fn no_call_is_made_within_five_seconds_of_an_accepted_one() {
        for cause in [Cause::Expired, FAILED(), Cause::InUse(String::new())] {
            for brought_events in [false, true] {
                let since = Duration::from_secs(2);
                let delay = delay_before_next(&cause, brought_events, Some(since), &mut backoff());
                assert!(since + delay >= Duration::from_secs(5), "{cause} {brought_events}");
            }
        }
    }

    #[test]
    fn waits_grow_only_while_attempts_bring_nothing() {
        let mut backoff = backoff();
        let barren: Vec<_> = (0..8).map(|_| delay_before_next(&FAILED(), false, None, &mut backoff)).collect();
        assert!(barren.iter().max() > Some(&Duration::from_secs(4)), "{barren:?}");
        assert!(barren.iter().max() <= Some(&Duration::from_secs(30)));
        let after_events = delay_before_next(&FAILED(), true, Some(Duration::from_secs(60)), &mut backoff);
        assert_eq!(after_events, Duration::ZERO);
    }

    #[test]
    fn contention_never_escalates() {
        let mut backoff = backoff();
        for _ in 0..50 {
            let delay =
                delay_before_next(&Cause::InUse(String::new()), false, Some(Duration::from_secs(9)), &mut backoff);
            assert_eq!(delay, Duration::from_secs(1));
        }
    }

    #[test]
    fn codes_decide_whatever_the_status() {
        assert_eq!(Cause::of_code(Some("ResourceInUseException"), "x".into()), Cause::InUse("x".into()));
        assert_eq!(Cause::of_code(Some("InternalFailureException"), "x".into()), Cause::Failed("x".into()));
    }
}
