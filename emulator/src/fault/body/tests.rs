//! Bodies of three frames that faults strike, as a client reads them.

use super::*;
use crate::api::Body;
use crate::fault::plan::Plan;
use crate::fault::subject::{Names, Service, Subject};
use http_body_util::StreamBody;
use std::time::SystemTime;
use tokio::time::timeout;

/// Effects that end the stream at the second event, and how the log calls them.
const ENDS: [(&str, &str); 7] = [
    ("stall = { after_events = 1 }", "stall"),
    ("stall = { scope = \"connection\", after_events = 1 }", "stall"),
    ("cut = { after_events = 1 }", "cut"),
    ("cut = { after_events = 1, in_frame = true }", "cut"),
    ("cut = { how = \"tcp_reset\", after_events = 1 }", "cut"),
    ("cut = { how = \"fin\", after_events = 1 }", "cut"),
    ("exception = { code = \"InternalFailureException\", after_events = 1 }", "exception"),
];

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    InOrder,
    Failed,
    Silent,
}

/// What a client reads of the initial response and three events of ten bytes, and the faults that took effect.
async fn read(effects: &[&str]) -> (Vec<u8>, Ended, Vec<String>) {
    let clock = Clock::starting_at(SystemTime::UNIX_EPOCH, 1.0).unwrap();
    let faults = Faults::new(clock.clone());
    let rules = effects.iter().map(|effect| {
        format!(
            "[[fault]]\non = {{ service = \"kinesis\", operation = \"SubscribeToShard\" }}\neffect = {{ {effect} }}\n"
        )
    });
    faults.set(Plan::parse(&rules.collect::<String>()).unwrap());
    let operation = "SubscribeToShard".to_owned();
    let shots = faults.fire(Subject { service: Service::Kinesis, operation, names: Names::default() });
    assert_eq!(shots.len(), effects.len(), "all of them strike the same response");
    let frames = ["initial;;;", "first;;;;;", "second;;;;", "third;;;;;"];
    let frames = frames.map(|text| Ok(Frame::data(Bytes::from_static(text.as_bytes()))));
    let mut response = Response::new(Body::new(StreamBody::new(futures_util::stream::iter(frames))));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kinesis::EVENT_STREAM));
    let around = Surroundings { faults: faults.clone(), clock, line: Line::new(), format: Format::Json };
    let mut body = wrap(response, shots, around).into_body();
    let mut bytes = Vec::new();
    let ended = loop {
        match timeout(Duration::from_secs(3_600), body.frame()).await {
            Ok(Some(Ok(frame))) => bytes.extend(frame.into_data().unwrap()),
            Ok(Some(Err(_))) => break Ended::Failed,
            Ok(None) => break Ended::InOrder,
            Err(_) => break Ended::Silent,
        }
    };
    let log = String::from_utf8(faults.log().0).unwrap();
    let fault = |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["fault"].as_str().unwrap().to_owned();
    (bytes, ended, log.lines().map(fault).collect())
}

#[tokio::test(start_paused = true)]
async fn the_second_of_two_faults_at_one_event_does_not_take_back_the_first() {
    for (first, name) in ENDS {
        let (bytes, ended, fired) = read(&[first]).await;
        assert!(bytes.starts_with(b"initial;;;first;;;;;"), "{first}");
        assert!(!bytes.ends_with(b"third;;;;;"), "{first}: the stream ends before the second event is over");
        assert_eq!(fired, [name]);
        for (second, _) in
            ENDS.into_iter().chain([("duplicate = { after_events = 1 }", ""), ("garble = { after_events = 1 }", "")])
        {
            assert_eq!(
                read(&[first, second]).await,
                (bytes.clone(), ended, vec![name.to_owned()]),
                "{first}, {second}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_faults_at_one_event_both_happen_if_the_first_one_leaves_it() {
    let (bytes, ended, fired) = read(&["duplicate = { after_events = 1 }", "cut = { after_events = 1 }"]).await;
    assert_eq!((bytes.as_slice(), ended), (b"initial;;;first;;;;;second;;;;".as_slice(), Ended::Failed));
    assert_eq!(fired, ["duplicate", "cut"]);
    let (bytes, ended, fired) =
        read(&["cut = { how = \"goaway\", after_events = 1 }", "stall = { after_events = 1 }"]).await;
    assert_eq!((bytes.as_slice(), ended), (b"initial;;;first;;;;;".as_slice(), Ended::Silent));
    assert_eq!(fired, ["cut", "stall"]);
}

#[tokio::test(start_paused = true)]
async fn bytes_are_counted_from_the_beginning_of_the_body_however_a_fault_has_split_the_frame() {
    for (cut, left) in
        [(25, "initial;;;first;;;;;secon"), (29, "initial;;;first;;;;;second;;;"), (22, "initial;;;first;;;;;secon")]
    {
        let cut = format!("cut = {{ after_bytes = {cut} }}");
        let (bytes, ended, _) = read(&["delay = { for = \"1s\", after_bytes = 25 }", &cut]).await;
        assert_eq!((String::from_utf8(bytes).unwrap().as_str(), ended), (left, Ended::Failed), "{cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_goes_away_in_a_frame_sends_the_rest_of_it_and_nothing_twice() {
    let (bytes, ended, _) = read(&["cut = { how = \"goaway\", in_frame = true, after_events = 1 }"]).await;
    assert_eq!((bytes.as_slice(), ended), (b"initial;;;first;;;;;second;;;;third;;;;;".as_slice(), Ended::InOrder));
}
