use super::*;

#[test]
fn both_kinds_name_their_stream() {
    assert_eq!(stream_name(&stream("orders")), Some("orders"));
    assert_eq!(stream_name(&consumer("orders", "app", 5)), Some("orders"));
    assert_eq!(consumer("orders", "app", 5), "arn:aws:kinesis:us-east-1:000000000000:stream/orders/consumer/app:5");
    for bad in [
        "",
        "orders",
        "arn:aws:kinesis:us-east-1:000000000000:stream/",
        "arn:aws:kinesis:eu-west-1:000000000000:stream/orders",
    ] {
        assert_eq!(stream_name(bad), None, "{bad}");
    }
}
