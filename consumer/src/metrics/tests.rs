use super::*;
use crate::budget::Budget;
use crate::feed::{Kind, Record};
use crate::loss::{LossEvent, LossReason};
use crate::status::StatusBoard;
use alluvial_record::{Checkpoint, Position};
use alluvial_runtime::clock::Clock;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString,
};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// A name, and labels with their values.
type Series = (String, Vec<(String, String)>);

/// Keeps what is registered, described and written.
#[derive(Debug, Clone, Default)]
struct Notes(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    values: BTreeMap<Series, (MetricKind, f64)>,
    described: BTreeMap<String, (MetricKind, Option<Unit>)>,
}

struct Cell {
    notes: Notes,
    kind: MetricKind,
    key: Key,
}

impl Cell {
    fn of(notes: &Notes, kind: MetricKind, key: &Key) -> Arc<Self> {
        Arc::new(Self { notes: notes.clone(), kind, key: key.clone() })
    }

    fn write(&self, change: impl FnOnce(f64) -> f64) {
        let labels = self.key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
        let mut book = self.notes.0.lock().unwrap_or_else(PoisonError::into_inner);
        let value = &mut book.values.entry((self.key.name().to_owned(), labels)).or_insert((self.kind, 0.0)).1;
        *value = change(*value);
    }
}

impl CounterFn for Cell {
    fn increment(&self, value: u64) {
        self.write(|before| before + value as f64);
    }

    fn absolute(&self, value: u64) {
        self.write(|before| before.max(value as f64));
    }
}

impl GaugeFn for Cell {
    fn increment(&self, value: f64) {
        self.write(|before| before + value);
    }

    fn decrement(&self, value: f64) {
        self.write(|before| before - value);
    }

    fn set(&self, value: f64) {
        self.write(|_| value);
    }
}

impl HistogramFn for Cell {
    fn record(&self, value: f64) {
        self.write(|before| before + value);
    }
}

impl Notes {
    fn describe(&self, name: &KeyName, kind: MetricKind, unit: Option<Unit>) {
        self.0.lock().unwrap().described.insert(name.as_str().to_owned(), (kind, unit));
    }

    fn value(&self, metric: &Metric, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.0.lock().unwrap().values.get(&(metric.name.to_owned(), labels)).map(|(_, value)| *value)
    }
}

impl Recorder for Notes {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, MetricKind::Counter, unit);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, MetricKind::Gauge, unit);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, MetricKind::Histogram, unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Cell::of(self, MetricKind::Counter, key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Cell::of(self, MetricKind::Gauge, key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Cell::of(self, MetricKind::Histogram, key))
    }
}

/// A worker at 10 s after 1970 that reads two shards: of `a`, the second of two records is not acknowledged.
fn status() -> Status {
    let board = StatusBoard::default();
    let record = |arrived_millis| Record {
        position: Position::of("1".parse().unwrap()),
        partition_key: "k".into(),
        data: "x".into(),
        arrived_millis,
        kind: Kind::Plain,
    };
    for (shard, behind, received) in [("a", 1_000, 2), ("b", 4_000, 5)] {
        let status = board.of(&shard.into());
        status.enter(ShardState::Streaming);
        status.set_behind(behind);
        status.count_received(received, 10);
    }
    let a = board.of(&"a".into());
    a.hand_out(0, &[record(1_000), record(7_000)]);
    a.set_acknowledged(1);
    a.count_end("silent");
    board.of(&"b".into()).count_end("silent");
    board.losses().tell(LossEvent {
        shard: "b".into(),
        from: Checkpoint::TrimHorizon,
        to: None,
        reason: LossReason::Retention,
    });
    a.processing.errors.store(3, Ordering::Relaxed);
    let clock = Clock::from_fn(|| SystemTime::UNIX_EPOCH + Duration::from_secs(10));
    Status::new("app", vec![("s".into(), board)], Budget::new(1_000), clock)
}

