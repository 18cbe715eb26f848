//! One shard: its records, its place in the lineage, and the signal that wakes its readers.

use super::filter::Lifetime;
use super::hash::HashRange;
use super::log::{Appended, Limits, Log, Plan, Size};
use super::meter::ShardMeter;
use super::persist::{Head, SavedShard};
use super::position::{Position, invalid_sequence};
use super::sequence::{Origin, Sequence};
use super::store::{Extent, Store};
use super::sync::lock;
use super::wire;
use crate::api::ApiError;
use std::io;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use uuid::Uuid;

/// A shard, open or closed.
#[derive(Debug)]
pub(crate) struct Shard {
    origin: Origin,
    range: HashRange,
    /// None, one after a split, two after a merge.
    parents: Vec<u32>,
    opened_millis: u64,
    lane: usize,
    state: Mutex<State>,
    /// Held while records that outlive the process are written, whose order the file tells.
    writing: Mutex<()>,
    changed: watch::Sender<()>,
    /// Made when it is first asked, which is never without limits on rates.
    meter: Mutex<Option<Box<ShardMeter>>>,
}

/// What a shard begins with.
#[derive(Debug)]
pub(crate) struct Birth {
    /// Its number and second of creation.
    pub(crate) origin: Origin,
    /// Its hash keys.
    pub(crate) range: HashRange,
    /// The shards that it replaces.
    pub(crate) parents: Vec<u32>,
    /// When, in milliseconds since 1970.
    pub(crate) millis: u64,
    /// Where in the store its payloads go.
    pub(crate) lane: usize,
}

/// How a shard ended.
#[derive(Debug)]
pub(crate) struct Closure {
    /// When, in milliseconds since 1970.
    pub(crate) millis: u64,
    /// The shards that took over.
    pub(crate) children: Vec<wire::ChildShard>,
}

/// What lies at a position.
#[derive(Debug)]
pub(crate) enum Look {
    /// Records, still to be fetched.
    Plan(Plan),
    /// Nothing yet.
    Idle,
    /// Nothing any more.
    End(Arc<Closure>),
}

#[derive(Debug)]
struct State {
    log: Log,
    closure: Option<Arc<Closure>>,
}

impl Shard {
    /// An open, empty shard.
    pub(crate) fn new(birth: Birth) -> Self {
        let Birth { origin, range, parents, millis, lane } = birth;
        let state = Mutex::new(State { log: Log::new(), closure: None });
        let (changed, meter) = (watch::Sender::new(()), Mutex::new(None));
        Self { origin, range, parents, opened_millis: millis, lane, state, writing: Mutex::new(()), changed, meter }
    }

    /// What was kept of a shard, still open, with its records.
    pub(crate) fn restore(saved: SavedShard, log: Log) -> Self {
        let SavedShard { number, created_secs, range, parents, opened_millis: millis, lane, .. } = saved;
        let shard = Self::new(Birth { origin: Origin { created_secs, shard: number }, range, parents, millis, lane });
        lock(&shard.state).log = log;
        shard
    }

    /// What is kept of it beside its records.
    pub(crate) fn save(&self) -> SavedShard {
        let state = lock(&self.state);
        SavedShard {
            number: self.origin.shard,
            created_secs: self.origin.created_secs,
            range: self.range,
            parents: self.parents.clone(),
            opened_millis: self.opened_millis,
            closed_millis: state.closure.as_ref().map(|closure| closure.millis),
            lane: self.lane,
            first: state.log.first(),
            next: state.log.next(),
            last_arrival_millis: state.log.last_arrival_millis(),
        }
    }

    /// Whether it took over from the shard `parent`.
    pub(crate) fn is_child_of(&self, parent: u32) -> bool {
        self.parents.contains(&parent)
    }

    /// The shard's number.
    pub(crate) fn number(&self) -> u32 {
        self.origin.shard
    }

    /// The shard's id.
    pub(crate) fn id(&self) -> String {
        wire::shard_id(self.origin.shard)
    }

    /// What its sequence numbers have in common.
    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    /// Its hash keys.
    pub(crate) fn range(&self) -> HashRange {
        self.range
    }

    /// When it opened and closed.
    pub(crate) fn lifetime(&self) -> Lifetime {
        let closed = lock(&self.state).closure.as_ref().map(|closure| closure.millis);
        Lifetime { shard: self.origin.shard, opened: self.opened_millis, closed }
    }

    /// How it ended, if it has.
    pub(crate) fn closure(&self) -> Option<Arc<Closure>> {
        lock(&self.state).closure.clone()
    }

