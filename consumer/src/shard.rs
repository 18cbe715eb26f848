//! One shard in the hands of this worker: read, handed out, acknowledged, checkpointed.

mod keeper;
mod reader;

use crate::budget::Budget;
use crate::error::{Error, ErrorKind};
use crate::feed::{FeedEnd, ShardFeed};
use crate::lease::{DeliveryGate, HeldLease, Lease, LeaseTable};
use crate::loss::Losses;
use crate::registration::Registration;
use crate::settings::Settings;
use crate::status::{ShardState, ShardStatus};
use crate::stream::Stream;
use crate::subscription::AnySource;
use crate::topology::ready_children;
use alluvial_record::{Checkpoint, ShardId};
use alluvial_runtime::clock::Clock;
use alluvial_runtime::exit::chain;
use futures_util::future::join;
use reader::ReadEnd;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Batches that wait for the pipeline; the byte budget bounds what they hold.
const QUEUED_BATCHES: usize = 4;
/// Acknowledgements that wait for the keeper; each is 64 bytes.
const QUEUED_ACKS: usize = 256;

/// Time for the last checkpoint and the release of the lease, once we were told to stop: with the draining before it, a
/// process ends within the 30 s that ECS and Kubernetes give by default.
const LAST_WRITES: Duration = Duration::from_secs(3);

/// What all shards of a consumer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) subscriptions: AnySource,
    pub(crate) polling: AnySource,
    pub(crate) stream: Stream,
    pub(crate) registration: Registration,
    pub(crate) losses: Losses,
    pub(crate) leases: LeaseTable,
    pub(crate) budget: Budget,
    pub(crate) clock: Clock,
}

/// How far a shard has been read, for the checkpoints of one that brings no records.
#[derive(Debug, Clone, Default)]
struct Tip {
    /// Records handed out.
    handed_out: u64,
    /// Where the next subscription would go on, once all of those are done.
    continuation: Option<String>,
}

/// How a shard ended for this worker.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Read and delivered to its end; its children have leases.
    Ended,
    /// Stopped, and the lease given back.
    Released,
    /// Another worker has it.
    Lost,
    /// It cannot be read, and a person must decide.
    Failed(Error),
}

/// Reads the shard of `held` from `from` until it ends, `stop` is cancelled, or the lease is lost.
pub(crate) async fn run(
    shared: Arc<Shared>,
    held: HeldLease,
    from: Checkpoint,
    status: Arc<ShardStatus>,
    feeds: mpsc::Sender<ShardFeed>,
    stop: CancellationToken,
    random: fastrand::Rng,
) -> (ShardId, Outcome) {
    let shard = held.shard().clone();
    let (batch_tx, batches) = mpsc::channel(QUEUED_BATCHES);
    let (acks, ack_rx) = mpsc::channel(QUEUED_ACKS);
    // Cancelled when draining must end; the lease's own token ends it when the lease is lost.
    let abandon = held.lost().child_token();
    let gate = DeliveryGate::of(&held);
    let stop = Stop::new(&shared.settings, stop, &held);
    let (ending, ended) = watch::channel(None);
    let feed = ShardFeed {
        stream: shared.settings.stream.as_str().into(),
        shard: shard.clone(),
        batches,
        acks,
        abandon: abandon.clone(),
        gate,
        stopping: stop.reading.clone(),
        status: Arc::clone(&status),
        ended,
    };
    let taken = tokio::select! {
        sent = feeds.send(feed) => sent.is_ok(),
        () = stop.reading.cancelled() => false,
    };
    if !taken {
        return (shard, Box::pin(release(&held, &status)).await);
    }
    let (tip, tips) = watch::channel(Tip::default());
    let reader = reader::Reader::new(&shared, &held, from, &status, tip, random);
    let reading = async {
        let end = reader.read(batch_tx, &stop.reading, held.lost()).await;
        ending.send_replace(Some(stop.feed_end(&end)));
        end
    };
    let keeping = keeper::keep(&held, ack_rx, tips, &status, shared.settings.checkpoint_interval, &abandon);
    let (read_end, progress) = {
        // Not `join!` in a block of its own, which would have room for both of them twice.
        let mut both = std::pin::pin!(join(reading, keeping));
        tokio::select! {
            ends = &mut both => ends,
            () = stop.draining_is_over() => {
                tracing::warn!(%shard, "draining takes too long: what is not delivered is read again by the next owner");
                abandon.cancel();
                both.await
            }
        }
    };
    let outcome = tokio::select! {
        outcome = Box::pin(finish(&shared, &held, read_end, progress, &status)) => outcome,
        () = after(&stop.reading, LAST_WRITES) => {
            tracing::warn!(%shard, "last checkpoint not written in time; what came after the one before it comes again");
            Outcome::Released
        }
    };
    (shard, outcome)
}

/// Why a shard is to be read no further, and how long what was read may take to be delivered then.
struct Stop {
    /// Cancelled for either reason.
    reading: CancellationToken,
    process: (CancellationToken, Duration),
    handoff: (CancellationToken, Duration),
}

