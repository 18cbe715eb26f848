use super::*;
use crate::subscription::script::{self, Answer, Script};

async fn stream(answers: &[Answer]) -> (Stream, Script) {
    let (client, script) = script::client(&[&[script::stream_summary()], answers].concat());
    (Stream::find(client, "s").await.unwrap(), script)
}

/// The bodies of the requests after the first one, which found the stream.
fn asked(script: &Script) -> Vec<String> {
    let requests = script.requests.lock().unwrap();
    let body = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    requests.iter().skip(1).map(|request| body(request.body().bytes())).collect()
}

fn page(shards: &[u32], token: Option<&str>) -> Answer {
    let shard = |number: &u32| {
        format!(
            r#"{{"ShardId":"shardId-{number:012}","HashKeyRange":{{"StartingHashKey":"0","EndingHashKey":"9"}},
            "SequenceNumberRange":{{"StartingSequenceNumber":"1"}}}}"#
        )
    };
    let shards: Vec<String> = shards.iter().map(shard).collect();
    let token = token.map(|token| format!(r#","NextToken":"{token}""#)).unwrap_or_default();
    Answer::json(&format!(r#"{{"Shards":[{}]{token}}}"#, shards.join(",")))
}

#[tokio::test]
async fn a_listing_goes_over_all_pages_and_names_the_stream_only_on_the_first() {
    let (stream, script) = stream(&[page(&[0, 1], Some("t")), page(&[2], None)]).await;
    let shards: Vec<String> = stream.shards().await.unwrap().iter().map(|shard| shard.id.to_string()).collect();
    assert_eq!(shards, ["shardId-000000000000", "shardId-000000000001", "shardId-000000000002"]);
    assert_eq!(asked(&script), [r#"{"StreamName":"s"}"#, r#"{"NextToken":"t"}"#]);
}

#[tokio::test]
async fn a_listing_whose_token_has_expired_begins_anew_and_no_shard_is_there_twice() {
    let expired = Answer::refusal(400, "ExpiredNextTokenException");
    let (stream, script) =
        stream(&[page(&[0, 1], Some("t")), expired, page(&[0, 1], Some("u")), page(&[2, 3], None)]).await;
    let shards: Vec<String> = stream.shards().await.unwrap().iter().map(|shard| shard.id.to_string()).collect();
    let wanted: Vec<String> = (0..4).map(|number| format!("shardId-{number:012}")).collect();
    assert_eq!(shards, wanted);
    let from_the_start = r#"{"StreamName":"s"}"#;
    assert_eq!(asked(&script), [from_the_start, r#"{"NextToken":"t"}"#, from_the_start, r#"{"NextToken":"u"}"#]);
}

#[tokio::test]
async fn a_stream_of_another_account_is_asked_for_by_its_arn_in_every_call() {
    let arn = "arn:aws:kinesis:eu-north-1:123456789012:stream/s";
    let answers = [
        script::stream_summary(),
        page(&[0], Some("t")),
        page(&[1], None),
        Answer::json(r#"{"ShardIterator":"i"}"#),
        Answer::json(r#"{"Records":[],"MillisBehindLatest":0}"#),
    ];
    let (client, script) = script::client(&answers);
    let stream = Stream::find(client, arn).await.unwrap();
    assert_eq!(stream.name(), "s");
    assert_eq!(stream.shards().await.unwrap().len(), 2);
    assert_eq!(stream.oldest_record(&"shardId-000000000000".into()).await.unwrap(), None);
    let requests = script.requests.lock().unwrap();
    let bodies: Vec<serde_json::Value> =
        requests.iter().map(|request| serde_json::from_slice(request.body().bytes().unwrap()).unwrap()).collect();
    for (at, body) in bodies.iter().enumerate() {
        assert!(body.get("StreamName").is_none(), "{body}");
        // Kinesis refuses both beside a token.
        let named = at != 2;
        assert_eq!(body.get("StreamARN").and_then(serde_json::Value::as_str), named.then_some(arn), "{body}");
    }
    assert_eq!(bodies.len(), 5);
}

fn described(status: &str, arn: &str) -> Answer {
    Answer::json(&format!(
        r#"{{"ConsumerDescription":{{"ConsumerName":"c","ConsumerARN":"{arn}","ConsumerStatus":"{status}",
        "ConsumerCreationTimestamp":1,"StreamARN":"arn:aws:kinesis:eu-north-1:1:stream/s"}}}}"#
    ))
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_kinesis_does_not_describe_yet_is_waited_for_without_a_rush() {
    let in_use = Answer::refusal(400, "ResourceInUseException");
    let answers = [
        // A peer has registered it, and the description is late, empty, or without an ARN.
        Answer::refusal(400, "ResourceNotFoundException"),
        in_use.clone(),
        Answer::json("{}"),
        in_use.clone(),
        described("ACTIVE", ""),
        in_use,
        described("CREATING", "arn:c"),
        described("ACTIVE", "arn:c"),
    ];
    let (stream, script) = stream(&answers).await;
    let began = Instant::now();
    let arn = stream.ensure_consumer("c", Duration::from_secs(60)).await.unwrap();
    assert_eq!((arn.as_str(), asked(&script).len()), ("arn:c", answers.len()));
    assert_eq!(began.elapsed(), 4 * CONSUMER_POLL);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_never_becomes_active_is_given_up_at_the_deadline() {
    let (stream, script) = stream(&vec![described("CREATING", "arn:c"); 100]).await;
    let began = Instant::now();
    let refused = stream.ensure_consumer("c", Duration::from_secs(10)).await.unwrap_err();
    assert!(refused.may_poll && refused.error.kind() == ErrorKind::Wait, "{refused:?}");
    assert_eq!(began.elapsed(), Duration::from_secs(10));
    assert!(asked(&script).len() <= 21, "twice a second");
}
