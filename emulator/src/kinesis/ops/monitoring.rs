//! EnableEnhancedMonitoring and DisableEnhancedMonitoring. There are no metrics here; which ones were asked for is kept.

use super::super::Kinesis;
use super::super::stream::Stream;
use super::super::validate::{one_of, required, violation};
use super::StreamOnly;
use crate::api::ApiError;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The metrics of a shard, and the word for all of them.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_EnableEnhancedMonitoring.html>.
const METRICS: [&str; 8] = [
    "IncomingBytes",
    "IncomingRecords",
    "OutgoingBytes",
    "OutgoingRecords",
    "WriteProvisionedThroughputExceeded",
    "ReadProvisionedThroughputExceeded",
    "IteratorAgeMilliseconds",
    ALL,
];

const ALL: &str = "ALL";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct ChangeMonitoring {
    #[serde(flatten)]
    stream: StreamOnly,
    shard_level_metrics: Option<Vec<String>>,
}

/// The metric of that name.
pub(in crate::kinesis) fn metric(name: &str) -> Option<&'static str> {
    METRICS.into_iter().find(|metric| *metric == name && *metric != ALL)
}

impl Kinesis {
    pub(in crate::kinesis) fn enable_monitoring(&self, request: &ChangeMonitoring) -> Result<Value, ApiError> {
        self.change_monitoring(request, |present, asked| present | asked)
    }

    pub(in crate::kinesis) fn disable_monitoring(&self, request: &ChangeMonitoring) -> Result<Value, ApiError> {
        self.change_monitoring(request, |present, asked| present - asked)
    }

    fn change_monitoring(
        &self,
        request: &ChangeMonitoring,
        change: impl FnOnce(&BTreeSet<&'static str>, &BTreeSet<&'static str>) -> BTreeSet<&'static str>,
    ) -> Result<Value, ApiError> {
        let asked = metrics(required("shardLevelMetrics", request.shard_level_metrics.as_deref())?)?;
        let stream = self.stream_only(&request.stream)?;
        let (before, after) = self.change(&stream, |config| {
            let after = change(&config.metrics, &asked);
            Ok((std::mem::replace(&mut config.metrics, after.clone()), after))
        })?;
        Ok(answer(&stream, &before, &after))
    }
}

fn metrics(asked: &[String]) -> Result<BTreeSet<&'static str>, ApiError> {
    if asked.is_empty() || asked.len() >= METRICS.len() {
        let constraint = format!("Member must have length from 1 to {}", METRICS.len() - 1);
        return Err(violation("shardLevelMetrics", format!("{} metrics", asked.len()), &constraint));
    }
    asked.iter().try_for_each(|name| one_of("shardLevelMetrics", name, &METRICS))?;
    let all = asked.iter().any(|name| name == ALL);
    let chosen =
        METRICS.into_iter().filter(|metric| *metric != ALL && (all || asked.iter().any(|name| name == metric)));
    Ok(chosen.collect())
}

fn answer(stream: &Stream, before: &BTreeSet<&str>, after: &BTreeSet<&str>) -> Value {
    json!({
        "StreamName": stream.name,
        "StreamARN": stream.arn(),
        "CurrentShardLevelMetrics": before,
        "DesiredShardLevelMetrics": after,
    })
}
