//! One suite for every source: the same answers, the same events, the same end.

use super::script::{self, Answer, Step, event, event_json, exception, initial_response, record_json};
use super::{Cause, Event, Next, Subscription};
use crate::settings::Settings;
use alluvial_record::Checkpoint;
use std::time::Duration;
use tokio::time::Instant;

/// What of an event is compared.
fn shown(event: &Event) -> String {
    let next = match &event.next {
        Next::Continuation(number) => format!("continue after {number}"),
        Next::Unmoved => "stay".into(),
        Next::ShardEnd(children) => format!("end, {children:?}"),
    };
    let records = event.records.iter().map(|record| {
        let data = (crc32fast::hash(&record.data), record.data.len());
        format!("{:?} {} {data:?} at {}", record.position, record.partition_key, record.arrived_millis)
    });
    format!("{} bytes, {} behind, {next}: {:?}", event.bytes, event.millis_behind_latest, records.collect::<Vec<_>>())
}

/// Runs every source over `answer`, checks that all bring the same events and the same kind of end, and returns these.
pub(super) async fn agree(answer: Answer) -> (Vec<Event>, Result<(), Cause>) {
    let mut results = Vec::new();
    for (name, source, _) in script::sources(&[answer]) {
        let result = tokio::time::timeout(Duration::from_secs(60), script::read_all(&source)).await;
        results.push((name, result.expect("an end")));
    }
    let (_, reference) = results.remove(0);
    for (name, (events, end)) in results {
        let (shown_here, shown_there): (Vec<_>, Vec<_>) =
            (events.iter().map(shown).collect(), reference.0.iter().map(shown).collect());
        assert_eq!(shown_here, shown_there, "{name}");
        assert_eq!(kind(&end), kind(&reference.1), "{name}: {end:?} for {:?}", reference.1);
    }
    reference
}

fn kind(end: &Result<(), Cause>) -> Option<std::mem::Discriminant<Cause>> {
    end.as_ref().err().map(std::mem::discriminant)
}

fn three_records(first: u64) -> String {
    let records: Vec<_> = (first..first + 3).map(|n| record_json(n, &format!("key-{n}"), &n.to_be_bytes())).collect();
    event_json(&records, first + 2)
}

/// Both events, as one body that is cut into chunks of `chunk_bytes`.
fn chunked(frames: &[Vec<u8>], chunk_bytes: usize) -> Answer {
    Answer::stream(frames.concat().chunks(chunk_bytes).map(|chunk| Step::Bytes(chunk.to_vec())).collect())
}

fn sequences(events: &[Event]) -> Vec<String> {
    events.iter().flat_map(|event| &event.records).map(|record| record.position.sequence.to_string()).collect()
}

#[tokio::test]
async fn events_arrive_in_order_however_the_body_is_cut() {
    let frames = [initial_response(), event(three_records(1)), event(event_json(&[], 3)), event(three_records(4))];
    let length = frames.concat().len();
    for chunk_bytes in (1..40).chain([100, 500, 1000, length - 1, length]) {
        let (events, end) = agree(chunked(&frames, chunk_bytes)).await;
        assert_eq!((sequences(&events), end), ((1..7).map(|n| n.to_string()).collect(), Ok(())), "{chunk_bytes}");
        assert_eq!(events[0].records[1].data, 2_u64.to_be_bytes().as_slice());
        assert_eq!(events[0].records[1].arrived_millis, 1_732_504_512_002);
        assert_eq!(events[0].bytes, 3 * (8 + 5));
        assert_eq!(events[0].millis_behind_latest, 7);
    }
}

#[tokio::test]
async fn an_event_that_comes_before_any_initial_response_is_not_lost() {
    let (events, end) = agree(chunked(&[event(three_records(1)), event(three_records(4))], 64)).await;
    assert_eq!((events.len(), end), (2, Ok(())));
}

#[tokio::test]
async fn a_body_without_any_frame_is_an_end() {
    assert!(matches!(agree(Answer::stream(vec![])).await, (events, Ok(())) if events.is_empty()));
    let (events, end) = agree(chunked(&[initial_response()], 1000)).await;
    assert_eq!((events.len(), end), (0, Ok(())));
}

