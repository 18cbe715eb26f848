//! SplitShard, MergeShards and UpdateShardCount.

use super::super::config::{Config, Daily};
use super::super::shard::Shard;
use super::super::stream::Stream;
use super::super::validate::{self, invalid_argument, one_of, required, within};
use super::super::{Kinesis, hash, wire};
use super::check_shard_limit;
use super::shards::number;
use crate::api::{ACCOUNT, ApiError};
use serde::{Deserialize, Serialize};

/// Shards to which UpdateShardCount may scale a stream.
const MOST_SHARDS: u32 = 10_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct SplitShard {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    shard_to_split: Option<String>,
    new_starting_hash_key: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct MergeShards {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    shard_to_merge: Option<String>,
    adjacent_shard_to_merge: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct UpdateShardCount {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    target_shard_count: Option<i64>,
    scaling_type: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct ShardCounts {
    stream_name: String,
    #[serde(rename = "StreamARN")]
    stream_arn: String,
    current_shard_count: u32,
    target_shard_count: u32,
}

impl Kinesis {
    pub(in crate::kinesis) fn split_shard(&self, request: &SplitShard) -> Result<(), ApiError> {
        let shard = required("shardToSplit", request.shard_to_split.as_deref())?;
        let at = required("newStartingHashKey", request.new_starting_hash_key.as_deref())?;
        let stream = self.stream(request.stream_name.as_deref(), request.stream_arn.as_deref())?;
        let (shard, now) = (number(shard, &stream)?, self.now());
        validate::hash_key("newStartingHashKey", at)?;
        let at = hash::parse(at).ok_or_else(|| {
            invalid_argument(format!(
                "NewStartingHashKey {at} is no hash key: give a decimal number from 0 to 2^128-1."
            ))
        })?;
        let open = self.open_shards();
        self.change(&stream, |config| {
            check_provisioned(config, &stream)?;
            check_split(&stream, &*stream.shard(&wire::shard_id(shard), now)?, at)?;
            check_shard_limit(open, 1)?;
            stream.reshard(|topology| topology.split(shard, at, now))
        })
    }

    pub(in crate::kinesis) fn merge_shards(&self, request: &MergeShards) -> Result<(), ApiError> {
        let shard = required("shardToMerge", request.shard_to_merge.as_deref())?;
        let adjacent = required("adjacentShardToMerge", request.adjacent_shard_to_merge.as_deref())?;
        let stream = self.stream(request.stream_name.as_deref(), request.stream_arn.as_deref())?;
        let (shard, adjacent, now) = (number(shard, &stream)?, number(adjacent, &stream)?, self.now());
        self.change(&stream, |config| {
            check_provisioned(config, &stream)?;
            stream.reshard(|topology| topology.merge(shard, adjacent, now))
        })
    }

    pub(in crate::kinesis) fn update_shard_count(&self, request: &UpdateShardCount) -> Result<ShardCounts, ApiError> {
        let target =
            within("targetShardCount", required("targetShardCount", request.target_shard_count)?, 1..=u32::MAX)?;
        one_of("scalingType", required("scalingType", request.scaling_type.as_deref())?, &["UNIFORM_SCALING"])?;
        let stream = self.stream(request.stream_name.as_deref(), request.stream_arn.as_deref())?;
        let now = self.now();
        let open = self.open_shards();
        let current = self.change(&stream, |config| {
            check_provisioned(config, &stream)?;
            let current = stream.open_shards();
            check_factor(current, target)?;
            check_most(current, target)?;
            check_shard_limit(open, target.saturating_sub(current))?;
            self.count_daily(config, Daily::Scaling)?;
            stream.reshard(|topology| topology.scale(target, now))?;
            Ok(current)
        })?;
        Ok(ShardCounts {
            stream_name: stream.name.clone(),
            stream_arn: stream.arn(),
            current_shard_count: current,
            target_shard_count: target,
        })
    }
}

/// Shards of streams on demand are Kinesis's own affair.
fn check_provisioned(config: &Config, stream: &Stream) -> Result<(), ApiError> {
    if !config.on_demand {
        return Ok(());
    }
    let message =
        format!("Stream {} is on demand: its shards cannot be split, merged or counted by hand.", stream.name);
    Err(ApiError::client("ValidationException", message))
}

/// Kinesis asks for a little more room than both children need.
fn check_split(stream: &Stream, shard: &Shard, at: u128) -> Result<(), ApiError> {
    let range = shard.range();
    if at > range.start.saturating_add(1) && at < range.end {
        return Ok(());
    }
    Err(invalid_argument(format!(
        "NewStartingHashKey {at} used in SplitShard() on shard {} in stream {} under account {ACCOUNT} is not both greater than one plus the shard's StartingHashKey {} and less than the shard's EndingHashKey {}.",
        shard.id(),
        stream.name,
        range.start,
        range.end
    )))
}

/// No more shards than UpdateShardCount may scale to, whatever the account may have.
fn check_most(current: u32, target: u32) -> Result<(), ApiError> {
    if target <= MOST_SHARDS {
        return Ok(());
    }
    let message = format!(
        "UpdateShardCount cannot scale to more than {MOST_SHARDS} shards. Current open shard count: {current}, target shard count: {target}."
    );
    Err(ApiError::client("LimitExceededException", message))
}

/// At most double, at least half.
fn check_factor(current: u32, target: u32) -> Result<(), ApiError> {
    let counts = format!("Current open shard count: {current}, target shard count: {target}.");
    if target > current.saturating_mul(2) {
        return Err(invalid_argument(format!(
            "UpdateShardCount cannot scale up over double your current open shard count. {counts}"
        )));
    }
    if target < current.div_ceil(2) {
        return Err(invalid_argument(format!(
            "UpdateShardCount cannot scale down below half your current open shard count. {counts}"
        )));
    }
    Ok(())
}
