//! AWS quotas that the code is built around. Sizes are bytes before base64.

/// Largest Firehose record: 1,000 KiB.
///
/// Source: <https://docs.aws.amazon.com/firehose/latest/dev/limits.html>.
pub const FIREHOSE_RECORD_BYTES: usize = 1_000 * 1_024;

/// Most records in one PutRecordBatch call.
///
/// Source: <https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html>.
pub const FIREHOSE_BATCH_RECORDS: usize = 500;

/// Most bytes in one PutRecordBatch call: 4 MiB.
///
/// Source: <https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html>.
pub const FIREHOSE_BATCH_BYTES: usize = 4 * 1_024 * 1_024;

/// Firehose bills each record as a multiple of this: 5 KB.
///
/// Source: <https://aws.amazon.com/firehose/pricing/> (ingestion "rounded up to the nearest 5KB", 5,120 bytes).
pub const FIREHOSE_BILLING_BYTES: u64 = 5 * 1_024;

/// Largest Kinesis record that any stream may allow, data and partition key together: 10 MiB.
///
/// Source: <https://docs.aws.amazon.com/streams/latest/dev/large-records.html>.
pub const KINESIS_RECORD_BYTES: usize = 10 * 1_024 * 1_024;

/// A subscription ends after five minutes; the consumer then subscribes again.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html>.
pub const SUBSCRIPTION_SECONDS: u64 = 300;

/// A second SubscribeToShard call within this time of a successful one is refused with ResourceInUseException.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html>.
pub const RESUBSCRIBE_SECONDS: u64 = 5;

/// What Firehose bills for a record of `bytes`: the next multiple of 5 KB.
pub fn firehose_billed_bytes(bytes: u64) -> u64 {
    bytes.div_ceil(FIREHOSE_BILLING_BYTES).max(1) * FIREHOSE_BILLING_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn billing_rounds_up_to_five_kilobytes() {
        assert_eq!(firehose_billed_bytes(1), 5_120);
        assert_eq!(firehose_billed_bytes(5_120), 5_120);
        assert_eq!(firehose_billed_bytes(5_121), 10_240);
    }
}
