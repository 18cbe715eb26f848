//! SubscribeToShard: the checks before a subscription opens.

use super::super::meter::FanOutMeter;
use super::super::phases::Status;
use super::super::position::{Asked, Position, invalid_sequence};
use super::super::registry::Consumer;
use super::super::shard::Shard;
use super::super::subscription::{Opening, Subscription};
use super::super::sync::lock;
use super::super::validate::{self, in_use, required};
use super::super::{Format, Kinesis, frame};
use super::check_dry_run;
use crate::api::{ApiError, Body};
use http::{HeaderValue, Response, header};
use serde::Deserialize;
use std::sync::Mutex;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct SubscribeToShard {
    #[serde(rename = "ConsumerARN")]
    consumer_arn: Option<String>,
    shard_id: Option<String>,
    starting_position: Option<StartingPosition>,
    dry_run: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StartingPosition {
    r#type: Option<String>,
    sequence_number: Option<String>,
    timestamp: Option<f64>,
}

impl Kinesis {
    /// Opens a subscription. It counts as open once this succeeds, read or not.
    pub(in crate::kinesis) fn subscribe_to_shard(
        &self,
        request: SubscribeToShard,
        format: Format,
    ) -> Result<Response<Body>, ApiError> {
        let arn = required("consumerARN", request.consumer_arn)?;
        let shard = required("shardId", request.shard_id)?;
        validate::name("shardId", &shard)?;
        let start = required("startingPosition", request.starting_position)?;
        let kind = required("startingPosition.type", start.r#type)?;
        let (stream, now) = (self.stream_of_consumer(&arn)?, self.now());
        stream.check_usable(now)?;
        let consumer = lock(&stream.registry).find(Some(&arn), None, now)?.clone();
        let status = consumer.phases.status(now);
        if status != Status::Active {
            return Err(in_use(format!("Consumer {arn} is not ACTIVE, instead in state {}.", status.word())));
        }
        let shard = stream.shard(&shard, now)?;
        let asked = Asked {
            fields: ["startingPosition.type", "startingPosition.sequenceNumber"],
            kind: &kind,
            sequence: start.sequence_number.as_deref(),
            timestamp: start.timestamp,
        };
        let position = Position::parse(asked, shard.number(), &stream.name, now)?;
        check_dry_run(request.dry_run)?;
        let meter = self.inner.limits.then(|| lock(&stream.registry).meter(&consumer.name, shard.number(), now));
        meter.iter().try_for_each(|meter| check_meter(meter, &consumer, &shard, now))?;
        let cursor = shard.locate(&position, &stream.name, stream.horizon(now))?;
        if cursor < shard.first() {
            let given = start.sequence_number.unwrap_or_default();
            return Err(invalid_sequence(
                &given,
                shard.number(),
                &stream.name,
                "is invalid because records behind it are trimmed.",
            ));
        }
        // Found once more under the lock: the consumer may have gone meanwhile, and a subscription without one would never hear of it.
        let ending = {
            let mut registry = lock(&stream.registry);
            registry.find(Some(&arn), None, now)?;
            registry.subscribe(&consumer.name, shard.number(), now)?
        };
        let (kinesis, consumer) = (self.clone(), consumer.name);
        let opening = Opening { kinesis, format, stream, shard, consumer, cursor, ending, meter };
        let mut response = Response::new(Subscription::new(opening).into_body());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(frame::CONTENT_TYPE));
        Ok(response)
    }
}

/// Counts the call for its consumer and shard, whatever becomes of it.
fn check_meter(
    meter: &Mutex<FanOutMeter>,
    consumer: &Consumer,
    shard: &Shard,
    now_millis: u64,
) -> Result<(), ApiError> {
    if lock(meter).subscribe(now_millis) {
        return Ok(());
    }
    let message = format!("Rate exceeded for consumer {} and shard {}.", consumer.arn, shard.id());
    Err(ApiError::client("LimitExceededException", message))
}
