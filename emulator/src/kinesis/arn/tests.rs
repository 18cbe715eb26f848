use super::*;

#[test]
fn each_kind_names_its_stream() {
    assert_eq!(stream_name(&stream("orders")), Some("orders"));
    assert_eq!(consumers_stream_name(&consumer("orders", "app", 5)), Some("orders"));
    assert_eq!(consumer("orders", "app", 5), "arn:aws:kinesis:us-east-1:000000000000:stream/orders/consumer/app:5");
    assert_eq!(stream_name(&consumer("orders", "app", 5)), None);
    assert_eq!(consumers_stream_name(&stream("orders")), None);
    for bad in [
        "",
        "orders",
        "arn:aws:kinesis:us-east-1:000000000000:stream/",
        "arn:aws:kinesis:eu-west-1:000000000000:stream/orders",
    ] {
        assert_eq!((stream_name(bad), consumers_stream_name(bad)), (None, None), "{bad}");
    }
}

#[test]
fn the_form_of_an_arn_is_that_of_any_account() {
    for (arn, rest) in [
        (stream("orders"), Some("orders")),
        (consumer("orders", "app", 5), Some("orders/consumer/app:5")),
        ("arn:aws-cn:kinesis:cn-north-1:123456789012:stream/x".to_owned(), Some("x")),
        ("arn:aws:sns:us-east-1:000000000000:stream/x".to_owned(), None),
        ("arn:aws:kinesis:us-east-1:0:stream/x".to_owned(), None),
        ("arn:aws:kinesis:us-east-1:000000000000:stream/".to_owned(), None),
        ("arn:aws:kinesis:us-east-1:000000000000:stream/a b".to_owned(), None),
        ("arn:aws:kinesis:us-east-1:000000000000:channel/x".to_owned(), None),
        ("orders".to_owned(), None),
    ] {
        assert_eq!(any_stream(&arn), rest, "{arn}");
    }
}