impl Stop {
    fn new(settings: &Settings, process: CancellationToken, held: &HeldLease) -> Self {
        let reading = process.child_token();
        let handoff = (held.asked_for().clone(), settings.handoff_timeout);
        Self { reading, process: (process, settings.drain_grace), handoff }
    }

    /// What those who take the batches are told.
    fn feed_end(&self, end: &ReadEnd) -> FeedEnd {
        match end {
            ReadEnd::ShardEnd { .. } => FeedEnd::ShardEnded,
            ReadEnd::Failed(_) => FeedEnd::Failed,
            ReadEnd::Stopped if self.process.0.is_cancelled() => FeedEnd::Stopped,
            ReadEnd::Stopped => FeedEnd::HandedOver,
        }
    }

    /// Ends the reading when a peer asks for the lease, and waits until the draining must end.
    async fn draining_is_over(&self) {
        let handoff = async {
            self.handoff.0.cancelled().await;
            self.reading.cancel();
            tokio::time::sleep(self.handoff.1).await;
        };
        tokio::select! {
            () = after(&self.process.0, self.process.1) => {}
            () = handoff => {}
        }
    }
}

/// Waits for `token`, and then for `time`.
async fn after(token: &CancellationToken, time: Duration) {
    token.cancelled().await;
    tokio::time::sleep(time).await;
}

/// The last writes: SHARD_END with the children's leases, or the last checkpoint and the lease given back.
async fn finish(
    shared: &Shared,
    held: &HeldLease,
    end: ReadEnd,
    progress: crate::progress::Progress,
    status: &ShardStatus,
) -> Outcome {
    if held.lost().is_cancelled() {
        status.enter(ShardState::LeaseLost);
        return Outcome::Lost;
    }
    if let Some(position) = progress.position()
        && let Err(error) = keeper::checkpoint(held, Checkpoint::At(position), &[]).await
    {
        tracing::warn!(shard = %held.shard(), %error, "last checkpoint not written; records after the one before it come again");
    }
    match end {
        ReadEnd::ShardEnd { children, handed_out } if progress.done() == handed_out => {
            match end_shard(shared, held, &children).await {
                Ok(()) => {
                    status.enter(ShardState::Ended);
                    Outcome::Ended
                }
                Err(error) if error.kind() == ErrorKind::LostLease => {
                    status.enter(ShardState::LeaseLost);
                    Outcome::Lost
                }
                // Its end is found again, without any record, by whoever takes the lease next.
                Err(error) if error.kind() == ErrorKind::Wait => {
                    tracing::warn!(shard = %held.shard(), error = %chain(&error), "end of shard not written; tried again");
                    release(held, status).await
                }
                Err(error) => Outcome::Failed(error),
            }
        }
        ReadEnd::Failed(error) => {
            release(held, status).await;
            Outcome::Failed(error)
        }
        ReadEnd::ShardEnd { .. } | ReadEnd::Stopped => release(held, status).await,
    }
}

/// The children get their leases before SHARD_END is written: a crash in between leaves them waiting, never missing.
async fn end_shard(shared: &Shared, held: &HeldLease, children: &[crate::topology::Shard]) -> Result<(), Error> {
    let merged = children.iter().any(|child| child.parents.len() > 1);
    let leases = if merged { shared.leases.list().await?.leases } else { Vec::new() };
    for child in ready_children(children, held.shard(), &leases) {
        let lease = Lease::new(child, Checkpoint::TrimHorizon).of_stream_created(shared.stream.created_millis());
        shared.leases.create(&lease).await?;
    }
    let names: Vec<ShardId> = children.iter().map(|child| child.id.clone()).collect();
    keeper::checkpoint(held, Checkpoint::ShardEnd, &names).await?;
    let names: Vec<&str> = names.iter().map(ShardId::as_str).collect();
    tracing::info!(shard = %held.shard(), children = %names.join(" "), "shard is done");
    if let Err(error) = held.release().await {
        tracing::debug!(shard = %held.shard(), error = %chain(&error), "lease of a shard that is done not released");
    }
    Ok(())
}

async fn release(held: &HeldLease, status: &ShardStatus) -> Outcome {
    status.enter(ShardState::Released);
    if let Err(error) = held.release().await {
        tracing::warn!(shard = %held.shard(), %error, "lease not released; a peer takes it after the failover time");
    }
    Outcome::Released
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of the future that a function of so many arguments returns.
    fn future_bytes<A, B, C, D, E, F, G, T>(_: impl Fn(A, B, C, D, E, F, G) -> T) -> usize {
        size_of::<T>()
    }

    #[test]
    fn a_task_takes_little_while_it_waits() {
        // A worker may have thousands. What is large and short, as a call through the SDK, is in a box of its own.
        let bytes = future_bytes(run);
        assert!(bytes <= 6 * 1024, "{bytes} bytes for each shard");
    }
}
