use super::*;
use crate::feed::{FeedEnd, Kind};
use crate::progress::Progress;
use proptest::prelude::*;
use tokio::sync::watch;

fn record(ordinal: u64) -> Record {
    Record {
        position: Position::of((ordinal + 100).to_string().parse().unwrap()),
        partition_key: "k".into(),
        data: ordinal.to_string().into(),
        arrived_millis: 0,
        kind: Kind::Plain,
    }
}

struct Bench {
    batches: mpsc::Sender<Batch>,
    acks: mpsc::Receiver<Ack>,
    abandon: CancellationToken,
    _ending: watch::Sender<Option<FeedEnd>>,
    stream: BoxStream<'static, ShardBatch>,
}

fn start(limits: Limits) -> Bench {
    let (batches, receiver) = mpsc::channel(8);
    let (acks, ack_receiver) = mpsc::channel(1_000);
    let abandon = CancellationToken::new();
    let (feed, ending) = ShardFeed::detached("a".into(), receiver, acks, abandon.clone());
    Bench { batches, acks: ack_receiver, abandon, _ending: ending, stream: batches_of(feed, limits) }
}

#[tokio::test]
async fn batches_are_cut_and_acknowledged_in_any_order() {
    let mut bench = start(Limits { max_records: 2, max_bytes: usize::MAX });
    bench.batches.send(Batch::unbudgeted(0, (0..3).map(record).collect())).await.unwrap();
    let (first, second) = (bench.stream.next().await.unwrap(), bench.stream.next().await.unwrap());
    assert_eq!((first.records().len(), second.records().len()), (2, 1));
    assert_eq!(first.shard().to_string(), "s/a");
    let mut progress = Progress::default();
    second.ack().await;
    progress.acknowledge(bench.acks.recv().await.unwrap());
    assert_eq!(progress.done(), 0, "the first holds the checkpoint back");
    first.ack().await;
    progress.acknowledge(bench.acks.recv().await.unwrap());
    assert_eq!(progress.done(), 3);
}

#[tokio::test]
async fn a_batch_that_is_dropped_holds_the_checkpoint_back_for_good() {
    let mut bench = start(Limits::NONE);
    bench.batches.send(Batch::unbudgeted(0, (0..2).map(record).collect())).await.unwrap();
    bench.batches.send(Batch::unbudgeted(2, (2..4).map(record).collect())).await.unwrap();
    drop(bench.stream.next().await.unwrap());
    bench.stream.next().await.unwrap().ack().await;
    let mut progress = Progress::default();
    progress.acknowledge(bench.acks.recv().await.unwrap());
    assert_eq!((progress.done(), progress.position()), (0, None));
}

#[tokio::test]
async fn nothing_is_yielded_of_a_shard_that_was_lost() {
    let mut bench = start(Limits::NONE);
    bench.batches.send(Batch::unbudgeted(0, vec![record(0)])).await.unwrap();
    bench.abandon.cancel();
    assert!(bench.stream.next().await.is_none());
}

#[tokio::test]
async fn a_batch_splits_only_where_both_parts_have_records() {
    let mut bench = start(Limits::NONE);
    bench.batches.send(Batch::unbudgeted(5, (5..8).map(record).collect())).await.unwrap();
    let mut batch = bench.stream.next().await.unwrap();
    assert!(batch.split_off(0).is_none() && batch.split_off(3).is_none());
    let rest = batch.split_off(1).unwrap();
    rest.ack().await;
    let ack = bench.acks.recv().await.unwrap();
    assert_eq!((ack.first, ack.last, ack.position), (6, 7, record(7).position));
    batch.ack().await;
    let ack = bench.acks.recv().await.unwrap();
    assert_eq!((ack.first, ack.last, ack.position), (5, 5, record(5).position));
}

proptest! {
    /// Whatever is acknowledged, record by record and in whatever order: the checkpoint is that of the longest prefix.
    #[test]
    fn acknowledgements_in_any_order_move_the_checkpoint_to_the_first_hole(
        order in Just((0..40_usize).collect::<Vec<_>>()).prop_shuffle(),
        dropped in proptest::collection::btree_set(0..40_usize, 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut bench = start(Limits { max_records: 7, max_bytes: usize::MAX });
            bench.batches.send(Batch::unbudgeted(0, (0..40).map(record).collect())).await.unwrap();
            drop(bench.batches);
            let batches: Vec<ShardBatch> = bench.stream.collect().await;
            let mut acks: Vec<Option<Acknowledgement>> =
                batches.into_iter().flat_map(ShardBatch::into_records).map(|(_, ack)| Some(ack)).collect();
            let (mut progress, mut done) = (Progress::default(), [false; 40]);
            for place in order.into_iter().filter(|place| !dropped.contains(place)) {
                acks[place].take().unwrap().ack().await;
                progress.acknowledge(bench.acks.recv().await.unwrap());
                done[place] = true;
                let prefix = done.iter().take_while(|done| **done).count() as u64;
                assert_eq!(progress.done(), prefix);
                assert_eq!(progress.position(), prefix.checked_sub(1).map(|last| record(last).position));
            }
        });
    }
}
