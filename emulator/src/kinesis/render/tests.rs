use super::super::log::{Limits, Log, Size};
use super::super::store::Store;
use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as OTHER_BASE64;
use proptest::prelude::*;

const ORIGIN: Origin = Origin { created_secs: 1_800_000_000, shard: 5 };

fn batch(records: &[(String, Vec<u8>)], now: u64) -> Batch {
    let (store, mut log) = (Store::new(None), Log::new());
    let bytes: Vec<u8> = records.iter().flat_map(|(key, data)| [key.as_bytes(), data].concat()).collect();
    let sizes: Vec<_> = records.iter().map(|(key, data)| Size::of(key.len(), data.len()).unwrap()).collect();
    log.append(now, &store.append(0, &bytes).unwrap(), &sizes);
    log.plan(1, Limits { records: 100, bytes: 1 << 20 }).unwrap().read().unwrap()
}

#[test]
fn a_heartbeat_is_as_long_as_that_of_kinesis() {
    let json = event(None, &ORIGIN.behind(0, 1_800_000_000_000), 0);
    let text = String::from_utf8(json.clone()).unwrap();
    assert!(text.starts_with("{\"ContinuationSequenceNumber\":\"49"), "{text}");
    assert!(text.ends_with("\",\"MillisBehindLatest\":0,\"Records\":[]}"), "{text}");
    // A dump of the real service shows 242 bytes: https://github.com/aws/aws-sdk-ruby/issues/2779.
    assert_eq!(super::super::frame::event(super::super::Format::Json, json).unwrap().len(), 242);
}

#[test]
fn the_end_names_the_children_and_no_continuation() {
    let hash_key_range = super::super::hash::HashRange { start: 0, end: 9 }.into();
    let child = ChildShard { shard_id: "c".to_owned(), parent_shards: vec!["p".to_owned()], hash_key_range };
    let expected = serde_json::json!({
        "Records": [], "MillisBehindLatest": 0,
        "ChildShards": [{ "ShardId": "c", "ParentShards": ["p"], "HashKeyRange": { "StartingHashKey": "0", "EndingHashKey": "9" } }],
    });
    let children = [child];
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&end(&children)).unwrap(), expected);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&get_records(None, Err(&children), 0)).unwrap(), expected);
}

proptest! {
    #[test]
    fn records_read_back_as_they_were_put(
        records in proptest::collection::vec((".{1,12}", proptest::collection::vec(any::<u8>(), 0..60)), 1..8),
        now in 0u64..10_000_000_000_000,
        behind: u64,
        encrypted: bool,
    ) {
        let batch = batch(&records, now);
        let continuation = ORIGIN.record(8, now);
        let mut encryption = Encryption::default();
        if encrypted {
            encryption.change(now, Some("alias/aws/kinesis".to_owned()), 0);
        }
        let records_of = Some(Records { origin: ORIGIN, batch: &batch, encryption: &encryption });
        for json in [event(records_of, &continuation, behind), get_records(records_of, Ok("next\"one"), behind)] {
            let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
            prop_assert_eq!(&json["MillisBehindLatest"], behind);
            let found = json["Records"].as_array().unwrap();
            prop_assert_eq!(found.len(), records.len());
            for (index, (record, (key, data))) in (1..).zip(found.iter().zip(&records)) {
                prop_assert_eq!(&record["PartitionKey"], key);
                prop_assert_eq!(&OTHER_BASE64.decode(record["Data"].as_str().unwrap()).unwrap(), data);
                prop_assert_eq!(&record["SequenceNumber"], &ORIGIN.record(index, now).to_string());
                let arrival = record["ApproximateArrivalTimestamp"].as_f64().unwrap();
                prop_assert_eq!(super::super::wire::millis(arrival).unwrap(), now);
                prop_assert_eq!(record.get("EncryptionType").is_some_and(|kind| kind == "KMS"), encrypted);
            }
        }
    }
}
