use super::*;
use alluvial_record::quota::FIREHOSE_RECORD_BYTES;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

fn answer(code: Option<&str>) -> PutRecordBatchResponseEntry {
    PutRecordBatchResponseEntry::builder().set_error_code(code.map(str::to_owned)).build()
}

#[test]
fn only_entries_with_an_error_code_are_put_again() {
    let answers = [answer(None), answer(Some("ServiceUnavailableException")), answer(None)];
    assert_eq!(refused(3, &answers).indexes, [1]);
    assert!(refused(3, &answers).reason.contains("ServiceUnavailable"));
}

#[test]
fn an_answer_of_another_length_refuses_all() {
    assert_eq!(refused(3, &[answer(None)]).indexes, [0, 1, 2]);
}

#[test]
fn a_call_never_exceeds_its_limits() {
    let fitting = |bytes: usize| {
        let mut room = Some(Room::WHOLE);
        std::iter::from_fn(|| {
            room = room.and_then(|room| room.less(bytes));
            room
        })
        .count()
    };
    assert_eq!(fitting(FIREHOSE_RECORD_BYTES), 3, "three full records of 1,365,336 bytes in base64 fit into 4 MiB");
    assert_eq!(fitting(10), 500);
}

/// Answers calls from a script, and keeps what was asked.
#[derive(Debug, Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
    asked: Arc<Mutex<Vec<Vec<String>>>>,
}

impl HttpConnector for Script {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body: serde_json::Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let data = |entry: &serde_json::Value| entry["Data"].as_str().unwrap().to_owned();
        self.asked.lock().unwrap().push(body["Records"].as_array().unwrap().iter().map(data).collect());
        let (status, text) = self.answers.lock().unwrap().pop_front().expect("a scripted answer");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(text))))
    }
}

fn sink(script: &Script) -> FirehoseSink {
    let connector = SharedHttpConnector::new(script.clone());
    let config = aws_sdk_firehose::Config::builder()
        .behavior_version(aws_sdk_firehose::config::BehaviorVersion::v2026_01_12())
        .region(aws_sdk_firehose::config::Region::new("us-east-1"))
        .credentials_provider(aws_sdk_firehose::config::Credentials::new("a", "b", None, None, "test"))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build();
    FirehoseSink::new(&config, "s")
}

fn delivery(byte: u8) -> (Delivery, oneshot::Receiver<()>) {
    let (receipt, receiver) = oneshot::channel();
    (Delivery { shard: "a".into(), bytes: vec![byte; 3], receipt }, receiver)
}

fn backoff() -> Backoff {
    Backoff::new(BACKOFF.0, BACKOFF.1, fastrand::Rng::with_seed(1))
}

#[tokio::test(start_paused = true)]
async fn a_partial_failure_puts_only_the_failed_entry_again_and_the_others_are_done() {
    let script = Script::default();
    script.answers.lock().unwrap().extend([
        (200, r#"{"FailedPutCount":1,"RequestResponses":[{"RecordId":"1"},{"ErrorCode":"ServiceUnavailableException","ErrorMessage":"slow down"},{"RecordId":"3"}]}"#),
        (500, r#"{"__type":"ServiceUnavailableException","message":"all of it"}"#),
        (200, r#"{"FailedPutCount":0,"RequestResponses":[{"RecordId":"2"}]}"#),
    ]);
    let (entries, mut receipts): (Vec<_>, Vec<_>) = (0..3).map(delivery).unzip();
    let mut putting = std::pin::pin!(sink(&script).put_all(entries, backoff()));
    tokio::select! {
        biased;
        () = &mut putting => panic!("an entry was given up"),
        () = tokio::time::sleep(Duration::from_millis(1)) => {}
    }
    assert!(receipts[0].try_recv().is_ok() && receipts[2].try_recv().is_ok());
    assert!(receipts[1].try_recv().is_err(), "a failed entry has no receipt");
    putting.await;
    assert!(receipts[1].try_recv().is_ok());
    let asked = script.asked.lock().unwrap().clone();
    assert_eq!(asked, [vec!["AAAA", "AQEB", "AgIC"], vec!["AQEB"], vec!["AQEB"]]);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_nobody_waits_for_is_not_put_again() {
    let script = Script::default();
    script.answers.lock().unwrap().push_back((500, r#"{"__type":"ServiceUnavailableException"}"#));
    let (entry, receipt) = delivery(0);
    let putting = sink(&script).put_all(vec![entry], backoff());
    let (_, ()) = tokio::join!(async { drop(receipt) }, putting);
    assert!(script.asked.lock().unwrap().len() <= 1);
}
