//! A stream without its records, as its file holds it. Times are milliseconds since 1970 unless they say otherwise.

use super::super::encryption::Encryption;
use super::super::hash::HashRange;
use super::super::phases::Phases;
use super::super::registry::Consumer;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// A stream.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedStream {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) created_millis: u64,
    pub(crate) retention_hours: u32,
    pub(crate) record_kib: u32,
    pub(crate) config: SavedConfig,
    pub(crate) topology: SavedTopology,
    pub(crate) registry: SavedConsumers,
    pub(crate) tags: BTreeMap<String, String>,
    /// When this was written.
    pub(crate) saved_millis: u64,
}

/// Its settings. What it did in the last day, which only limits ask for, is not kept.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedConfig {
    pub(crate) phases: Phases,
    pub(crate) on_demand: bool,
    pub(crate) spreads: bool,
    pub(crate) warm_mibps: Option<u32>,
    pub(crate) encryption: Encryption,
    pub(crate) metrics: BTreeSet<String>,
    pub(crate) policy: Option<String>,
}

/// Its shards that are not expired.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedTopology {
    pub(crate) shards: Vec<SavedShard>,
    /// The number of the next shard.
    pub(crate) next: u32,
    pub(crate) first_lane: usize,
}

/// A shard. Its children are those that name it as a parent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedShard {
    pub(crate) number: u32,
    pub(crate) created_secs: u64,
    pub(crate) range: HashRange,
    pub(crate) parents: Vec<u32>,
    pub(crate) opened_millis: u64,
    pub(crate) closed_millis: Option<u64>,
    pub(crate) lane: usize,
    /// The index of the oldest record that is left. Segments may hold older ones.
    pub(crate) first: u64,
    /// The index behind the newest record. Segments may hold newer ones.
    pub(crate) next: u64,
    pub(crate) last_arrival_millis: u64,
}

/// Its consumers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedConsumers {
    pub(crate) consumers: Vec<Consumer>,
    pub(crate) last_registered_secs: u64,
}