fn recorded(shard_label: bool) -> Notes {
    let notes = Notes::default();
    metrics::with_local_recorder(&notes, || {
        describe();
        report(&status(), shard_label);
        let shard = ShardName { stream: "s".into(), shard: "a".into() };
        Timings { application: "app".into() }.record(&shard, Duration::from_millis(250), 7);
    });
    notes
}

#[test]
fn what_is_recorded_is_the_list_with_its_kinds_units_and_labels() {
    let notes = recorded(true);
    let book = notes.0.lock().unwrap();
    let listed: BTreeMap<&str, &Metric> = METRICS.iter().map(|metric| (metric.name, metric)).collect();
    assert_eq!(listed.len(), METRICS.len(), "a name is in the list twice");
    for ((name, labels), (kind, _)) in &book.values {
        let metric = listed.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not in the list"));
        let labels: Vec<&str> = labels.iter().map(|(label, _)| label.as_str()).collect();
        assert_eq!((labels.as_slice(), *kind), (metric.labels, metric.kind), "{name}");
    }
    let recorded: std::collections::BTreeSet<&str> = book.values.keys().map(|(name, _)| name.as_str()).collect();
    assert_eq!(recorded, listed.keys().copied().collect(), "in the list and never recorded, or the reverse");
    let described: BTreeMap<&str, (MetricKind, Option<Unit>)> =
        book.described.iter().map(|(name, what)| (name.as_str(), *what)).collect();
    assert_eq!(described, METRICS.iter().map(|metric| (metric.name, (metric.kind, Some(metric.unit)))).collect());
}

#[test]
fn the_manual_has_the_same_list() {
    let manual = include_str!("../../../docs/metrics.md");
    let mut rows = String::from("| name | kind | unit | labels | what it says |\n|---|---|---|---|---|\n");
    for Metric { name, kind, unit, labels, help } in METRICS {
        let kind = format!("{kind:?}").to_lowercase();
        let (unit, labels) = (unit.as_str(), labels.join(", "));
        rows.push_str(&format!("| `{name}` | {kind} | {unit} | {labels} | {help} |\n"));
    }
    assert!(manual.contains(&rows), "docs/metrics.md must have this table:\n{rows}");
}

#[test]
fn values_are_those_of_the_status() {
    let notes = recorded(true);
    let a = [("application", "app"), ("stream", "s"), ("shard", "a")];
    let of = |metric: &Metric| notes.value(metric, &a);
    assert_eq!((of(&RECORDS), of(&ACKNOWLEDGED), of(&ERRORS)), (Some(2.0), Some(1.0), Some(3.0)));
    assert_eq!((of(&TIP_LAG), of(&OLDEST)), (Some(1.0), Some(3.0)));
    assert_eq!(notes.value(&MAX_TIP_LAG, &a[..1]), Some(4.0));
    assert_eq!(notes.value(&MAX_OLDEST, &a[..1]), Some(3.0));
    let ends = notes.value(&SUBSCRIPTION_ENDS, &[a[0], a[1], ("reason", "silent")]);
    assert_eq!((ends, notes.value(&LOSSES, &a[..2])), (Some(2.0), Some(1.0)));
    let state = |state| notes.value(&STATES, &[a[0], a[1], ("state", state)]);
    assert_eq!((state("streaming"), state("ended")), (Some(2.0), Some(0.0)));
}

#[test]
fn without_the_shard_label_counters_are_sums_and_gauges_the_highest() {
    let notes = recorded(false);
    let stream = [("application", "app"), ("stream", "s")];
    assert_eq!(notes.value(&RECORDS, &stream), Some(7.0));
    assert_eq!((notes.value(&TIP_LAG, &stream), notes.value(&OLDEST, &stream)), (Some(4.0), Some(3.0)));
    let book = notes.0.lock().unwrap();
    assert!(book.values.keys().all(|(_, labels)| labels.iter().all(|(label, _)| label != "shard")));
}
