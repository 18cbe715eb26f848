//! DescribeAccountSettings and UpdateAccountSettings.

use super::super::Kinesis;
use super::super::sync::lock;
use super::super::validate::{one_of, required};
use crate::api::ApiError;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct UpdateAccountSettings {
    minimum_throughput_billing_commitment: Option<AskedCommitment>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AskedCommitment {
    status: Option<String>,
}

impl Kinesis {
    pub(in crate::kinesis) fn describe_account_settings(&self) -> Value {
        json!({ "MinimumThroughputBillingCommitment": lock(&self.inner.commitment).describe(self.now()) })
    }

    pub(in crate::kinesis) fn update_account_settings(
        &self,
        request: &UpdateAccountSettings,
    ) -> Result<Value, ApiError> {
        let field = "minimumThroughputBillingCommitment";
        let asked = required(field, request.minimum_throughput_billing_commitment.as_ref())?;
        let status = required("minimumThroughputBillingCommitment.status", asked.status.as_deref())?;
        one_of("minimumThroughputBillingCommitment.status", status, &["ENABLED", "DISABLED"])?;
        {
            let mut commitment = lock(&self.inner.commitment);
            self.inner.changes.note();
            if status == "ENABLED" { commitment.enable(self.now()) } else { commitment.disable(self.now()) }
        }
        Ok(self.describe_account_settings())
    }
}
