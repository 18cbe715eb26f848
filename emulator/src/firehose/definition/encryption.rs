//! Server-side encryption of what a delivery stream buffers: asked for and told of, and not done.
//!
//! Source: <https://docs.aws.amazon.com/firehose/latest/APIReference/API_DeliveryStreamEncryptionConfigurationInput.html>.

use super::invalid;
use crate::api::ApiError;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::SystemTime;

const AWS_OWNED: &str = "AWS_OWNED_CMK";
const CUSTOMER_MANAGED: &str = "CUSTOMER_MANAGED_CMK";

/// Whether there is encryption, and by which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::firehose) struct Encryption {
    /// `None` if there is none.
    key: Option<Key>,
    /// When that was or will be so.
    settled: SystemTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    AwsOwned,
    CustomerManaged(String),
}

/// What to encrypt by.
#[derive(Debug, Default, Deserialize)]
pub(in crate::firehose) struct EncryptionRequest {
    #[serde(rename = "KeyARN")]
    key_arn: Option<String>,
    #[serde(rename = "KeyType")]
    key_type: Option<String>,
}

impl Encryption {
    /// None, since `created`.
    pub(super) fn never(created: SystemTime) -> Self {
        Self { key: None, settled: created }
    }

    /// What is asked for, from `settled` on.
    ///
    /// # Errors
    /// `InvalidArgumentException` if there is no such type of key, or a key is missing or too much.
    pub(in crate::firehose) fn enabled(request: EncryptionRequest, settled: SystemTime) -> Result<Self, ApiError> {
        let key = match (request.key_type.as_deref().unwrap_or(AWS_OWNED), request.key_arn) {
            (AWS_OWNED, None) => Key::AwsOwned,
            (CUSTOMER_MANAGED, Some(arn)) => Key::CustomerManaged(arn),
            (AWS_OWNED, Some(_)) => return Err(invalid(format!("KeyARN must not be given with {AWS_OWNED}"))),
            (CUSTOMER_MANAGED, None) => return Err(invalid(format!("KeyARN must be given with {CUSTOMER_MANAGED}"))),
            (other, _) => {
                return Err(invalid(format!("KeyType {other:?} is neither {AWS_OWNED} nor {CUSTOMER_MANAGED}")));
            }
        };
        Ok(Self { key: Some(key), settled })
    }

    /// None, from `settled` on.
    pub(in crate::firehose) fn disabled(settled: SystemTime) -> Self {
        Self { key: None, settled }
    }

    /// Whether what is buffered at `now` is encrypted.
    pub(in crate::firehose) fn holds(&self, now: SystemTime) -> bool {
        self.key.is_some() && self.is_settled(now)
    }

    /// Whether nothing changes any more at `now`.
    pub(in crate::firehose) fn is_settled(&self, now: SystemTime) -> bool {
        self.settled <= now
    }

    /// As DescribeDeliveryStream tells it at `now`.
    pub(in crate::firehose) fn describe(&self, now: SystemTime) -> Value {
        let status = match (self.key.is_some(), self.is_settled(now)) {
            (true, true) => "ENABLED",
            (true, false) => "ENABLING",
            (false, true) => "DISABLED",
            (false, false) => "DISABLING",
        };
        match &self.key {
            None => json!({ "Status": status }),
            Some(Key::AwsOwned) => json!({ "Status": status, "KeyType": AWS_OWNED }),
            Some(Key::CustomerManaged(arn)) => {
                json!({ "Status": status, "KeyType": CUSTOMER_MANAGED, "KeyARN": arn })
            }
        }
    }
}
