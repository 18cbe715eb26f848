//! Requests that go wrong, as rules of the emulator's fault plan.

use super::{Draw, emulated};
use std::time::Duration;

/// Faults of the emulator's plan. `times` is how often one fires at most, `after` the events of a subscription before it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// Each call to DynamoDB fails with a probability (D1).
    Throttled {
        percent: u32,
        span: Duration,
    },
    /// Writes to leases are applied, and their answers never come (D2).
    LeaseAnswerLost {
        times: u32,
    },
    /// A subscription ends without a word, in the middle of a frame (K4).
    CutInFrame {
        after: u32,
        times: u32,
    },
    /// Twice, its connection is reset, or goes away in good order, with all subscriptions on it (K5).
    Reset {
        after: u32,
    },
    GoAway {
        after: u32,
    },
    /// Silence on one subscription (K7), or on all of its connection: half-open (K6).
    Stall {
        after: u32,
        times: u32,
    },
    HalfOpen {
        after: u32,
        times: u32,
    },
    /// An exception in the stream (K4, K18).
    Exception {
        code: &'static str,
        after: u32,
        times: u32,
    },
    /// Firehose takes a part of each batch (F1), or none (F2).
    Partial {
        percent: u32,
        span: Duration,
    },
    Unavailable {
        times: u32,
    },
    /// Firehose takes the batch, and its answer never comes (F3).
    PutAnswerLost {
        times: u32,
    },
}

/// One of each kind.
pub(super) const FAULTS: [Draw<Fault>; 12] = [
    |random| Fault::Throttled { percent: random.u32(30..70), span: emulated(random.u64(1_000..2_500)) },
    |random| Fault::LeaseAnswerLost { times: random.u32(2..8) },
    |random| Fault::CutInFrame { after: random.u32(0..6), times: random.u32(1..4) },
    |random| Fault::Reset { after: random.u32(0..6) },
    |random| Fault::GoAway { after: random.u32(0..6) },
    |random| Fault::Stall { after: random.u32(0..6), times: 2 },
    |random| Fault::HalfOpen { after: random.u32(0..6), times: 2 },
    |random| Fault::Exception { code: "InternalFailureException", after: random.u32(0..6), times: random.u32(1..4) },
    |random| Fault::Exception { code: "KMSThrottlingException", after: random.u32(0..6), times: random.u32(1..4) },
    |random| Fault::Partial { percent: random.u32(20..80), span: emulated(random.u64(500..3_000)) },
    |random| Fault::Unavailable { times: random.u32(2..8) },
    |random| Fault::PutAnswerLost { times: random.u32(1..3) },
];

/// The step of a fault, by the name that it has in the plan.
pub(crate) fn step_of_fault(name: &str) -> Option<usize> {
    name.strip_prefix("step ")?.split_once(':')?.0.parse().ok()
}

impl Fault {
    /// One word for each kind.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Throttled { .. } => "throttled",
            Self::LeaseAnswerLost { .. } => "lease-answer-lost",
            Self::CutInFrame { .. } => "cut-in-frame",
            Self::Reset { .. } => "reset",
            Self::GoAway { .. } => "goaway",
            Self::Stall { .. } => "stall",
            Self::HalfOpen { .. } => "half-open",
            Self::Exception { code, .. } => code,
            Self::Partial { .. } => "partial",
            Self::Unavailable { .. } => "unavailable",
            Self::PutAnswerLost { .. } => "put-answer-lost",
        }
    }

    /// As the plan has it, for the step of this index.
    pub(super) fn in_plan(&self, index: usize, at: Duration) -> String {
        let (on, when, effect) = self.rule();
        let name = format!("step {index}: {}", self.kind());
        let from = format!("from = \"{}ms\"", at.as_millis());
        let until = self.span().map_or(String::new(), |span| format!(", until = \"{}ms\"", (at + span).as_millis()));
        format!(
            "[[fault]]\nname = \"{name}\"\non = {{ {on} }}\nwhen = {{ {from}{until}{when} }}\neffect = {{ {effect} }}\n"
        )
    }

    pub(super) fn is_of_subscriptions(&self) -> bool {
        self.rule().0.contains("SubscribeToShard")
    }

    /// How long it lasts, unless it waits for the requests that it is about.
    fn span(&self) -> Option<Duration> {
        match self {
            Self::Throttled { span, .. } | Self::Partial { span, .. } => Some(*span),
            _ => None,
        }
    }

    /// Its rule: `on`, more of `when`, `effect`. Connections that carry anything but subscriptions are not cut: a put in flight
    /// on one would be another fault.
    fn rule(&self) -> (&'static str, String, String) {
        const LEASES: &str = "service = \"dynamodb\", table = \"enricher\"";
        const LEASE_WRITES: &str = "service = \"dynamodb\", operation = \"UpdateItem\", table = \"enricher\"";
        const SUBSCRIPTIONS: &str = "service = \"kinesis\", operation = \"SubscribeToShard\"";
        const PUTS: &str = "service = \"firehose\", operation = \"PutRecordBatch\"";
        let times = |times: u32| format!(", times = {times}");
        let cut = |how: &str, after: u32| format!("cut = {{ how = \"{how}\", after_events = {after} }}");
        let stall = |scope: &str, after: u32| format!("stall = {{ scope = \"{scope}\", after_events = {after} }}");
        match self {
            Self::Throttled { percent, .. } => {
                let code = "error = { code = \"ProvisionedThroughputExceededException\" }";
                (LEASES, format!(", probability = 0.{percent:02}"), code.into())
            }
            Self::LeaseAnswerLost { times: n } => {
                (LEASE_WRITES, times(*n), "lose_response = { how = \"rst_stream\" }".into())
            }
            Self::CutInFrame { after, times: n } => {
                (SUBSCRIPTIONS, times(*n), format!("cut = {{ in_frame = true, after_events = {after} }}"))
            }
            Self::Reset { after } => (SUBSCRIPTIONS, times(2), cut("tcp_reset", *after)),
            Self::GoAway { after } => (SUBSCRIPTIONS, times(2), cut("goaway", *after)),
            Self::Stall { after, times: n } => (SUBSCRIPTIONS, times(*n), stall("stream", *after)),
            Self::HalfOpen { after, times: n } => (SUBSCRIPTIONS, times(*n), stall("connection", *after)),
            Self::Exception { code, after, times: n } => {
                (SUBSCRIPTIONS, times(*n), format!("exception = {{ code = \"{code}\", after_events = {after} }}"))
            }
            Self::Partial { percent, .. } => {
                let effect =
                    format!("partial = {{ code = \"ServiceUnavailableException\", probability = 0.{percent:02} }}");
                (PUTS, String::new(), effect)
            }
            Self::Unavailable { times: n } => {
                (PUTS, times(*n), "error = { code = \"ServiceUnavailableException\" }".into())
            }
            Self::PutAnswerLost { times: n } => (PUTS, times(*n), "lose_response = { how = \"rst_stream\" }".into()),
        }
    }
}
