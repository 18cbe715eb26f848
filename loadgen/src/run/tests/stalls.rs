//! A stream or an input that stands still for a while: what the open loop goes on with, and what it admits.

use super::*;
use crate::input::{self, Line, Lines};

/// Records of about 40 bytes, for lanes of even size.
fn paced(rate: u32, end: End) -> Load {
    Load { rate: Rate::per_second(rate), end, partition_key: PartitionKey::Random(1_000), concurrency: 8, ..load(0) }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_keeps_no_record_from_the_other_lanes() {
    let kinesis = Kinesis::scripted(|call| if call == 20 { Reply::Slow(Duration::from_secs(6)) } else { Reply::ok() });
    let report = put(paced(5_000, End::Records(35_000)), &kinesis).await.unwrap();

    assert_eq!((report.accepted, report.late_starts), (35_000, 0));
    let stored = kinesis.stored();
    let overtaken = stored.iter().zip(0_u64..).map(|(stored, place)| place.saturating_sub(stored.number())).max();
    assert!(overtaken > Some(25_000), "the other lanes put {overtaken:?} records while one call hung");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_stream_costs_no_start_while_the_buffer_has_room() {
    let started = Instant::now();
    let kinesis = Kinesis::scripted(move |_| match started.elapsed().as_secs() {
        6..12 => Reply::Slow(Duration::from_secs(12).saturating_sub(started.elapsed())),
        _ => Reply::ok(),
    });
    let report = put(paced(1_000, End::Duration(Duration::from_secs(10))), &kinesis).await.unwrap();

    assert_eq!((report.records, report.accepted), (10_000, 10_000));
    assert_eq!((report.late_starts, report.missed_starts), (0, 0));
}

/// Runs 100 records/s in one lane with room for a handful, from an input that sends so many lines at such times.
async fn fed(end: End, lines: &[(Duration, usize)], kinesis: &Kinesis) -> Report {
    let load = Load { rate: Rate::per_second(100), end, concurrency: 1, buffer_bytes: 1, ..load(0) };
    let facts = Facts { max_record_bytes: 1_000, shards: None };
    let keys = Keys::new(&load.partition_key, Rng::with_seed(0));
    let (sender, receiver) = input::channel();
    let started = Instant::now();
    let feed = async move {
        for (at, count) in lines {
            tokio::time::sleep_until(started + *at).await;
            let line = Line::Record { number: 0, data: bytes::Bytes::from_static(b"{}") };
            sender.send(Lines::More(vec![line; *count])).await.ok();
        }
        sender.send(Lines::End).await.ok();
    };
    let stop = CancellationToken::new();
    let run = Run::start(load, (facts, None), &kinesis.client(), clock(), stop, (), &mut Rng::with_seed(0));
    tokio::join!(Box::pin(run.finish(Records::read(receiver), keys, facts)), feed).0.unwrap()
}

/// Answers its first call after this time, and later ones at once.
fn first_call_takes(time: Duration) -> Kinesis {
    Kinesis::scripted(move |call| if call == 0 { Reply::Slow(time) } else { Reply::ok() })
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_the_input_does_not_excuse_the_stream() {
    let kinesis = first_call_takes(Duration::from_secs(6));
    let lines = [(Duration::ZERO, 100), (Duration::from_secs(7), 400)];
    let report = fed(End::Open, &lines, &kinesis).await;

    assert_eq!((report.accepted, report.missed_starts), (500, 0));
    assert!(report.late_starts > 400, "5 s behind when the input came: {report}");
}

#[tokio::test(start_paused = true)]
async fn an_input_that_comes_late_makes_no_late_or_missed_start() {
    let lines = [(Duration::from_secs(1), 10), (Duration::from_secs(3), 1_000)];
    let end = End::Duration(Duration::from_secs(5));
    let report = fed(end, &lines, &first_call_takes(Duration::ZERO)).await;
    assert_eq!((report.records, report.late_starts, report.missed_starts), (210, 0, 0));

    let report = fed(end, &lines, &first_call_takes(Duration::from_secs(20))).await;
    assert!(report.missed_starts > 100, "{report}");
    assert_eq!(report.records + report.missed_starts, 400, "1 s of 5 passed without an input");
}

#[tokio::test(start_paused = true)]
async fn a_late_run_that_waits_for_its_input_at_the_end_goes_on_or_says_what_it_missed() {
    let end = End::Duration(Duration::from_secs(2));
    let stalled = Duration::from_millis(2_300);
    let again = [(Duration::ZERO, 50), (Duration::from_millis(2_500), 1_000)];
    let report = fed(end, &again, &first_call_takes(stalled)).await;
    assert!(report.records > 150 && report.missed_starts == 0, "{report}");

    let too_late = [(Duration::ZERO, 50), (Duration::from_secs(9), 1_000)];
    let report = fed(end, &too_late, &first_call_takes(stalled)).await;
    assert_eq!(report.records, 50);
    assert!(report.missed_starts > 0, "{report}");
}
