use super::*;
use aws_smithy_eventstream::frame::read_message_from;

fn read(bytes: Result<Bytes, BoxError>) -> (Vec<(String, String)>, String) {
    let message = read_message_from(bytes.unwrap()).unwrap();
    let header =
        |header: &Header| (header.name().as_str().to_owned(), header.value().as_string().unwrap().as_str().to_owned());
    (message.headers().iter().map(header).collect(), String::from_utf8(message.payload().to_vec()).unwrap())
}

fn headers(pairs: [(&str, &str); 2]) -> Vec<(String, String)> {
    let content_type = (":content-type", "application/x-amz-json-1.1");
    pairs.into_iter().chain([content_type]).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn messages_carry_the_headers_that_sdks_look_for() {
    let (found, payload) = read(initial_response());
    assert_eq!(found, headers([(":message-type", "event"), (":event-type", "initial-response")]));
    assert_eq!(payload, "{}");
    let (found, payload) = read(event(b"{\"a\":1}".to_vec()));
    assert_eq!(found, headers([(":message-type", "event"), (":event-type", "SubscribeToShardEvent")]));
    assert_eq!(payload, "{\"a\":1}");
    let (found, payload) = read(exception(&ApiError::client("ResourceInUseException", "taken")));
    assert_eq!(found, headers([(":message-type", "exception"), (":exception-type", "ResourceInUseException")]));
    assert_eq!(payload, "{\"message\":\"taken\"}");
}
