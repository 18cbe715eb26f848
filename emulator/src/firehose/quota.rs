//! How much a delivery stream takes in a second, and how often delivery streams may be managed.
//!
//! Source of all rates: <https://docs.aws.amazon.com/firehose/latest/dev/limits.html>.

use super::lock;
use crate::api::ApiError;
use crate::bucket::Bucket;
use std::collections::HashMap;
use std::sync::Mutex;

/// Calls of PutRecord and PutRecordBatch on one delivery stream, a second, in us-east-1. A quota of other regions is
/// 1,000; AWS raises it on request, together with the two below.
const REQUESTS: u32 = 2_000;

/// Records of one delivery stream, a second, in us-east-1. Elsewhere it is 100,000.
const RECORDS: u32 = 500_000;

/// Bytes of records of one delivery stream, a second, in us-east-1: 5 MiB. Elsewhere it is 1 MiB.
const BYTES: u32 = 5 << 20;

/// Calls of one of [`MANAGING`] in the account, a second. AWS raises it for nobody.
const CALLS: u32 = 5;

/// The operations that are counted one by one.
const MANAGING: [&str; 10] = [
    "CreateDeliveryStream",
    "DeleteDeliveryStream",
    "DescribeDeliveryStream",
    "ListDeliveryStreams",
    "ListTagsForDeliveryStream",
    "StartDeliveryStreamEncryption",
    "StopDeliveryStreamEncryption",
    "TagDeliveryStream",
    "UntagDeliveryStream",
    "UpdateDestination",
];

/// What is left of a delivery stream's second.
#[derive(Debug)]
pub(super) struct Throughput {
    requests: Bucket,
    records: Bucket,
    bytes: Bucket,
}

impl Throughput {
    /// A delivery stream that was left alone for a second.
    pub(super) fn full(now_millis: u64) -> Self {
        Self {
            requests: Bucket::full(REQUESTS, now_millis),
            records: Bucket::full(RECORDS, now_millis),
            bytes: Bucket::full(BYTES, now_millis),
        }
    }

    /// Lets a call in, or not.
    pub(super) fn request(&mut self, now_millis: u64) -> bool {
        self.requests.take(now_millis, 1).is_ok()
    }

    /// Lets a record of so many bytes in, or not; then it has taken nothing.
    pub(super) fn record(&mut self, now_millis: u64, bytes: u64) -> bool {
        self.records.has(now_millis, 1)
            && self.bytes.take(now_millis, bytes).is_ok()
            && self.records.take(now_millis, 1).is_ok()
    }
}

/// What is left of the account's second, by operation.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<HashMap<&'static str, Bucket>>);

impl Calls {
    /// Counts a call, before it is looked at any closer: a refused request has its price too.
    ///
    /// # Errors
    /// `ThrottlingException`, which SDKs retry, if there were too many this second.
    pub(super) fn count(&self, operation: &str, now_millis: u64) -> Result<(), ApiError> {
        let Some(operation) = MANAGING.into_iter().find(|managing| *managing == operation) else { return Ok(()) };
        let mut calls = lock(&self.0);
        let bucket = calls.entry(operation).or_insert_with(|| Bucket::full(CALLS, now_millis));
        match bucket.take(now_millis, 1) {
            Ok(()) => Ok(()),
            Err(_) => Err(ApiError::client("ThrottlingException", "Rate exceeded")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_quota_holds_for_its_second_and_comes_back() {
        let mut throughput = Throughput::full(0);
        for _ in 0..REQUESTS {
            assert!(throughput.request(0));
        }
        assert!(!throughput.request(0));
        for _ in 0..5 {
            assert!(throughput.record(0, 1 << 20));
        }
        assert!(!throughput.record(0, 1));
        assert!(throughput.record(0, 0), "a refusal takes no record, and there are records left");
        assert!(throughput.request(1_000) && throughput.record(1_000, 5 << 20));
    }

    #[test]
    fn records_without_bytes_are_counted_as_well() {
        let mut throughput = Throughput::full(0);
        let passed = (0..RECORDS + 1_000).filter(|_| throughput.record(0, 0)).count();
        assert_eq!(passed, RECORDS as usize);
    }

    #[test]
    fn each_operation_has_calls_of_its_own() {
        let calls = Calls::default();
        for operation in MANAGING {
            for _ in 0..CALLS {
                assert_eq!(calls.count(operation, 0), Ok(()));
            }
            assert_eq!(calls.count(operation, 0).map_err(|error| error.code), Err("ThrottlingException"));
            assert_eq!(calls.count(operation, 200), Ok(()), "a fifth of a second is one call");
        }
        assert!((0..100).all(|_| calls.count("PutRecord", 0).is_ok()));
    }
}
