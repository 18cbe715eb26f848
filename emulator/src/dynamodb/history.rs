//! The history of tables for tests: each write with its outcome, and the items before and behind it.

use super::wire;
use crate::journal::Journals;
use dynoxide::{Database, DynoxideError};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// An item that a request names: its table, and its key as DynamoDB writes it.
type Place = (String, Value);

/// A write that is about to be done.
pub(super) struct Write {
    operation: String,
    request: Value,
    places: Vec<Place>,
    before: Vec<Value>,
}

impl Write {
    /// Looks at the items that the request is about, before it is applied; `None` if it writes nothing.
    pub(super) fn begin(database: &Database, operation: &str, body: &[u8]) -> Option<Self> {
        if !is_write(operation) {
            return None;
        }
        let request: Value = serde_json::from_slice(body).ok()?;
        let places = places(database, &request);
        let before = places.iter().map(|place| item(database, place)).collect();
        Some(Self { operation: operation.to_owned(), request, places, before })
    }

    /// Writes down what became of it, in the journal of each table that it names.
    pub(super) fn end(
        self,
        database: &Database,
        outcome: &Result<String, DynoxideError>,
        journals: &Journals,
        time_millis: u64,
    ) {
        let error = outcome
            .as_ref()
            .err()
            .map(|error| serde_json::from_str::<Value>(&error.to_json()).unwrap_or_else(|_| error.to_string().into()));
        let tables: BTreeSet<&String> = self.places.iter().map(|(table, _)| table).collect();
        for table in tables {
            let items = self.places.iter().zip(&self.before).filter(|((of, _), _)| of == table);
            let items: Vec<Value> = items
                .map(|(place, before)| json!({ "Key": place.1, "Before": before, "After": item(database, place) }))
                .collect();
            let line = json!({
                "TimeMillis": time_millis,
                "Operation": self.operation,
                "Request": self.request,
                "Error": error,
                "Items": items,
            });
            journals.write(table, [line]);
        }
    }
}

fn is_write(operation: &str) -> bool {
    matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem" | "TransactWriteItems")
}

/// The items that a request names, in its order.
pub(super) fn places(database: &Database, request: &Value) -> Vec<Place> {
    let mut places = Vec::new();
    let mut add = |table: Option<&str>, key: Option<&Value>, item: Option<&Value>| {
        let Some(table) = table else { return };
        let key = key.cloned().or_else(|| item.and_then(|item| key_of(database, table, item)));
        places.extend(key.map(|key| (table.to_owned(), key)));
    };
    let text = |value: &Value| value.get("TableName").and_then(Value::as_str).map(str::to_owned);
    add(text(request).as_deref(), request.get("Key"), request.get("Item"));
    for (table, writes) in request.get("RequestItems").and_then(Value::as_object).into_iter().flatten() {
        for write in writes.as_array().into_iter().flatten() {
            add(Some(table), write.pointer("/DeleteRequest/Key"), write.pointer("/PutRequest/Item"));
        }
    }
    for write in request.get("TransactItems").and_then(Value::as_array).into_iter().flatten() {
        for act in write.as_object().into_iter().flat_map(Map::values) {
            add(text(act).as_deref(), act.get("Key"), act.get("Item"));
        }
    }
    places
}

/// The part of `item` that is its key.
fn key_of(database: &Database, table: &str, item: &Value) -> Option<Value> {
    let request = json!({ "TableName": table }).to_string();
    let described = wire::run(database, "DescribeTable", request.as_bytes())?.ok()?;
    let described: Value = serde_json::from_str(&described).ok()?;
    let schema = described.pointer("/Table/KeySchema")?.as_array()?;
    let names = schema.iter().filter_map(|part| part.get("AttributeName")?.as_str());
    Some(names.filter_map(|name| Some((name.to_owned(), item.get(name)?.clone()))).collect::<Map<_, _>>().into())
}

/// The item at `place`; null if there is none.
fn item(database: &Database, (table, key): &Place) -> Value {
    let request = json!({ "TableName": table, "Key": key, "ConsistentRead": true }).to_string();
    let found = wire::run(database, "GetItem", request.as_bytes()).and_then(Result::ok);
    let found = found.and_then(|found| serde_json::from_str::<Value>(&found).ok());
    found.and_then(|mut found| found.get_mut("Item").map(Value::take)).unwrap_or(Value::Null)
}
