//! How far a shard and the whole application are behind: the arrival times of what is in flight → ages. Pure.

use alluvial_record::ShardId;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Runs of records that one shard remembers; 24 bytes each. Past it, neighbours are merged: an age is then rather too
/// high than too low.
const MOST_RUNS: usize = 1024;
/// Without an event for so long, what the last one said is out of date. Heartbeats come about every 5 s
/// (<https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShardEvent.html>).
const FRESH: Duration = Duration::from_secs(10);

/// Records that were handed out one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// Ordinal after the last.
    end: u64,
    /// When the oldest of them arrived at Kinesis, in milliseconds since 1970.
    arrived_millis: u64,
}

/// Arrival times of the records that were handed out and not acknowledged yet. Memory is bounded, see [`InFlight::runs`].
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    runs: VecDeque<Run>,
}

impl InFlight {
    /// Notes records that are handed out now, counted from `first`. Ordinal 0 begins anew: the shard has a new reader.
    pub(crate) fn hand_out(&mut self, first: u64, arrivals: impl IntoIterator<Item = u64>) {
        if first == 0 {
            self.runs.clear();
        }
        for (ordinal, arrived_millis) in (first..).zip(arrivals) {
            let end = ordinal + 1;
            match self.runs.back_mut() {
                Some(last) if last.arrived_millis == arrived_millis => last.end = end,
                _ => self.runs.push_back(Run { end, arrived_millis }),
            }
        }
        if self.runs.len() > MOST_RUNS {
            self.merge_neighbours();
        }
    }

    /// All records before ordinal `done` are acknowledged.
    pub(crate) fn acknowledge(&mut self, done: u64) {
        while self.runs.front().is_some_and(|run| run.end <= done) {
            self.runs.pop_front();
        }
    }

    /// Nothing of the shard is in our hands any more.
    pub(crate) fn clear(&mut self) {
        self.runs.clear();
    }

    /// When the oldest record arrived that is not acknowledged, in milliseconds since 1970.
    pub(crate) fn oldest_millis(&self) -> Option<u64> {
        self.runs.front().map(|run| run.arrived_millis)
    }

    /// Halves the memory again and again, until it is within its bound. Both of a pair count as the older one.
    fn merge_neighbours(&mut self) {
        while self.runs.len() > MOST_RUNS {
            let runs: Vec<Run> = self.runs.drain(..).collect();
            self.runs.extend(runs.chunks(2).map(|pair| Run {
                end: pair.last().map_or(0, |run| run.end),
                arrived_millis: pair.iter().map(|run| run.arrived_millis).min().unwrap_or(0),
            }));
        }
    }

    #[cfg(test)]
    fn runs(&self) -> usize {
        self.runs.len()
    }
}

/// How far behind the tip a shard is, when its last event said `behind` and came `since` ago. While no event comes, for
/// whatever reason, the shard falls behind at the pace of the clock.
pub(crate) fn tip_lag(behind: Duration, since: Duration) -> Duration {
    if since > FRESH { behind + since } else { behind }
}

/// How far one shard is behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardLag {
    /// Its stream.
    pub stream: Arc<str>,
    /// The shard.
    pub shard: ShardId,
    /// How far the reading is behind the tip of the shard: `MillisBehindLatest` of the last event, and the time since then
    /// when events stay out. `None` before the first event.
    pub tip: Option<Duration>,
    /// Age of the oldest record that was handed out and is not acknowledged, since its arrival at Kinesis. `None` when all
    /// that was handed out is acknowledged.
    pub oldest_unacknowledged: Option<Duration>,
}

/// How far the shards that this worker reads are behind. Those of other workers are not in it: the lag of an application
/// is the highest of its workers'.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lag {
    /// The highest of the shards.
    pub tip: Option<Duration>,
    /// The highest of the shards.
    pub oldest_unacknowledged: Option<Duration>,
    /// Each shard, in order of its stream and name.
    pub shards: Vec<ShardLag>,
}

