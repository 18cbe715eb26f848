//! What workers say: a line for each record that a handler has, or how many records there were so far.

use crate::{Error, Result};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A record in a handler's hands.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The worker's name.
    pub worker: Arc<str>,
    /// When, in nanoseconds since 1970, by the worker's clock.
    pub nanos: u64,
    /// The shard's name.
    pub shard: Arc<str>,
    /// The record's number, which is its partition key.
    pub id: u64,
}

/// What a worker that only counts has had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// When, in nanoseconds since 1970.
    pub nanos: u64,
    /// Records so far.
    pub records: u64,
    /// Their payload in bytes.
    pub bytes: u64,
}

/// All that was said so far.
#[derive(Debug, Default)]
pub struct Seen {
    deliveries: Vec<Delivery>,
    ids: HashSet<u64>,
    last: BTreeMap<Arc<str>, Delivery>,
    first_count: Option<Count>,
    count: Option<Count>,
    ended: Vec<Arc<str>>,
    garbled: Option<String>,
}

impl Seen {
    /// Every record that a handler had, in the order in which the lines came.
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// Different records.
    pub fn unique(&self) -> usize {
        self.ids.len()
    }

    /// Records that a handler had before.
    pub fn repeated(&self) -> usize {
        self.deliveries.len() - self.ids.len()
    }

    /// Whether a handler had this record.
    pub fn has(&self, id: u64) -> bool {
        self.ids.contains(&id)
    }

    /// Every shard with its last delivery.
    pub fn last(&self) -> &BTreeMap<Arc<str>, Delivery> {
        &self.last
    }

    /// Shards whose last record went to `worker`.
    pub fn held_by(&self, worker: &str) -> usize {
        self.last.values().filter(|last| *last.worker == *worker).count()
    }

    /// When `worker` first had a record of `shard` after `nanos`.
    pub fn first_after(&self, worker: &str, shard: &str, nanos: u64) -> Option<u64> {
        let of = |one: &&Delivery| one.nanos > nanos && *one.worker == *worker && *one.shard == *shard;
        self.deliveries.iter().filter(of).map(|one| one.nanos).min()
    }

    /// What a counting worker said first.
    pub fn first_count(&self) -> Option<Count> {
        self.first_count
    }

    /// What a counting worker said last.
    pub fn count(&self) -> Option<Count> {
        self.count
    }

    fn hear(&mut self, worker: &Arc<str>, line: &str) {
        if self.read(worker, line).is_none() {
            self.garbled.get_or_insert(format!("{worker} said {line:?}"));
        }
    }

    fn read(&mut self, worker: &Arc<str>, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let (kind, nanos) = (words.next()?, words.next()?.parse().ok()?);
        match kind {
            "record" => {
                let (shard, _sequence, id) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
                let shard = self.last.get_key_value(shard).map_or_else(|| shard.into(), |(known, _)| Arc::clone(known));
                let delivery = Delivery { worker: Arc::clone(worker), nanos, shard: Arc::clone(&shard), id };
                self.last.insert(shard, delivery.clone());
                self.ids.insert(id);
                self.deliveries.push(delivery);
            }
            "count" => {
                let count = Count { nanos, records: words.next()?.parse().ok()?, bytes: words.next()?.parse().ok()? };
                self.first_count.get_or_insert(count);
                self.count = Some(count);
            }
            _ => return None,
        }
        words.next().is_none().then_some(())
    }
}

/// What the workers of one run say. Clones share it.
#[derive(Debug, Clone)]
pub struct Log(Arc<watch::Sender<Seen>>);

impl Default for Log {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Seen::default())))
    }
}

impl Log {
    /// Adds a line of `worker`.
    pub(crate) fn hear(&self, worker: &Arc<str>, line: &str) {
        self.0.send_modify(|seen| seen.hear(worker, line));
    }

    /// Notes that `worker` says nothing more.
    pub(crate) fn end(&self, worker: &Arc<str>) {
        self.0.send_modify(|seen| seen.ended.push(Arc::clone(worker)));
    }

    /// Looks at what was said so far.
    pub fn look<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.0.borrow())
    }

    /// Waits until what was said is enough; false if it is not within `patience`.
    ///
    /// # Errors
    /// When a worker says what cannot be read.
    pub async fn within(&self, patience: Duration, enough: impl Fn(&Seen) -> bool) -> Result<bool> {
        let mut heard = self.0.subscribe();
        let waiting = heard.wait_for(|seen| seen.garbled.is_some() || enough(seen));
        let came = tokio::time::timeout(patience, waiting).await.is_ok();
        match self.look(|seen| seen.garbled.clone()) {
            Some(garbled) => Err(garbled.into()),
            None => Ok(came),
        }
    }

    /// As [`Log::within`], but what does not come is an error.
    ///
    /// # Errors
    /// Names `what` did not come.
    pub async fn until(&self, what: &str, patience: Duration, enough: impl Fn(&Seen) -> bool) -> Result<()> {
        if self.within(patience, enough).await? {
            return Ok(());
        }
        Err(self.look(|seen| {
            let last = seen.last.values().map(|last| format!("{} at {}", last.shard, last.worker));
            let last = last.collect::<Vec<_>>().join(", ");
            let text = format!(
                "{what}: not within {patience:?}; {} records came, {last}; workers that ended: {:?}",
                seen.deliveries.len(),
                seen.ended
            );
            Error::from(text)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_deliveries_and_what_is_no_line_is_named() {
        let (mut seen, a, b): (_, Arc<str>, Arc<str>) = (Seen::default(), "a".into(), "b".into());
        seen.hear(&a, "record 10 shardId-0 77 1");
        seen.hear(&b, "record 20 shardId-0 78 2");
        seen.hear(&b, "record 30 shardId-0 77 1");
        assert_eq!((seen.unique(), seen.repeated(), seen.held_by("b")), (2, 1, 1));
        assert_eq!(seen.first_after("b", "shardId-0", 20), Some(30));
        seen.hear(&a, "count 5 1 2");
        seen.hear(&a, "count 9 3 4");
        assert_eq!(seen.count(), Some(Count { nanos: 9, records: 3, bytes: 4 }));
        assert_eq!(seen.garbled, None);
        seen.hear(&a, "record 10 shardId-0 77");
        assert!(seen.garbled.is_some_and(|text| text.contains("shardId-0 77")));
    }
}
