//! All shards of a consumer: a lane with a processor for each feed.

use super::Processor;
use super::cut::Limits;
use super::lane::Lane;
use super::on_error::OnError;
use crate::error::{Error, ErrorKind};
use crate::feed::{ShardFeed, ShardName};
use crate::metrics::Timings;
use alluvial_runtime::tasks::{TaskDied, Tasks};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What all lanes share.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) on_error: OnError,
    pub(crate) limits: Limits,
    pub(crate) timings: Timings,
    /// Cancelled by a lane that stops the consumer.
    pub(crate) stop: CancellationToken,
}

/// Runs a processor for each feed until there are no more feeds and all lanes are done.
///
/// # Errors
/// The first record that stopped the consumer, or a panic of our own.
pub(crate) async fn drive<P: Processor>(
    plan: Plan,
    mut feeds: mpsc::Receiver<ShardFeed>,
    mut make: impl FnMut(&ShardName) -> P,
    mut random: fastrand::Rng,
) -> Result<(), Error> {
    let (plan, mut lanes, mut failure) = (Arc::new(plan), Tasks::new(), None);
    loop {
        tokio::select! {
            feed = feeds.recv() => match feed {
                Some(feed) => {
                    let processor = make(&feed.name());
                    lanes.spawn("processor", Lane::new(Arc::clone(&plan), feed, processor, random.fork()).run());
                }
                None => break,
            },
            Some(ended) = lanes.next() => note(ended, &plan, &mut failure),
        }
    }
    while let Some(ended) = lanes.next().await {
        note(ended, &plan, &mut failure);
    }
    failure.map_or(Ok(()), Err)
}

type Ended = Result<(&'static str, Result<(), Error>), TaskDied>;

fn note(ended: Ended, plan: &Plan, failure: &mut Option<Error>) {
    let error = match ended {
        Ok((_, Ok(()))) => return,
        Ok((_, Err(error))) => error,
        Err(died) => Error::caused(ErrorKind::Internal, "the task of a processor panicked", died),
    };
    plan.stop.cancel();
    failure.get_or_insert(error);
}
