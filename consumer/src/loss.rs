//! Records that were lost before this consumer read them, as values: each is told once, with its range.

use crate::lease::Lease;
use crate::topology::Shard;
use alluvial_record::{Checkpoint, SequenceNumber, ShardId};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Losses that are kept to be looked at. Each is logged too.
const KEPT: usize = 1_000;

/// Why records are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossReason {
    /// They passed out of retention before they were read.
    Retention,
    /// The whole shard passed out of retention before it was read to its end.
    ShardGone,
    /// A parent of a shard passed out of retention, and nothing tells that it was ever read.
    ParentGone,
}

impl LossReason {
    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::ShardGone => "shard_gone",
            Self::ParentGone => "parent_gone",
        }
    }
}

/// Records that this consumer will never read. There may have been none in the range: Kinesis no longer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LossEvent {
    /// Their shard.
    pub shard: ShardId,
    /// What was read last; the lost records come after it.
    pub from: Checkpoint,
    /// The oldest record that is left; `None` when none is, or Kinesis did not say.
    pub to: Option<SequenceNumber>,
    /// Why.
    pub reason: LossReason,
}

impl fmt::Display for LossEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "records of {} after {} ", self.shard, self.from)?;
        if let Some(to) = self.to {
            write!(f, "and before {to} ")?;
        }
        f.write_str("passed out of retention before they were read")
    }
}

/// What happens when records are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnLoss {
    /// The consumer stops with an error: a person decides.
    #[default]
    Halt,
    /// The loss is told, and reading goes on with the oldest record that is left.
    Continue,
}

/// The losses so far. Clones share them.
#[derive(Debug, Clone)]
pub struct Losses(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kept: Mutex<VecDeque<LossEvent>>,
    count: watch::Sender<u64>,
}

impl Default for Losses {
    fn default() -> Self {
        Self(Arc::new(Inner { kept: Mutex::default(), count: watch::Sender::new(0) }))
    }
}

impl Losses {
    /// How many there were.
    pub fn count(&self) -> u64 {
        *self.0.count.borrow()
    }

    /// The last thousand, oldest first.
    pub fn snapshot(&self) -> Vec<LossEvent> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Waits until there were more than `known`, and returns how many.
    pub async fn more_than(&self, known: u64) -> u64 {
        let mut count = self.0.count.subscribe();
        // The sender lives in `self`: it cannot be gone.
        count.wait_for(|count| *count > known).await.map_or(known, |count| *count)
    }

    pub(crate) fn tell(&self, event: LossEvent) {
        tracing::error!(shard = %event.shard, reason = event.reason.name(), from = %event.from,
            to = ?event.to.map(|to| to.to_string()), "records lost");
        {
            let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == KEPT {
                kept.pop_front();
            }
            kept.push_back(event);
        }
        self.0.count.send_modify(|count| *count += 1);
    }
}

/// Parents of shards that get their first lease now, which Kinesis no longer lists and no lease tells of: what they
/// held was read by nobody. Nothing is missing on a first start, which begins with the oldest shards that there are.
pub(crate) fn unread_parents(shards: &[Shard], leases: &[Lease], missing: &[Lease]) -> BTreeSet<ShardId> {
    if leases.is_empty() {
        return BTreeSet::new();
    }
    let listed: BTreeSet<&ShardId> = shards.iter().map(|shard| &shard.id).collect();
    let leased: BTreeSet<&ShardId> = leases.iter().map(|lease| &lease.shard).collect();
    let parents = missing.iter().flat_map(|lease| &lease.parents);
    parents.filter(|parent| !listed.contains(parent) && !leased.contains(parent)).cloned().collect()
}

/// True when a shard that was read on from `passed` begins later than it should: the record at `passed` itself does not
/// come first, and the first one, which arrived `age_millis` ago, lies within a hundredth of the end of retention, where
/// records are being trimmed.
///
/// Of a shard that brings a record an hour, the checkpoint may be trimmed and nothing lost: its first record then lies
/// anywhere within retention.
pub(crate) fn begins_late(
    passed: SequenceNumber,
    first: SequenceNumber,
    age_millis: u64,
    retention_millis: u64,
) -> bool {
    first > passed && age_millis >= retention_millis.saturating_sub(retention_millis / 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvial_record::HashKeyRange;

    fn shard(id: &str, parents: &[&str]) -> Shard {
        let parents = parents.iter().map(|parent| ShardId::from(*parent)).collect();
        Shard { id: id.into(), parents, hash_keys: HashKeyRange { start: 0, end: 9 }, open: true }
    }

    fn lease(shard: &Shard) -> Lease {
        Lease::new(shard, Checkpoint::TrimHorizon)
    }

    fn event(n: u64) -> LossEvent {
        let to = Some(n.to_string().parse().unwrap());
        LossEvent { shard: "a".into(), from: Checkpoint::TrimHorizon, to, reason: LossReason::Retention }
    }

    #[test]
    fn a_parent_that_neither_kinesis_nor_a_lease_knows_is_a_gap() {
        let (a, c) = (shard("a", &[]), shard("c", &["b"]));
        // a was split into b, and b into c; b came and went while nobody looked.
        let gaps = unread_parents(&[a.clone(), c.clone()], &[lease(&a)], &[lease(&c)]);
        assert_eq!(gaps, BTreeSet::from(["b".into()]));
        assert!(unread_parents(std::slice::from_ref(&c), &[], &[lease(&c)]).is_empty(), "a first start misses nothing");
        let b = shard("b", &["a"]);
        assert!(unread_parents(&[b.clone(), c.clone()], &[lease(&a)], &[lease(&b), lease(&c)]).is_empty());
    }

    #[test]
    fn only_a_beginning_at_the_end_of_retention_is_late() {
        let n = |n: u64| n.to_string().parse().unwrap();
        let day = 86_400_000;
        assert!(begins_late(n(5), n(9), day - 60_000, day));
        assert!(!begins_late(n(5), n(5), day - 60_000, day), "the record of the checkpoint is still there");
        assert!(!begins_late(n(5), n(9), day / 2, day), "a shard with few records");
    }

    #[tokio::test]
    async fn losses_are_kept_counted_and_awaited() {
        let losses = Losses::default();
        let waiting = losses.clone();
        let (seen, ()) = tokio::join!(waiting.more_than(0), async { losses.tell(event(1)) });
        assert_eq!((seen, losses.count(), losses.snapshot()), (1, 1, vec![event(1)]));
        (0..1_500).for_each(|n| losses.tell(event(n)));
        assert_eq!(
            (losses.count(), losses.snapshot().len(), losses.snapshot().pop()),
            (1_501, 1_000, Some(event(1_499)))
        );
    }

    #[test]
    fn a_loss_reads_as_a_sentence() {
        let text = event(7).to_string();
        assert_eq!(text, "records of a after TRIM_HORIZON and before 7 passed out of retention before they were read");
    }
}
