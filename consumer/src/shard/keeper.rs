//! Acknowledgements → progress → checkpoints in the lease.

use crate::error::{Error, ErrorKind};
use crate::lease::HeldLease;
use crate::progress::{Ack, Progress};
use crate::status::ShardStatus;
use alluvial_record::{Checkpoint, ShardId};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// Attempts for the checkpoint at the end of a shard or of the process.
const LAST_ATTEMPTS: u32 = 5;
/// Wait between them.
const LAST_ATTEMPT_DELAY: Duration = Duration::from_millis(300);

/// Takes acknowledgements until the feed is dropped or the lease is lost; writes a checkpoint every `interval` in which
/// there was progress.
pub(super) async fn keep(
    held: &HeldLease,
    mut acks: mpsc::Receiver<Ack>,
    status: &ShardStatus,
    interval: Duration,
) -> Progress {
    let mut progress = Progress::default();
    let mut written = None;
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            ack = acks.recv() => match ack {
                Some(ack) => {
                    progress.acknowledge(ack);
                    status.set_acknowledged(progress.done());
                }
                None => return progress,
            },
            _ = ticks.tick(), if progress.position() != written => {
                let position = progress.position();
                match write(held, position.map(Checkpoint::At)).await {
                    Ok(()) => written = position,
                    Err(error) if error.kind() == ErrorKind::LostLease => return progress,
                    Err(error) => {
                        tracing::warn!(shard = %held.shard(), error = %alluvial_runtime::exit::chain(&error),
                            "checkpoint not written; tried again at the next interval");
                    }
                }
            }
            () = held.lost().cancelled() => return progress,
        }
    }
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
