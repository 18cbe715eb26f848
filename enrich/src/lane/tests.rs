//! The test is the sink: it holds receipts back, and looks at what is acknowledged meanwhile.

use super::*;
use alluvial_consumer::{DeliveryGate, HeldLease, Lease, LeaseTable, MemoryLeases, Shard};
use alluvial_record::aggregate::Corruption;
use alluvial_record::{Checkpoint, HashKeyRange, Position};
use std::path::Path;
use tokio_util::sync::CancellationToken;

struct Bench {
    batches: mpsc::Sender<Batch>,
    acks: mpsc::Receiver<Ack>,
    deliveries: mpsc::Receiver<Delivery>,
    abandon: CancellationToken,
    ledger: Ledger,
    lane: tokio::task::JoinHandle<()>,
    dead: tempfile::TempDir,
}

fn bench(transforms: serde_json::Value) -> Bench {
    bench_with(transforms, false)
}

fn bench_with(transforms: serde_json::Value, position_columns: bool) -> Bench {
    bench_behind(DeliveryGate::default(), transforms, position_columns)
}

fn bench_behind(gate: DeliveryGate, transforms: serde_json::Value, position_columns: bool) -> Bench {
    let dead = tempfile::tempdir().unwrap();
    let settings = serde_json::from_value::<Vec<crate::TransformSettings>>(transforms).unwrap();
    let context = Arc::new(Context {
        application: "app".into(),
        stream: "s".into(),
        transforms: Transforms::check(&settings, Path::new(".")).unwrap(),
        pack: PackLimits { target_bytes: 20_000, level: 1 },
        max_wait: Duration::from_secs(1),
        position_columns,
        dead_letters: DeadLetters::Local(dead.path().to_path_buf()),
        ledger: Ledger::default(),
        clock: Clock::from_fn(|| std::time::SystemTime::UNIX_EPOCH + Duration::from_millis(5_000)),
    });
    let (batches, receiver) = mpsc::channel(8);
    let (acks, ack_receiver) = mpsc::channel(8);
    let (sender, deliveries) = mpsc::channel(8);
    let abandon = CancellationToken::new();
    let (mut feed, _) = ShardFeed::detached("a".into(), receiver, acks, abandon.clone());
    feed.gate = gate;
    let ledger = context.ledger.clone();
    let lane = Lane::new(context, feed, sender, fastrand::Rng::with_seed(1));
    #[allow(clippy::disallowed_methods, reason = "the test awaits it")]
    let lane = tokio::spawn(lane.run());
    Bench { batches, acks: ack_receiver, deliveries, abandon, ledger, lane, dead }
}

fn at(ordinal: u64) -> Position {
    Position::of((ordinal + 100).to_string().parse().unwrap())
}

fn batch(first: u64, payloads: &[&str]) -> Batch {
    let record = |(ordinal, payload): (u64, &&str)| Record {
        position: at(ordinal),
        partition_key: "k".into(),
        data: (*payload).to_owned().into(),
        arrived_millis: 4_000,
        kind: Kind::Plain,
    };
    Batch::unbudgeted(first, (first..).zip(payloads).map(record).collect())
}

fn rows(delivery: &Delivery) -> String {
    use std::io::Read as _;
    let mut text = String::new();
    flate2::read::GzDecoder::new(&delivery.bytes[..]).read_to_string(&mut text).unwrap();
    text
}