impl Lag {
    /// The lag of all of these shards.
    pub(crate) fn of(mut shards: Vec<ShardLag>) -> Self {
        shards.sort_by(|a, b| (&a.stream, &a.shard).cmp(&(&b.stream, &b.shard)));
        Self {
            tip: shards.iter().filter_map(|shard| shard.tip).max(),
            oldest_unacknowledged: shards.iter().filter_map(|shard| shard.oldest_unacknowledged).max(),
            shards,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_oldest_is_that_of_the_first_record_that_is_not_acknowledged() {
        let mut flight = InFlight::default();
        assert_eq!(flight.oldest_millis(), None);
        flight.hand_out(0, [100, 100, 250]);
        flight.hand_out(3, [250, 400]);
        assert_eq!((flight.oldest_millis(), flight.runs()), (Some(100), 3));
        flight.acknowledge(1);
        assert_eq!(flight.oldest_millis(), Some(100), "one of the two is still on its way");
        flight.acknowledge(2);
        assert_eq!(flight.oldest_millis(), Some(250));
        flight.acknowledge(5);
        assert_eq!(flight.oldest_millis(), None);
    }

    #[test]
    fn a_new_reader_of_the_shard_begins_anew() {
        let mut flight = InFlight::default();
        flight.hand_out(0, [100, 200]);
        flight.hand_out(0, [150]);
        assert_eq!(flight.oldest_millis(), Some(150));
        flight.clear();
        assert_eq!(flight.oldest_millis(), None);
    }

    #[test]
    fn a_shard_without_events_falls_behind_at_the_pace_of_the_clock() {
        let seconds = Duration::from_secs;
        assert_eq!(tip_lag(seconds(3), seconds(6)), seconds(3), "between two heartbeats");
        assert_eq!(tip_lag(seconds(3), seconds(60)), seconds(63));
    }

    #[test]
    fn the_lag_of_a_worker_is_that_of_its_worst_shard() {
        let lag = |name: &str, tip, oldest| ShardLag {
            stream: "s".into(),
            shard: name.into(),
            tip: Option::map(tip, Duration::from_secs),
            oldest_unacknowledged: Option::map(oldest, Duration::from_secs),
        };
        let all = Lag::of(vec![lag("b", Some(1), None), lag("a", None, Some(9)), lag("c", Some(4), Some(2))]);
        assert_eq!((all.tip, all.oldest_unacknowledged), (Some(Duration::from_secs(4)), Some(Duration::from_secs(9))));
        assert_eq!(all.shards.iter().map(|shard| shard.shard.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(Lag::of(Vec::new()), Lag::default());
    }

    proptest! {
        /// Model: every arrival time. The bound may make the answer older, never younger, and memory stays bounded.
        #[test]
        fn an_age_is_never_too_low_and_memory_is_bounded(
            batches in proptest::collection::vec((1_usize..400, any::<u8>()), 1..30),
        ) {
            let (mut flight, mut model, mut done) = (InFlight::default(), Vec::new(), 0);
            for (count, ack) in batches {
                let first = model.len() as u64;
                // Times rise, as they do within a shard, but for small disorder.
                model.extend((0..count as u64).map(|n| 1_000 + (first + n) * 3 + (first + n) % 2 * 4));
                flight.hand_out(first, model[usize::try_from(first).unwrap()..].iter().copied());
                done = (done + u64::from(ack)).min(model.len() as u64);
                flight.acknowledge(done);
                prop_assert!(flight.runs() <= MOST_RUNS);
                let oldest = model.get(usize::try_from(done).unwrap()).copied();
                prop_assert_eq!(flight.oldest_millis().is_some(), oldest.is_some());
                if let Some(oldest) = oldest {
                    prop_assert!(flight.oldest_millis().unwrap() <= oldest);
                    // Exact while nothing had to be merged.
                    prop_assert!(model.len() > MOST_RUNS || flight.oldest_millis() == Some(oldest));
                }
            }
        }
    }
}
