//! Resource policies: kept and given back. Nobody is refused anything by them.

use super::super::Kinesis;
use super::super::validate::{not_found, required};
use super::resource::{Resource, ResourceOnly};
use crate::api::ApiError;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Bytes of a policy: 20 KiB, the bound that IAM has for most policies of resources. Kinesis documents none.
const MOST_BYTES: usize = 20 * 1024;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct PutPolicy {
    #[serde(rename = "ResourceARN")]
    resource_arn: Option<String>,
    policy: Option<String>,
}

impl Kinesis {
    pub(in crate::kinesis) fn put_policy(&self, request: &PutPolicy) -> Result<(), ApiError> {
        let policy = required("policy", request.policy.as_deref())?;
        let resource = self.resource(request.resource_arn.as_deref())?;
        check(policy)?;
        self.set_policy(&resource, Some(policy.to_owned())).map(|_| ())
    }

    /// A resource without a policy has an empty one.
    pub(in crate::kinesis) fn get_policy(&self, request: &ResourceOnly) -> Result<Value, ApiError> {
        let policy = match self.resource(request.resource_arn.as_deref())? {
            Resource::Stream(stream) => stream.config(|config| config.policy.clone()),
            Resource::Consumer(stream, arn) => {
                self.with_consumer(&stream, &arn, |consumer| Ok(consumer.policy.clone()))?
            }
        };
        Ok(json!({ "Policy": policy.unwrap_or_else(|| "{}".to_owned()) }))
    }

    pub(in crate::kinesis) fn delete_policy(&self, request: &ResourceOnly) -> Result<(), ApiError> {
        let resource = self.resource(request.resource_arn.as_deref())?;
        if self.set_policy(&resource, None)?.is_some() {
            return Ok(());
        }
        let arn = request.resource_arn.as_deref().unwrap_or_default();
        Err(not_found(format!("No resource policy found for resource ARN {arn}.")))
    }

    /// Sets a policy and returns the one before.
    fn set_policy(&self, resource: &Resource, policy: Option<String>) -> Result<Option<String>, ApiError> {
        match resource {
            Resource::Stream(stream) => {
                stream.change(self.now(), 0, |config| Ok(std::mem::replace(&mut config.policy, policy)))
            }
            Resource::Consumer(stream, arn) => {
                self.with_active_consumer(stream, arn, |consumer| Ok(std::mem::replace(&mut consumer.policy, policy)))
            }
        }
    }
}

fn check(policy: &str) -> Result<(), ApiError> {
    let refuse = |message: String| Err(ApiError::client("ValidationException", message));
    if policy.len() > MOST_BYTES {
        return refuse(format!("The policy has {} bytes, at most {MOST_BYTES} are allowed.", policy.len()));
    }
    match serde_json::from_str::<Map<String, Value>>(policy) {
        Ok(_) => Ok(()),
        Err(error) => refuse(format!("The policy is no JSON object: {error}")),
    }
}
