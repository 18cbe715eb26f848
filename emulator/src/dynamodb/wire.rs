//! DynamoDB's operations by name, and the reading of their requests.

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the library puts before a message to say how DynamoDB reports it (`dynoxide` 3.2, `src/serde_errors.rs`).
const AS_SERIALIZATION: [&str; 2] = ["SERIALIZATION_AS_READ:", "SERIALIZATION:"];

/// The same, for what DynamoDB reports as a validation error.
const AS_VALIDATION: [&str; 3] = ["VALIDATION_AS_READ:", "VALIDATION_REQUEST:", "VALIDATION:"];

/// Runs `operation` with the JSON text `body`; `None` if the library has no such operation.
pub(super) fn run(database: &Database, operation: &str, body: &[u8]) -> Option<Result<String, DynoxideError>> {
    let result = match operation {
        "CreateTable" => answer(body, |request| database.create_table(request)),
        "DeleteTable" => answer(body, |request| database.delete_table(request)),
        "DescribeTable" => answer(body, |request| database.describe_table(request)),
        "ListTables" => answer(body, |request| database.list_tables(request)),
        "UpdateTable" => answer(body, |request| database.update_table(request)),
        "PutItem" => answer(body, |request| database.put_item(request)),
        "GetItem" => answer(body, |request| database.get_item(request)),
        "DeleteItem" => answer(body, |request| database.delete_item(request)),
        "UpdateItem" => answer(body, |request| database.update_item(request)),
        "Query" => answer(body, |request| database.query(request)),
        "Scan" => answer(body, |request| database.scan(request)),
        "BatchGetItem" => answer(body, |request| database.batch_get_item(request)),
        "BatchWriteItem" => answer(body, |request| database.batch_write_item(request)),
        "TransactWriteItems" => answer(body, |request| database.transact_write_items(request)),
        "TransactGetItems" => answer(body, |request| database.transact_get_items(request)),
        _ => return run_seldom(database, operation, body),
    };
    Some(result)
}

/// The operations around tables and items: tags, expiry, PartiQL and change streams.
fn run_seldom(database: &Database, operation: &str, body: &[u8]) -> Option<Result<String, DynoxideError>> {
    let result = match operation {
        "UpdateTimeToLive" => answer(body, |request| database.update_time_to_live(request)),
        "DescribeTimeToLive" => answer(body, |request| database.describe_time_to_live(request)),
        "TagResource" => answer(body, |request| database.tag_resource(request)),
        "UntagResource" => answer(body, |request| database.untag_resource(request)),
        "ListTagsOfResource" => answer(body, |request| database.list_tags_of_resource(request)),
        "ExecuteStatement" => answer(body, |request| database.execute_statement(request)),
        "ExecuteTransaction" => answer(body, |request| database.execute_transaction(request)),
        "BatchExecuteStatement" => answer(body, |request| database.batch_execute_statement(request)),
        "SearchVectors" => answer(body, |request| database.search_vectors(request)),
        "ListStreams" => answer(body, |request| database.list_streams(request)),
        "DescribeStream" => answer(body, |request| database.describe_stream(request)),
        "GetShardIterator" => answer(body, |request| database.get_shard_iterator(request)),
        "GetRecords" => answer(body, |request| database.get_records(request)),
        _ => return None,
    };
    Some(result)
}

fn answer<Q: DeserializeOwned, R: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Q) -> Result<R, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_slice(body).map_err(|error| unreadable(&error.to_string()))?;
    let response = operation(request)?;
    serde_json::to_string(&response).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// Sorts a deserialisation failure as DynamoDB does: what is missing or has a wrong value is a validation error, what
/// has the wrong JSON type a serialisation error.
fn unreadable(message: &str) -> DynoxideError {
    for marker in AS_SERIALIZATION {
        if let Some(message) = message.strip_prefix(marker) {
            return DynoxideError::SerializationException(without_position(message).to_owned());
        }
    }
    for marker in AS_VALIDATION {
        if let Some(message) = message.strip_prefix(marker) {
            return DynoxideError::ValidationException(without_position(message).to_owned());
        }
    }
    let invalid = ["missing field", "unknown variant", "invalid type: null", "AttributeValue"];
    if invalid.iter().any(|part| message.contains(part)) {
        DynoxideError::ValidationException(without_position(message).to_owned())
    } else {
        DynoxideError::SerializationException(message.to_owned())
    }
}

/// `message` without the position that the JSON parser adds, which means nothing to a caller of an SDK.
fn without_position(message: &str) -> &str {
    message.rfind(" at line ").map_or(message, |end| &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(database: &Database, operation: &str, body: &str) -> Result<String, DynoxideError> {
        run(database, operation, body.as_bytes()).expect("a known operation")
    }

    #[test]
    fn an_operation_of_no_service_is_unknown() {
        let database = Database::memory().expect("a database");
        assert!(run(&database, "ExportTableToPointInTime", b"{}").is_none());
    }

    #[test]
    fn a_missing_table_name_is_a_validation_error() {
        let database = Database::memory().expect("a database");
        let error = call(&database, "PutItem", r#"{"Item":{"id":{"S":"a"}}}"#).expect_err("no table name");
        assert!(matches!(error, DynoxideError::ValidationException(_)), "{error:?}");
    }

    #[test]
    fn broken_json_is_a_serialisation_error() {
        let database = Database::memory().expect("a database");
        let error = call(&database, "GetItem", "{").expect_err("half an object");
        assert!(matches!(error, DynoxideError::SerializationException(_)), "{error:?}");
    }

    #[test]
    fn no_marker_reaches_the_caller() {
        for marker in AS_SERIALIZATION.iter().chain(&AS_VALIDATION) {
            let message = unreadable(&format!("{marker}wrong at line 1 column 7")).to_string();
            assert_eq!(message, "wrong");
        }
    }
}
