//! What to do after reading ended. Pure, but for the jitter that its argument brings.

use crate::status::ShardState;
use alluvial_record::quota::RESUBSCRIBE_SECONDS;
use alluvial_runtime::backoff::Backoff;
use std::time::Duration;

/// Why a subscription did not open, or ended; or polling.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cause {
    /// The service ended it after its five minutes, or a shard iterator was not used for as long; nothing is wrong.
    #[error("expired")]
    Expired,
    /// We held it back for too long and dropped it.
    #[error("held back by the sink")]
    HeldBack,
    /// Fan-out is there again, and polling ends.
    #[error("fan-out takes over from polling")]
    Switched,
    /// Another subscription of this consumer to the shard is younger than five seconds, or has replaced ours.
    #[error("resource in use: {0}")]
    InUse(String),
    /// Kinesis limits the rate of our calls, or of all that read the shard by polling.
    #[error("throttled: {0}")]
    Throttled(String),
    /// The stream's encryption key is disabled, denied to us, or throttled.
    #[error("encryption key: {0}")]
    Key(String),
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
            Some("ExpiredIteratorException") => Self::Expired,
            Some(
                "LimitExceededException"
                | "ProvisionedThroughputExceededException"
                | "ThrottlingException"
                | "RequestLimitExceeded",
            ) => Self::Throttled(text),
            Some("InvalidArgumentException" | "ValidationException") => Self::BadPosition(text),
            Some("AccessDeniedException" | "UnrecognizedClientException" | "InvalidSignatureException") => {
                Self::Denied(text)
            }
            Some(code) if code.starts_with("KMS") => Self::Key(text),
            _ => Self::Failed(text),
        }
    }

    /// The state that a shard is in until the next attempt.
    pub(crate) fn state(&self) -> ShardState {
        match self {
            Self::Expired | Self::HeldBack | Self::Switched => ShardState::Subscribing,
            Self::InUse(_) => ShardState::ResourceInUse,
            Self::Throttled(_) => ShardState::Throttled,
            Self::Key(_) => ShardState::KeyUnavailable,
            _ => ShardState::BackingOff,
        }
    }

    /// The name in counters.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::HeldBack => "held_back",
            Self::Switched => "switched",
            Self::InUse(_) => "resource_in_use",
            Self::Throttled(_) => "throttled",
            Self::Key(_) => "encryption_key",
            Self::NotFound(_) => "not_found",
            Self::BadPosition(_) => "position_refused",
            Self::Denied(_) => "denied",
            Self::Silent(_) => "silent",
            Self::Failed(_) => "failed",
        }
    }

    /// True when this belongs to the normal life of a subscription.
    pub(crate) fn is_expected(&self) -> bool {
        matches!(self, Self::Expired | Self::HeldBack | Self::Switched)
    }
}

/// Waits between attempts, one kind for each kind of cause.
#[derive(Debug)]
pub(crate) struct Waits {
    failed: Backoff,
    contended: Backoff,
    throttled: Backoff,
    key: Backoff,
    random: fastrand::Rng,
}

/// Attempts that bring nothing.
const FAILED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Contention is not an outage: the wait stays at its floor.
const CONTENDED: Duration = Duration::from_secs(1);
/// SubscribeToShard may be called once a second for each shard, GetRecords five times by all applications together.
const THROTTLED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
/// A key stays away until a person brings it back, and then everything should go on soon.
const KEY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Shards that lost a connection together do not return in the same instant.
const SPREAD: Duration = Duration::from_millis(500);

impl Waits {
    /// Waits of a shard; `random` is the source of jitter.
    pub(crate) fn new(mut random: fastrand::Rng) -> Self {
        let mut backoff = |(floor, cap): (Duration, Duration)| Backoff::new(floor, cap, random.fork());
        let (failed, contended) = (backoff(FAILED), backoff((CONTENDED, CONTENDED)));
        let (throttled, key) = (backoff(THROTTLED), backoff(KEY));
        Self { failed, contended, throttled, key, random }
    }

