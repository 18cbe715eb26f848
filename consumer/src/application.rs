//! An application that is connected: one or several streams, one budget, one way out for the records.

use crate::batches::Batches;
use crate::budget::Budget;
use crate::consumer::Consumer;
use crate::error::Error;
use crate::feed::{Record, ShardFeed, ShardName};
use crate::lag::Lag;
use crate::metrics::{self, Timings};
use crate::processor::{EachRecord, Limits, OnError, Plan, ProcessError, Processor, drive};
use crate::status::StatusBoard;
use alluvial_runtime::clock::Clock;
use alluvial_runtime::shutdown::Shutdown;
use futures_util::future::join_all;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// What the application is doing; live, and cheap to clone.
#[derive(Debug, Clone)]
pub struct Status(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    application: Arc<str>,
    boards: Vec<(Arc<str>, StatusBoard)>,
    budget: Budget,
    clock: Clock,
}

impl Status {
    pub(crate) fn new(application: &str, boards: Vec<(Arc<str>, StatusBoard)>, budget: Budget, clock: Clock) -> Self {
        Self(Arc::new(Inner { application: application.into(), boards, budget, clock }))
    }

    /// Name of the application.
    pub fn application(&self) -> &Arc<str> {
        &self.0.application
    }

    /// What each shard is doing, by stream.
    pub fn boards(&self) -> &[(Arc<str>, StatusBoard)] {
        &self.0.boards
    }

    /// The byte budget, which all streams share.
    pub fn budget(&self) -> &Budget {
        &self.0.budget
    }

    /// How far the shards that this worker reads are behind, now.
    pub fn lag(&self) -> Lag {
        let (now, now_millis) = (Instant::now(), self.0.clock.now_millis());
        Lag::of(self.0.boards.iter().flat_map(|(stream, board)| board.lags(stream, now, now_millis)).collect())
    }
}

/// What ends the application.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) token: CancellationToken,
    /// Kept for as long as signals are to be heard.
    pub(crate) signals: Option<Shutdown>,
}

/// An application that is connected and reads nothing yet. Made by [`crate::ConsumerBuilder::connect`].
#[derive(Debug)]
pub struct Application {
    pub(crate) consumers: Vec<Consumer>,
    pub(crate) feeds: mpsc::Receiver<ShardFeed>,
    pub(crate) status: Status,
    pub(crate) on_error: OnError,
    pub(crate) limits: Limits,
    pub(crate) shard_label: bool,
    pub(crate) stop: Stop,
    pub(crate) random: fastrand::Rng,
}

impl Application {
    /// What the application is doing; live while it runs and after.
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// Cancel it to stop: what was read is processed and checkpointed, and the leases are given back.
    pub fn stop(&self) -> CancellationToken {
        self.stop.token.clone()
    }

    /// Runs a processor for each shard, made by `make` when this worker gets its lease, until it is told to stop.
    ///
    /// Dropping the future stops at once: leases are left to expire, and what was not checkpointed is read again.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Processing`] when a record failed and [`OnError`] says to stop;
    /// [`crate::ErrorKind::Fatal`] when a shard cannot be read any more.
    pub async fn run<P: Processor>(self, make: impl FnMut(&ShardName) -> P) -> Result<(), Error> {
        let Self { consumers, feeds, status, on_error, limits, shard_label, stop, mut random } = self;
        let token = stop.token.child_token();
        let timings = Timings { application: Arc::clone(status.application()) };
        let plan = Plan { on_error, limits, timings, stop: token.clone() };
        let processing = drive(plan, feeds, make, random.fork());
        let (consumed, processed) =
            while_reporting(&status, shard_label, async { tokio::join!(consume(consumers, token), processing) }).await;
        drop(stop.signals);
        processed?;
        consumed
    }

    /// Calls `each` for one record after the other, shards side by side: [`Application::run`] with [`EachRecord`].
    ///
    /// # Errors
    /// As [`Application::run`].
    pub async fn run_each<F, Fut>(self, each: F) -> Result<(), Error>
    where
        F: FnMut(Record) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<(), ProcessError>> + Send + 'static,
    {
        self.run(move |_| EachRecord::new(each.clone())).await
    }

    /// A stream of batches of all shards, for those who acknowledge by hand. Must be called within a tokio runtime.
    pub fn batches(self) -> Batches {
        Batches::start(self)
    }

    /// The feeds of the shards as they start, and what reads them: poll it until it ends. The lowest level that there is;
    /// limits and error policy do not apply.
    pub fn feeds(self) -> (impl Future<Output = Result<(), Error>> + Send, mpsc::Receiver<ShardFeed>) {
        let Self { consumers, feeds, status, shard_label, stop, .. } = self;
        let reading = async move {
            // Taken as a whole: the part alone would be captured, and nobody would listen for signals any more.
            let Stop { token, signals } = stop;
            let ended = while_reporting(&status, shard_label, consume(consumers, token.child_token())).await;
            drop(signals);
            ended
        };
        (reading, feeds)
    }
}

/// Runs the consumers of all streams. When one cannot go on, all stop in good order.
async fn consume(consumers: Vec<Consumer>, stop: CancellationToken) -> Result<(), Error> {
    let stop = &stop;
    let running = consumers.into_iter().map(|consumer| async move {
        let ended = consumer.run(stop.clone()).await;
        if ended.is_err() {
            stop.cancel();
        }
        ended
    });
    join_all(running).await.into_iter().collect()
}

/// Writes metrics while `work` is under way, and once more after it.
pub(crate) async fn while_reporting<T>(status: &Status, shard_label: bool, work: impl Future<Output = T>) -> T {
    let reporting = async {
        metrics::describe();
        let mut ticks = tokio::time::interval(metrics::REPORT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            metrics::report(status, shard_label);
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = reporting => unreachable!("it reports for ever"),
    };
    metrics::report(status, shard_label);
    done
}
