//! Batches of which some entries fail: they are taken out of the request, and put as failures where they belong in the
//! answer. PutRecords and PutRecordBatch have the same shape, with other names.

use super::effect::Partial;
use super::subject::matches;
use serde_json::{Value, json};

/// The members of an answer that carry the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    results: &'static str,
    failed: &'static str,
}

/// A request without the entries that fail.
#[derive(Debug, PartialEq)]
pub(crate) struct Split {
    /// The request for the entries that are left; `None` if none is.
    pub(crate) rest: Option<Vec<u8>>,
    /// Which entries fail, in order.
    failing: Vec<bool>,
    shape: Shape,
}

impl Shape {
    /// The shape of `operation`'s answer, if it is a batch.
    pub(crate) fn of(operation: &str) -> Option<Self> {
        match operation {
            "PutRecords" => Some(Self { results: "Records", failed: "FailedRecordCount" }),
            "PutRecordBatch" => Some(Self { results: "RequestResponses", failed: "FailedPutCount" }),
            _ => None,
        }
    }
}

/// Takes the failing entries out of `body`. `None` if nothing fails, or the request is none that the service would take.
pub(crate) fn split(body: &[u8], shape: Shape, partial: &Partial, mut fraction: impl FnMut() -> f64) -> Option<Split> {
    let mut request: Value = serde_json::from_slice(body).ok()?;
    let entries = request.get_mut("Records")?.as_array_mut()?;
    let failing: Vec<bool> = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            let key = entry.get("PartitionKey").and_then(Value::as_str);
            partial.indices.as_ref().is_none_or(|indices| indices.contains(&index))
                && matches(partial.partition_key.as_deref(), key)
                && partial.probability.is_none_or(|probability| fraction() < probability)
        })
        .collect();
    if !failing.contains(&true) {
        return None;
    }
    let mut fails = failing.iter();
    entries.retain(|_| fails.next() != Some(&true));
    let rest = (!entries.is_empty()).then(|| request.to_string().into_bytes());
    Some(Split { rest, failing, shape })
}

impl Split {
    /// The answer to the whole request, from the answer to the rest of it. `None` if that is no answer of such a batch.
    pub(crate) fn join(&self, answer: Option<&[u8]>, partial: &Partial) -> Option<Vec<u8>> {
        let Shape { results, failed } = self.shape;
        let mut answer: Value = match answer {
            Some(body) => serde_json::from_slice(body).ok()?,
            None => json!({ results: [], failed: 0 }),
        };
        let mut rest = answer.get_mut(results)?.as_array_mut().map(std::mem::take)?.into_iter();
        let all: Vec<Value> = self
            .failing
            .iter()
            .filter_map(|fails| match fails {
                true => Some(json!({ "ErrorCode": partial.code, "ErrorMessage": partial.message })),
                false => rest.next(),
            })
            .collect();
        let failures = all.iter().filter(|result| result.get("ErrorCode").is_some_and(|code| !code.is_null())).count();
        answer[results] = all.into();
        answer[failed] = failures.into();
        Some(answer.to_string().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partial(rest: Value) -> Partial {
        let mut fields = json!({ "code": "InternalFailure" });
        fields.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        serde_json::from_value(fields).unwrap()
    }

    fn request() -> Vec<u8> {
        let entry = |key: &str| json!({ "PartitionKey": key, "Data": "" });
        json!({ "StreamName": "orders", "Records": [entry("a1"), entry("b"), entry("a2")] }).to_string().into_bytes()
    }

    fn keys(body: &[u8]) -> Vec<String> {
        let request: Value = serde_json::from_slice(body).unwrap();
        let records = request["Records"].as_array().unwrap();
        records.iter().map(|entry| entry["PartitionKey"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_entries_that_are_meant_fail_where_they_stand() {
        let shape = Shape::of("PutRecords").unwrap();
        let partial = partial(json!({ "partition_key": "a*", "indices": [2, 1] }));
        let split = split(&request(), shape, &partial, || 0.0).unwrap();
        assert_eq!(keys(split.rest.as_ref().unwrap()), ["a1", "b"]);
        let answer = json!({ "FailedRecordCount": 1, "EncryptionType": "NONE", "Records": [
            { "SequenceNumber": "1" }, { "ErrorCode": "ProvisionedThroughputExceededException" },
        ] });
        let joined: Value =
            serde_json::from_slice(&split.join(Some(answer.to_string().as_bytes()), &partial).unwrap()).unwrap();
        assert_eq!(joined["FailedRecordCount"], 2);
        assert_eq!(joined["EncryptionType"], "NONE");
        assert_eq!(joined["Records"][0]["SequenceNumber"], "1");
        assert_eq!(joined["Records"][2]["ErrorCode"], "InternalFailure");
    }

    #[test]
    fn a_batch_that_fails_whole_leaves_nothing_to_apply() {
        let shape = Shape::of("PutRecordBatch").unwrap();
        let partial = partial(json!({}));
        let split = split(&request(), shape, &partial, || 0.0).unwrap();
        assert_eq!(split.rest, None);
        let joined: Value = serde_json::from_slice(&split.join(None, &partial).unwrap()).unwrap();
        assert_eq!(
            (joined["FailedPutCount"].as_u64(), joined["RequestResponses"].as_array().unwrap().len()),
            (Some(3), 3)
        );
    }

    #[test]
    fn nothing_fails_where_nothing_is_meant() {
        let shape = Shape::of("PutRecords").unwrap();
        for (rest, fraction) in [(json!({ "indices": [7] }), 0.0), (json!({ "probability": 0.5 }), 0.5)] {
            assert_eq!(split(&request(), shape, &partial(rest), || fraction), None);
        }
        assert_eq!(split(b"no JSON", shape, &partial(json!({})), || 0.0), None);
        assert_eq!(Shape::of("PutRecord"), None);
    }
}