    /// How long to wait before the next attempt.
    ///
    /// `since_success` is the time since the last SubscribeToShard that was accepted: before five seconds have passed
    /// the next one is refused, so asking earlier is of no use. Waits grow only while attempts die without bringing any
    /// event; a takeover or an expiry is no failure.
    pub(crate) fn before_next(
        &mut self,
        cause: &Cause,
        brought_events: bool,
        since_success: Option<Duration>,
    ) -> Duration {
        if brought_events {
            [&mut self.failed, &mut self.throttled, &mut self.key].into_iter().for_each(Backoff::reset);
        }
        let five_seconds = Duration::from_secs(RESUBSCRIBE_SECONDS);
        let five_second_rule = since_success.map_or(Duration::ZERO, |since| five_seconds.saturating_sub(since));
        match cause {
            Cause::Expired | Cause::HeldBack | Cause::Switched => five_second_rule,
            Cause::InUse(_) => five_second_rule + self.contended.next_delay(),
            Cause::Throttled(_) => five_second_rule.max(self.throttled.next_delay()),
            Cause::Key(_) => five_second_rule.max(self.key.next_delay()),
            _ if brought_events => five_second_rule.max(SPREAD.mul_f64(self.random.f64())),
            _ => five_second_rule.max(self.failed.next_delay()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits() -> Waits {
        Waits::new(fastrand::Rng::with_seed(1))
    }

    const SECOND: Duration = Duration::from_secs(1);
    const FAILURE: fn() -> Cause = || Cause::Failed("reset".into());

    fn barren(waits: &mut Waits, cause: &Cause) -> Vec<Duration> {
        (0..12).map(|_| waits.before_next(cause, false, None)).collect()
    }

    #[test]
    fn an_expiry_after_five_minutes_is_followed_at_once() {
        let delay = waits().before_next(&Cause::Expired, true, Some(300 * SECOND));
        assert_eq!(delay, Duration::ZERO);
    }

    #[test]
    fn no_call_is_made_within_five_seconds_of_an_accepted_one() {
        let text = String::new;
        let causes = [
            Cause::Expired,
            FAILURE(),
            Cause::InUse(text()),
            Cause::Throttled(text()),
            Cause::Key(text()),
            Cause::Silent(SECOND),
        ];
        for cause in causes {
            for brought_events in [false, true] {
                let delay = waits().before_next(&cause, brought_events, Some(2 * SECOND));
                assert!(delay >= 3 * SECOND, "{cause} {brought_events}");
            }
        }
    }

    #[test]
    fn waits_grow_only_while_attempts_bring_nothing() {
        let mut waits = waits();
        let longest = barren(&mut waits, &FAILURE()).into_iter().max();
        assert!(longest > Some(4 * SECOND) && longest <= Some(30 * SECOND), "{longest:?}");
        let after_events = waits.before_next(&FAILURE(), true, Some(60 * SECOND));
        assert!(after_events <= SPREAD);
        assert_eq!(waits.before_next(&FAILURE(), false, None), SECOND, "and from the floor again");
    }

    #[test]
    fn shards_that_lost_a_connection_together_do_not_return_together() {
        let returns = |seed| Waits::new(fastrand::Rng::with_seed(seed)).before_next(&FAILURE(), true, None);
        assert_ne!(returns(1), returns(2));
    }

    #[test]
    fn contention_never_escalates_and_a_limit_never_past_five_seconds() {
        let mut waits = waits();
        for _ in 0..50 {
            assert_eq!(waits.before_next(&Cause::InUse(String::new()), false, Some(9 * SECOND)), SECOND);
            assert!(waits.before_next(&Cause::Throttled(String::new()), false, None) <= 5 * SECOND);
        }
    }

    #[test]
    fn a_key_that_is_away_is_asked_for_every_minute_at_least() {
        let longest = barren(&mut waits(), &Cause::Key(String::new())).into_iter().max();
        assert!(longest > Some(10 * SECOND) && longest <= Some(60 * SECOND), "{longest:?}");
    }

    #[test]
    fn codes_decide_whatever_the_status() {
        let of = |code| Cause::of_code(Some(code), "x".into());
        assert_eq!(of("ResourceInUseException"), Cause::InUse("x".into()));
        assert_eq!(of("InternalFailureException"), Cause::Failed("x".into()));
        assert_eq!(of("KMSOptInRequired"), Cause::Key("x".into()));
        assert_eq!(of("LimitExceededException"), Cause::Throttled("x".into()));
        assert_eq!(of("ExpiredIteratorException"), Cause::Expired);
    }
}
