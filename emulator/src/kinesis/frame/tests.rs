use super::*;
use aws_smithy_eventstream::frame::read_message_from;

fn read(bytes: Result<Bytes, BoxError>) -> (Vec<(String, String)>, Vec<u8>) {
    let message = read_message_from(bytes.unwrap()).unwrap();
    let header =
        |header: &Header| (header.name().as_str().to_owned(), header.value().as_string().unwrap().as_str().to_owned());
    (message.headers().iter().map(header).collect(), message.payload().to_vec())
}

fn headers(format: Format, pairs: [(&str, &str); 2]) -> Vec<(String, String)> {
    let content_type = (":content-type", format.content_type());
    pairs.into_iter().chain([content_type]).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn messages_carry_the_headers_that_sdks_look_for() {
    let json: [&[u8]; 3] = [b"{}", b"{\"a\":1}", b"{\"message\":\"taken\"}"];
    let cbor: [&[u8]; 3] = [b"\xbf\xff", b"\xbf\x61a\x01\xff", b"\xbf\x67message\x65taken\xff"];
    for (format, payloads) in [(Format::Json, json), (Format::Cbor, cbor)] {
        let (found, payload) = read(initial_response(format));
        assert_eq!(found, headers(format, [(":message-type", "event"), (":event-type", "initial-response")]));
        assert_eq!(payload, payloads[0]);
        let (found, payload) = read(event(format, b"{\"a\":1}".to_vec()));
        assert_eq!(found, headers(format, [(":message-type", "event"), (":event-type", "SubscribeToShardEvent")]));
        assert_eq!(payload, payloads[1]);
        let (found, payload) = read(exception(format, "ResourceInUseException", "taken"));
        let exception = [(":message-type", "exception"), (":exception-type", "ResourceInUseException")];
        assert_eq!(found, headers(format, exception));
        assert_eq!(payload, payloads[2]);
    }
}
