use super::*;
use crate::subscription::script::{event_json, record_json};

#[test]
fn what_the_service_writes_is_read_here_in_any_order() {
    for json in [
        event_json(&[], 5),
        event_json(&[record_json(1, "k", b""), record_json(2, "", b"x")], 5),
        r#"{"MillisBehindLatest":12,"Records":[{"PartitionKey":"k","Data":"eA==","ApproximateArrivalTimestamp":1732504512.001,"SequenceNumber":"7"}],"ContinuationSequenceNumber":"8"}"#.into(),
    ] {
        assert!(read(json.as_bytes()).is_some(), "{json}");
    }
}

#[test]
fn what_is_not_of_the_usual_shape_is_left_to_the_sdk() {
    let usual = event_json(&[record_json(1, "key", b"data")], 5);
    for (from, to) in [
        ("{\"Cont", "{ \"Cont"),
        ("\"key\"", "\"k\\u0065y\""),
        ("\"key\"", "\"k\u{1}y\""),
        ("\"key\"", "null"),
        ("ZGF0YQ==", "ZGF0YQ="),
        ("ZGF0YQ==", "ZGF0\\/Q=="),
        ("ZGF0YQ==", "ZGF0YR=="),
        ("1.732504512001E9", "1.7325045120001E9"),
        ("1.732504512001E9", "1.732504512001E99"),
        ("1.732504512001E9", "1.732504512001E10"),
        ("1.732504512001E9", "1.E9"),
        ("1.732504512001E9", "-1.7E9"),
        ("1.732504512001E9", "1.7e9"),
        ("1.732504512001E9", "1.7E+9"),
        ("1.732504512001E9", "1.7E999"),
        ("1.732504512001E9", "01.7E9"),
        ("1.732504512001E9", "1.7E09"),
        ("1.732504512001E9", "1.7E9.5"),
        ("\"MillisBehindLatest\":7", "\"MillisBehindLatest\":07"),
        ("\"MillisBehindLatest\":7", "\"MillisBehindLatest\":7.0"),
        ("\"MillisBehindLatest\":7", "\"MillisBehindLatest\":-7"),
        ("\"MillisBehindLatest\":7", "\"MillisBehindLatest\":1234567890123456789"),
        ("\"MillisBehindLatest\":7", "\"MillisBehindLatest\":7,\"MillisBehindLatest\":7"),
        ("\"MillisBehindLatest\":7", "\"MillisBehindLatest\":7,\"New\":1"),
        ("\"EncryptionType\":\"NONE\"", "\"EncryptionType\":\"NEW\""),
        ("\"SequenceNumber\":\"1\"", "\"SequenceNumber\":\"one\""),
        (",\"MillisBehindLatest\":7", ""),
        ("]}", "]}}"),
        ("]}", "]"),
        ("]}", ",]}"),
    ] {
        let unusual = usual.replace(from, to);
        assert_ne!(unusual, usual, "{from}");
        assert!(read(unusual.as_bytes()).is_none(), "{unusual}");
    }
}
