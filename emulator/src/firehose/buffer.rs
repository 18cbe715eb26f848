//! When a buffer becomes an object: a pure decision over the records, their sizes and the time.

use bytes::Bytes;
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

/// What a record costs in memory beside its bytes. Counted, so that empty records are bounded as well.
const RECORD_OVERHEAD: usize = 64;

/// When a buffer closes: at the first of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hints {
    /// Bytes, before compression, at or past which a buffer closes.
    pub(super) bytes: usize,
    /// Emulated time after its first record at which a buffer closes. Zero closes it as soon as it is looked at.
    pub(super) interval: Duration,
}

/// Records that will be one object, in the order in which they were accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) records: Vec<Bytes>,
    /// When the oldest record arrived, in emulated time; it names the object.
    pub(super) oldest: SystemTime,
    /// When the last record came in, in emulated time; it says how long the object is tried.
    pub(super) newest: SystemTime,
    bytes: usize,
}

impl Batch {
    /// What the batch takes from the budget.
    pub(super) fn cost(&self) -> usize {
        self.bytes + self.records.len() * RECORD_OVERHEAD
    }
}

/// What a record takes from the budget.
pub(super) fn cost(record: &Bytes) -> usize {
    record.len() + RECORD_OVERHEAD
}

/// What becomes of the buffers next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Write this as one object.
    Write(Batch),
    /// Nothing is due before this emulated time, unless records arrive.
    WaitUntil(SystemTime),
    /// Nothing is buffered.
    WaitForRecords,
}

/// The buffers of one delivery stream: one that records are added to, and those that wait to be written.
#[derive(Debug)]
pub(super) struct Buffers {
    limit_bytes: usize,
    open: Option<(Batch, SystemTime)>,
    closed: VecDeque<Batch>,
}

