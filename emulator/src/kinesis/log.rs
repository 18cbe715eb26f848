//! A shard's records: an index in memory over payloads in the store.

use super::store::{Extent, Segment};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// The sizes of one record in bytes. The store holds its partition key, then its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Of the partition key.
    pub(crate) key: u16,
    /// Of the data.
    pub(crate) data: u32,
}

/// How much one read may return. A first record larger than `bytes` comes alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Records.
    pub(crate) records: usize,
    /// Bytes of partition keys and data.
    pub(crate) bytes: usize,
}

/// What an append gave the first of its records. The others follow, one index each, all with the same arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    /// The index of the first record.
    pub(crate) first: u64,
    /// Milliseconds since 1970.
    pub(crate) arrival_millis: u64,
}

/// The index of a shard's records, which count from 1 in order of arrival.
#[derive(Debug)]
pub(crate) struct Log {
    /// The index of the first entry: everything below is trimmed.
    first: u64,
    entries: VecDeque<Entry>,
    /// Each segment in use with the index of its first record.
    segments: VecDeque<(u64, Arc<Segment>)>,
    last_arrival: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    arrival_millis: u64,
    offset: u32,
    size: Size,
}

/// Consecutive records to be read from one segment.
#[derive(Debug)]
pub(crate) struct Plan {
    first: u64,
    entries: Vec<Entry>,
    segment: Arc<Segment>,
    tip: u64,
}

/// Consecutive records with their payloads.
#[derive(Debug)]
pub(crate) struct Batch {
    first: u64,
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    tip: u64,
}

/// One record of a [`Batch`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    /// Its number in the shard.
    pub(crate) index: u64,
    /// Milliseconds since 1970.
    pub(crate) arrival_millis: u64,
    /// The partition key, UTF-8.
    pub(crate) key: &'a [u8],
    /// The data.
    pub(crate) data: &'a [u8],
}

impl Size {
    /// Bytes of the whole record.
    pub(crate) fn bytes(self) -> usize {
        usize::from(self.key) + self.data as usize
    }

    /// The sizes of a record, or `None` for one that no log can hold.
    pub(crate) fn of(key: usize, data: usize) -> Option<Self> {
        Some(Self { key: u16::try_from(key).ok()?, data: u32::try_from(data).ok()? })
    }
}

impl Entry {
    fn len(&self) -> usize {
        self.size.bytes()
    }
}

impl Log {
    /// An empty log.
    pub(crate) fn new() -> Self {
        Self::starting_at(1)
    }

    /// An empty log whose next record gets the index `first`.
    pub(crate) fn starting_at(first: u64) -> Self {
        Self { first, entries: VecDeque::new(), segments: VecDeque::new(), last_arrival: 0 }
    }

    /// Lets no record arrive before `millis` any more.
    pub(crate) fn continue_after(&mut self, millis: u64) {
        self.last_arrival = self.last_arrival.max(millis);
    }

    /// When the newest record arrived, trimmed or not, in milliseconds since 1970; 0 if none did.
    pub(crate) fn last_arrival_millis(&self) -> u64 {
        self.last_arrival
    }

    /// What [`Log::append`] will give.
    pub(crate) fn upcoming(&self, now_millis: u64) -> Appended {
        Appended { first: self.next(), arrival_millis: now_millis.max(self.last_arrival) }
    }

    /// The index of the oldest record that is left, or of the next one if none is.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The index of the next record to arrive.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Adds records that lie one behind the other from `extent` on. Arrival times never go back.
    pub(crate) fn append(&mut self, now_millis: u64, extent: &Extent, sizes: &[Size]) -> Appended {
        let appended = self.upcoming(now_millis);
        self.last_arrival = appended.arrival_millis;
        if !self.segments.back().is_some_and(|(_, segment)| Arc::ptr_eq(segment, &extent.segment)) {
            self.segments.push_back((appended.first, Arc::clone(&extent.segment)));
        }
        let mut offset = extent.offset;
        self.entries.extend(sizes.iter().map(|&size| {
            let entry = Entry { arrival_millis: appended.arrival_millis, offset, size };
            offset = offset.saturating_add(u32::from(size.key)).saturating_add(size.data);
            entry
        }));
        appended
    }

