//! What a stream's owner may set about it, and the state that setting it puts the stream in.

use super::encryption::Encryption;
use super::persist::SavedConfig;
use super::phases::Phases;
use super::rolling::Rolling;
use crate::api::ApiError;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Times that UpdateShardCount may scale a stream in a day.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateShardCount.html>.
const SCALINGS: usize = 10;

/// Switches of the capacity mode in a day.
///
/// Source: <https://docs.aws.amazon.com/streams/latest/dev/updating-a-stream.html>.
const MODE_SWITCHES: usize = 2;

/// Keys that may be applied in a day, and times that encryption may be stopped.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_StartStreamEncryption.html>, API_StopStreamEncryption.
const KEY_CHANGES: usize = 25;

/// The settings of a stream, but for those that every read or write looks at.
#[derive(Debug)]
pub(crate) struct Config {
    /// The stream's state.
    pub(crate) phases: Phases,
    /// Whether it is on demand.
    pub(crate) on_demand: bool,
    /// Whether records are spread evenly over the shards, whatever their keys. Only on demand.
    pub(crate) spreads: bool,
    /// MiB/s that the stream was told to be ready for.
    pub(crate) warm_mibps: Option<u32>,
    /// Its keys.
    pub(crate) encryption: Arc<Encryption>,
    /// Metrics that are kept for each shard, by name.
    pub(crate) metrics: BTreeSet<&'static str>,
    /// Its resource policy.
    pub(crate) policy: Option<String>,
    days: Days,
}

/// What was done in the last day.
#[derive(Debug, Default)]
struct Days {
    scalings: Rolling,
    mode_switches: Rolling,
    key_starts: Rolling,
    key_stops: Rolling,
}

/// Something that may be done so and so often a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Daily {
    /// UpdateShardCount.
    Scaling,
    /// UpdateStreamMode.
    ModeSwitch,
    /// StartStreamEncryption.
    KeyStart,
    /// StopStreamEncryption.
    KeyStop,
}

impl Config {
    /// What a new stream begins with.
    pub(crate) fn new(phases: Phases, on_demand: bool, spreads: bool, warm_mibps: Option<u32>) -> Self {
        let (encryption, metrics) = (Arc::default(), BTreeSet::new());
        Self { phases, on_demand, spreads, warm_mibps, encryption, metrics, policy: None, days: Days::default() }
    }

    /// What is kept of it.
    pub(crate) fn save(&self) -> SavedConfig {
        SavedConfig {
            phases: self.phases,
            on_demand: self.on_demand,
            spreads: self.spreads,
            warm_mibps: self.warm_mibps,
            encryption: (*self.encryption).clone(),
            metrics: self.metrics.iter().map(|metric| (*metric).to_owned()).collect(),
            policy: self.policy.clone(),
        }
    }

    /// What was kept, with these metrics.
    pub(crate) fn restore(saved: SavedConfig, metrics: BTreeSet<&'static str>) -> Self {
        let SavedConfig { phases, on_demand, spreads, warm_mibps, encryption, metrics: _, policy } = saved;
        let (encryption, days) = (Arc::new(encryption), Days::default());
        Self { phases, on_demand, spreads, warm_mibps, encryption, metrics, policy, days }
    }

    /// Counts something that AWS lets a stream do only so often a day.
    ///
    /// # Errors
    /// `LimitExceededException`.
    pub(crate) fn count(&mut self, what: Daily, now_millis: u64) -> Result<(), ApiError> {
        let (counted, most, name) = match what {
            Daily::Scaling => (&mut self.days.scalings, SCALINGS, "UpdateShardCount"),
            Daily::ModeSwitch => (&mut self.days.mode_switches, MODE_SWITCHES, "UpdateStreamMode"),
            Daily::KeyStart => (&mut self.days.key_starts, KEY_CHANGES, "StartStreamEncryption"),
            Daily::KeyStop => (&mut self.days.key_stops, KEY_CHANGES, "StopStreamEncryption"),
        };
        if counted.take(now_millis, most) {
            return Ok(());
        }
        let message =
            format!("{name} may succeed {most} times in a rolling 24-hour period for a stream. Try again later.");
        Err(ApiError::client("LimitExceededException", message))
    }
}
