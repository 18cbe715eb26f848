//! Leases in DynamoDB.

use super::item::{self, Item};
use super::{Handoff, Lease, Written};
use crate::error::{Error, ErrorKind, kind_of_code};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ReturnValuesOnConditionCheckFailure,
    ScalarAttributeType, TableStatus,
};
use std::time::Duration;

/// Time between two looks at a table that is being made.
const TABLE_POLL: Duration = Duration::from_millis(500);
/// Longest wait for a new table.
const TABLE_WAIT: Duration = Duration::from_secs(120);

/// A lease table in DynamoDB: hash key `leaseKey`, paid per request, no index.
#[derive(Debug, Clone)]
pub struct DynamoLeases {
    client: Client,
    table: String,
}

impl DynamoLeases {
    /// The table named `table`.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    fn failed<E, R>(&self, action: &str, error: SdkError<E, R>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        let kind = kind_of_code(error.code());
        Error::caused(kind, format!("lease table {}: {action}", self.table), error)
    }

    pub(super) async fn ensure(&self) -> Result<(), Error> {
        let made = self
            .client
            .create_table()
            .table_name(&self.table)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(
                AttributeDefinition::builder()
                    .attribute_name(item::KEY)
                    .attribute_type(ScalarAttributeType::S)
                    .build()
                    .map_err(|error| Error::caused(ErrorKind::Fatal, "lease table definition", error))?,
            )
            .key_schema(
                KeySchemaElement::builder()
                    .attribute_name(item::KEY)
                    .key_type(KeyType::Hash)
                    .build()
                    .map_err(|error| Error::caused(ErrorKind::Fatal, "lease table definition", error))?,
            );
        // Looking first keeps CreateTable out of the permissions that a daemon on an existing table needs.
        if self.status().await? == Some(TableStatus::Active) {
            return Ok(());
        }
        if let Err(error) = made.send().await
            && error.code() != Some("ResourceInUseException")
        {
            return Err(self.failed("create", error));
        }
        tracing::info!(table = %self.table, "lease table created");
        tokio::time::timeout(TABLE_WAIT, self.until_active()).await.map_err(|_| {
            Error::new(ErrorKind::Wait, format!("lease table {} is not ACTIVE after {TABLE_WAIT:?}", self.table))
        })?
    }

    async fn until_active(&self) -> Result<(), Error> {
        while self.status().await? != Some(TableStatus::Active) {
            tokio::time::sleep(TABLE_POLL).await;
        }
        Ok(())
    }

    async fn status(&self) -> Result<Option<TableStatus>, Error> {
        match self.client.describe_table().table_name(&self.table).send().await {
            Ok(found) => Ok(found.table.and_then(|table| table.table_status)),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(self.failed("describe", error)),
        }
    }

    pub(super) async fn list(&self) -> Result<Vec<Lease>, Error> {
        let mut leases = Vec::new();
        let mut pages =
            self.client.scan().table_name(&self.table).consistent_read(true).into_paginator().items().send();
        while let Some(row) = pages.next().await {
            let row = row.map_err(|error| self.failed("scan", error))?;
            leases.extend(self.read(&row)?);
        }
        leases.sort_by(|a: &Lease, b| a.shard.cmp(&b.shard));
        Ok(leases)
    }

    fn read(&self, row: &Item) -> Result<Option<Lease>, Error> {
        item::from_item(row).map_err(|error| {
            Error::caused(ErrorKind::Fatal, format!("lease table {}: a row is garbled", self.table), error)
        })
    }

    pub(super) async fn create(&self, lease: &Lease) -> Result<(), Error> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item::to_item(lease)))
            .condition_expression("attribute_not_exists(leaseKey)");
        match put.send().await {
            Err(error) if error.code() != Some("ConditionalCheckFailedException") => {
                Err(self.failed("create a lease", error))
            }
            _ => Ok(()),
        }
    }

    /// Updates the attributes that change, and leaves alone those that only other client libraries write.
    pub(super) async fn replace(&self, held_counter: u64, wanted: &Lease, handoff: Handoff) -> Result<Written, Error> {
        let condition = match handoff {
            Handoff::Respect => "leaseCounter = :held AND attribute_not_exists(checkpointOwner)",
            Handoff::End => "leaseCounter = :held",
        };
        let (checkpoint, sub_sequence) = wanted.checkpoint.to_attributes();
        let mut set = vec![
            "leaseCounter = :counter",
            "ownerSwitchesSinceCheckpoint = :switches",
            "checkpoint = :checkpoint",
            "checkpointSubSequenceNumber = :sub",
        ];
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(item::KEY, item::string(wanted.shard.as_str()))
            .condition_expression(condition)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .expression_attribute_values(":held", item::number(held_counter))
            .expression_attribute_values(":counter", item::number(wanted.counter))
            .expression_attribute_values(":switches", item::number(wanted.switches))
            .expression_attribute_values(":checkpoint", item::string(checkpoint))
            .expression_attribute_values(":sub", item::number(sub_sequence));
        if let Some(owner) = &wanted.owner {
            set.push("leaseOwner = :owner");
            update = update.expression_attribute_values(":owner", item::string(owner));
        }
        if !wanted.children.is_empty() {
            set.push("childShardIds = :children");
            update = update.expression_attribute_values(":children", item::strings(&wanted.children));
        }
        let remove = match (&wanted.owner, handoff) {
            (None, _) => " REMOVE leaseOwner",
            (Some(_), Handoff::End) => " REMOVE checkpointOwner",
            (Some(_), Handoff::Respect) => "",
        };
        let update = update.update_expression(format!("SET {}{remove}", set.join(", ")));
        match update.send().await {
            Ok(_) => Ok(Written::Done),
            Err(error) => match refused_row(&error) {
                Some(row) => Ok(Written::Refused(row.map(|row| self.read(row)).transpose()?.flatten().map(Box::new))),
                None => Err(self.failed("write a lease", error)),
            },
        }
    }
}

/// The row as DynamoDB found it, when the condition was what failed.
fn refused_row<R>(error: &SdkError<UpdateItemError, R>) -> Option<Option<&Item>> {
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(refused)) => Some(refused.item()),
        _ => None,
    }
}