#[tokio::test]
async fn shard_ends_are_told_from_broken_events() {
    let children =
        r#"[{"ShardId":"b","ParentShards":["a"],"HashKeyRange":{"StartingHashKey":"0","EndingHashKey":"9"}}]"#;
    let with = |continuation: &str, children: &str| {
        event(format!(r#"{{"Records":[],{continuation}"MillisBehindLatest":0,"ChildShards":{children}}}"#))
    };
    let null = r#""ContinuationSequenceNumber":null,"#;
    for (continuation, children, ends) in [
        ("", children, true),
        (null, children, true),
        (r#""ContinuationSequenceNumber":"495","#, children, true),
        (r#""ContinuationSequenceNumber":"495","#, "[]", false),
        (r#""ContinuationSequenceNumber":"495","#, "null", false),
    ] {
        let (events, end) = agree(chunked(&[initial_response(), with(continuation, children)], 50)).await;
        assert_eq!(end, Ok(()));
        assert_eq!(matches!(events[0].next, Next::ShardEnd(_)), ends, "{continuation} {children}");
    }
    let orphan = |parents: &str| {
        format!(r#"[{{"ShardId":"b",{parents}"HashKeyRange":{{"StartingHashKey":"0","EndingHashKey":"9"}}}}]"#)
    };
    for (continuation, children) in [
        (null, "[]"),
        ("", "null"),
        (r#""ContinuationSequenceNumber":"","#, "[]"),
        (null, &orphan("")),
        (null, &orphan(r#""ParentShards":[],"#)),
    ] {
        let (events, end) = agree(chunked(&[initial_response(), with(continuation, children)], 50)).await;
        assert!(events.is_empty() && matches!(end, Err(Cause::Failed(_))), "{continuation} {children}: {end:?}");
    }
}

#[tokio::test]
async fn the_last_event_of_a_shard_may_bring_records_too() {
    let children =
        r#"[{"ShardId":"b","ParentShards":["a"],"HashKeyRange":{"StartingHashKey":"0","EndingHashKey":"9"}}]"#;
    let records = [record_json(1, "k", b"one"), record_json(2, "k", b"two")].join(",");
    let json = format!(r#"{{"Records":[{records}],"MillisBehindLatest":0,"ChildShards":{children}}}"#);
    let (events, end) = agree(chunked(&[initial_response(), event(json)], 60)).await;
    assert_eq!((sequences(&events), end), (vec!["1".to_owned(), "2".to_owned()], Ok(())));
    assert!(matches!(&events[0].next, Next::ShardEnd(children) if children[0].parents == ["a".into()]));
}

/// Exceptions of the operation (API_SubscribeToShard), and one that nobody knows.
const EXCEPTIONS: [&str; 11] = [
    "ResourceInUseException",
    "ResourceNotFoundException",
    "KMSAccessDeniedException",
    "KMSDisabledException",
    "KMSInvalidStateException",
    "KMSNotFoundException",
    "KMSOptInRequired",
    "KMSThrottlingException",
    "InternalFailureException",
    "AccessDeniedException",
    "NobodyKnowsThisException",
];

#[tokio::test]
async fn exceptions_are_sorted_alike_as_the_first_frame_and_after_events() {
    for code in EXCEPTIONS {
        for before in [vec![], vec![initial_response()], vec![initial_response(), event(three_records(1))]] {
            let whole = before.len() / 2;
            let (events, end) = agree(chunked(&[before, vec![exception(code)]].concat(), 77)).await;
            assert_eq!(events.len(), whole, "what came before {code} is delivered");
            let sorted = match code {
                "ResourceInUseException" => matches!(end, Err(Cause::InUse(_))),
                "ResourceNotFoundException" => matches!(end, Err(Cause::NotFound(_))),
                key if key.starts_with("KMS") => matches!(end, Err(Cause::Key(_))),
                _ => matches!(end, Err(Cause::Failed(_))),
            };
            assert!(sorted, "{code}: {end:?}");
        }
    }
}

#[tokio::test]
async fn refusals_are_sorted_by_their_code_whatever_the_status() {
    for status in [400, 403, 500, 503] {
        for (code, wanted) in [
            ("ResourceInUseException", Cause::InUse(String::new())),
            ("ResourceNotFoundException", Cause::NotFound(String::new())),
            ("InvalidArgumentException", Cause::BadPosition(String::new())),
            ("AccessDeniedException", Cause::Denied(String::new())),
            ("LimitExceededException", Cause::Throttled(String::new())),
        ] {
            let (_, end) = agree(Answer::refusal(status, code)).await;
            assert_eq!(kind(&end), kind(&Err(wanted)), "{status} {code}: {end:?}");
            assert!(end.unwrap_err().to_string().contains("refused"), "{code}");
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_fails_after_what_was_whole() {
    let frames = [initial_response(), event(three_records(1)), event(three_records(4))].concat();
    let second = frames.len() - event(three_records(4)).len();
    // A cut right after a prelude is an end for the SDK: see its frame decoder.
    for cut in [second + 1, second + 11, second + 13, second + 40, frames.len() - 1] {
        let (events, end) = agree(Answer::stream(vec![Step::Bytes(frames[..cut].to_vec())])).await;
        assert!(events.len() == 1 && matches!(end, Err(Cause::Failed(_))), "{cut}: {end:?}");
        let (events, end) = agree(Answer::stream(vec![Step::Bytes(frames[..cut].to_vec()), Step::Reset])).await;
        assert!(events.len() == 1 && matches!(end, Err(Cause::Failed(_))), "{cut}: {end:?}");
    }
    let (events, end) = agree(Answer::stream(vec![Step::Bytes(frames), Step::Reset])).await;
    assert_eq!(events.len(), 2);
    assert!(end.unwrap_err().to_string().contains("connection reset"));
    assert!(matches!(agree(Answer::stream(vec![Step::Reset])).await.1, Err(Cause::Failed(_))));
}

#[tokio::test]
async fn a_wrong_byte_anywhere_in_a_frame_is_never_data() {
    let good = event(three_records(1));
    for at in (0..good.len()).filter(|at| !(0..4).contains(at)) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        let (events, end) = agree(chunked(&[initial_response(), bad, good.clone()], 97)).await;
        assert!(events.is_empty() && matches!(end, Err(Cause::Failed(_))), "{at}: {end:?}");
    }
}

#[tokio::test]
async fn a_frame_that_is_too_long_or_too_short_is_refused_at_its_prelude() {
    for (total, headers) in [(25 << 20, 0), (u32::MAX, 0), (15, 0), (0, 0), (100, 90), (100, u32::MAX)] {
        let mut prelude = [total.to_be_bytes(), u32::to_be_bytes(headers)].concat();
        prelude.extend(crc32fast::hash(&prelude).to_be_bytes());
        let [_, (_, direct, _)] = script::sources(&[chunked(&[initial_response(), prelude], 5)]);
        let (events, end) = script::read_all(&direct).await;
        assert!(events.is_empty(), "{total} {headers}");
        let text = end.unwrap_err().to_string();
        assert!(text.contains(&format!("a message of {total} bytes")), "{text}");
    }
}

#[tokio::test]
async fn events_of_unknown_types_and_odd_headers_mean_the_same() {
    let unknown = script::event_of("SomethingNewEvent", b"{}");
    let (events, end) = agree(chunked(&[initial_response(), event(three_records(1)), unknown], 80)).await;
    assert!(events.len() == 1 && matches!(end, Err(Cause::Failed(_))), "{end:?}");
    let json = three_records(1);
    for headers in [
        &[][..],
        &[(":message-type", "event")],
        &[(":event-type", "SubscribeToShardEvent")],
        &[(":message-type", "error"), (":error-code", "InternalFailure"), (":error-message", "x")],
        &[(":message-type", "event"), (":event-type", "SubscribeToShardEvent")],
        &[(":message-type", "event"), (":event-type", "SubscribeToShardEvent"), ("x", "y")],
        &[(":message-type", "event"), (":event-type", "SubscribeToShardEvent"), (":content-type", "text/plain")],
        &[(":event-type", "other"), (":message-type", "event"), (":event-type", "SubscribeToShardEvent")],
    ] {
        let odd = script::message(headers, json.as_bytes());
        let (events, end) = agree(chunked(&[initial_response(), odd], 80)).await;
        assert_eq!(events.is_empty(), end.is_err(), "{headers:?}");
    }
}

#[tokio::test]
async fn the_largest_record_passes_whole() {
    let data: Vec<u8> = (0..10 << 18).flat_map(u32::to_le_bytes).collect();
    let json = event_json(&[record_json(1, "k", &data)], 1);
    let (events, end) = agree(chunked(&[initial_response(), event(json)], 16 * 1024)).await;
    assert_eq!(end, Ok(()));
    assert!(events[0].records[0].data == data);
}

fn settings() -> Settings {
    let mut settings = Settings::new("s", "app", "worker");
    (settings.open_deadline, settings.silence_deadline) = (Duration::from_secs(3), Duration::from_secs(20));
    settings
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_subscription_at_its_deadline_before_and_after_the_first_frame() {
    let nothing = Answer::stream(vec![Step::Silence]);
    let half = initial_response()[..20].to_vec();
    let late =
        Answer::stream(vec![Step::Bytes(initial_response()), Step::Bytes(event(three_records(1))), Step::Silence]);
    let cut = Answer::stream(vec![Step::Bytes(half), Step::Silence]);
    let (shard, from, settings) = ("s".into(), super::From::Checkpoint(Checkpoint::Latest), settings());
    for (name, source, _) in script::sources(&[nothing, cut, late]) {
        for _ in 0..2 {
            let start = Instant::now();
            let refused = Subscription::open(&source, &shard, &from, &settings).await.unwrap_err();
            assert_eq!(
                (refused, start.elapsed()),
                (Cause::Silent(Duration::from_secs(3)), Duration::from_secs(3)),
                "{name}"
            );
        }
        let mut open = Subscription::open(&source, &shard, &from, &settings).await.unwrap();
        let arrival = open.next().await.unwrap().unwrap();
        assert_eq!(arrival.event().expect("a short event is not announced").records.len(), 3);
        let start = Instant::now();
        assert_eq!(open.next().await.unwrap_err(), Cause::Silent(Duration::from_secs(20)), "{name}");
        assert_eq!(start.elapsed(), Duration::from_secs(20));
    }
}

#[tokio::test]
async fn a_read_that_is_given_up_loses_nothing() {
    let frames = [initial_response(), event(three_records(1)), exception("ResourceInUseException")].concat();
    let steps = frames.chunks(9).flat_map(|chunk| [Step::Bytes(chunk.to_vec()), Step::Pause]).collect();
    for (name, source, _) in script::sources(&[Answer::stream(steps)]) {
        let mut opened = script::open(&source).await.unwrap();
        let (mut events, mut given_up) = (Vec::new(), 0);
        let end = loop {
            // Polled once, and dropped if that was not enough.
            match futures_util::FutureExt::now_or_never(super::Events::next(&mut opened)) {
                None => given_up += 1,
                Some(Ok(Some(arrival))) => events.extend(arrival.event()),
                Some(other) => break other,
            }
        };
        assert!(given_up > 10, "{name}");
        assert_eq!(sequences(&events), ["1", "2", "3"], "{name}");
        assert!(matches!(end, Err(Cause::InUse(_))), "{name}");
    }
}

#[tokio::test]
async fn the_records_of_an_event_share_one_buffer_of_their_own_size() {
    let [_, (_, direct, _)] = script::sources(&[chunked(&[event(three_records(1))], 60)]);
    let (events, _) = script::read_all(&direct).await;
    let event = &events[0];
    let (first, last) = (event.records[0].data.as_ptr(), event.records[2].partition_key.as_bytes().as_ptr_range().end);
    assert_eq!(last as usize - first as usize, event.bytes);
}