    /// The shard as ListShards shows it.
    pub(crate) fn describe(&self) -> wire::Shard {
        let ending = self.closure().map(|closure| self.origin.end(closure.millis).to_string());
        wire::Shard {
            shard_id: self.id(),
            parent_shard_id: self.parents.first().copied().map(wire::shard_id),
            adjacent_parent_shard_id: self.parents.get(1).copied().map(wire::shard_id),
            hash_key_range: self.range.into(),
            sequence_number_range: wire::SequenceNumberRange {
                starting_sequence_number: self.origin.start().to_string(),
                ending_sequence_number: ending,
            },
        }
    }

    /// The shard as its parents announce it.
    pub(crate) fn as_child(&self) -> wire::ChildShard {
        wire::ChildShard {
            shard_id: self.id(),
            parent_shards: self.parents.iter().copied().map(wire::shard_id).collect(),
            hash_key_range: self.range.into(),
        }
    }

    /// A receiver that changes whenever records arrive or the shard closes.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Writes records of the stream `stream` that lie one behind the other in `payload`, and adds them as
    /// [`Shard::append`] does, at the first of `times`, forgetting what arrived before the second.
    ///
    /// # Errors
    /// The file system's; the records are not added then.
    pub(crate) fn write(
        &self,
        store: &Store,
        stream: Uuid,
        (payload, sizes): (&[u8], &[Size]),
        (now_millis, horizon_millis): (u64, u64),
    ) -> io::Result<Appended> {
        if !store.keeps() {
            let extent = store.append(self.lane, payload)?;
            return Ok(self.append(now_millis, horizon_millis, &extent, sizes));
        }
        let _writing = lock(&self.writing);
        let Appended { first, arrival_millis } = lock(&self.state).log.upcoming(now_millis);
        let head = Head { stream, shard: self.origin.shard, first, arrival_millis };
        let extent = store.append_frame(self.lane, &head, sizes, payload)?;
        Ok(self.append(arrival_millis, horizon_millis, &extent, sizes))
    }

    /// Adds records whose payloads lie at `extent`, and wakes the readers. Records that arrived before
    /// `horizon_millis` are forgotten first, so that a shard that nobody reads is bounded too.
    ///
    /// The caller holds the topology for reading, which keeps the shard open.
    pub(crate) fn append(&self, now_millis: u64, horizon_millis: u64, extent: &Extent, sizes: &[Size]) -> Appended {
        let appended = {
            let log = &mut lock(&self.state).log;
            log.trim(horizon_millis);
            log.append(now_millis, extent, sizes)
        };
        self.changed.send_replace(());
        appended
    }

    /// Forgets records that arrived before `horizon_millis`.
    pub(crate) fn trim(&self, horizon_millis: u64) {
        lock(&self.state).log.trim(horizon_millis);
    }

    /// Ends the shard, and wakes the readers.
    pub(crate) fn close(&self, millis: u64, children: Vec<wire::ChildShard>) {
        lock(&self.state).closure = Some(Arc::new(Closure { millis, children }));
        self.changed.send_replace(());
    }

    /// What there is from `cursor` on, or from the oldest record if that is later.
    ///
    /// Records that arrived before `horizon_millis` are forgotten first.
    pub(crate) fn look(&self, cursor: u64, limits: Limits, horizon_millis: u64) -> Look {
        let mut state = lock(&self.state);
        state.log.trim(horizon_millis);
        match (state.log.plan(cursor, limits), &state.closure) {
            (Some(plan), _) => Look::Plan(plan),
            (None, Some(closure)) => Look::End(Arc::clone(closure)),
            (None, None) => Look::Idle,
        }
    }

    /// Asks what the shard may still take and give this second.
    pub(crate) fn metered<T>(&self, now_millis: u64, ask: impl FnOnce(&mut ShardMeter) -> T) -> T {
        ask(lock(&self.meter).get_or_insert_with(|| Box::new(ShardMeter::full(now_millis))))
    }

    /// The index of the oldest record that is left.
    pub(crate) fn first(&self) -> u64 {
        lock(&self.state).log.first()
    }

    /// The index behind the newest record.
    pub(crate) fn next(&self) -> u64 {
        lock(&self.state).log.next()
    }

    /// The index of the first record to read from `position` on. It lies below [`Shard::first`] if records there are trimmed.
    ///
    /// # Errors
    /// `InvalidArgumentException` for a sequence number that this shard has not given out.
    pub(crate) fn locate(&self, position: &Position, stream: &str, horizon_millis: u64) -> Result<u64, ApiError> {
        let mut state = lock(&self.state);
        state.log.trim(horizon_millis);
        match position {
            Position::TrimHorizon => Ok(state.log.first()),
            Position::Latest => Ok(state.log.next()),
            Position::AtTimestamp(millis) => Ok(state.log.at_time(*millis)),
            // Index 0 is the beginning of the shard, a mark lies behind its record.
            Position::At(sequence) if sequence.mark == 0 && sequence.index > 0 => {
                self.index_of(&state, sequence, stream, 0)
            }
            Position::At(sequence) | Position::After(sequence) => self.index_of(&state, sequence, stream, 1),
        }
    }

