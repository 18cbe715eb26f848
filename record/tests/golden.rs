//! Aggregates that AWS's own aggregators made (`golden/make.mjs` and `golden/make.py`), read and made again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is a test that failed")]

use alluvial_record::aggregate::{Aggregator, Decoded, UserRecord, decode};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(serde::Deserialize)]
struct Given {
    key: String,
    hash: Option<String>,
    hex: String,
    #[serde(default = "once")]
    times: usize,
}

fn once() -> usize {
    1
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

fn cases() -> BTreeMap<String, Vec<UserRecord>> {
    let cases: BTreeMap<String, Vec<Given>> = serde_json::from_str(&read("cases.json")).unwrap();
    let record = |(index, given): (u64, &Given)| UserRecord {
        partition_key: given.key.clone().into(),
        explicit_hash_key: given.hash.as_ref().map(|hash| hash.parse().unwrap()),
        data: bytes(&given.hex.repeat(given.times)).into(),
        index,
    };
    cases.into_iter().map(|(name, given)| (name, (0..).zip(&given).map(record).collect())).collect()
}

fn golden(case: &str, maker: &str) -> Bytes {
    bytes(read(&format!("{case}.{maker}.hex")).trim_end()).into()
}

fn decoded(data: &Bytes) -> Vec<UserRecord> {
    match decode(data) {
        Decoded::Aggregate(aggregate) => aggregate.records().collect(),
        other => panic!("{other:?}"),
    }
}

fn encoded(records: &[UserRecord]) -> Bytes {
    let mut aggregator = Aggregator::new(1_024 * 1_024);
    assert!(records.iter().all(|r| aggregator.try_add(&r.partition_key, r.explicit_hash_key, &r.data)));
    aggregator.finish().unwrap()
}

#[test]
fn what_aws_packed_is_read_record_for_record() {
    let cases = cases();
    assert!(cases.len() >= 5);
    for (name, records) in &cases {
        assert_eq!(decoded(&golden(name, "python")), *records, "{name} of Python");
        if name != "numeric" {
            assert_eq!(decoded(&golden(name, "node")), *records, "{name} of JavaScript");
        }
    }
}

#[test]
fn what_we_pack_is_byte_for_byte_what_aws_packs() {
    for (name, records) in &cases() {
        assert_eq!(encoded(records), golden(name, "python"), "{name} of Python");
        if name != "numeric" {
            assert_eq!(encoded(records), golden(name, "node"), "{name} of JavaScript");
        }
    }
}

/// The aggregator for JavaScript (4.0.4) lists keys that look like small integers in ascending order, and numbers them
/// in the order in which they came: such records change their partition keys. That is in its bytes, and is read as it is
/// written; nobody else makes it.
#[test]
fn the_aggregator_for_javascript_confuses_keys_that_are_small_integers() {
    let keys = |maker| decoded(&golden("numeric", maker)).into_iter().map(|r| r.partition_key).collect::<Vec<_>>();
    assert_eq!(keys("python"), ["10", "9"]);
    assert_eq!(keys("node"), ["9", "10"]);
}
