//! Enhanced fan-out consumers: register, describe, list, deregister.

use super::super::registry::{Consumer, MOST_CONSUMERS, MOST_CONSUMERS_ADVANTAGE, Registration};
use super::super::stream::Stream;
use super::super::sync::lock;
use super::super::validate::{self, invalid_argument, page, required};
use super::super::{Kinesis, token, wire};
use super::shards::{check_created, open_token};
use crate::api::ApiError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const TOKEN: &str = "ListStreamConsumers";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct RegisterConsumer {
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    consumer_name: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// A request that names a consumer by its ARN, or by its stream's ARN and its name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct OneConsumer {
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    consumer_name: Option<String>,
    #[serde(rename = "ConsumerARN")]
    consumer_arn: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct ListConsumers {
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    next_token: Option<String>,
    max_results: Option<i64>,
    stream_creation_timestamp: Option<f64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct ConsumerDescription {
    consumer_name: String,
    #[serde(rename = "ConsumerARN")]
    consumer_arn: String,
    consumer_status: &'static str,
    consumer_creation_timestamp: f64,
    #[serde(rename = "StreamARN", skip_serializing_if = "Option::is_none")]
    stream_arn: Option<String>,
}

/// What a paging token stands for.
#[derive(Debug, Serialize, Deserialize)]
struct Listing {
    stream_arn: String,
    after: String,
}

impl Kinesis {
    pub(in crate::kinesis) fn register_consumer(&self, request: &RegisterConsumer) -> Result<Value, ApiError> {
        let name = required("consumerName", request.consumer_name.as_deref())?;
        validate::name("consumerName", name)?;
        let arn = required("streamARN", request.stream_arn.as_deref())?;
        super::tags::check(&request.tags)?;
        let (stream, now) = (self.stream(None, Some(arn))?, self.now());
        stream.check_active(now)?;
        let advantage = stream.config(|config| config.on_demand) && lock(&self.inner.commitment).holds(now);
        let registration = Registration {
            stream: &stream.name,
            name,
            tags: request.tags.clone(),
            most: if advantage { MOST_CONSUMERS_ADVANTAGE } else { MOST_CONSUMERS },
            delay_millis: self.inner.state_delay_millis,
        };
        let consumer = stream.change_consumers().register(registration, now)?;
        Ok(json!({ "Consumer": describe(&consumer, now) }))
    }

    pub(in crate::kinesis) fn describe_consumer(&self, request: &OneConsumer) -> Result<Value, ApiError> {
        let (stream, consumer) = self.consumer(request)?;
        let description = ConsumerDescription { stream_arn: Some(stream.arn()), ..describe(&consumer, self.now()) };
        Ok(json!({ "ConsumerDescription": description }))
    }

    pub(in crate::kinesis) fn deregister_consumer(&self, request: &OneConsumer) -> Result<(), ApiError> {
        let (stream, consumer) = self.consumer(request)?;
        stream.change_consumers().deregister(&consumer.name, self.now(), self.inner.state_delay_millis);
        Ok(())
    }

    pub(in crate::kinesis) fn list_consumers(&self, request: &ListConsumers) -> Result<Value, ApiError> {
        let (limit, now) = (page("maxResults", request.max_results, 100)?, self.now());
        let listing: Option<Listing> =
            request.next_token.as_deref().map(|token| open_token(TOKEN, token, now)).transpose()?;
        if listing.is_some() && request.stream_creation_timestamp.is_some() {
            return Err(invalid_argument("NextToken cannot be given together with StreamCreationTimestamp."));
        }
        let other =
            request.stream_arn.as_ref().zip(listing.as_ref()).is_some_and(|(arn, listing)| *arn != listing.stream_arn);
        if other {
            return Err(invalid_argument("NextToken is of another stream than StreamARN."));
        }
        let arn = listing.as_ref().map(|listing| &listing.stream_arn).or(request.stream_arn.as_ref());
        let stream = self.stream(None, Some(required("streamARN", arn)?))?;
        check_created(&stream, request.stream_creation_timestamp)?;
        stream.check_created(now)?;
        let mut registry = lock(&stream.registry);
        let after = listing.map(|listing| listing.after);
        let rest: Vec<_> = registry
            .consumers(now)
            .filter(|consumer| after.as_ref().is_none_or(|after| consumer.name > *after))
            .collect();
        let page: Vec<_> = rest.iter().take(limit).map(|consumer| describe(consumer, now)).collect();
        let mut answer = json!({ "Consumers": page });
        if let Some(last) = page.last().filter(|_| rest.len() > limit) {
            let listing = Listing { stream_arn: stream.arn(), after: last.consumer_name.clone() };
            answer["NextToken"] = token::seal(TOKEN, listing, now).into();
        }
        Ok(answer)
    }

    /// Finds a consumer and its stream.
    fn consumer(&self, request: &OneConsumer) -> Result<(Arc<Stream>, Consumer), ApiError> {
        let (arn, name) = (request.consumer_arn.as_deref(), request.consumer_name.as_deref());
        name.map_or(Ok(()), |name| validate::name("consumerName", name))?;
        let stream = match (arn, request.stream_arn.as_deref()) {
            (Some(arn), _) => self.stream_of_consumer(arn)?,
            (None, Some(arn)) => self.stream(None, Some(arn))?,
            (None, None) => return Err(invalid_argument("Give ConsumerARN, or StreamARN and ConsumerName.")),
        };
        let consumer = lock(&stream.registry).find(arn, name, self.now())?.clone();
        let conflict = name.is_some_and(|name| name != consumer.name)
            || request.stream_arn.as_ref().is_some_and(|arn| *arn != stream.arn());
        if conflict {
            return Err(invalid_argument("ConsumerARN names another consumer than StreamARN and ConsumerName."));
        }
        Ok((stream, consumer))
    }
}

fn describe(consumer: &Consumer, now_millis: u64) -> ConsumerDescription {
    ConsumerDescription {
        consumer_name: consumer.name.clone(),
        consumer_arn: consumer.arn.clone(),
        consumer_status: consumer.phases.status(now_millis).word(),
        consumer_creation_timestamp: wire::seconds(consumer.registered_secs * 1_000),
        stream_arn: None,
    }
}
