use super::*;
use aws_sdk_kinesis::operation::put_records::PutRecordsError;
use aws_sdk_kinesis::types::error::ResourceNotFoundException;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

type CallError = SdkError<PutRecordsError, HttpResponse>;

fn entry(code: Option<&str>) -> PutRecordsResultEntry {
    let place = code.is_none().then(|| ("49".to_owned(), "shardId-000000000001".to_owned()));
    PutRecordsResultEntry::builder()
        .set_sequence_number(place.clone().map(|(number, _)| number))
        .set_shard_id(place.map(|(_, shard)| shard))
        .set_error_code(code.map(ToOwned::to_owned))
        .set_error_message(code.map(|_| "slow down".to_owned()))
        .build()
}

fn output(codes: &[Option<&str>]) -> PutRecordsOutput {
    let entries = codes.iter().map(|code| entry(*code)).collect();
    PutRecordsOutput::builder().set_records(Some(entries)).build().unwrap()
}

fn judged(result: Result<PutRecordsOutput, CallError>, sent: usize) -> Answer {
    judge(result, sent, "orders")
}

#[test]
fn each_record_has_its_own_verdict() {
    let codes = [None, Some("ProvisionedThroughputExceededException"), Some("InternalFailure"), Some("New")];
    let Answer::Each(verdicts, reason) = judged(Ok(output(&codes)), 4) else { panic!("per record") };
    let place = Verdict::Accepted { shard: "shardId-000000000001".into(), sequence_number: "49".into() };
    assert_eq!(verdicts, [place, Verdict::Throttled, Verdict::Failed, Verdict::Failed]);
    assert_eq!(reason.as_deref(), Some("ProvisionedThroughputExceededException: slow down"));
}

#[test]
fn an_answer_of_another_length_says_nothing_about_any_record() {
    let answer = judged(Ok(output(&[None])), 2);
    assert!(matches!(answer, Answer::All(Verdict::Unknown, text) if text.contains("1 records for 2")));
}

#[test]
fn errors_are_sorted_by_what_comes_next() {
    let sorted = |code, status| classify(code, None, status, "orders");
    let all = |verdict, code: &str| Answer::All(verdict, code.to_owned());
    let throttle = "ProvisionedThroughputExceededException";
    assert_eq!(sorted(throttle, 400), all(Verdict::Throttled, throttle));
    assert_eq!(sorted("KMSThrottlingException", 400), all(Verdict::Throttled, "KMSThrottlingException"));
    assert_eq!(sorted("ServiceUnavailable", 503), all(Verdict::Failed, "ServiceUnavailable"));
    assert_eq!(sorted("InternalFailure", 500), all(Verdict::Unknown, "InternalFailure"));
    for fatal in ["ResourceNotFoundException", "AccessDeniedException", "InvalidArgumentException"] {
        assert!(matches!(sorted(fatal, 400), Answer::Fatal(_)), "{fatal}");
    }
}

#[test]
fn a_missing_stream_comes_with_the_command_that_makes_it() {
    let raw = HttpResponse::new(StatusCode::try_from(400).unwrap(), SdkBody::empty());
    let meta = aws_smithy_types::error::ErrorMetadata::builder().code("ResourceNotFoundException").build();
    let missing = ResourceNotFoundException::builder().meta(meta).build();
    let error = CallError::service_error(PutRecordsError::ResourceNotFoundException(missing), raw);
    let answer = judged(Err(error), 1);
    assert!(matches!(answer, Answer::Fatal(text) if text.contains("create-stream --stream-name orders")));
}

#[test]
fn only_a_refused_connection_is_known_to_have_done_nothing() {
    let dispatch = |kind| CallError::dispatch_failure(ConnectorError::io(io::Error::from(kind).into()));
    let verdict = |error| match judged(Err(error), 1) {
        Answer::All(verdict, _) => verdict,
        other => panic!("{other:?}"),
    };
    assert_eq!(verdict(dispatch(ErrorKind::ConnectionRefused)), Verdict::Failed);
    assert_eq!(verdict(dispatch(ErrorKind::ConnectionReset)), Verdict::Unknown);
    assert_eq!(verdict(CallError::timeout_error("30 s")), Verdict::Unknown);
}
