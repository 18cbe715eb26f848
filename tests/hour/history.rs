//! What happened, as values: what was put, what the emulator's own journals say, and what was done to the fleet.
//!
//! All times are milliseconds of emulated time since 1970, by the one clock that dates every journal.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A sequence number: an integer of any length, in decimal without leading zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number(String);

impl Number {
    pub(crate) fn of(text: &str) -> Self {
        Self(text.trim_start_matches('0').to_owned())
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0.len(), &self.0).cmp(&(other.0.len(), &other.0))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A record's name: its shard, and its number there.
pub(crate) type Name = (String, Number);

/// A record that Kinesis acknowledged: the `n`th of its key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Put {
    pub(crate) at: u64,
    pub(crate) name: Name,
    pub(crate) key: String,
    pub(crate) n: u64,
}

/// A row that Firehose accepted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) at: u64,
    /// Which record of Firehose's it lay in, by its place in the journal.
    pub(crate) member: usize,
    pub(crate) name: Name,
    pub(crate) key: String,
    pub(crate) n: u64,
    /// The rest of the payload is as it was put.
    pub(crate) whole: bool,
}

/// How far a shard is done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// At its beginning, or wherever the first reader begins.
    Start,
    At(Number),
    End,
}

impl Mark {
    pub(crate) fn of(checkpoint: &str) -> Self {
        match checkpoint {
            "SHARD_END" => Self::End,
            number if number.starts_with(|first: char| first.is_ascii_digit()) => Self::At(Number::of(number)),
            _ => Self::Start,
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("its start"),
            Self::At(number) => number.fmt(f),
            Self::End => f.write_str("its end"),
        }
    }
}

/// A row of the lease table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    /// Who reads the shard, or will after the handoff.
    pub(crate) owner: Option<String>,
    /// Who still reads it, during a handoff.
    pub(crate) handing_over: Option<String>,
    pub(crate) mark: Mark,
}

impl Lease {
    /// Who reads the shard now.
    pub(crate) fn reader(&self) -> Option<&str> {
        self.handing_over.as_deref().or(self.owner.as_deref())
    }
}

/// A write to a lease that was applied.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LeaseWrite {
    pub(crate) at: u64,
    pub(crate) shard: String,
    pub(crate) before: Option<Lease>,
    pub(crate) after: Option<Lease>,
}

/// A worker that was killed, or slept for longer than the failover time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stop {
    pub(crate) worker: String,
    pub(crate) from: u64,
    /// When it woke; never, if it was killed.
    pub(crate) until: Option<u64>,
}

/// How a worker ended that was asked to by SIGTERM.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Exit {
    pub(crate) worker: String,
    pub(crate) at: u64,
    /// `None` when it had to be killed after 25 s, or ended by a signal.
    pub(crate) code: Option<i32>,
}

/// A fault that took effect.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fired {
    pub(crate) at: u64,
    /// Its name in the plan.
    pub(crate) fault: String,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// In the order in which they were put.
    pub(crate) puts: Vec<Put>,
    /// In the order in which Firehose accepted them.
    pub(crate) rows: Vec<Row>,
    /// What lies in S3.
    pub(crate) stored: BTreeSet<Name>,
    /// What lies in the dead-letter store.
    pub(crate) dead: BTreeSet<Name>,
    /// Oldest first.
    pub(crate) lease_writes: Vec<LeaseWrite>,
    /// The parents of each shard that has some.
    pub(crate) parents: BTreeMap<String, Vec<String>>,
    pub(crate) stops: Vec<Stop>,
    pub(crate) exits: Vec<Exit>,
    pub(crate) fired: Vec<Fired>,
}

impl History {
    /// The leases after all writes up to `at`.
    pub(crate) fn leases_at(&self, at: u64) -> BTreeMap<&str, &Lease> {
        let mut leases = BTreeMap::new();
        for write in self.lease_writes.iter().take_while(|write| write.at <= at) {
            match &write.after {
                Some(lease) => leases.insert(write.shard.as_str(), lease),
                None => leases.remove(write.shard.as_str()),
            };
        }
        leases
    }
}
