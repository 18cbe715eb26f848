mod aggregates;
mod kinesis;
mod stalls;

use super::*;
use crate::load::{End, Input};
use crate::rate::Rate;
use alluvial_runtime::exit::Exit;
use kinesis::{Kinesis, Reply};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::SystemTime;

const THROTTLED: &str = "ProvisionedThroughputExceededException";

fn clock() -> Clock {
    Clock::from_fn(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_419_540))
}

fn numbered() -> Source {
    Source::Template(Template::compile(r#"{"n":{{sequence}},"id":"{{random.uuid}}"}"#).unwrap())
}

fn load(records: u64) -> Load {
    Load {
        end: End::Records(records),
        partition_key: PartitionKey::Random(20),
        concurrency: 4,
        ..Load::new("orders", numbered(), 7)
    }
}

async fn put(load: Load, kinesis: &Kinesis) -> Result<Report, Error> {
    run(load, kinesis.client(), clock(), CancellationToken::new(), ()).await
}

/// Keeps what it is told.
#[derive(Default)]
struct Kept {
    accepted: Mutex<Vec<Accepted>>,
    rejected: Mutex<Vec<Rejection>>,
    stop_after: Option<(usize, CancellationToken)>,
}

impl Observer for Kept {
    fn accepted(&self, batch: Vec<Accepted>) {
        let mut accepted = self.accepted.lock().unwrap();
        accepted.extend(batch);
        if let Some((count, stop)) = &self.stop_after
            && accepted.len() >= *count
        {
            stop.cancel();
        }
    }

    fn rejected(&self, rejection: &Rejection) {
        self.rejected.lock().unwrap().push(rejection.clone());
    }
}

fn sorted_numbers(kinesis: &Kinesis) -> Vec<u64> {
    let mut numbers: Vec<_> = kinesis.stored().iter().map(kinesis::Stored::number).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test(start_paused = true)]
async fn every_record_arrives_once_in_the_order_of_its_key_and_is_reported() {
    let kinesis = Kinesis::scripted(|_| Reply::ok());
    let kept = Arc::new(Kept::default());
    let report =
        run(load(2_000), kinesis.client(), clock(), CancellationToken::new(), Arc::clone(&kept)).await.unwrap();

    assert_eq!((report.records, report.accepted, report.lost), (2_000, 2_000, 0));
    assert_eq!(report.exit(), Exit::Done);
    assert_eq!(sorted_numbers(&kinesis), (0..2_000).collect::<Vec<_>>());
    assert_eq!(report.shards.values().sum::<u64>(), 2_000);
    assert_eq!(report.bytes, kinesis.stored().iter().map(|stored| stored.data.len() as u64).sum::<u64>());
    let keys = kinesis.by_key();
    assert_eq!(keys.len(), 20);
    assert!(keys.values().all(|numbers| numbers.is_sorted()));
    assert!(kinesis.most_in_flight() <= 4);
    // The observer's order within a key is the stream's.
    let mut seen: std::collections::HashMap<u64, u64> = std::collections::HashMap::new();
    let accepted = kept.accepted.lock().unwrap();
    assert_eq!(accepted.len(), 2_000);
    for record in accepted.iter() {
        let number = record.sequence_number.parse().unwrap();
        let before = seen.insert(record.partition_key_hash, number);
        assert!(before.is_none_or(|before| before < number));
    }
}

#[tokio::test(start_paused = true)]
async fn only_refused_records_are_repeated_and_none_is_lost_or_doubled() {
    let mut random = Rng::with_seed(3);
    let kinesis = Kinesis::scripted(move |_| {
        let mut random = random.fork();
        Reply::Store(Box::new(move |_| match random.u8(0..10) {
            0..3 => Some(THROTTLED),
            3 => Some("InternalFailure"),
            _ => None,
        }))
    });
    let report = put(load(3_000), &kinesis).await.unwrap();

    assert_eq!((report.records, report.accepted, report.lost), (3_000, 3_000, 0));
    assert_eq!(sorted_numbers(&kinesis), (0..3_000).collect::<Vec<_>>());
    assert!(report.throttled_entries > 0 && report.retried_entries > report.throttled_entries);
    assert_eq!(report.unknown_outcome_retries, 0);
    let out_of_order = kinesis.by_key().values().filter(|numbers| !numbers.is_sorted()).count();
    assert!(report.reordered_by_retry > 0 && out_of_order > 0, "four in ten fail: some overtake others");
}

#[tokio::test(start_paused = true)]
async fn a_call_refused_as_a_whole_breaks_no_order() {
    let kinesis = Kinesis::scripted(|call| match call % 3 {
        0 => Reply::Error(400, THROTTLED),
        1 => Reply::Error(503, "ServiceUnavailable"),
        _ => Reply::ok(),
    });
    let report = put(load(1_000), &kinesis).await.unwrap();

    assert_eq!((report.accepted, report.reordered_by_retry, report.unknown_outcome_retries), (1_000, 0, 0));
    assert!(kinesis.by_key().values().all(|numbers| numbers.is_sorted()));
    assert!(report.throttled_entries > 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_answer_is_repeated_and_counted_as_unknown() {
    let kinesis = Kinesis::scripted(|call| if call == 2 { Reply::Hang } else { Reply::ok() });
    let report = put(load(300), &kinesis).await.unwrap();

    assert_eq!((report.records, report.accepted, report.lost), (300, 300, 0));
    let doubled = kinesis.stored().len() as u64 - 300;
    assert!(doubled > 0);
    assert_eq!(report.unknown_outcome_retries, doubled);
    assert_eq!(sorted_numbers(&kinesis).into_iter().collect::<HashSet<_>>().len(), 300);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_to_the_end_is_counted_as_lost() {
    let kinesis = Kinesis::scripted(|_| Reply::Store(Box::new(|_| Some(THROTTLED))));
    let report = put(Load { max_attempts: 3, ..load(50) }, &kinesis).await.unwrap();

    assert_eq!((report.records, report.accepted, report.lost), (50, 0, 50));
    assert_eq!((report.throttled_entries, report.retried_entries), (150, 100));
    assert_eq!(report.exit(), Exit::Partial);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_does_not_exist_or_a_bad_signature_ends_before_the_start() {
    for code in ["ResourceNotFoundException", "InvalidSignatureException"] {
        let kinesis = Kinesis::scripted(|_| Reply::ok()).describing(400, code);
        let error = put(load(10), &kinesis).await.unwrap_err();
        assert!(matches!(&error, Error::Remote(text) if text.contains("--")), "{error}");
        assert!(kinesis.stored().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_may_not_describe_may_still_put() {
    let kinesis = Kinesis::scripted(|_| Reply::ok()).describing(400, "AccessDeniedException");
    assert_eq!(put(load(10), &kinesis).await.unwrap().accepted, 10);
}

#[tokio::test(start_paused = true)]
async fn a_stream_deleted_under_load_ends_the_run_with_every_record_accounted_for() {
    let kinesis =
        Kinesis::scripted(|call| if call < 20 { Reply::ok() } else { Reply::Error(400, "ResourceNotFoundException") });
    let report = put(Load { end: End::Open, ..load(0) }, &kinesis).await.unwrap();

    assert!(matches!(&report.stopped_by, Some(Stopped::Remote(text)) if text.contains("does not exist")));
    assert_eq!(report.exit(), Exit::Remote);
    assert_eq!(report.records, report.accepted + report.lost);
    assert_eq!(report.accepted, kinesis.stored().len() as u64);
    assert!(report.lost > 0 && !report.interrupted);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_offering_and_puts_what_was_offered() {
    let kinesis = Kinesis::scripted(|_| Reply::Slow(Duration::from_millis(100)));
    let stop = CancellationToken::new();
    let kept = Arc::new(Kept { stop_after: Some((100, stop.clone())), ..Kept::default() });
    let endless = Load { end: End::Open, ..load(0) };
    let report = run(endless, kinesis.client(), clock(), stop, Arc::clone(&kept)).await.unwrap();

    assert!(report.interrupted && report.records >= 100);
    assert_eq!((report.accepted, report.lost), (report.records, 0));
    assert_eq!(sorted_numbers(&kinesis), (0..report.records).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_timed_run_offers_what_is_due_within_it() {
    let kinesis = Kinesis::scripted(|_| Reply::ok());
    let timed = Load { end: End::Duration(Duration::from_secs(2)), rate: Rate::per_second(300), ..load(0) };
    let report = put(timed, &kinesis).await.unwrap();

    assert_eq!((report.records, report.accepted, report.missed_starts, report.late_starts), (600, 600, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_cannot_keep_up_shows_as_late_and_missed_records() {
    let kinesis = Kinesis::scripted(|_| Reply::Slow(Duration::from_secs(3)));
    let slow = Load {
        source: Source::Template(Template::compile("{{repeat(40000)}}\"0123456789\"{{end}}").unwrap()),
        end: End::Duration(Duration::from_secs(10)),
        rate: Rate::per_second(20),
        concurrency: 1,
        buffer_bytes: 1,
        ..load(0)
    };
    let report = put(slow, &kinesis).await.unwrap();

    assert_eq!(report.accepted, report.records);
    assert_eq!(report.records + report.missed_starts, 200);
    assert!(report.missed_starts > 0 && report.late_starts > 0, "{report}");
    assert!(report.latency_ms.max > report.service_ms.max);
}

#[tokio::test(start_paused = true)]
async fn without_a_rate_nothing_is_late_however_slow_the_stream() {
    let kinesis = Kinesis::scripted(|_| Reply::Slow(Duration::from_secs(1)));
    let source = Source::Template(Template::compile("{{repeat(40000)}}\"0123456789\"{{end}}").unwrap());
    let unlimited = Load { source, rate: Rate::UNLIMITED, concurrency: 2, buffer_bytes: 1, ..load(30) };
    let report = put(unlimited, &kinesis).await.unwrap();

    assert_eq!((report.accepted, report.late_starts), (30, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stop_before_the_first_answer_ends_at_once() {
    let kinesis = Kinesis::scripted(|_| Reply::ok());
    let stop = CancellationToken::new();
    stop.cancel();
    let error = run(load(10), kinesis.client(), clock(), stop, ()).await.unwrap_err();
    assert!(matches!(&error, Error::Remote(text) if text.contains("nothing was put")), "{error}");
    assert!(kinesis.stored().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_run_by_bytes_stops_once_they_are_offered() {
    let kinesis = Kinesis::scripted(|_| Reply::ok());
    let source = Source::Template(Template::compile("0123456789").unwrap());
    let sized = Load { source, end: End::Bytes(95), rate: Rate::UNLIMITED, ..load(0) };
    let report = put(sized, &kinesis).await.unwrap();

    assert_eq!((report.records, report.bytes), (10, 100));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_and_clock_put_the_same_records_under_the_same_keys() {
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let kinesis = Kinesis::scripted(|_| Reply::ok());
        put(Load { seed, ..load(200) }, &kinesis).await.unwrap();
        let mut stored = kinesis.stored();
        stored.sort_by_key(kinesis::Stored::number);
        runs.push(stored);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

fn input(text: &str) -> (tempfile::TempDir, Load) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.ndjson");
    std::fs::write(&path, text).unwrap();
    let load = Load { rate: Rate::UNLIMITED, ..Load::new("orders", Source::Input(Input::File(path)), 1) };
    (dir, load)
}

#[tokio::test(start_paused = true)]
async fn lines_arrive_as_they_are_and_one_above_the_limit_is_reported_with_its_number() {
    let long = "x".repeat(1_048_577);
    let nearly = "y".repeat(1_048_570);
    let (_dir, load) = input(&format!("{{\"n\": 1 }}\r\n\n{long}\n{nearly}\n{{\"n\":4}}"));
    let kinesis = Kinesis::scripted(|_| Reply::ok());
    let kept = Arc::new(Kept::default());
    let report = run(load, kinesis.client(), clock(), CancellationToken::new(), Arc::clone(&kept)).await.unwrap();

    let mut stored: Vec<_> = kinesis.stored().into_iter().map(|stored| stored.data).collect();
    stored.sort();
    assert_eq!(stored, [b"{\"n\": 1 }".to_vec(), b"{\"n\":4}".to_vec()]);
    assert_eq!((report.records, report.rejected, report.exit()), (2, 2, Exit::Partial));
    let lines: Vec<_> = report.rejections.iter().map(|rejection| (rejection.line, rejection.bytes)).collect();
    assert_eq!(lines, [(3, 1_048_577), (4, 1_048_570)], "the second is too long only with its key");
    assert_eq!(*kept.rejected.lock().unwrap(), report.rejections);
}

#[tokio::test(start_paused = true)]
async fn a_field_decides_the_key_and_a_line_without_it_is_rejected() {
    let text = (0..100).fold(String::new(), |mut text, n| {
        writeln!(text, "{{\"n\":{n},\"customer\":\"c{}\"}}", n % 7).unwrap();
        text
    });
    let (_dir, load) = input(&format!("{text}{{\"n\":100}}\nno json\n"));
    let kinesis = Kinesis::scripted(|_| Reply::ok());
    let report = put(Load { partition_key: PartitionKey::Field("customer".into()), ..load }, &kinesis).await.unwrap();

    assert_eq!((report.accepted, report.rejected), (100, 2));
    assert_eq!(report.rejections.iter().map(|rejection| rejection.line).collect::<Vec<_>>(), [101, 102]);
    let keys = kinesis.by_key();
    assert_eq!(keys.len(), 7);
    assert!(keys.values().all(|numbers| numbers.is_sorted()));
}

#[tokio::test(start_paused = true)]
async fn a_template_that_can_never_be_put_is_an_error_at_the_start() {
    let kinesis = Kinesis::scripted(|_| Reply::ok());
    let keyless = Load { partition_key: PartitionKey::Field("customer".into()), ..load(10) };
    let error = put(keyless, &kinesis).await.unwrap_err();
    assert!(matches!(&error, Error::Setting(text) if text.contains("customer")), "{error}");
    let source = Source::Template(Template::compile("{{repeat(200000)}}\"0123456789\"{{end}}").unwrap());
    let error = put(Load { source, ..load(10) }, &kinesis).await.unwrap_err();
    assert!(matches!(&error, Error::Setting(text) if text.contains("1048576")), "{error}");
    let missing = Source::Input(Input::File("/nowhere/in.ndjson".into()));
    let error = put(Load { source: missing, ..load(10) }, &kinesis).await.unwrap_err();
    assert!(matches!(&error, Error::Setting(text) if text.contains("/nowhere")), "{error}");
}
