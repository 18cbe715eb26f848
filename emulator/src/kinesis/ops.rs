//! The operations: each checks its request, then acts on streams, shards and consumers.

mod consumers;
mod get;
mod put;
mod reshard;
mod shards;
mod streams;
mod subscribe;
mod tags;

use crate::api::{ACCOUNT, ApiError};
pub(super) use get::TOKEN as ITERATOR;
use serde::Deserialize;

/// A request that names a stream and nothing else.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StreamOnly {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
}

/// Shards that one account may have open, as in the largest regions.
///
/// Source: <https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html>.
const SHARD_LIMIT: u32 = 20_000;

/// Refuses more open shards than an account may have.
fn check_shard_limit(open: u32, additional: u32) -> Result<(), ApiError> {
    if open.saturating_add(additional) <= SHARD_LIMIT {
        return Ok(());
    }
    let message = format!(
        "This request would exceed the shard limit for the account {ACCOUNT}. Current shard count: {open}. Limit: {SHARD_LIMIT}. Additional shards requested: {additional}."
    );
    Err(ApiError::client("LimitExceededException", message))
}
