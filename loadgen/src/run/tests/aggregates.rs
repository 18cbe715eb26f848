//! Aggregates: many records in one of Kinesis, and the same measures as without.

use super::*;

/// The middle of the hash keys.
const MIDDLE: u128 = 1 << 127;

fn packed(records: u64) -> Load {
    Load { aggregate: Some(2_000), rate: Rate::per_second(20_000), ..load(records) }
}

fn numbers(kinesis: &Kinesis) -> Vec<u64> {
    let mut numbers: Vec<_> = kinesis.consumed().iter().map(kinesis::Stored::number).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test(start_paused = true)]
async fn every_record_comes_out_of_its_aggregate_once_in_the_order_of_its_key_and_is_measured() {
    let kinesis = Kinesis::scripted(|_| Reply::ok());
    kinesis.shard(&[0, MIDDLE]);
    let kept = Arc::new(Kept::default());
    let report =
        run(packed(2_000), kinesis.client(), clock(), CancellationToken::new(), Arc::clone(&kept)).await.unwrap();
    assert_eq!((report.records, report.accepted, report.lost), (2_000, 2_000, 0));
    assert_eq!(numbers(&kinesis), (0..2_000).collect::<Vec<_>>());
    assert!(kinesis.by_key().values().all(|numbers| numbers.is_sorted()));
    let stored = kinesis.stored();
    assert_eq!(report.kinesis_records, stored.len() as u64);
    assert!(stored.len() < 400, "{} Kinesis records for 2,000", stored.len());
    assert!(stored.iter().all(|record| record.data.len() <= 2_000));
    assert_eq!(report.bytes, kinesis.consumed().iter().map(|record| record.data.len() as u64).sum::<u64>());
    assert_eq!(report.shards.values().sum::<u64>(), 2_000);
    let names: HashSet<_> =
        kept.accepted.lock().unwrap().iter().map(|r| (r.sequence_number.clone(), r.sub_sequence)).collect();
    assert_eq!(names.len(), 2_000, "sequence and sub-sequence number name a record");
    assert!(report.latency_ms.p50 >= 5.0 && report.latency_ms.max < 200.0, "{:?}", report.latency_ms);
}

#[tokio::test(start_paused = true)]
async fn refused_aggregates_are_repeated_whole_and_counted_by_their_records() {
    let mut random = Rng::with_seed(3);
    let kinesis = Kinesis::scripted(move |_| {
        let mut random = random.fork();
        Reply::Store(Box::new(move |_| (random.u8(0..10) < 3).then_some(THROTTLED)))
    });
    kinesis.shard(&[0, MIDDLE]);
    let report = put(packed(3_000), &kinesis).await.unwrap();
    assert_eq!((report.records, report.accepted, report.lost), (3_000, 3_000, 0));
    assert_eq!(numbers(&kinesis), (0..3_000).collect::<Vec<_>>());
    assert!(report.retried_entries > 100, "{report}");
    let out_of_order = kinesis.by_key().values().filter(|numbers| !numbers.is_sorted()).count();
    assert!(out_of_order == 0 || report.reordered_by_retry > 0);
}

#[tokio::test(start_paused = true)]
async fn a_split_and_a_merge_in_midstream_lose_and_repeat_nothing() {
    let (sender, mut calls) = tokio::sync::mpsc::channel(10_000);
    let kinesis = Kinesis::scripted(move |call| {
        sender.try_send(call).unwrap();
        Reply::ok()
    });
    kinesis.shard(&[0]);
    let reshard = async {
        while let Some(call) = calls.recv().await {
            match call {
                30 => kinesis.shard(&[0, MIDDLE / 2, MIDDLE]),
                60 => kinesis.shard(&[0, MIDDLE]),
                _ => {}
            }
        }
    };
    let load = Load { rate: Rate::per_second(2_000), ..packed(6_000) };
    let running = put(load, &kinesis);
    let report = tokio::select! {
        report = running => report.unwrap(),
        () = reshard => unreachable!("the script lives as long as the run"),
    };
    assert_eq!((report.records, report.accepted, report.lost), (6_000, 6_000, 0));
    assert!(report.shards.len() > 4, "all shards have taken records: {:?}", report.shards);
    assert_eq!(numbers(&kinesis), (0..6_000).collect::<Vec<_>>(), "each record once, for a consumer of its shard");
    assert!(report.retried_entries > 0, "an aggregate came to a shard that it was not packed for");
    assert_eq!(report.unknown_outcome_retries, 0);
}

#[tokio::test(start_paused = true)]
async fn records_that_do_not_fit_into_an_aggregate_are_put_by_themselves() {
    let kinesis = Kinesis::scripted(|_| Reply::ok());
    kinesis.shard(&[0, MIDDLE]);
    let text = format!("{{\"n\":{{{{sequence}}}},\"text\":\"{}\"}}", "x".repeat(3_000));
    let source = Source::Template(Template::compile(&text).unwrap());
    let report = put(Load { source, ..packed(50) }, &kinesis).await.unwrap();
    assert_eq!((report.accepted, report.kinesis_records), (50, 50));
    assert_eq!(numbers(&kinesis), (0..50).collect::<Vec<_>>());
    assert!(kinesis.by_key().keys().all(|key| key != "a"));
}
