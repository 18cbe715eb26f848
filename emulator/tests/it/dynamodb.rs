//! DynamoDB through the SDK.

use crate::world::World;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, Put,
    ReturnValuesOnConditionCheckFailure, ScalarAttributeType, TransactWriteItem,
};

pub(crate) async fn create_leases(dynamodb: &Client) {
    let attribute = AttributeDefinition::builder().attribute_name("leaseKey").attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder().attribute_name("leaseKey").key_type(KeyType::Hash);
    let created = dynamodb
        .create_table()
        .table_name("leases")
        .attribute_definitions(attribute.build().expect("an attribute"))
        .key_schema(key.build().expect("a key"))
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await;
    created.expect("a table");
}

pub(crate) async fn owner_of(dynamodb: &Client, lease: &str) -> Option<String> {
    let got = dynamodb.get_item().table_name("leases").key("leaseKey", text(lease)).consistent_read(true).send().await;
    let item = got.expect("an answer").item?;
    item.get("leaseOwner").and_then(|owner| owner.as_s().ok()).cloned()
}

pub(crate) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

async fn take(
    dynamodb: &Client,
    lease: &str,
    owner: &str,
    counter: u64,
    expected: Option<u64>,
) -> Result<(), Option<String>> {
    let mut put = dynamodb
        .put_item()
        .table_name("leases")
        .item("leaseKey", text(lease))
        .item("leaseOwner", text(owner))
        .item("leaseCounter", AttributeValue::N(counter.to_string()))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    put = match expected {
        None => put.condition_expression("attribute_not_exists(leaseKey)"),
        Some(counter) => put
            .condition_expression("leaseCounter = :counter")
            .expression_attribute_values(":counter", AttributeValue::N(counter.to_string())),
    };
    let error = match put.send().await {
        Ok(_) => return Ok(()),
        Err(error) => error.into_service_error(),
    };
    let item = match error {
        aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(failed) => failed.item,
        other => panic!("{other:?}"),
    };
    Err(item.and_then(|item| item.get("leaseOwner").and_then(|owner| owner.as_s().ok()).cloned()))
}

#[tokio::test]
async fn a_condition_that_fails_brings_the_item_that_failed_it() {
    let world = World::start().await;
    let dynamodb = world.dynamodb();
    create_leases(&dynamodb).await;
    assert_eq!(take(&dynamodb, "shard-0", "a", 1, None).await, Ok(()));
    assert_eq!(take(&dynamodb, "shard-0", "b", 1, None).await, Err(Some("a".to_owned())));
    assert_eq!(take(&dynamodb, "shard-0", "b", 2, Some(1)).await, Ok(()));
    assert_eq!(take(&dynamodb, "shard-0", "a", 2, Some(1)).await, Err(Some("b".to_owned())));
    assert_eq!(owner_of(&dynamodb, "shard-0").await.as_deref(), Some("b"));
    world.emulator.stop().await;
}

#[tokio::test]
async fn updates_scans_and_transactions_work() {
    let world = World::start().await;
    let dynamodb = world.dynamodb();
    create_leases(&dynamodb).await;
    let update = dynamodb.update_item().table_name("leases").key("leaseKey", text("shard-1"));
    let update = update.update_expression("SET leaseOwner = :owner ADD leaseCounter :one");
    let update = update.expression_attribute_values(":owner", text("a"));
    update.expression_attribute_values(":one", AttributeValue::N("1".to_owned())).send().await.expect("an update");

    let put = |lease: &str| {
        let put = Put::builder().table_name("leases").item("leaseKey", text(lease)).item("leaseOwner", text("t"));
        let put = put.condition_expression("attribute_not_exists(leaseKey)").build().expect("a put");
        TransactWriteItem::builder().put(put).build()
    };
    let clash = dynamodb.transact_write_items().transact_items(put("shard-2")).transact_items(put("shard-1"));
    let error = clash.send().await.expect_err("shard-1 is there").into_service_error();
    assert!(error.is_transaction_canceled_exception(), "{error:?}");
    assert_eq!(owner_of(&dynamodb, "shard-2").await, None);

    let scanned = dynamodb.scan().table_name("leases").send().await.expect("a scan");
    assert_eq!(scanned.count, 1);
    let error = dynamodb.scan().table_name("nothing").send().await.expect_err("no table").into_service_error();
    assert!(error.is_resource_not_found_exception(), "{error:?}");
    world.emulator.stop().await;
}
