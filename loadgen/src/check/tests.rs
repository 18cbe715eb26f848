use super::*;
use aws_sdk_kinesis::types::{StreamModeDetails, builders::StreamDescriptionSummaryBuilder};
use aws_smithy_types::DateTime;

fn summary(status: StreamStatus) -> StreamDescriptionSummaryBuilder {
    StreamDescriptionSummary::builder()
        .stream_name("orders")
        .stream_arn("arn:aws:kinesis:eu-west-1:000000000000:stream/orders")
        .stream_status(status)
        .retention_period_hours(24)
        .stream_creation_timestamp(DateTime::from_secs(0))
        .set_enhanced_monitoring(Some(Vec::new()))
        .open_shard_count(2)
}

fn facts_of(summary: StreamDescriptionSummaryBuilder) -> Result<Facts, Error> {
    facts(&summary.build().unwrap(), "orders")
}

#[test]
fn a_stream_says_how_large_its_records_may_be() {
    let plain = facts_of(summary(StreamStatus::Active)).unwrap();
    assert_eq!(plain, Facts { max_record_bytes: 1_048_576, shards: Some(2) });
    let large = facts_of(summary(StreamStatus::Updating).max_record_size_in_kib(10_240)).unwrap();
    assert_eq!(large.max_record_bytes, 10_485_760);
    let on_demand = StreamModeDetails::builder().stream_mode(StreamMode::OnDemand).build().unwrap();
    assert_eq!(facts_of(summary(StreamStatus::Active).stream_mode_details(on_demand)).unwrap().shards, None);
}

#[test]
fn a_stream_that_takes_no_records_yet_comes_with_the_fix() {
    let error = facts_of(summary(StreamStatus::Creating)).unwrap_err();
    assert!(matches!(error, Error::Remote(text) if text.contains("wait stream-exists")));
    assert!(facts_of(summary(StreamStatus::Deleting)).is_err());
}

#[test]
fn advice_is_given_only_above_the_capacity() {
    let facts = Facts { max_record_bytes: 1, shards: Some(2) };
    assert!(advice(facts, Rate::per_second(2_000)).is_none());
    assert!(advice(facts, Rate::per_second(2_001)).unwrap().contains("2001 records/s"));
    assert!(advice(facts, Rate::UNLIMITED).is_none());
    assert!(advice(Facts::UNKNOWN, Rate::per_second(100_000)).is_none());
}
