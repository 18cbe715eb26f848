//! How often the operations that manage streams may be called.
//!
//! Source: <https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html>, and the page of each operation in the API reference.
//! `UpdateMaxRecordSize` is not there: no rate of it is documented.

use super::bucket::Bucket;
use super::sync::lock;
use super::{Kinesis, arn};
use crate::api::{ACCOUNT, ApiError};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// What a rate is counted over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Account,
    Stream,
}

/// How often one operation may be called.
#[derive(Debug)]
struct Rate {
    operation: &'static str,
    per_second: u32,
    scope: Scope,
}

const fn rate(operation: &'static str, per_second: u32, scope: Scope) -> Rate {
    Rate { operation, per_second, scope }
}

static RATES: [Rate; 22] = [
    rate("AddTagsToStream", 5, Scope::Account),
    rate("CreateStream", 5, Scope::Account),
    rate("DecreaseStreamRetentionPeriod", 5, Scope::Stream),
    rate("DeleteStream", 5, Scope::Account),
    rate("DeregisterStreamConsumer", 5, Scope::Stream),
    rate("DescribeAccountSettings", 5, Scope::Account),
    rate("DescribeLimits", 1, Scope::Account),
    rate("DescribeStream", 10, Scope::Account),
    rate("DescribeStreamConsumer", 20, Scope::Stream),
    rate("DescribeStreamSummary", 20, Scope::Account),
    rate("IncreaseStreamRetentionPeriod", 5, Scope::Stream),
    rate("ListShards", 1_000, Scope::Stream),
    rate("ListStreamConsumers", 5, Scope::Stream),
    rate("ListStreams", 5, Scope::Account),
    rate("ListTagsForStream", 5, Scope::Account),
    rate("MergeShards", 5, Scope::Account),
    rate("RegisterStreamConsumer", 5, Scope::Stream),
    rate("RemoveTagsFromStream", 5, Scope::Account),
    rate("SplitShard", 5, Scope::Account),
    rate("UpdateAccountSettings", 5, Scope::Account),
    rate("UpdateShardCount", 5, Scope::Account),
    rate("UpdateStreamWarmThroughput", 5, Scope::Account),
];

/// What is left of the second, by operation, of an account or a stream.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<BTreeMap<&'static str, Bucket>>);

impl Calls {
    fn take(&self, rate: &Rate, now_millis: u64) -> bool {
        let mut calls = lock(&self.0);
        let bucket = calls.entry(rate.operation).or_insert_with(|| Bucket::full(rate.per_second, now_millis));
        bucket.take(now_millis, 1).is_ok()
    }
}

/// How requests name their stream.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Names {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    #[serde(rename = "ConsumerARN")]
    consumer_arn: Option<String>,
}

impl Kinesis {
    /// Counts a call, before it is looked at any closer: a refused request has its price too.
    ///
    /// A request that names no stream of ours, such as one that goes on with a token, counts for the account.
    ///
    /// # Errors
    /// `LimitExceededException` if there were too many this second.
    pub(super) fn count_call(&self, operation: &str, body: &[u8]) -> Result<(), ApiError> {
        let Some(rate) = RATES.iter().find(|rate| rate.operation == operation) else { return Ok(()) };
        let stream = (rate.scope == Scope::Stream).then(|| stream_named(body)).flatten();
        let stream = stream.and_then(|name| self.live(&name));
        let calls = stream.as_ref().map_or(&self.inner.calls, |stream| &stream.calls);
        if calls.take(rate, self.now()) {
            return Ok(());
        }
        let over = stream.map_or_else(|| operation.to_owned(), |stream| format!("stream {}", stream.name));
        Err(ApiError::client("LimitExceededException", format!("Rate exceeded for {over} under account {ACCOUNT}.")))
    }
}

fn stream_named(body: &[u8]) -> Option<String> {
    let names: Names = serde_json::from_slice(body).ok()?;
    let of_arn = |arn: String| arn::stream_name(&arn).or_else(|| arn::consumers_stream_name(&arn)).map(str::to_owned);
    names.stream_name.or_else(|| names.stream_arn.or(names.consumer_arn).and_then(of_arn))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use serde_json::json;

    #[tokio::test(start_paused = true)]
    async fn each_operation_has_its_own_rate_and_gets_it_again_every_second() {
        let kinesis = Kinesis::new(Clock::new(1.0).unwrap(), None, true, std::time::Duration::ZERO);
        for rate in &RATES {
            let count = || kinesis.count_call(rate.operation, b"{}").map_err(|error| error.code);
            for round in 0..2 {
                for _ in 0..rate.per_second {
                    assert_eq!(count(), Ok(()), "{rate:?} {round}");
                }
                assert_eq!(count(), Err("LimitExceededException"), "{rate:?} {round}");
                tokio::time::advance(std::time::Duration::from_secs(1)).await;
            }
        }
    }

    #[test]
    fn a_stream_is_found_by_name_by_its_arn_and_by_a_consumers() {
        let stream = arn::stream("orders");
        let consumer = arn::consumer("orders", "app", 1);
        for request in [
            json!({ "StreamName": "orders" }),
            json!({ "StreamARN": stream, "ConsumerName": "app" }),
            json!({ "ConsumerARN": consumer }),
        ] {
            assert_eq!(stream_named(request.to_string().as_bytes()).as_deref(), Some("orders"), "{request}");
        }
        for request in ["", "{}", "[1]", "{\"StreamARN\":\"orders\"}"] {
            assert_eq!(stream_named(request.as_bytes()), None, "{request}");
        }
    }
}