    /// Forgets records that arrived before `horizon_millis`, and frees segments without records.
    pub(crate) fn trim(&mut self, horizon_millis: u64) {
        let expired = self.entries.partition_point(|entry| entry.arrival_millis < horizon_millis);
        if expired == 0 {
            return;
        }
        self.entries.drain(..expired);
        self.first += expired as u64;
        let unused = self.segments.iter().skip(1).take_while(|(start, _)| *start <= self.first).count();
        self.segments.drain(..unused);
        if self.entries.is_empty() {
            self.segments.clear();
            self.entries.shrink_to_fit();
        }
    }

    /// The index of the first record that arrived at `millis` or later.
    pub(crate) fn at_time(&self, millis: u64) -> u64 {
        self.first + self.entries.partition_point(|entry| entry.arrival_millis < millis) as u64
    }

    /// What to read from `cursor` on, or from the oldest record if that is later. `None` if nothing is there yet.
    ///
    /// A plan ends early where a segment ends.
    pub(crate) fn plan(&self, cursor: u64, limits: Limits) -> Option<Plan> {
        let first = cursor.max(self.first);
        let position = self.segments.partition_point(|(start, _)| *start <= first).checked_sub(1)?;
        let segment = Arc::clone(&self.segments.get(position)?.1);
        let segment_end = self.segments.get(position + 1).map_or(u64::MAX, |(start, _)| *start);
        let skip = usize::try_from(first - self.first).ok()?;
        let most = limits.records.min(usize::try_from(segment_end - first).unwrap_or(usize::MAX));
        let mut bytes = 0;
        let entries: Vec<_> = self
            .entries
            .range(skip.min(self.entries.len())..)
            .take(most)
            .take_while(|entry| {
                let fits = bytes == 0 || bytes + entry.len() <= limits.bytes;
                bytes += entry.len();
                fits
            })
            .copied()
            .collect();
        (!entries.is_empty()).then(|| Plan { first, entries, segment, tip: self.next() })
    }
}

impl Plan {
    /// Bytes of keys and data.
    pub(crate) fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.len() as u64).sum()
    }

    /// When the first record arrived, in milliseconds since 1970.
    pub(crate) fn first_arrival_millis(&self) -> u64 {
        self.entries.first().map_or(0, |entry| entry.arrival_millis)
    }

    /// Fetches the payloads, with one read for each run of records that lie one behind the other.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn read(self) -> io::Result<Batch> {
        let mut bytes = vec![0; self.entries.iter().map(Entry::len).sum()];
        let mut space = bytes.as_mut_slice();
        for run in self.entries.chunk_by(|one, next| one.offset as usize + one.len() == next.offset as usize) {
            let length = run.iter().map(Entry::len).sum();
            let (now, later) = space.split_at_mut_checked(length).ok_or(io::ErrorKind::UnexpectedEof)?;
            if let Some(entry) = run.first() {
                self.segment.read(now, entry.offset)?;
            }
            space = later;
        }
        Ok(Batch { first: self.first, entries: self.entries, bytes, tip: self.tip })
    }
}

impl Batch {
    /// The index behind the last record.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Whether no record had arrived behind this batch when it was read.
    pub(crate) fn at_tip(&self) -> bool {
        self.next() >= self.tip
    }

    /// When the last record arrived, in milliseconds since 1970.
    pub(crate) fn last_arrival_millis(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.arrival_millis)
    }

    /// Milliseconds from the last record of the batch to `now_millis`; 0 at the tip.
    pub(crate) fn millis_behind(&self, now_millis: u64) -> u64 {
        if self.at_tip() { 0 } else { now_millis.saturating_sub(self.last_arrival_millis()) }
    }

    /// How many records there are.
    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of keys and data.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The records in order of arrival.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let mut rest = self.bytes.as_slice();
        self.entries.iter().zip(self.first..).map(move |(entry, index)| {
            let (key, behind_key) = rest.split_at_checked(usize::from(entry.size.key)).unwrap_or_default();
            let (data, later) = behind_key.split_at_checked(entry.size.data as usize).unwrap_or_default();
            rest = later;
            Record { index, arrival_millis: entry.arrival_millis, key, data }
        })
    }
}

#[cfg(test)]
mod tests;
