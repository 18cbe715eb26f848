//! The operations: each checks its request, then acts on streams, shards and consumers.

mod account;
mod consumers;
mod encryption;
mod get;
mod mode;
mod monitoring;
mod policy;
mod put;
mod reshard;
mod resource;
mod settings;
mod shards;
mod streams;
mod subscribe;
mod tags;

use super::Kinesis;
use super::stream::Stream;
use crate::api::{ACCOUNT, ApiError};
pub(super) use get::TOKEN as ITERATOR;
pub(super) use monitoring::metric;
use serde::Deserialize;
use std::sync::Arc;

/// A request that names a stream and nothing else.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StreamOnly {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
}

impl Kinesis {
    fn stream_only(&self, request: &StreamOnly) -> Result<Arc<Stream>, ApiError> {
        self.stream(request.stream_name.as_deref(), request.stream_arn.as_deref())
    }
}

/// Ends a request that only asks whether it would succeed, once all its checks have passed.
///
/// Source: <https://docs.aws.amazon.com/streams/latest/dev/kds-dryrun-validation.html>.
fn check_dry_run(dry_run: Option<bool>) -> Result<(), ApiError> {
    if dry_run != Some(true) {
        return Ok(());
    }
    let message = "The request would have succeeded, but the DryRun parameter was set.";
    Err(ApiError::client("DryRunOperationException", message))
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
