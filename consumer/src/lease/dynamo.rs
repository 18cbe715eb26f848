//! Leases in DynamoDB.

use super::item::{self, Item, Row};
use super::key::{LeaseKeys, Place, StreamId, as_sibling};
use super::row::{Lease, Listing, Written};
use super::table::Expected;
use super::turn::Turns;
use crate::error::{Error, ErrorKind, is_throttling, kind_of_code};
use alluvial_record::{Checkpoint, ShardId};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ReturnValuesOnConditionCheckFailure,
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
    keys: LeaseKeys,
    turns: Turns,
}

impl DynamoLeases {
    /// The table named `table`.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into(), keys: LeaseKeys::default(), turns: Turns::default() }
    }

    pub(super) fn of_stream(&self, stream: StreamId, all: &[StreamId]) -> Self {
        Self { keys: LeaseKeys::of_stream(stream, all), ..self.clone() }
    }

    /// The calls to the table, of all streams.
    pub(super) fn turns(&self) -> &Turns {
        &self.turns
    }

    fn failed<E, R>(&self, action: &str, error: SdkError<E, R>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        let kind = kind_of_code(error.code());
        if is_throttling(error.code()) {
            self.turns.note_throttled();
        }
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

    pub(super) async fn list(&self) -> Result<Listing, Error> {
        let mut listing = Listing::default();
        let mut pages =
            self.client.scan().table_name(&self.table).consistent_read(true).into_paginator().items().send();
        while let Some(row) = pages.next().await {
            let row = row.map_err(|error| self.failed("scan", error))?;
            let found = match item::from_item(&row) {
                Ok(Row::Lease(lease)) => Ok(*lease),
                Ok(Row::Heartbeat(heartbeat)) => {
                    listing.heartbeats.push(heartbeat);
                    continue;
                }
                Ok(Row::Other) => continue,
                Err(garbled) => Err(garbled),
            };
            let key = item::key(&row);
            match (self.keys.place(&key), found) {
                (Place::Own(shard), Ok(lease)) => listing.leases.push(Lease { shard, ..lease }),
                (Place::Own(shard), Err(garbled)) => listing.garbled.push((shard, garbled)),
                (Place::Sibling(stream), Ok(lease)) => listing.siblings.push(as_sibling(lease, &stream)),
                (Place::Sibling(_), Err(_)) | (Place::Stranger, _) => {}
                (Place::OtherKind, _) => return Err(self.keys.refuse(&key)),
            }
        }
        listing.leases.sort_by(|a: &Lease, b| a.shard.cmp(&b.shard));
        Ok(listing)
    }

    pub(super) async fn create(&self, lease: &Lease) -> Result<bool, Error> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item::to_item(lease, &self.keys)))
            .condition_expression("attribute_not_exists(leaseKey)");
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(self.failed("create a lease", error)),
        }
    }

    /// Updates the attributes that change, and leaves alone those that only other client libraries write.
    pub(super) async fn write(&self, before: &Lease, wanted: &Lease, expected: Expected) -> Result<Written, Error> {
        let (condition, values) = condition(before, expected);
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(item::KEY, item::string(self.keys.key_of(&wanted.shard)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let changes = match expected {
            // A handoff leaves the counter alone, so one may have begun after `before` was read: both names are written.
            Expected::Counter => {
                let unknown = Lease { owner: None, checkpoint_owner: Some(String::new()), ..before.clone() };
                item::changes(&unknown, wanted)
            }
            Expected::CounterAndHandoff | Expected::Owner => item::changes(before, wanted),
        };
        let sets: Vec<String> = changes.set.iter().map(|(name, _)| format!("{name} = :{name}")).collect();
        let mut expression = if sets.is_empty() { String::new() } else { format!("SET {}", sets.join(", ")) };
        if !changes.remove.is_empty() {
            expression.push_str(&format!(" REMOVE {}", changes.remove.join(", ")));
        }
        let set = changes.set.into_iter().map(|(name, value)| (format!(":{name}"), value));
        let update = update
            .update_expression(expression)
            .condition_expression(condition)
            .set_expression_attribute_values(Some(set.chain(values).collect()));
        match update.send().await {
            Ok(_) => Ok(Written::Done),
            Err(error) => match refused_row(&error) {
                Some(row) => Ok(Written::Refused(self.refused_by(row, &wanted.shard)?)),
                None => Err(self.failed("write a lease", error)),
            },
        }
    }

    fn refused_by(&self, row: Option<&Item>, shard: &ShardId) -> Result<Option<Box<Lease>>, Error> {
        match row.map(item::from_item) {
            None | Some(Ok(Row::Heartbeat(_) | Row::Other)) => Ok(None),
            Some(Ok(Row::Lease(lease))) => Ok(Some(Box::new(Lease { shard: shard.clone(), ..*lease }))),
            Some(Err(garbled)) => {
                let text = format!("lease table {}: a row is garbled", self.table);
                Err(Error::caused(ErrorKind::Garbled, text, garbled))
            }
        }
    }

    pub(super) async fn delete(&self, lease: &Lease) -> Result<(), Error> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key(item::KEY, item::string(self.keys.key_of(&lease.shard)))
            .condition_expression("leaseCounter = :held AND checkpoint = :end")
            .expression_attribute_values(":held", item::number(lease.counter))
            .expression_attribute_values(":end", item::string(Checkpoint::ShardEnd.to_attributes().0));
        match delete.send().await {
            Err(error) if error.code() != Some("ConditionalCheckFailedException") => {
                Err(self.failed("delete a lease", error))
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn beat(&self, worker: &str) -> Result<(), Error> {
        let beat = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(item::KEY, item::heartbeat_key(worker))
            .update_expression("SET entityType = :kind, worker = :worker ADD heartbeatCounter :one")
            .expression_attribute_values(":kind", item::string(item::HEARTBEAT_ENTITY))
            .expression_attribute_values(":worker", item::string(worker))
            .expression_attribute_values(":one", item::number(1));
        beat.send().await.map(|_| ()).map_err(|error| self.failed("write a heartbeat", error))
    }

    pub(super) async fn forget(&self, worker: &str) -> Result<(), Error> {
        let delete = self.client.delete_item().table_name(&self.table).key(item::KEY, item::heartbeat_key(worker));
        delete.send().await.map(|_| ()).map_err(|error| self.failed("delete a heartbeat", error))
    }
}

/// The condition that the row is as `before` was, and the values that it names.
fn condition(before: &Lease, expected: Expected) -> (String, Vec<(String, AttributeValue)>) {
    // The key must exist too: a condition on what is absent holds of a row that was deleted.
    let (mut terms, mut values) = (vec!["attribute_exists(leaseKey)"], Vec::new());
    let mut value = |name: &str, value| values.push((name.to_owned(), value));
    if expected == Expected::Owner {
        match &before.owner {
            Some(owner) => {
                terms.push("leaseOwner = :old");
                value(":old", item::string(owner));
            }
            None => terms.push("attribute_not_exists(leaseOwner)"),
        }
    } else {
        terms.push("leaseCounter = :held");
        value(":held", item::number(before.counter));
    }
    match (expected, &before.checkpoint_owner) {
        (Expected::CounterAndHandoff, Some(owner)) => {
            terms.push("checkpointOwner = :from");
            value(":from", item::string(owner));
        }
        (Expected::CounterAndHandoff, None) | (Expected::Owner, _) => {
            terms.push("attribute_not_exists(checkpointOwner)");
        }
        (Expected::Counter, _) => {}
    }
    (terms.join(" AND "), values)
}

/// The row as DynamoDB found it, when the condition was what failed.
fn refused_row<R>(error: &SdkError<UpdateItemError, R>) -> Option<Option<&Item>> {
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(refused)) => Some(refused.item()),
        _ => None,
    }
}
