//! Acknowledgements → progress → checkpoints in the lease.

use super::Tip;
use crate::error::{Error, ErrorKind};
use crate::lease::HeldLease;
use crate::progress::{Ack, Progress};
use crate::status::ShardStatus;
use alluvial_record::{Checkpoint, Position, ShardId};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Time between two checkpoints of a shard that brings no records; retention is a day at least.
const IDLE_INTERVAL: Duration = Duration::from_secs(60);
/// Attempts for the checkpoint at the end of a shard or of the process.
const LAST_ATTEMPTS: u32 = 5;
/// Wait between them.
const LAST_ATTEMPT_DELAY: Duration = Duration::from_millis(300);

/// Takes acknowledgements until the feed is dropped or abandoned; writes a checkpoint every `interval` in which there was
/// progress, and now and then the continuation of a shard that brings no records.
pub(super) async fn keep(
    held: &HeldLease,
    mut acks: mpsc::Receiver<Ack>,
    tips: watch::Receiver<Tip>,
    status: &ShardStatus,
    interval: Duration,
    abandon: &CancellationToken,
) -> Progress {
    let mut progress = Progress::default();
    let mut written = None;
    let mut ticks = tokio::time::interval(interval);
    let mut idle_ticks = tokio::time::interval(IDLE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    idle_ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = tokio::select! {
            ack = acks.recv() => match ack {
                Some(ack) => {
                    take_note(held.shard(), &mut progress, ack, tips.borrow().handed_out);
                    status.set_acknowledged(progress.done());
                    continue;
                }
                None => return progress,
            },
            () = abandon.cancelled() => {
                while let Ok(ack) = acks.try_recv() {
                    take_note(held.shard(), &mut progress, ack, tips.borrow().handed_out);
                }
                return progress;
            }
            _ = ticks.tick() => progress.position(),
            _ = idle_ticks.tick() => idle_position(&tips.borrow(), &progress).or(progress.position()),
        };
        // After a sleep, the renewal comes first: it tells whether the shard is still ours.
        if due <= written || !held.can_deliver() {
            continue;
        }
        match Box::pin(write(held, due.map(Checkpoint::At))).await {
            Ok(()) => written = due,
            Err(error) if error.kind() == ErrorKind::LostLease => return progress,
            Err(error) => {
                tracing::warn!(shard = %held.shard(), error = %alluvial_runtime::exit::chain(&error),
                    "checkpoint not written; tried again at the next interval");
            }
        }
    }
}

/// Takes an acknowledgement of records of which `handed_out` were handed out. One of records that were not is a mistake of
/// whoever sent it; taken, it would let the checkpoint pass records that nobody has seen.
fn take_note(shard: &ShardId, progress: &mut Progress, ack: Ack, handed_out: u64) {
    if ack.last < handed_out {
        progress.acknowledge(ack);
    } else {
        tracing::error!(%shard, first = ack.first, last = ack.last, handed_out,
            "an acknowledgement of records that were not handed out is ignored");
    }
}

/// The continuation as a position, when every record before it is done. Kinesis gives one "even when no data is written"
/// (API_SubscribeToShardEvent); without it, the checkpoint of an idle shard would pass out of retention.
fn idle_position(tip: &Tip, progress: &Progress) -> Option<Position> {
    let continuation = tip.continuation.as_ref().filter(|_| tip.handed_out == progress.done())?;
    let position = Position::of(continuation.parse().ok()?);
    (progress.position() < Some(position)).then_some(position)
}

async fn write(held: &HeldLease, checkpoint: Option<Checkpoint>) -> Result<(), Error> {
    match checkpoint {
        Some(checkpoint) => held.checkpoint(checkpoint, &[]).await,
        None => Ok(()),
    }
}

/// Writes a checkpoint that nothing comes after, with a few attempts.
///
/// # Errors
/// That of the last attempt.
pub(super) async fn checkpoint(held: &HeldLease, checkpoint: Checkpoint, children: &[ShardId]) -> Result<(), Error> {
    let mut attempt = 1;
    loop {
        match held.checkpoint(checkpoint, children).await {
            Err(error) if error.kind() == ErrorKind::Wait && attempt < LAST_ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(LAST_ATTEMPT_DELAY).await;
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(sequence: u64) -> Position {
        Position::of(sequence.to_string().parse().unwrap())
    }

    #[test]
    fn a_continuation_is_a_checkpoint_only_when_every_record_before_it_is_done() {
        let tip = Tip { handed_out: 2, continuation: Some("30".into()) };
        let mut progress = Progress::default();
        progress.acknowledge(Ack { first: 0, last: 0, position: at(10) });
        assert_eq!(idle_position(&tip, &progress), None, "a record is still on its way");
        progress.acknowledge(Ack { first: 1, last: 1, position: at(20) });
        assert_eq!(idle_position(&tip, &progress), Some(at(30)));
        let behind = Tip { handed_out: 2, continuation: Some("20".into()) };
        assert_eq!(idle_position(&behind, &progress), None, "nothing new");
        assert_eq!(idle_position(&Tip::default(), &Progress::default()), None);
    }

    #[test]
    fn an_acknowledgement_of_records_that_were_not_handed_out_is_ignored() {
        let mut progress = Progress::default();
        let mut acknowledge = |first, last, handed_out| {
            take_note(&"a".into(), &mut progress, Ack { first, last, position: at(last) }, handed_out);
            progress.position()
        };
        assert_eq!(acknowledge(0, 0, 0), None);
        assert_eq!(acknowledge(0, 1, 2), Some(at(1)));
        assert_eq!(acknowledge(2, 4, 4), Some(at(1)), "a part of it was");
        assert_eq!(acknowledge(2, 3, 4), Some(at(3)));
    }

    #[test]
    fn events_whose_records_are_all_left_out_move_the_checkpoint_of_an_idle_shard() {
        let tip = Tip { handed_out: 0, continuation: Some("30".into()) };
        assert_eq!(idle_position(&tip, &Progress::default()), Some(at(30)));
        // The last aggregate is done to its third user record, and the rest of it was left out: its own number as the
        // continuation would mean its first.
        let (tip, mut progress) = (Tip { handed_out: 1, ..tip }, Progress::default());
        progress.acknowledge(Ack { first: 0, last: 0, position: Position { sub_sequence: 2, ..at(30) } });
        assert_eq!(idle_position(&tip, &progress), None);
    }
}
