//! ListShards, and the paging tokens that all listings share.

use super::super::filter::ShardFilter;
use super::super::stream::Stream;
use super::super::token::{self, Refused};
use super::super::validate::{self, invalid_argument, length, no_shard, not_found, one_of, page, required};
use super::super::{Kinesis, wire};
use crate::api::ApiError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const TOKEN: &str = "ListShards";
const FILTERS: [&str; 6] =
    ["AFTER_SHARD_ID", "AT_TRIM_HORIZON", "FROM_TRIM_HORIZON", "AT_LATEST", "AT_TIMESTAMP", "FROM_TIMESTAMP"];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct ListShards {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    stream_creation_timestamp: Option<f64>,
    next_token: Option<String>,
    exclusive_start_shard_id: Option<String>,
    max_results: Option<i64>,
    shard_filter: Option<AskedFilter>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AskedFilter {
    r#type: Option<String>,
    shard_id: Option<String>,
    timestamp: Option<f64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct ShardPage {
    shards: Vec<wire::Shard>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// What a paging token stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Listing {
    stream: String,
    stream_created: u64,
    filter: ShardFilter,
    after: Option<u32>,
}

impl Kinesis {
    pub(in crate::kinesis) fn list_shards(&self, request: &ListShards) -> Result<ShardPage, ApiError> {
        let (limit, now) = (page("maxResults", request.max_results, 1_000)?, self.now());
        let (stream, mut listing) = match &request.next_token {
            Some(token) => self.continued(request, token, now)?,
            None => self.begun(request)?,
        };
        stream.check_created(now)?;
        let horizon = stream.horizon(now);
        let mut shards = stream.shards(now);
        shards.retain(|shard| {
            listing.after.is_none_or(|after| shard.number() > after)
                && listing.filter.selects(&shard.lifetime(), horizon)
        });
        let has_more = shards.len() > limit;
        shards.truncate(limit);
        listing.after = shards.last().map(|shard| shard.number());
        let next_token = has_more.then(|| token::seal(TOKEN, &listing, now));
        Ok(ShardPage { shards: shards.iter().map(|shard| shard.describe()).collect(), next_token })
    }

    fn begun(&self, request: &ListShards) -> Result<(Arc<Stream>, Listing), ApiError> {
        let stream = self.stream(request.stream_name.as_deref(), request.stream_arn.as_deref())?;
        check_created(&stream, request.stream_creation_timestamp)?;
        let after = request.exclusive_start_shard_id.as_deref().map(|id| number(id, &stream)).transpose()?;
        let filter =
            request.shard_filter.as_ref().map_or(Ok(ShardFilter::FromTrimHorizon), |asked| asked.check(&stream))?;
        let listing = Listing { stream: stream.name.clone(), stream_created: stream.created_millis, filter, after };
        Ok((stream, listing))
    }

    fn continued(
        &self,
        request: &ListShards,
        token: &str,
        now_millis: u64,
    ) -> Result<(Arc<Stream>, Listing), ApiError> {
        let others = request.stream_name.is_some()
            || request.stream_creation_timestamp.is_some()
            || request.exclusive_start_shard_id.is_some()
            || request.shard_filter.is_some();
        if others {
            return Err(invalid_argument(
                "NextToken cannot be given together with StreamName, StreamCreationTimestamp, ExclusiveStartShardId or ShardFilter.",
            ));
        }
        let listing: Listing = open_token(TOKEN, token, now_millis)?;
        let stream = self.stream(Some(&listing.stream), request.stream_arn.as_deref())?;
        if stream.created_millis == listing.stream_created {
            Ok((stream, listing))
        } else {
            Err(validate::no_stream(&listing.stream))
        }
    }
}

impl AskedFilter {
    fn check(&self, stream: &Stream) -> Result<ShardFilter, ApiError> {
        let kind = required("shardFilter.type", self.r#type.as_deref())?;
        one_of("shardFilter.type", kind, &FILTERS)?;
        if self.shard_id.is_some() && kind != "AFTER_SHARD_ID" {
            return Err(invalid_argument(format!(
                "The shard filter {kind} takes no ShardId, and the request gives one."
            )));
        }
        if self.timestamp.is_some() && !kind.ends_with("_TIMESTAMP") {
            return Err(invalid_argument(format!(
                "The shard filter {kind} takes no Timestamp, and the request gives one."
            )));
        }
        let time = || {
            let given = self
                .timestamp
                .ok_or_else(|| invalid_argument(format!("The shard filter {kind} needs a Timestamp.")))?;
            wire::millis(given)
        };
        match kind {
            "AFTER_SHARD_ID" => {
                let id = self
                    .shard_id
                    .as_deref()
                    .ok_or_else(|| invalid_argument("The shard filter AFTER_SHARD_ID needs a ShardId."))?;
                number(id, stream).map(ShardFilter::AfterShardId)
            }
            "AT_TIMESTAMP" => time().map(ShardFilter::AtTimestamp),
            "FROM_TIMESTAMP" => time().map(ShardFilter::FromTimestamp),
            "AT_TRIM_HORIZON" => Ok(ShardFilter::AtTrimHorizon),
            "AT_LATEST" => Ok(ShardFilter::AtLatest),
            _ => Ok(ShardFilter::FromTrimHorizon),
        }
    }
}

/// The number in a shard id that need not exist.
pub(super) fn number(id: &str, stream: &Stream) -> Result<u32, ApiError> {
    validate::name("shardId", id)?;
    wire::parse_shard_id(id).ok_or_else(|| no_shard(id, &stream.name))
}

/// Refuses a stream that was created at another time than the caller says, to the second.
pub(super) fn check_created(stream: &Stream, given_secs: Option<f64>) -> Result<(), ApiError> {
    let Some(given) = given_secs else { return Ok(()) };
    if wire::millis(given)? / 1_000 == stream.created_millis / 1_000 {
        return Ok(());
    }
    Err(not_found(format!("Stream {} with StreamCreationTimestamp {given} not found.", stream.name)))
}

/// Reads a paging token of one operation.
pub(super) fn open_token<T: DeserializeOwned>(purpose: &str, token: &str, now_millis: u64) -> Result<T, ApiError> {
    length("nextToken", token, 1..=1_048_576)?;
    token::open(purpose, token, now_millis).map_err(|refused| match refused {
        Refused::Foreign => invalid_argument("Invalid NextToken."),
        Refused::Expired(_) => {
            ApiError::client("ExpiredNextTokenException", "NextToken expired: it is usable for 300 seconds.")
        }
    })
}
