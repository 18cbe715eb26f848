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
fn each_record_may_have_its_fields_in_an_order_of_its_own() {
    let fields = |n: usize| {
        [
            format!("\"SequenceNumber\":\"{n}\""),
            format!("\"ApproximateArrivalTimestamp\":{n}.5"),
            "\"Data\":\"eA==\"".to_owned(),
            format!("\"PartitionKey\":\"k{n}\""),
            "\"EncryptionType\":\"KMS\"".to_owned(),
        ]
    };
    let record = |n: usize| {
        let mut fields = fields(n);
        fields.rotate_left(n / 3 % 5);
        // Some have no encryption.
        let kept = fields.iter().filter(|field| n % 4 != 1 || !field.contains("Encryption"));
        format!("{{{}}}", kept.cloned().collect::<Vec<_>>().join(","))
    };
    let records: Vec<String> = (0..60).map(record).collect();
    let event = read(event_json(&records, 5).as_bytes()).expect("an event");
    for (n, record) in event.records.iter().enumerate() {
        assert_eq!(
            (record.position.sequence, &*record.partition_key),
            (n.to_string().parse().unwrap(), &*format!("k{n}"))
        );
        assert_eq!((record.arrived_millis, &record.data[..]), (n as u64 * 1000 + 500, &b"x"[..]));
    }
    assert_eq!(event.records.len(), 60);
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
