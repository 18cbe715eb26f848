//! The pipeline: a lane for each shard, one sink for all.

use crate::dead_letter::DeadLetters;
use crate::lane::{Context, Lane};
use crate::ledger::Ledger;
use crate::settings::{Metadata, PipelineLimits};
use crate::sink::{FirehoseSink, deliver_all};
use alluvial_consumer::ShardFeed;
use alluvial_runtime::clock::Clock;
use alluvial_runtime::tasks::{TaskDied, Tasks};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Members that wait for a call. Each lane has one in flight at most, so this bounds calls and not memory.
const QUEUED_MEMBERS: usize = 64;

/// Delivers what a consumer hands out.
#[derive(Debug)]
pub struct Pipeline {
    context: Arc<Context>,
    sink: FirehoseSink,
    concurrent_calls: usize,
    random: fastrand::Rng,
}

/// The pipeline cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A task of it panicked; what it had not delivered is read again after a restart.
    #[error("a task of the pipeline panicked")]
    Died(#[from] TaskDied),
}

impl Pipeline {
    /// A pipeline for the records of `stream`. Members are labelled with it and with `application`, by which all that
    /// read the stream are told apart.
    pub fn new(
        application: impl Into<String>,
        stream: impl Into<String>,
        limits: PipelineLimits,
        sink: FirehoseSink,
        dead_letters: DeadLetters,
        clock: Clock,
        random: fastrand::Rng,
    ) -> Self {
        let context = Arc::new(Context {
            application: application.into(),
            stream: stream.into(),
            transforms: limits.transforms,
            pack: limits.pack,
            max_wait: limits.max_wait,
            position_columns: limits.metadata == Metadata::Columns,
            dead_letters,
            ledger: Ledger::default(),
            clock,
        });
        Self { context, sink, concurrent_calls: limits.concurrent_calls, random }
    }

    /// What came in and what became of it; live.
    pub fn ledger(&self) -> Ledger {
        self.context.ledger.clone()
    }

    /// Runs until the consumer hands out no more feeds and all that it handed out is delivered or abandoned.
    ///
    /// # Errors
    /// [`PipelineError::Died`] when a task panicked.
    pub async fn run(mut self, mut feeds: mpsc::Receiver<ShardFeed>) -> Result<(), PipelineError> {
        let (deliveries, receiver) = mpsc::channel(QUEUED_MEMBERS);
        let mut sink = Tasks::new();
        sink.spawn("sink", deliver_all(self.sink, receiver, self.concurrent_calls, self.random.fork()));
        let mut lanes = Tasks::new();
        loop {
            tokio::select! {
                feed = feeds.recv() => match feed {
                    Some(feed) => {
                        let lane = Lane::new(Arc::clone(&self.context), feed, deliveries.clone(), self.random.fork());
                        lanes.spawn("lane", lane.run());
                    }
                    None => break,
                },
                Some(ended) = lanes.next() => { ended?; }
                Some(ended) = sink.next() => { ended?; }
            }
        }
        while let Some(ended) = lanes.next().await {
            ended?;
        }
        // Every lane has its receipts or was abandoned: nobody waits for a call that is still under way.
        drop(sink);
        Ok(())
    }
}
