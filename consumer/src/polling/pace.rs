//! When to call GetRecords again. Pure.

use std::time::Duration;

/// Wait at the tip of a shard. Three other applications may poll as often.
const AT_TIP: Duration = Duration::from_secs(1);
/// Wait behind the tip: five calls a second.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html>, also of the next one.
const BEHIND: Duration = Duration::from_millis(200);
/// What a shard gives by polling in a second: 2 MiB. After a call that brought more, the ones before the time is made up for are
/// refused.
const BYTES_PER_SECOND: f64 = 2.0 * 1_024.0 * 1_024.0;

/// The time from the start of a call that brought `bytes` to the start of the next one.
pub(super) fn next_call_in(behind_millis: u64, bytes: usize) -> Duration {
    let least = if behind_millis == 0 { AT_TIP } else { BEHIND };
    // An answer has 10 MiB at most, which 32 bits hold.
    let made_up_for = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / BYTES_PER_SECOND;
    least.max(Duration::from_secs_f64(made_up_for))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_come_slowly_at_the_tip_and_five_a_second_behind_it() {
        assert_eq!(next_call_in(0, 100), Duration::from_secs(1));
        assert_eq!(next_call_in(1, 100), Duration::from_millis(200));
    }

    #[test]
    fn ten_megabytes_are_followed_by_the_five_seconds_that_the_shard_refuses_calls() {
        assert_eq!(next_call_in(60_000, 10 * 1024 * 1024), Duration::from_secs(5));
        assert_eq!(next_call_in(60_000, 1024 * 1024), Duration::from_millis(500));
    }
}
