//! Enhanced fan-out and the settings of streams through the SDK, over TLS and HTTP/2; the rest of Kinesis is tested beside its code.

use crate::world::{PATIENCE, World};
use alluvial_emulator::{Emulator, Settings};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{
    EncryptionType, MetricsName, MinimumThroughputBillingCommitmentInput,
    MinimumThroughputBillingCommitmentInputStatus, MinimumThroughputBillingCommitmentOutputStatus,
    PutRecordsRequestEntry, RecordDistributionStrategy, ShardIteratorType, StartingPosition, StreamMode,
    StreamModeDetails, StreamStatus, SubscribeToShardEventStream,
};
use std::time::Duration;

async fn create(kinesis: &Client) -> String {
    kinesis.create_stream().stream_name("events").shard_count(1).send().await.expect("a stream");
    let described = kinesis.describe_stream_summary().stream_name("events").send().await.expect("a summary");
    described.stream_description_summary.expect("a summary").stream_arn
}

async fn put(kinesis: &Client, data: &str) {
    let put = kinesis.put_record().stream_name("events").partition_key("k").data(Blob::new(data));
    put.send().await.expect("a record");
}

#[tokio::test]
async fn a_subscription_gets_what_is_put_before_and_after_it_opens_and_ends_with_the_emulator() {
    let world = World::start().await;
    let kinesis = world.kinesis();
    let stream = create(&kinesis).await;
    let registered = kinesis.register_stream_consumer().stream_arn(stream).consumer_name("reader").send().await;
    let consumer = registered.expect("a consumer").consumer.expect("a consumer").consumer_arn;
    put(&kinesis, "before").await;

    let from = StartingPosition::builder().r#type(ShardIteratorType::TrimHorizon).build().expect("a position");
    let subscribe = kinesis.subscribe_to_shard().consumer_arn(consumer).shard_id("shardId-000000000000");
    let mut events = subscribe.starting_position(from).send().await.expect("a subscription").event_stream;
    let seen = async {
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let event = events.recv().await.expect("an event").expect("an open subscription");
            if let SubscribeToShardEventStream::SubscribeToShardEvent(event) = event {
                let records =
                    event.records.iter().map(|record| String::from_utf8_lossy(record.data.as_ref()).into_owned());
                let first = seen.is_empty();
                seen.extend(records);
                if first && !seen.is_empty() {
                    put(&kinesis, "after").await;
                }
            }
        }
        seen
    };
    let seen = tokio::time::timeout(PATIENCE, seen).await.expect("both records");
    assert_eq!(seen, ["before", "after"]);

    tokio::time::timeout(PATIENCE, world.emulator.stop()).await.expect("the emulator stops with a subscription open");
    // How a cut stream looks is the client's affair; that it ends is ours.
    let ended = async { while let Ok(Some(_)) = events.recv().await {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("the subscription ends");
}

#[tokio::test]
async fn limits_hold_when_they_are_asked_for() {
    let dir = tempfile::tempdir().expect("a folder");
    // A clock that hardly moves: the shard's second lasts longer than the test.
    let settings = Settings { limits: true, clock_speed: 1e-6, ..Settings::new(dir.path()) };
    let world = World { emulator: Emulator::start(settings).await.expect("an emulator"), dir };
    let kinesis = world.kinesis();
    create(&kinesis).await;
    let entry = PutRecordsRequestEntry::builder().partition_key("k").data(Blob::new("one")).build().expect("a record");
    for failed in [0, 0, 500] {
        let put = kinesis.put_records().stream_name("events").set_records(Some(vec![entry.clone(); 500]));
        assert_eq!(put.send().await.expect("an answer").failed_record_count, Some(failed));
    }
    world.emulator.stop().await;
}

#[tokio::test]
async fn states_last_as_long_as_the_settings_say() {
    let dir = tempfile::tempdir().expect("a folder");
    // A clock that hardly moves: what begins does not end within the test.
    let settings = Settings { state_delay: Duration::from_secs(10), clock_speed: 1e-6, ..Settings::new(dir.path()) };
    let world = World { emulator: Emulator::start(settings).await.expect("an emulator"), dir };
    let kinesis = world.kinesis();
    create(&kinesis).await;
    let described = kinesis.describe_stream().stream_name("events").send().await.expect("a description");
    let description = described.stream_description.expect("a description");
    assert_eq!(description.stream_status, StreamStatus::Creating);
    world.emulator.stop().await;
}

#[tokio::test]
async fn what_an_owner_sets_reads_back_by_the_sdk() {
    let world = World::start().await;
    let kinesis = world.kinesis();
    let arn = create(&kinesis).await;

    let enabled = MinimumThroughputBillingCommitmentInputStatus::Enabled;
    let commitment = MinimumThroughputBillingCommitmentInput::builder().status(enabled).build().expect("a commitment");
    let updated = kinesis.update_account_settings().minimum_throughput_billing_commitment(commitment);
    updated.send().await.expect("account settings");
    let settings = kinesis.describe_account_settings().send().await.expect("account settings");
    let commitment = settings.minimum_throughput_billing_commitment.expect("a commitment");
    assert_eq!(commitment.status, MinimumThroughputBillingCommitmentOutputStatus::Enabled);
    let (started, earliest) =
        (commitment.started_at.expect("a start"), commitment.earliest_allowed_end_at.expect("an end"));
    assert_eq!(earliest.secs() - started.secs(), 24 * 3_600);

    let on_demand = StreamModeDetails::builder().stream_mode(StreamMode::OnDemand).build().expect("a mode");
    kinesis.update_stream_mode().stream_arn(&arn).stream_mode_details(on_demand).send().await.expect("a mode");
    let warmed = kinesis.update_stream_warm_throughput().stream_arn(&arn).warm_throughput_mibps(6).send().await;
    assert_eq!(warmed.expect("warm").warm_throughput.expect("warm").target_mibps, Some(6));
    let strategy = RecordDistributionStrategy::Auto;
    let spread = kinesis.update_stream_record_distribution_strategy().stream_arn(&arn);
    spread.record_distribution_strategy(strategy.clone()).send().await.expect("a distribution");

    let encrypt = kinesis.start_stream_encryption().stream_arn(&arn).encryption_type(EncryptionType::Kms);
    encrypt.key_id("alias/aws/kinesis").send().await.expect("encryption");
    let put = kinesis.put_record().stream_arn(&arn).partition_key("k").data(Blob::new("x")).send().await;
    assert_eq!(put.expect("a record").encryption_type, Some(EncryptionType::Kms));
    let metrics = kinesis.enable_enhanced_monitoring().stream_arn(&arn).shard_level_metrics(MetricsName::All);
    assert_eq!(metrics.send().await.expect("metrics").desired_shard_level_metrics.expect("metrics").len(), 7);

    kinesis.tag_resource().resource_arn(&arn).tags("team", "a").send().await.expect("a tag");
    let tags = kinesis.list_tags_for_resource().resource_arn(&arn).send().await.expect("tags").tags.expect("tags");
    assert_eq!((tags.len(), tags[0].key.as_str(), tags[0].value.as_deref()), (1, "team", Some("a")));
    kinesis.put_resource_policy().resource_arn(&arn).policy("{}").send().await.expect("a policy");
    let policy = kinesis.get_resource_policy().resource_arn(&arn).send().await.expect("a policy");
    assert_eq!(policy.policy, "{}");

    let summary = kinesis.describe_stream_summary().stream_arn(&arn).send().await.expect("a summary");
    let summary = summary.stream_description_summary.expect("a summary");
    assert_eq!(summary.stream_mode_details.expect("a mode").stream_mode, StreamMode::OnDemand);
    assert_eq!((summary.open_shard_count, summary.record_distribution_strategy), (6, Some(strategy)));
    assert_eq!(summary.key_id.as_deref(), Some("alias/aws/kinesis"));
    let warm = summary.warm_throughput.expect("warm");
    assert_eq!((warm.target_mibps, warm.current_mibps), (Some(6), Some(6)));
    world.emulator.stop().await;
}
