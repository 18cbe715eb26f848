//! The open loop: makes each record when it is due and hands it to its lane, whatever the stream does.

use crate::entry::Entry;
use crate::key::{Key, Keys};
use crate::lane::Shared;
use crate::load::End;
use crate::observe::{Observer, Rejection};
use crate::rate::Rate;
use crate::records::{Next, Records};
use crate::shards::ShardMap;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// A record offered later than this after it was due counts as a late start. Timers are exact to 1 ms.
const LATE_AFTER: Duration = Duration::from_millis(10);
/// How far past its end a timed run still offers what was due before the end.
const GRACE: Duration = Duration::from_secs(1);
/// Records and bytes that are handed to lanes at once, at most.
const CHUNK_RECORDS: usize = 512;
const CHUNK_BYTES: usize = 1_024 * 1_024;

/// How a run's offering ended.
#[derive(Debug)]
pub(crate) struct Offered {
    /// Due before the end of a timed run, and never offered.
    pub(crate) missed_starts: u64,
    /// The stop token ended it.
    pub(crate) interrupted: bool,
    /// Reading the input broke.
    pub(crate) broken: Option<io::Error>,
}

/// The state of the open loop.
pub(crate) struct Offer<O> {
    pub(crate) rate: Rate,
    pub(crate) end: End,
    pub(crate) records: Records,
    pub(crate) keys: Keys,
    pub(crate) lanes: Vec<mpsc::Sender<Vec<Entry>>>,
    /// With aggregates, the shards at the start. A later split changes no lane, so that keys stay in order.
    pub(crate) shards: Option<ShardMap>,
    pub(crate) max_record_bytes: usize,
    pub(crate) stop: CancellationToken,
    pub(crate) shared: Arc<Shared<O>>,
    pub(crate) state: State,
}

/// Where the open loop is.
#[derive(Debug)]
pub(crate) struct State {
    started: Instant,
    /// When record 0 was due. Later than `started` when an input made the schedule wait.
    anchor: Instant,
    offered: u64,
    offered_bytes: u64,
    /// Not yet handed on, by lane.
    chunks: Vec<Vec<Entry>>,
    chunk_records: usize,
    chunk_bytes: usize,
}

impl State {
    pub(crate) fn new(started: Instant, lanes: usize) -> Self {
        let chunks = (0..lanes).map(|_| Vec::new()).collect();
        Self { started, anchor: started, offered: 0, offered_bytes: 0, chunks, chunk_records: 0, chunk_bytes: 0 }
    }
}

/// Why the loop ends.
enum Ended {
    Done,
    /// A timed run could not keep up.
    Behind,
    Interrupted,
    Broken(io::Error),
}

impl<O: Observer> Offer<O> {
    /// Offers until the end, the stop, or the end of the input. Dropping it ends the lanes' input.
    pub(crate) async fn run(mut self) -> Offered {
        let ended = loop {
            if let Err(ended) = self.step().await {
                break ended;
            }
        };
        self.flush().await;
        let missed_starts = match (&ended, self.end) {
            (Ended::Behind, End::Duration(duration)) => {
                let waited = self.state.anchor.saturating_duration_since(self.state.started);
                self.rate.due_before(duration.saturating_sub(waited)).unwrap_or(0).saturating_sub(self.state.offered)
            }
            _ => 0,
        };
        let interrupted = matches!(ended, Ended::Interrupted);
        let broken = if let Ended::Broken(error) = ended { Some(error) } else { None };
        Offered { missed_starts, interrupted, broken }
    }

    /// Offers one record, or waits for one.
    async fn step(&mut self) -> Result<(), Ended> {
        if self.stopped() {
            return Err(Ended::Interrupted);
        }
        let now = Instant::now();
        let due = self.rate.due(self.state.offered).map_or(now, |offset| self.state.anchor + offset);
        self.check_end(due, now)?;
        if due > now {
            self.flush().await;
            return self.sleep(due).await;
        }
        let wall = self.shared.clock.now();
        match self.records.next(self.state.offered, wall) {
            Next::Record { number, data } => self.offer(number, data, due, wall).await,
            Next::TooLong { number, bytes } => {
                let limit = self.max_record_bytes;
                self.reject(number, bytes, format!("longer than the {limit} bytes that the stream allows"));
                Ok(())
            }
            Next::Later => self.wait_for_input(due).await,
            Next::End => Err(Ended::Done),
            Next::Broken(error) => Err(Ended::Broken(error)),
        }
    }

    fn check_end(&self, due: Instant, now: Instant) -> Result<(), Ended> {
        let state = &self.state;
        match self.end {
            End::Records(records) if state.offered >= records => Err(Ended::Done),
            End::Bytes(bytes) if state.offered_bytes >= bytes => Err(Ended::Done),
            End::Duration(duration) if due >= state.started + duration => Err(Ended::Done),
            End::Duration(duration) if now >= state.started + duration + GRACE => Err(Ended::Behind),
            _ => Ok(()),
        }
    }

