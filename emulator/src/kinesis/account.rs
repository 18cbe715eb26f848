//! Settings of the whole account: the commitment that turns on-demand streams into those of On-demand Advantage.
//!
//! Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateAccountSettings.html>. The least duration of 24 hours is that of
//! <https://docs.aws.amazon.com/streams/latest/dev/how-do-i-size-a-stream.html>.

use super::wire;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How long a commitment lasts at least.
const LEAST_MILLIS: u64 = 24 * 3_600_000;

/// The commitment to pay for a minimum of throughput. Times are milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Commitment {
    started: Option<u64>,
    /// When it ended, or will end.
    ended: Option<u64>,
}

impl Commitment {
    /// Whether on-demand streams have what the commitment gives them.
    pub(crate) fn holds(&self, now_millis: u64) -> bool {
        self.started.is_some() && self.ended.is_none_or(|ended| now_millis < ended)
    }

    /// Begins, unless it holds already; an end that was planned is called off.
    pub(crate) fn enable(&mut self, now_millis: u64) {
        if !self.holds(now_millis) {
            self.started = Some(now_millis);
        }
        self.ended = None;
    }

    /// Ends, as soon as that is allowed.
    pub(crate) fn disable(&mut self, now_millis: u64) {
        if let Some(started) = self.started.filter(|_| self.holds(now_millis)) {
            self.ended = Some(now_millis.max(started.saturating_add(LEAST_MILLIS)));
        }
    }

    /// `MinimumThroughputBillingCommitmentOutput`.
    pub(crate) fn describe(&self, now_millis: u64) -> Value {
        let status = match (self.holds(now_millis), self.ended) {
            (true, Some(_)) => "ENABLED_UNTIL_EARLIEST_ALLOWED_END",
            (true, None) => "ENABLED",
            (false, _) => "DISABLED",
        };
        let mut described = json!({ "Status": status });
        if let Some(started) = self.started {
            described["StartedAt"] = wire::seconds(started).into();
            if self.holds(now_millis) {
                described["EarliestAllowedEndAt"] = wire::seconds(started.saturating_add(LEAST_MILLIS)).into();
            }
        }
        if let Some(ended) = self.ended.filter(|ended| now_millis >= *ended) {
            described["EndedAt"] = wire::seconds(ended).into();
        }
        described
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commitment_lasts_a_day_at_least() {
        let mut commitment = Commitment::default();
        let status = |commitment: &Commitment, now| commitment.describe(now)["Status"].as_str().unwrap().to_owned();
        commitment.disable(0);
        assert_eq!(commitment.describe(0), json!({ "Status": "DISABLED" }));
        commitment.enable(1_000);
        assert_eq!(
            commitment.describe(1_000),
            json!({ "Status": "ENABLED", "StartedAt": 1.0, "EarliestAllowedEndAt": 86_401.0 })
        );
        commitment.disable(2_000);
        assert_eq!(status(&commitment, 2_000), "ENABLED_UNTIL_EARLIEST_ALLOWED_END");
        commitment.enable(3_000);
        assert_eq!(status(&commitment, 3_000), "ENABLED");
        commitment.disable(4_000);
        let end = LEAST_MILLIS + 1_000;
        assert_eq!([end - 1, end].map(|now| commitment.holds(now)), [true, false]);
        assert_eq!(commitment.describe(end), json!({ "Status": "DISABLED", "StartedAt": 1.0, "EndedAt": 86_401.0 }));
        commitment.enable(end);
        commitment.disable(end + LEAST_MILLIS + 7);
        assert_eq!(status(&commitment, end + LEAST_MILLIS + 7), "DISABLED");
    }
}
