//! The capacity mode of a stream, and what only streams on demand have: warm throughput and a distribution of records.

use super::super::Kinesis;
use super::super::config::{Config, Daily};
use super::super::stream::Stream;
use super::super::sync::{lock, read};
use super::super::validate::{invalid_argument, one_of, required, within};
use super::{StreamOnly, check_shard_limit};
use crate::api::{ACCOUNT, ApiError};
use serde::Deserialize;
use serde_json::{Value, json};

/// Shards of a new stream on demand. Each takes 1 MiB/s.
///
/// Source: <https://docs.aws.amazon.com/streams/latest/dev/how-do-i-size-a-stream.html>.
pub(super) const ON_DEMAND_SHARDS: u32 = 4;

/// Streams on demand that one account may have.
///
/// Source: <https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html>.
pub(super) const MOST_ON_DEMAND: u32 = 50;

/// The most that a stream may be warmed to: 10 GiB/s, in MiB/s.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateStreamWarmThroughput.html>.
const MOST_WARM_MIBPS: u32 = 10 * 1_024;

/// The words for the two modes.
pub(super) const MODES: [&str; 2] = ["PROVISIONED", "ON_DEMAND"];

/// The words for the two distributions.
const STRATEGIES: [&str; 2] = ["AUTO", "USER_PARTITION_KEY"];

/// `StreamModeDetails` of a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ModeDetails {
    pub(super) stream_mode: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct UpdateStreamMode {
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    stream_mode_details: Option<ModeDetails>,
    warm_throughput_mi_bps: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct UpdateWarmThroughput {
    #[serde(flatten)]
    stream: StreamOnly,
    warm_throughput_mi_bps: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct UpdateDistribution {
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    record_distribution_strategy: Option<String>,
}

impl Kinesis {
    /// A stream keeps its shards when its mode changes. Asking for the mode that it has changes nothing.
    pub(in crate::kinesis) fn update_stream_mode(&self, request: &UpdateStreamMode) -> Result<(), ApiError> {
        let arn = required("streamARN", request.stream_arn.as_deref())?;
        let details = required("streamModeDetails", request.stream_mode_details.as_ref())?;
        let mode = required("streamModeDetails.streamMode", details.stream_mode.as_deref())?;
        one_of("streamModeDetails.streamMode", mode, &MODES)?;
        let on_demand = mode == "ON_DEMAND";
        let stream = self.stream(None, Some(arn))?;
        let warm = self.check_warm(request.warm_throughput_mi_bps, on_demand)?;
        let (now, open, others) = (self.now(), self.open_shards(), self.on_demand_streams());
        self.change(&stream, |config| {
            if config.on_demand == on_demand {
                return Ok(());
            }
            if on_demand {
                check_on_demand_limit(others)?;
            }
            self.count_daily(config, Daily::ModeSwitch)?;
            match warm {
                Some(mibps) => warm_to(&stream, config, mibps, open, now)?,
                None => config.warm_mibps = None,
            }
            config.on_demand = on_demand;
            config.spreads &= on_demand;
            Ok(())
        })
    }

    pub(in crate::kinesis) fn update_warm_throughput(&self, request: &UpdateWarmThroughput) -> Result<Value, ApiError> {
        let asked = required("warmThroughputMiBps", request.warm_throughput_mi_bps)?;
        let stream = self.stream_only(&request.stream)?;
        let warm = self.check_warm(Some(asked), stream.config(|config| config.on_demand))?;
        let (now, open) = (self.now(), self.open_shards());
        let before = stream.open_shards();
        self.change(&stream, |config| warm.map_or(Ok(()), |mibps| warm_to(&stream, config, mibps, open, now)))?;
        Ok(json!({
            "StreamARN": stream.arn(),
            "StreamName": stream.name,
            "WarmThroughput": { "TargetMiBps": asked, "CurrentMiBps": before },
        }))
    }

    pub(in crate::kinesis) fn update_distribution(&self, request: &UpdateDistribution) -> Result<(), ApiError> {
        let arn = required("streamARN", request.stream_arn.as_deref())?;
        let strategy = required("recordDistributionStrategy", request.record_distribution_strategy.as_deref())?;
        let stream = self.stream(None, Some(arn))?;
        // It holds at once: there is nothing to wait for.
        stream.change(self.now(), 0, |config| {
            config.spreads = check_strategy(strategy, config.on_demand)?;
            Ok(())
        })
    }

    /// The warm throughput that a request asks for, if it may.
    pub(super) fn check_warm(&self, asked: Option<i64>, on_demand: bool) -> Result<Option<u32>, ApiError> {
        let Some(asked) = asked else { return Ok(None) };
        let mibps = within("warmThroughputMiBps", asked, 0..=u32::MAX)?;
        let refuse = |message: &str| Err(ApiError::client("ValidationException", message));
        if !on_demand {
            return refuse("Only a stream on demand can have warm throughput.");
        }
        if !lock(&self.inner.commitment).holds(self.now()) {
            return refuse(
                "Warm throughput needs MinimumThroughputBillingCommitment: call UpdateAccountSettings first.",
            );
        }
        if mibps > MOST_WARM_MIBPS {
            let message = format!("Warm throughput may be at most {MOST_WARM_MIBPS} MiB/s, not {mibps}.");
            return Err(ApiError::client("LimitExceededException", message));
        }
        Ok(Some(mibps))
    }

    /// Streams on demand, those that are being deleted included.
    pub(super) fn on_demand_streams(&self) -> u32 {
        let streams = read(&self.inner.streams);
        let count = streams.values().filter(|stream| stream.config(|config| config.on_demand)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

/// Refuses one more stream on demand than an account may have.
pub(super) fn check_on_demand_limit(present: u32) -> Result<(), ApiError> {
    if present < MOST_ON_DEMAND {
        return Ok(());
    }
    let message = format!("The account {ACCOUNT} has {present} streams on demand. Limit: {MOST_ON_DEMAND}.");
    Err(ApiError::client("LimitExceededException", message))
}

/// Whether a distribution spreads records evenly.
pub(super) fn check_strategy(strategy: &str, on_demand: bool) -> Result<bool, ApiError> {
    one_of("recordDistributionStrategy", strategy, &STRATEGIES)?;
    if strategy == "AUTO" && !on_demand {
        return Err(invalid_argument("RecordDistributionStrategy AUTO needs a stream on demand."));
    }
    Ok(strategy == "AUTO")
}

/// Shards that a stream on demand has when it is warmed to so many MiB/s.
pub(super) fn shards_for(mibps: u32) -> u32 {
    mibps.max(ON_DEMAND_SHARDS)
}

fn warm_to(stream: &Stream, config: &mut Config, mibps: u32, open: u32, now_millis: u64) -> Result<(), ApiError> {
    let target = shards_for(mibps);
    check_shard_limit(open, target.saturating_sub(stream.open_shards()))?;
    stream.reshard(|topology| topology.scale(target, now_millis))?;
    config.warm_mibps = Some(mibps);
    Ok(())
}
