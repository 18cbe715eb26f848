//! Records under many keys, at a steady rate, and the ledger of what Kinesis acknowledged.

use crate::fleet::EmulatedClock;
use crate::history::{Number, Put};
use alluvial_tests::World;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

const KEYS: u32 = 200;
/// 200 records a second.
const PER_CALL: usize = 20;
const BETWEEN_CALLS: Duration = Duration::from_millis(100);

/// The payload of the `n`th record of `key`, of a size that differs from record to record.
pub(crate) fn payload(key: &str, n: u64) -> Vec<u8> {
    let text = "alluvium ".repeat(usize::try_from(n % 23).expect("small"));
    serde_json::json!({ "key": key, "n": n, "text": text }).to_string().into_bytes()
}

/// Puts records until `enough` is cancelled; returns all of them, in the order in which they were put.
///
/// One call after the other, and each key's records in the order of their numbers, so that the stream has them in this order.
///
/// # Panics
/// When Kinesis refuses a record: no fault is about puts.
pub(crate) async fn put_until(
    world: &World,
    clock: &EmulatedClock,
    mut random: fastrand::Rng,
    enough: &CancellationToken,
) -> Vec<Put> {
    let (kinesis, mut counters, mut puts) = (world.kinesis(), BTreeMap::<u32, u64>::new(), Vec::new());
    let mut ticks = interval(BETWEEN_CALLS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !enough.is_cancelled() {
        ticks.tick().await;
        let mut records = Vec::new();
        for _ in 0..PER_CALL {
            let key = random.u32(..KEYS);
            let n = counters.entry(key).or_default();
            *n += 1;
            records.push((format!("key-{key}"), *n));
        }
        let entries = records.iter().map(|(key, n)| {
            PutRecordsRequestEntry::builder()
                .partition_key(key)
                .data(Blob::new(payload(key, *n)))
                .build()
                .expect("complete")
        });
        let call = kinesis.put_records().stream_name("orders").set_records(Some(entries.collect()));
        let answer = call.send().await.expect("records are accepted");
        let at = clock.now_millis();
        puts.extend(records.into_iter().zip(answer.records).map(|((key, n), entry)| {
            let (Some(shard), Some(number)) = (entry.shard_id, entry.sequence_number) else {
                panic!("{key} n {n} was refused: {:?} {:?}", entry.error_code, entry.error_message);
            };
            Put { at, name: (shard, Number::of(&number)), key, n }
        }));
    }
    puts
}
