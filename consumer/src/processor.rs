//! What users write: a processor for each shard, and the rules for records that it fails on.

mod cut;
mod drive;
mod each;
mod lane;
mod on_error;
mod policy;

pub use each::EachRecord;
pub use on_error::{DeadLetter, DeadLetters, OnError, Then};

pub(crate) use cut::{Limits, cut};
pub(crate) use drive::{Plan, drive};

use crate::feed::{Record, ShardName};
use alluvial_runtime::exit::chain;
use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;

/// Processes the records of one shard, in order.
///
/// There is one instance for each shard, made when this worker gets the lease; it has the shard's records to itself, one call
/// after the other, and needs no lock. Shards run side by side on the tasks of the runtime: what blocks a thread for long
/// belongs into [`tokio::task::spawn_blocking`].
///
/// When a call returns `Ok`, its records are acknowledged, and the checkpoint may pass them: whatever they are worth must be
/// stored by then. A call is dropped at an `.await` when another worker has taken the shard.
pub trait Processor: Send + 'static {
    /// Processes some records, all of them or, by [`ProcessError::after`], the first of them.
    ///
    /// # Errors
    /// What happens then is up to [`OnError`]. A panic counts as an error: the processor stays as it left it.
    fn process(&mut self, records: Records<'_>) -> impl Future<Output = Result<(), ProcessError>> + Send;

    /// This worker has the lease of `shard`; comes before its first records.
    fn lease_gained(&mut self, shard: &ShardName) -> impl Future<Output = ()> + Send {
        let _ = shard;
        std::future::ready(())
    }

    /// Another worker has the shard, or the time for draining is over: nothing more is acknowledged. What the processor did
    /// for records that are not acknowledged is done again elsewhere.
    fn lease_lost(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// The shard was split or merged, and all of its records are settled. Its children start after this.
    fn shard_ended(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// The consumer stops, or hands the shard over in good order; all records that it got are settled. The lease is given
    /// back after this.
    fn shutdown(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Records for one call of a processor: a slice of [`Record`], and where it is from. Never empty.
#[derive(Debug, Clone, Copy)]
pub struct Records<'a> {
    name: &'a ShardName,
    records: &'a [Record],
    attempt: u32,
}

impl<'a> Records<'a> {
    pub(crate) fn new(name: &'a ShardName, records: &'a [Record], attempt: u32) -> Self {
        Self { name, records, attempt }
    }

    /// Their shard.
    pub fn shard(&self) -> &'a ShardName {
        self.name
    }

    /// 1 for the first call with these records by this worker, and more when they are tried again.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

impl Deref for Records<'_> {
    type Target = [Record];

    fn deref(&self) -> &[Record] {
        self.records
    }
}

impl<'a> IntoIterator for Records<'a> {
    type Item = &'a Record;
    type IntoIter = std::slice::Iter<'a, Record>;

    fn into_iter(self) -> Self::IntoIter {
        self.records.iter()
    }
}

/// Why records were not processed. Every [`std::error::Error`] becomes one by `?`.
pub struct ProcessError {
    source: Box<dyn StdError + Send + Sync>,
    done: usize,
    permanent: bool,
}

impl ProcessError {
    /// The call failed as a whole; it may succeed when it is tried again.
    pub fn new(why: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: why.into(), done: 0, permanent: false }
    }

    /// The same error, and no further attempt can mend it: none is made, and the failing record is looked for at once.
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.permanent = true;
        self
    }

    /// The same error, and the first `records` of the call were processed before it: they are acknowledged, and the next call
    /// starts with the one that failed. At most all but one.
    #[must_use]
    pub fn after(mut self, records: usize) -> Self {
        self.done = records;
        self
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for ProcessError {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain(&*self.source))
    }
}

impl fmt::Debug for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessError")
            .field("source", &self.source)
            .field("done", &self.done)
            .field("permanent", &self.permanent)
            .finish()
    }
}
