//! The sources against one another, on events that nobody thought of.
//!
//! Every generated stream must bring the same events and the same kind of end from each source. `PROPTEST_CASES=1000000` makes
//! a long run of it.

use super::script::{Answer, Step, event, initial_response};
use super::tests::agree;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A JSON object with these fields.
fn object(fields: &[String], space: &str) -> String {
    format!("{{{space}{}{space}}}", fields.join(&format!("{space},{space}")))
}

fn field(name: &str, value: &str, space: &str) -> String {
    format!("\"{name}\"{space}:{space}{value}")
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// A time as the service writes it, or as it may.
fn time() -> impl Strategy<Value = String> {
    let millis = prop_oneof![1_600_000_000_000_u64..1_900_000_000_000, 0_u64..1 << 45];
    (millis, 0..10).prop_map(|(millis, form)| {
        let (seconds, rest) = (millis / 1_000, millis % 1_000);
        let digits = millis.to_string();
        let (first, others) = digits.split_at(1);
        let exponent = digits.len() as i64 - 4;
        match form {
            0 | 1 => format!("{seconds}.{rest:03}"),
            2 | 3 => format!("{first}.{others}0E{exponent}"),
            4 => format!("{first}.{}E{exponent}", others.trim_end_matches('0')),
            5 => format!("{seconds}"),
            6 => format!("{seconds}.{rest:03}456"),
            7 => format!("{first}.{others}e+{exponent}"),
            8 => format!("-{seconds}.{rest:03}"),
            _ => "null".into(),
        }
    })
}

/// Mostly usual values, and now and then others.
fn mostly(usual: impl Strategy<Value = String> + 'static, others: &'static [&'static str]) -> BoxedStrategy<String> {
    prop_oneof![9 => usual, 1 => select(others).prop_map(str::to_owned)].boxed()
}

/// White space between tokens: mostly none.
fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![9 => Just(""), 1 => select(&[" ", "\n\t", "\r\n"][..])]
}

/// Fields in any order, and now and then one of them missing, twice, or of a kind that nobody knows.
fn fields(fields: Vec<(&'static str, BoxedStrategy<String>)>) -> impl Strategy<Value = String> {
    let named = fields.into_iter().map(|(name, value)| (Just(name), value)).collect::<Vec<_>>();
    (named, 0..30, any::<Index>(), space())
        .prop_map(|(mut fields, oddity, which, space)| {
            let odd = which.index(fields.len());
            match oddity {
                0 => drop(fields.remove(odd)),
                1 => fields.push(fields[odd].clone()),
                2 => fields.push(("Unknown", r#"{"a":[1,"}"]}"#.into())),
                _ => {}
            }
            (fields, space)
        })
        .prop_flat_map(|(fields, space)| (Just(fields).prop_shuffle(), Just(space)))
        .prop_map(|(fields, space)| {
            let fields: Vec<_> = fields.iter().map(|(name, value)| field(name, value, space)).collect();
            object(&fields, space)
        })
}

fn record() -> impl Strategy<Value = String> {
    let key = prop_oneof!["[a-zA-Z0-9 _-]{0,20}", any::<String>()].prop_map(|key| quoted(&key));
    let data = vec(any::<u8>(), 0..100).prop_map(|data| quoted(&base64_simd::STANDARD.encode_to_string(data)));
    let sequence = prop_oneof![any::<u64>().prop_map(|n| n.to_string()), "[1-9][0-9]{55}"].prop_map(|n| quoted(&n));
    fields(vec![
        ("SequenceNumber", mostly(sequence, &["null", "\"\"", "\"x\"", "7"])),
        ("ApproximateArrivalTimestamp", mostly(time(), &["\"2024-01-01T00:00:00Z\"", "01.5", "1.", ".5", "{}"])),
        ("Data", mostly(data, &["null", "\"=\"", "\"eA\"", "\"eA==\\u0000\"", "\"e\\u0041==\"", "\"eB==\"", "7"])),
        ("PartitionKey", mostly(key, &["null", "\"\\u00e5\\/\"", "\"\\ud800\"", "\"\u{7}\"", "7"])),
        (
            "EncryptionType",
            mostly(select(&["\"NONE\"", "\"KMS\""][..]).prop_map(str::to_owned), &["null", "\"?\"", "1"]),
        ),
    ])
}

const CHILDREN: &str =
    r#"[{"ShardId":"b","ParentShards":["a"],"HashKeyRange":{"StartingHashKey":"0","EndingHashKey":"9"}}]"#;

fn event_json() -> impl Strategy<Value = String> {
    let records = (vec(record(), 0..5), space())
        .prop_map(|(records, space)| format!("[{space}{}{space}]", records.join(&format!("{space},{space}"))));
    let continuation = "[1-9][0-9]{0,55}".prop_map(|number| quoted(&number));
    let usual = vec![
        ("Records", mostly(records, &["null", "[null]", "[,]", "{}"])),
        ("ContinuationSequenceNumber", mostly(continuation, &["null", "\"\"", "7", "\"\\u0037\""])),
        (
            "MillisBehindLatest",
            mostly((0_u64..1 << 50).prop_map(|n| n.to_string()), &["-1", "0", "00", "1.0", "1e3", "null"]),
        ),
    ];
    let mut with_children = usual.clone();
    with_children.push(("ChildShards", mostly(Just("[]".to_owned()), &["null", CHILDREN, "[{}]"])));
    prop_oneof![3 => fields(usual), 1 => fields(with_children)]
}

fn compare(frames: &[Vec<u8>], chunk_bytes: usize) {
    let chunks = frames.concat();
    let steps = chunks.chunks(chunk_bytes).map(|chunk| Step::Bytes(chunk.to_vec())).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    drop(runtime.block_on(agree(Answer::stream(steps))));
}

proptest! {
    #[test]
    fn any_event_means_the_same_to_every_source(json in event_json(), chunk_bytes in 1_usize..600) {
        compare(&[initial_response(), event(&json), event(json)], chunk_bytes);
    }

    #[test]
    fn a_changed_byte_of_json_means_the_same_to_every_source(
        json in event_json(), changes in vec((any::<Index>(), any::<u8>(), 0..3), 1..4), chunk_bytes in 1_usize..600,
    ) {
        let mut json = json.into_bytes();
        for (at, byte, kind) in changes {
            let at = at.index(json.len());
            match kind {
                0 => json[at] = byte,
                1 => json.insert(at, byte),
                _ => drop(json.remove(at)),
            }
            if json.is_empty() {
                break;
            }
        }
        compare(&[initial_response(), event(json)], chunk_bytes);
    }

    #[test]
    fn a_changed_byte_of_a_frame_means_the_same_to_every_source(
        json in event_json(), at in any::<Index>(), bits in 1_u8.., chunk_bytes in 1_usize..600,
    ) {
        let mut frame = event(&json);
        let at = at.index(frame.len());
        frame[at] ^= bits;
        compare(&[initial_response(), frame, event(json)], chunk_bytes);
    }
}
