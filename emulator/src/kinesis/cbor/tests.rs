use super::decode::DecodeError;
use super::*;
use crate::kinesis::wire;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ciborium::Value as Cbor;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// CBOR by another hand than ours.
fn written(value: &Cbor) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn read(bytes: &[u8]) -> Cbor {
    ciborium::from_reader(bytes).unwrap()
}

fn json_of(bytes: &[u8]) -> Json {
    serde_json::from_slice(&to_json(bytes).unwrap()).unwrap()
}

fn map(entries: impl IntoIterator<Item = (&'static str, Cbor)>) -> Cbor {
    Cbor::Map(entries.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

#[test]
fn a_request_of_the_java_sdk_becomes_the_json_that_it_would_have_written() {
    let record = map([("Data", Cbor::Bytes(vec![0, 255, b'x'])), ("PartitionKey", "k\"é".into())]);
    let millis = Cbor::Tag(EPOCH_TAG, Box::new(1_732_300_000_123u64.into()));
    let request = map([
        ("StreamName", "orders".into()),
        ("Records", Cbor::Array(vec![record])),
        ("Limit", 5.into()),
        ("Least", (-7).into()),
        ("EnforceConsumerDeletion", true.into()),
        ("Nothing", Cbor::Null),
        ("ShardFilter", map([("Timestamp", millis.clone())])),
        ("StreamCreationTimestamp", millis),
    ]);
    let expected = json!({
        "StreamName": "orders",
        "Records": [{ "Data": "AP94", "PartitionKey": "k\"é" }],
        "Limit": 5,
        "Least": -7,
        "EnforceConsumerDeletion": true,
        "Nothing": null,
        "ShardFilter": { "Timestamp": 1_732_300_000.123 },
        "StreamCreationTimestamp": 1_732_300_000.123,
    });
    assert_eq!(json_of(&written(&request)), expected);
}

#[test]
fn lengths_may_be_left_open_and_strings_be_cut_in_pieces() {
    // {_ "Data": (_ h'01', h'0203'), "K": [_ 1.5, (_ "é" in one piece, "x")]}
    let bytes = [
        b"\xbf\x64Data\x5f\x41\x01\x42\x02\x03\xff".as_slice(),
        b"\x61K\x9f\xf9\x3e\x00\x7f\x62\xc3\xa9\x61x\xff\xff\xff",
    ];
    assert_eq!(json_of(&bytes.concat()), json!({ "Data": "AQID", "K": [1.5, "éx"] }));
}

#[test]
fn a_string_may_be_longer_than_what_is_copied_at_a_time() {
    let (text, blob) = ("é".repeat(40_001), vec![7; 100_000]);
    let request = map([("x", text.as_str().into()), ("Data", Cbor::Bytes(blob.clone()))]);
    assert_eq!(json_of(&written(&request)), json!({ "x": text, "Data": STANDARD.encode(blob) }));
}

#[test]
fn an_answer_has_byte_strings_and_milliseconds() {
    let answer = json!({
        "Records": [{ "Data": "AP94", "ApproximateArrivalTimestamp": 1_732_300_000.123, "PartitionKey": "k" }],
        "MillisBehindLatest": 0,
        "StartedAt": 5,
    });
    let time = |millis: u64| Cbor::Tag(EPOCH_TAG, Box::new(millis.into()));
    let record = map([
        ("ApproximateArrivalTimestamp", time(1_732_300_000_123)),
        ("Data", Cbor::Bytes(vec![0, 255, b'x'])),
        ("PartitionKey", "k".into()),
    ]);
    let expected =
        map([("MillisBehindLatest", 0.into()), ("Records", Cbor::Array(vec![record])), ("StartedAt", time(5_000))]);
    assert_eq!(read(&from_json(answer.to_string().as_bytes()).unwrap()), expected);
}

#[test]
fn nothing_stays_nothing_and_bad_json_of_ours_is_an_error() {
    assert!(to_json(b"").unwrap().is_empty());
    assert!(from_json(b"").unwrap().is_empty());
    for bad in ["{", "{}{}", r#"{"Data":"***"}"#, r#"{"Timestamp":-1}"#] {
        assert!(from_json(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn what_is_no_request_is_refused_with_its_reason() {
    let deep = [vec![0x81; 33], vec![0]].concat();
    let deep_tags = [vec![0xc1; 33], vec![0]].concat();
    for (bytes, reason) in [
        (b"\xa1\x61a".as_slice(), "it ends within an item"),
        (b"\xbf\x61a\x01", "it ends within an item"),
        (b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff", "it ends within an item"),
        (b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff", "it ends within an item"),
        (b"\x62\xff\xff", "malformed"),
        (b"\x1c", "malformed"),
        (b"\x7f\x41a\xff", "malformed"),
        (b"\xa1\x01\x02", "a key that is no text"),
        (b"\xa1\x61a\xff", "a break"),
        (b"\xff", "a break"),
        (b"\xf8\x99", "a simple value"),
        (b"\xa0\xa0", "bytes follow the request, from byte 1"),
        (&deep, "more than 32 items"),
        (&deep_tags, "more than 32 items"),
    ] {
        let error = to_json(bytes).unwrap_err().to_string();
        assert!(error.starts_with(reason), "{bytes:x?}: {error}");
    }
}

/// Any value of the shapes that the service has: what a name says of its value holds.
fn shapes() -> impl Strategy<Value = Json> {
    let plain = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_filter("JSON has no word for it", |number| number.is_finite()).prop_map(Json::from),
        ".{0,40}".prop_map(Json::from),
    ];
    plain.prop_recursive(6, 60, 8, |inner| {
        let blob = prop::collection::vec(any::<u8>(), 0..50).prop_map(|bytes| Json::from(STANDARD.encode(bytes)));
        let time = (0..4_102_444_800_000u64).prop_map(|millis| Json::from(wire::seconds(millis)));
        let name = "[A-Z\"\\\\é]{1,9}";
        let entry = prop_oneof![
            (Just("Data".to_owned()), blob),
            (
                prop_oneof![Just("Timestamp"), Just("StreamCreationTimestamp"), Just("EndedAt")]
                    .prop_map(str::to_owned),
                time
            ),
            (name, inner.clone()),
            (name, prop::collection::vec(inner, 0..6).prop_map(Json::from)),
        ];
        prop::collection::vec(entry, 0..6).prop_map(|entries| Json::Object(entries.into_iter().collect()))
    })
}

proptest! {
    #[test]
    fn json_survives_the_way_through_cbor(value in shapes()) {
        let cbor = from_json(value.to_string().as_bytes()).unwrap();
        prop_assert_eq!(json_of(&cbor), value);
    }

    #[test]
    fn a_request_that_is_cut_short_is_refused(value in shapes(), keep in 0.0..1.0) {
        let cbor = from_json(value.to_string().as_bytes()).unwrap();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a small length")]
        let kept = (cbor.len() as f64 * keep) as usize;
        prop_assume!(kept > 0);
        prop_assert!(matches!(to_json(&cbor[..kept]), Err(DecodeError::Truncated)));
    }

    #[test]
    fn any_bytes_are_json_or_refused(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        if let Ok(json) = to_json(&bytes) {
            prop_assert!(serde_json::from_slice::<Json>(&json).is_ok());
            prop_assert!(json.len() <= 8 * bytes.len());
        }
    }
}