/// Objects that hardly compress, so that few of them fill a member.
fn noisy(count: usize) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(3);
    let noise = |random: &mut fastrand::Rng| std::iter::repeat_with(|| random.alphanumeric()).take(4_000).collect();
    (0..count)
        .map(|n| {
            let noise: String = noise(&mut random);
            format!("{{\"n\":{n},\"x\":\"{noise}\"}}")
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_acknowledged_before_the_sink_has_accepted_it() {
    let mut bench = bench(serde_json::json!([]));
    bench.batches.send(batch(0, &["{\"n\":0}", "{\"n\":1}"])).await.unwrap();
    let delivery = bench.deliveries.recv().await.unwrap();
    assert_eq!(rows(&delivery), "{\"n\":0}\n{\"n\":1}\n");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(bench.acks.try_recv().is_err(), "no acknowledgement without a receipt");
    assert_eq!(bench.ledger.total().in_flight(), 2);
    delivery.receipt.send(()).unwrap();
    assert_eq!(bench.acks.recv().await, Some(Ack { first: 0, last: 1, position: at(1) }));
    assert_eq!((bench.ledger.total().delivered, bench.ledger.latency().max), (2, 1_000));
}

#[tokio::test(start_paused = true)]
async fn a_member_follows_only_after_the_one_before_it_was_accepted() {
    let mut bench = bench(serde_json::json!([]));
    let payloads = noisy(20);
    let borrowed: Vec<&str> = payloads.iter().map(String::as_str).collect();
    bench.batches.send(batch(0, &borrowed)).await.unwrap();
    drop(bench.batches);
    let (mut all, mut last) = (String::new(), None);
    while let Some(delivery) = bench.deliveries.recv().await {
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(bench.deliveries.try_recv().is_err(), "two members of one shard in flight");
        all.push_str(&rows(&delivery));
        delivery.receipt.send(()).unwrap();
        let ack = bench.acks.recv().await.unwrap();
        assert_eq!(ack.first, last.map_or(0, |last: u64| last + 1));
        last = Some(ack.last);
    }
    assert_eq!(last, Some(19));
    assert_eq!(all.lines().collect::<Vec<_>>(), borrowed, "every row, in order");
    bench.lane.await.unwrap();
}

fn label(delivery: &Delivery) -> MemberLabel {
    let member = flate2::read::GzDecoder::new(&delivery.bytes[..]);
    let label = member.header().and_then(|header| MemberLabel::from_extra(header.extra()?));
    label.expect("a label")
}

#[tokio::test(start_paused = true)]
async fn labels_cover_every_record_and_leave_nothing_between() {
    let mut bench = bench(serde_json::json!([{"type": "filter", "field": "keep", "equals": true}]));
    let (row, none) = ("{\"keep\":true}", "{\"keep\":false}");
    let mut labels = Vec::new();
    for (first, payloads) in [(0, vec![none, row, row, none]), (4, vec![none, none]), (6, vec![none, row])] {
        bench.batches.send(batch(first, &payloads)).await.unwrap();
        if payloads.contains(&row) {
            let delivery = bench.deliveries.recv().await.unwrap();
            labels.push(label(&delivery));
            delivery.receipt.send(()).unwrap();
        }
        bench.acks.recv().await.unwrap();
    }
    let told = |label: &MemberLabel| (label.after, label.first, label.last, label.rows);
    assert_eq!(told(&labels[0]), (None, at(0), at(3), 2));
    assert_eq!(told(&labels[1]), (Some(at(5)), at(6), at(7), 1));
    let mut after_loss = batch(20, &[row]);
    after_loss.after_loss = true;
    bench.batches.send(after_loss).await.unwrap();
    assert_eq!(told(&label(&bench.deliveries.recv().await.unwrap())), (None, at(20), at(20), 1));
    assert_eq!((&*labels[0].application, &*labels[0].stream, &*labels[0].shard), ("app", "s", "a"));
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_never_comes_acknowledges_nothing() {
    let mut bench = bench(serde_json::json!([]));
    bench.batches.send(batch(0, &["{}"])).await.unwrap();
    drop(bench.deliveries.recv().await.unwrap());
    bench.lane.await.unwrap();
    assert!(bench.acks.recv().await.is_none());
    let total = bench.ledger.total();
    assert_eq!((total.delivered, total.abandoned, total.in_flight()), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_lane_delivers_and_acknowledges_nothing_more() {
    let mut bench = bench(serde_json::json!([]));
    bench.batches.send(batch(0, &["{}"])).await.unwrap();
    let delivery = bench.deliveries.recv().await.unwrap();
    bench.batches.send(batch(1, &["{}"])).await.unwrap();
    bench.abandon.cancel();
    bench.lane.await.unwrap();
    assert!(delivery.receipt.is_closed(), "the sink sees that nobody waits");
    assert!(bench.deliveries.recv().await.is_none() && bench.acks.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_lane_whose_keeper_is_gone_ends() {
    let mut bench = bench(serde_json::json!([]));
    bench.batches.send(batch(0, &["{}"])).await.unwrap();
    let _delivery = bench.deliveries.recv().await.unwrap();
    drop(bench.acks);
    bench.lane.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn rejected_records_are_stored_before_they_are_acknowledged_and_do_not_wait_for_the_sink() {
    let mut bench = bench(serde_json::json!([]));
    bench.batches.send(batch(0, &["{\"n\":0}"])).await.unwrap();
    let delivery = bench.deliveries.recv().await.unwrap();
    bench.batches.send(batch(1, &["{\"n\":1}", "bad"])).await.unwrap();
    let folder = bench.dead.path().join("s/a");
    while bench.ledger.total().dead_lettered == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(folder.read_dir().unwrap().count(), 1, "stored while the sink holds back");
    assert!(bench.acks.try_recv().is_err(), "the record before it is not done");
    delivery.receipt.send(()).unwrap();
    assert_eq!(bench.acks.recv().await.unwrap().last, 0);
    bench.deliveries.recv().await.unwrap().receipt.send(()).unwrap();
    assert_eq!(bench.acks.recv().await, Some(Ack { first: 1, last: 2, position: at(2) }));
}

#[tokio::test(start_paused = true)]
async fn user_records_and_corrupt_aggregates_keep_their_place() {
    let mut bench = bench_with(serde_json::json!([]), true);
    let mut batch = batch(0, &["{\"n\":0}", "bad", "\u{0}"]);
    let sequence = at(0).sequence;
    for (sub_sequence, record) in (4..).zip(&mut batch.records) {
        (record.position, record.kind) = (Position { sequence, sub_sequence }, Kind::User);
    }
    batch.records[2].kind = Kind::Corrupt(Corruption::WrongDigest);
    batch.records[2].position = at(1);
    bench.batches.send(batch).await.unwrap();
    let delivery = bench.deliveries.recv().await.unwrap();
    let row = "{\"n\":0,\"_shard\":\"a\",\"_sequence\":\"100\",\"_sub_sequence\":4}\n";
    assert_eq!(rows(&delivery), row);
    let dead = std::fs::read_to_string(bench.dead.path().join("s/a/100-5_101-0.ndjson")).unwrap();
    let dead: Vec<serde_json::Value> = dead.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&dead[0]["sequence"], &dead[0]["sub_sequence"]), (&"100".into(), &5.into()));
    assert!(dead[0]["reason"].as_str().unwrap().starts_with("not a JSON object"), "{}", dead[0]);
    assert!(dead[1]["reason"].as_str().unwrap().starts_with("corrupt aggregate"), "{}", dead[1]);
    delivery.receipt.send(()).unwrap();
    assert_eq!(bench.acks.recv().await, Some(Ack { first: 0, last: 2, position: at(1) }));
}

#[tokio::test(start_paused = true)]
async fn records_that_leave_no_row_are_acknowledged_at_once() {
    let mut bench = bench(serde_json::json!([{"type": "filter", "field": "keep", "exists": true}]));
    bench.batches.send(batch(0, &["{}", "bad", "{}"])).await.unwrap();
    assert_eq!(bench.acks.recv().await, Some(Ack { first: 0, last: 2, position: at(2) }));
    let total = bench.ledger.total();
    assert_eq!((total.filtered, total.dead_lettered, total.in_flight()), (2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn after_a_sleep_no_dead_letter_is_written_before_the_lease_is_confirmed() {
    let table = LeaseTable::Memory(MemoryLeases::default());
    let shard = Shard { id: "a".into(), parents: vec![], hash_keys: HashKeyRange { start: 0, end: 9 }, open: true };
    let free = Lease::new(&shard, Checkpoint::TrimHorizon);
    table.create(&free).await.unwrap();
    let taken = table.take(&free, "one", None).await.unwrap().unwrap();
    let held = HeldLease::new(table, taken, Duration::from_secs(10));
    let mut bench = bench_behind(DeliveryGate::of(&held), serde_json::json!([]), false);
    tokio::time::advance(Duration::from_secs(60)).await;
    bench.batches.send(batch(0, &["no JSON"])).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let stored = || bench.dead.path().read_dir().unwrap().count();
    assert_eq!(stored(), 0, "a peer may have the shard, and has this record to store itself");
    held.renew().await.unwrap();
    assert_eq!(bench.acks.recv().await, Some(Ack { first: 0, last: 0, position: at(0) }));
    assert!(stored() > 0);
}