    fn index_of(&self, state: &State, sequence: &Sequence, stream: &str, beyond: u64) -> Result<u64, ApiError> {
        let next = state.log.next();
        let refuse = |why: &str| Err(invalid_sequence(&sequence.to_string(), self.origin.shard, stream, why));
        if sequence.origin.shard != self.origin.shard {
            return refuse(&format!("is invalid because it encodes {}.", wire::shard_id(sequence.origin.shard)));
        }
        if sequence.origin != self.origin {
            return refuse("is invalid because it did not come from this stream.");
        }
        if sequence.is_end() && state.closure.is_some() {
            return Ok(next);
        }
        if sequence.index >= next {
            return refuse("is invalid because it did not come from this stream.");
        }
        Ok(sequence.index + beyond)
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::Store;
    use super::*;

    const ALL: Limits = Limits { records: 100, bytes: 1 << 20 };

    fn shard() -> Shard {
        let origin = Origin { created_secs: 1, shard: 3 };
        Shard::new(Birth { origin, range: HashRange { start: 0, end: 9 }, parents: vec![1, 2], millis: 1_000, lane: 0 })
    }

    fn put(shard: &Shard, store: &Store, now: u64) -> Sequence {
        let extent = store.append(0, b"kd").unwrap();
        let appended = shard.append(now, 0, &extent, &[Size { key: 1, data: 1 }]);
        shard.origin().record(appended.first, appended.arrival_millis)
    }

    fn locate(shard: &Shard, position: Position) -> Result<u64, String> {
        shard.locate(&position, "orders", 0).map_err(|error| error.message)
    }

    #[test]
    fn positions_become_indices() {
        let (shard, store) = (shard(), Store::new(None));
        let (first, second) = (put(&shard, &store, 2_000), put(&shard, &store, 3_000));
        assert_eq!(locate(&shard, Position::TrimHorizon), Ok(1));
        assert_eq!(locate(&shard, Position::Latest), Ok(3));
        assert_eq!(locate(&shard, Position::AtTimestamp(2_001)), Ok(2));
        assert_eq!(locate(&shard, Position::At(shard.origin().start())), Ok(1));
        assert_eq!(locate(&shard, Position::After(shard.origin().start())), Ok(1));
        assert_eq!(locate(&shard, Position::At(first)), Ok(1));
        assert_eq!(locate(&shard, Position::After(first)), Ok(2));
        assert_eq!(locate(&shard, Position::After(second)), Ok(3));
        let behind = shard.origin().behind(2, 9_000);
        assert_eq!(
            [Position::At(behind), Position::After(behind)].map(|position| locate(&shard, position)),
            [Ok(3), Ok(3)]
        );
    }

    #[test]
    fn numbers_that_the_shard_never_gave_out_are_refused() {
        let (shard, store) = (shard(), Store::new(None));
        put(&shard, &store, 2_000);
        let other_shard = Origin { shard: 4, ..shard.origin() }.record(1, 2_000);
        assert!(locate(&shard, Position::At(other_shard)).unwrap_err().contains("encodes shardId-000000000004"));
        let other_stream = Origin { created_secs: 2, ..shard.origin() }.record(1, 2_000);
        let future = shard.origin().record(2, 2_000);
        for foreign in [other_stream, future, shard.origin().end(2_000)] {
            assert!(locate(&shard, Position::After(foreign)).unwrap_err().contains("did not come from this stream"));
        }
    }

    #[test]
    fn a_closed_shard_is_read_to_its_end() {
        let (shard, store) = (shard(), Store::new(None));
        put(&shard, &store, 2_000);
        let watch = shard.watch();
        shard.close(5_000, vec![shard.as_child()]);
        assert!(watch.has_changed().unwrap());
        let Look::Plan(plan) = shard.look(1, ALL, 0) else { panic!("a record") };
        assert_eq!(plan.read().unwrap().next(), 2);
        assert!(matches!(shard.look(2, ALL, 0), Look::End(closure) if closure.millis == 5_000));
        let ending = shard.origin().end(5_000);
        assert_eq!(locate(&shard, Position::At(ending)), Ok(2));
        assert_eq!(shard.describe().sequence_number_range.ending_sequence_number, Some(ending.to_string()));
    }

    #[test]
    fn a_shard_tells_of_both_parents() {
        let described = shard().describe();
        assert_eq!(described.parent_shard_id.as_deref(), Some("shardId-000000000001"));
        assert_eq!(described.adjacent_parent_shard_id.as_deref(), Some("shardId-000000000002"));
        assert_eq!(shard().as_child().parent_shards, ["shardId-000000000001", "shardId-000000000002"]);
    }
}