impl Buffers {
    /// Empty buffers that close at `limit_bytes`.
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, open: None, closed: VecDeque::new() }
    }

    /// Buffers close at `limit_bytes` from the next record on.
    pub(super) fn set_limit(&mut self, limit_bytes: usize) {
        self.limit_bytes = limit_bytes;
    }

    /// Adds a record that arrived at `arrival`, at its source if it has one, and came in `now`. If it is the first of a
    /// buffer, that buffer closes at `deadline` at the latest.
    pub(super) fn push(&mut self, record: Bytes, arrival: SystemTime, now: SystemTime, deadline: SystemTime) {
        let empty = || (Batch { records: Vec::new(), oldest: arrival, newest: now, bytes: 0 }, deadline);
        let (batch, _) = self.open.get_or_insert_with(empty);
        batch.oldest = batch.oldest.min(arrival);
        batch.newest = batch.newest.max(now);
        batch.bytes += record.len();
        batch.records.push(record);
        if batch.bytes >= self.limit_bytes {
            self.close();
        }
    }

    /// Takes the next batch that is to be written at `now`, oldest first. `all` makes every buffer due.
    pub(super) fn next(&mut self, now: SystemTime, all: bool) -> Step {
        if self.closed.is_empty() && self.open.as_ref().is_some_and(|(_, deadline)| all || *deadline <= now) {
            self.close();
        }
        match (self.closed.pop_front(), &self.open) {
            (Some(batch), _) => Step::Write(batch),
            (None, Some((_, deadline))) => Step::WaitUntil(*deadline),
            (None, None) => Step::WaitForRecords,
        }
    }

    /// The oldest arrival in the batch that [`Buffers::next`] would give; `None` if none is due.
    pub(super) fn due(&self, now: SystemTime, all: bool) -> Option<SystemTime> {
        let open = self.open.as_ref().filter(|(_, deadline)| all || *deadline <= now).map(|(batch, _)| batch);
        self.closed.front().or(open).map(|batch| batch.oldest)
    }

    /// When the open buffer closes at the latest.
    pub(super) fn deadline(&self) -> Option<SystemTime> {
        self.open.as_ref().map(|(_, deadline)| *deadline)
    }

    fn close(&mut self) {
        self.closed.extend(self.open.take().map(|(batch, _)| batch));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INTERVAL: Duration = Duration::from_secs(60);

    fn record(fill: u8, length: usize) -> Bytes {
        Bytes::from(vec![fill; length])
    }

    /// Buffers with a clock that shows seconds since 1970.
    struct Clocked {
        buffers: Buffers,
    }

    impl Clocked {
        fn new(limit_bytes: usize) -> Self {
            Self { buffers: Buffers::new(limit_bytes) }
        }

        fn at(&self, second: u64) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_secs(second)
        }

        fn push(&mut self, second: u64, record: Bytes) {
            let arrival = self.at(second);
            let deadline = self.at(second) + INTERVAL;
            self.buffers.push(record, arrival, arrival, deadline);
        }

        fn next(&mut self, second: u64, all: bool) -> Step {
            let (now, oldest) = (self.at(second), self.buffers.due(self.at(second), all));
            let step = self.buffers.next(now, all);
            assert_eq!(oldest, if let Step::Write(batch) = &step { Some(batch.oldest) } else { None });
            step
        }
    }

    #[test]
    fn a_buffer_closes_when_it_reaches_the_size() {
        let mut clocked = Clocked::new(10);
        clocked.push(0, record(1, 9));
        assert_eq!(clocked.next(0, false), Step::WaitUntil(clocked.at(60)));
        clocked.push(1, record(2, 5));
        let Step::Write(batch) = clocked.next(1, false) else { panic!("a full buffer is due") };
        assert_eq!(batch.records, [record(1, 9), record(2, 5)]);
        assert_eq!(batch.oldest, SystemTime::UNIX_EPOCH);
        assert_eq!(clocked.next(1, false), Step::WaitForRecords);
    }

    #[test]
    fn a_buffer_closes_when_its_first_record_is_old() {
        let mut clocked = Clocked::new(100);
        clocked.push(10, record(1, 1));
        clocked.push(69, record(2, 1));
        assert_eq!(clocked.next(69, false), Step::WaitUntil(clocked.at(70)));
        let Step::Write(batch) = clocked.next(70, false) else { panic!("an old buffer is due") };
        assert_eq!(batch.records.len(), 2);
    }

    #[test]
    fn a_batch_knows_its_oldest_arrival_and_when_its_last_record_came_in() {
        let mut clocked = Clocked::new(100);
        clocked.push(10, record(1, 1));
        let (early, now) = (clocked.at(3), clocked.at(12));
        clocked.buffers.push(record(2, 1), early, now, now + INTERVAL);
        let Step::Write(batch) = clocked.next(70, false) else { panic!("an old buffer is due") };
        assert_eq!((batch.oldest, batch.newest), (early, now));
    }

    #[test]
    fn another_limit_holds_from_the_next_record_on() {
        let mut clocked = Clocked::new(100);
        clocked.push(0, record(1, 9));
        clocked.buffers.set_limit(5);
        assert_eq!(clocked.next(0, false), Step::WaitUntil(clocked.at(60)));
        clocked.push(1, record(2, 1));
        assert!(matches!(clocked.next(1, false), Step::Write(_)));
    }

    #[test]
    fn draining_makes_every_buffer_due() {
        let mut clocked = Clocked::new(100);
        clocked.push(0, record(1, 1));
        assert!(matches!(clocked.next(0, true), Step::Write(_)));
        assert_eq!(clocked.next(0, true), Step::WaitForRecords);
    }

    #[test]
    fn empty_records_are_kept_and_cost_something() {
        let mut clocked = Clocked::new(100);
        clocked.push(0, Bytes::new());
        let Step::Write(batch) = clocked.next(60, false) else { panic!("an old buffer is due") };
        assert_eq!(batch.records, [Bytes::new()]);
        assert_eq!(batch.cost(), cost(&Bytes::new()));
        assert!(batch.cost() > 0);
    }

    proptest! {
        /// Whatever arrives and whenever the task looks, the objects hold every record once, in order; one that was not
        /// old when it closed has reached the size, and would not have without its last record.
        #[test]
        fn records_reach_objects_once_and_in_order(
            arrivals in prop::collection::vec((0_u64..40, 0_usize..30, any::<bool>()), 0..60),
            limit in 1_usize..60,
        ) {
            let (mut clocked, mut second, mut written) = (Clocked::new(limit), 0, Vec::new());
            let mut pushed = Vec::new();
            for (index, (wait, length, look)) in arrivals.into_iter().enumerate() {
                second += wait;
                let fill = u8::try_from(index).expect("fewer than 60");
                pushed.push(record(fill, length));
                clocked.push(second, record(fill, length));
                while look && let Step::Write(batch) = clocked.next(second, false) {
                    let old = batch.oldest + INTERVAL <= SystemTime::UNIX_EPOCH + Duration::from_secs(second);
                    let last = batch.records.last().map_or(0, Bytes::len);
                    prop_assert!(old || (batch.bytes >= limit && batch.bytes - last < limit));
                    prop_assert_eq!(batch.cost(), batch.records.iter().map(cost).sum::<usize>());
                    written.extend(batch.records);
                }
            }
            while let Step::Write(batch) = clocked.next(second, true) {
                written.extend(batch.records);
            }
            prop_assert_eq!(written, pushed);
        }
    }
}