    async fn offer(&mut self, number: u64, data: Bytes, due: Instant, wall: SystemTime) -> Result<(), Ended> {
        let bytes = data.len();
        let (key, key_hash) = match self.key(&data) {
            Ok(key) => key,
            Err(reason) => {
                self.reject(number, bytes as u64, reason);
                return Ok(());
            }
        };
        let mut entry = Entry::plain(data, (key, key_hash), number, due, wall);
        self.reserve(entry.budget()).await?;
        let now = Instant::now();
        if self.rate == Rate::UNLIMITED {
            entry.due = now;
        }
        let late = now.saturating_duration_since(entry.due) > LATE_AFTER;
        self.shared.counts.late.add(u64::from(late));
        self.shared.counts.offered.add(1);
        self.state.offered += 1;
        self.state.offered_bytes += bytes as u64;
        self.state.chunk_records += 1;
        self.state.chunk_bytes += bytes;
        let lanes = self.state.chunks.len();
        let lane =
            self.shards.as_ref().map_or_else(|| lane_of(key_hash, lanes), |shards| shards.lane(&entry.key, lanes));
        if let Some(chunk) = self.state.chunks.get_mut(lane) {
            chunk.push(entry);
        }
        if self.state.chunk_records >= CHUNK_RECORDS || self.state.chunk_bytes >= CHUNK_BYTES {
            self.flush().await;
        }
        Ok(())
    }

    /// The key of a record that fits the stream with it.
    fn key(&mut self, data: &[u8]) -> Result<Key, String> {
        if data.is_empty() {
            return Err("an empty record".to_owned());
        }
        let key = self.keys.key(data)?;
        let bytes = data.len() + key.0.len();
        if bytes > self.max_record_bytes {
            let limit = self.max_record_bytes;
            return Err(format!("{bytes} bytes with its partition key; the stream allows {limit}"));
        }
        Ok(key)
    }

    fn reject(&self, line: u64, bytes: u64, reason: String) {
        self.shared.counts.rejected.add(1);
        self.shared.observer.rejected(&Rejection { line, bytes, reason });
    }

    /// Takes room for one record, waiting for it when there is none.
    async fn reserve(&mut self, bytes: usize) -> Result<(), Ended> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Ok(permit) = self.shared.budget.try_acquire_many(permits) {
            permit.forget();
            return Ok(());
        }
        // What is not handed on holds room that nobody could give back.
        self.flush().await;
        tokio::select! {
            permit = self.shared.budget.acquire_many(permits) => {
                // The semaphore is never closed.
                if let Ok(permit) = permit { permit.forget() }
                Ok(())
            }
            () = self.stop.cancelled() => Err(Ended::Interrupted),
            () = self.shared.halt.cancelled() => Err(Ended::Interrupted),
        }
    }

    /// Hands the open chunks to their lanes.
    async fn flush(&mut self) {
        if self.state.chunk_records == 0 {
            return;
        }
        self.state.chunk_records = 0;
        self.state.chunk_bytes = 0;
        for (lane, chunk) in self.lanes.iter().zip(&mut self.state.chunks) {
            if !chunk.is_empty() {
                let room = chunk.len();
                let chunk = std::mem::replace(chunk, Vec::with_capacity(room));
                // Never waits: an inbox has room for whatever the budget lets in. If the lane died, `run` ends with
                // its error.
                lane.send(chunk).await.ok();
            }
        }
    }

    async fn sleep(&self, until: Instant) -> Result<(), Ended> {
        tokio::select! {
            () = sleep_until(until) => Ok(()),
            () = self.stop.cancelled() => Err(Ended::Interrupted),
            () = self.shared.halt.cancelled() => Err(Ended::Interrupted),
        }
    }

    /// Waits for the input and moves the schedule by as long: a slow input is no late start. How late the schedule
    /// is already stays: that was the stream.
    async fn wait_for_input(&mut self, due: Instant) -> Result<(), Ended> {
        self.flush().await;
        let waiting = Instant::now();
        let patience = match self.end {
            // Until the schedule, which moves along, is at its end; no longer than a late one may go on.
            End::Duration(duration) => {
                let end = self.state.started + duration;
                end.saturating_duration_since(due).min((end + GRACE).saturating_duration_since(waiting))
            }
            _ => Duration::from_secs(u64::from(u32::MAX)),
        };
        tokio::select! {
            ended = self.records.wait() => match ended {
                Some(Next::Broken(error)) => return Err(Ended::Broken(error)),
                Some(_) => return Err(Ended::Done),
                None => {}
            },
            () = sleep(patience) => {}
            () = self.stop.cancelled() => return Err(Ended::Interrupted),
            () = self.shared.halt.cancelled() => return Err(Ended::Interrupted),
        }
        self.state.anchor += waiting.elapsed();
        Ok(())
    }

    fn stopped(&self) -> bool {
        self.stop.is_cancelled() || self.shared.halt.is_cancelled()
    }
}

/// The lane of a key: the same for equal keys.
fn lane_of(key_hash: u64, lanes: usize) -> usize {
    // FNV hashes of keys that differ in their last letter only are close to each other; the finaliser of
    // SplitMix64 (Steele, Lea and Flood, 2014) spreads them.
    let mixed = (key_hash ^ (key_hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from(mixed >> 33).unwrap_or(0) % lanes.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::partition_key_hash;

    #[test]
    fn keys_spread_over_all_lanes() {
        let mut lanes = [0_u32; 8];
        for key in 0..1_000 {
            lanes[lane_of(partition_key_hash(&format!("key-{key}")), 8)] += 1;
        }
        assert!(lanes.iter().all(|count| (80..180).contains(count)), "{lanes:?}");
    }
}
