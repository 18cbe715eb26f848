//! What is done with records that a processor fails on, as users say it.

use super::ProcessError;
use super::policy::{Last, Rules};
use crate::error::Error;
use crate::feed::{Record, ShardName};
use futures_util::future::BoxFuture;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Further attempts that may be asked for.
const MOST_RETRIES: u32 = 1_000;
/// The longest wait between two attempts; a shard may stand still for so long.
const LONGEST_BACKOFF: Duration = Duration::from_secs(3600);

/// What is done with records that the processor fails on: retry, then bisect, then [`Then`].
///
/// Every record ends in exactly one of four ways: processed, a dead letter, skipped because [`Then::Skip`] says so, or not
/// checkpointed. None is passed over in silence.
#[derive(Debug, Clone)]
pub struct OnError {
    /// Further attempts at what failed, 0 to 1,000. A batch has so many before it is bisected, and a record that was found by
    /// bisecting has as many again; the parts between have one attempt each.
    pub retries: u32,
    /// Shortest and longest wait before a further attempt, up to an hour; waits grow twofold, with full jitter.
    pub backoff: (Duration, Duration),
    /// Halve what failed until the failing record is found, so that its neighbours are processed. When off, all records of
    /// the call from the first that may have failed on share one fate.
    pub bisect: bool,
    /// What becomes of a record that failed for good.
    pub then: Then,
}

/// What becomes of a record that failed for good.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Then {
    /// The whole consumer stops in good order, with [`crate::ErrorKind::Processing`]. The checkpoint stays before the record, and
    /// a new start begins with it.
    #[default]
    Stop,
    /// This shard stands still and keeps its lease, so that no peer runs into the same record; the others go on. The shard's lag
    /// grows, and an alarm on it is what tells. The checkpoint stays before the record, and a new start begins with it.
    StopShard,
    /// The record is stored elsewhere, and the shard goes on. It is acknowledged once it is stored; while the store fails, the
    /// shard waits.
    DeadLetter(DeadLetters),
    /// The record is passed over, with a line in the log and a count in the metrics. Its data is lost.
    Skip,
}

impl Default for OnError {
    /// Five retries, from 200 ms to 10 s; bisect; then stop.
    fn default() -> Self {
        Self {
            retries: 5,
            backoff: (Duration::from_millis(200), Duration::from_secs(10)),
            bisect: true,
            then: Then::Stop,
        }
    }
}

impl OnError {
    /// The default, with dead letters stored by `store`, see [`DeadLetters::new`].
    pub fn dead_letter<F, Fut>(store: F) -> Self
    where
        F: Fn(DeadLetter) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), ProcessError>> + Send + 'static,
    {
        Self { then: Then::DeadLetter(DeadLetters::new(store)), ..Self::default() }
    }

    /// Refuses what cannot be.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.retries > MOST_RETRIES {
            return Err(Error::setting("on_error.retries", self.retries, format!("0 to {MOST_RETRIES}")));
        }
        let (least, most) = self.backoff;
        if least.is_zero() || least > most || most > LONGEST_BACKOFF {
            let wanted = format!("a shortest above 0 and not above the longest, which is {LONGEST_BACKOFF:?} at most");
            return Err(Error::setting("on_error.backoff", format!("{least:?} to {most:?}"), wanted));
        }
        Ok(())
    }

    pub(super) fn rules(&self) -> Rules {
        let last = match self.then {
            Then::DeadLetter(_) => Last::DeadLetter,
            Then::Skip => Last::Skip,
            Then::Stop | Then::StopShard => Last::Halt,
        };
        Rules { retries: self.retries, bisect: self.bisect, last }
    }
}

/// A record that failed for good, and why.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Where it is from.
    pub shard: ShardName,
    /// The record, whole.
    pub record: Record,
    /// Attempts at it, or at the smallest part that it was in.
    pub attempts: u32,
    /// The last error, with its causes.
    pub reason: String,
}

/// Where dead letters go: a function that stores one. Clones are the same.
#[derive(Clone)]
pub struct DeadLetters(Arc<Store>);

type Store = dyn Fn(DeadLetter) -> BoxFuture<'static, Result<(), ProcessError>> + Send + Sync;

impl DeadLetters {
    /// Dead letters that `store` takes. It may be called for the same record again, after a failure or by the next owner of a
    /// shard that was lost. Several shards may call it at once.
    pub fn new<F, Fut>(store: F) -> Self
    where
        F: Fn(DeadLetter) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), ProcessError>> + Send + 'static,
    {
        Self(Arc::new(move |letter| Box::pin(store(letter))))
    }

    pub(super) async fn store(&self, letter: DeadLetter) -> Result<(), ProcessError> {
        (self.0)(letter).await
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeadLetters")
    }
}
