//! One stream: its settings, shards and consumers.

use super::config::Config;
use super::encryption::Encryption;
use super::log::Log;
use super::ops::metric;
use super::persist::{Changes, Damage, SavedStream};
use super::phases::{Phases, Status};
use super::rates::Calls;
use super::registry::Registry;
use super::shard::Shard;
use super::sync::{lock, read, write};
use super::topology::{Refusal, Topology};
use super::validate::{in_use, invalid_argument, no_shard, no_stream};
use super::{arn, wire};
use crate::api::{ACCOUNT, ApiError};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use uuid::Uuid;

/// Hours that a new stream keeps its records.
pub(crate) const DEFAULT_RETENTION_HOURS: u32 = 24;

/// KiB that a record may have unless the stream allows more.
pub(crate) const DEFAULT_RECORD_KIB: u32 = 1_024;

const HOUR_MILLIS: u64 = 3_600_000;

/// A stream.
#[derive(Debug)]
pub(crate) struct Stream {
    /// What no other stream has, not even a later one of its name.
    pub(crate) id: Uuid,
    /// Its name.
    pub(crate) name: String,
    /// When it was created, in milliseconds since 1970.
    pub(crate) created_millis: u64,
    config: RwLock<Config>,
    /// Where the next record goes if records are spread evenly.
    turn: AtomicUsize,
    retention_hours: AtomicU32,
    record_kib: AtomicU32,
    topology: RwLock<Topology>,
    /// Its consumers.
    pub(crate) registry: Mutex<Registry>,
    /// Its tags.
    pub(crate) tags: Mutex<BTreeMap<String, String>>,
    /// What may still be asked about it this second.
    pub(crate) calls: Calls,
    /// How often it changed, records apart.
    version: AtomicU64,
    changes: Arc<Changes>,
}

/// What a stream begins with.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Its name.
    pub(crate) name: String,
    /// Whether it is on demand.
    pub(crate) on_demand: bool,
    /// Whether records are spread evenly over the shards.
    pub(crate) spreads: bool,
    /// MiB/s that it is to be ready for, if it was told.
    pub(crate) warm_mibps: Option<u32>,
    /// KiB that a record may have.
    pub(crate) record_kib: u32,
    /// Its tags.
    pub(crate) tags: BTreeMap<String, String>,
    /// When it is created, in milliseconds since 1970.
    pub(crate) created_millis: u64,
    /// How long until it becomes active.
    pub(crate) delay_millis: u64,
}

impl Stream {
    /// A new stream with these shards, whose later changes are counted in `changes`.
    pub(crate) fn new(plan: Plan, topology: Topology, changes: Arc<Changes>) -> Self {
        let phases = Phases::creating(plan.created_millis, plan.delay_millis);
        Self {
            id: Uuid::new_v4(),
            name: plan.name,
            created_millis: plan.created_millis,
            config: RwLock::new(Config::new(phases, plan.on_demand, plan.spreads, plan.warm_mibps)),
            turn: AtomicUsize::new(0),
            retention_hours: AtomicU32::new(DEFAULT_RETENTION_HOURS),
            record_kib: AtomicU32::new(plan.record_kib),
            topology: RwLock::new(topology),
            registry: Mutex::default(),
            tags: Mutex::new(plan.tags),
            calls: Calls::default(),
            version: AtomicU64::new(0),
            changes,
        }
    }

    /// What was kept of a stream, with the records of each shard.
    ///
    /// # Errors
    /// [`Damage::Metric`].
    pub(crate) fn restore(saved: SavedStream, logs: BTreeMap<u32, Log>, changes: Arc<Changes>) -> Result<Self, Damage> {
        let known = |name: &String| metric(name).ok_or_else(|| Damage::Metric(name.clone()));
        let metrics = saved.config.metrics.iter().map(known).collect::<Result<_, _>>()?;
        Ok(Self {
            id: saved.id,
            name: saved.name,
            created_millis: saved.created_millis,
            config: RwLock::new(Config::restore(saved.config, metrics)),
            turn: AtomicUsize::new(0),
            retention_hours: AtomicU32::new(saved.retention_hours),
            record_kib: AtomicU32::new(saved.record_kib),
            topology: RwLock::new(Topology::restore(saved.topology, logs)),
            registry: Mutex::new(Registry::restore(saved.registry)),
            tags: Mutex::new(saved.tags),
            calls: Calls::default(),
            version: AtomicU64::new(0),
            changes,
        })
    }

    /// What is kept of it beside its records.
    pub(crate) fn save(&self, now_millis: u64) -> SavedStream {
        // While the settings are looked at, neither they nor the shards change.
        let config = read(&self.config);
        SavedStream {
            id: self.id,
            name: self.name.clone(),
            created_millis: self.created_millis,
            retention_hours: self.retention_hours(),
            record_kib: self.record_kib(),
            config: config.save(),
            topology: self.with_topology(Topology::save),
            registry: lock(&self.registry).save(),
            tags: lock(&self.tags).clone(),
            saved_millis: now_millis,
        }
    }

    /// How often it changed, records apart.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// Counts a change. The caller holds the lock of what it is about to change.
    fn touch(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
        self.changes.note();
    }

    /// Its consumers, to be changed.
    pub(crate) fn change_consumers(&self) -> MutexGuard<'_, Registry> {
        let registry = lock(&self.registry);
        self.touch();
        registry
    }

    /// Its tags, to be changed.
    pub(crate) fn change_tags(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        let tags = lock(&self.tags);
        self.touch();
        tags
    }

    /// Its ARN.
    pub(crate) fn arn(&self) -> String {
        arn::stream(&self.name)
    }

    /// Its state.
    pub(crate) fn status(&self, now_millis: u64) -> Status {
        read(&self.config).phases.status(now_millis)
    }

    /// Whether it exists no longer.
    pub(crate) fn is_gone(&self, now_millis: u64) -> bool {
        read(&self.config).phases.is_gone(now_millis)
    }

    /// Lets records and readers in.
    ///
    /// # Errors
    /// `ResourceNotFoundException` while the stream is being created or deleted, as Kinesis has it.
    pub(crate) fn check_usable(&self, now_millis: u64) -> Result<(), ApiError> {
        match self.status(now_millis) {
            Status::Active | Status::Updating => Ok(()),
            Status::Creating | Status::Deleting => Err(no_stream(&self.name)),
        }
    }

    /// Lets changes in.
    ///
    /// # Errors
    /// `ResourceInUseException` while the stream is being created, updated or deleted.
    pub(crate) fn check_active(&self, now_millis: u64) -> Result<(), ApiError> {
        self.require_active(self.status(now_millis))
    }

    /// Lets listings in.
    ///
    /// # Errors
    /// `ResourceInUseException` while the stream is being created.
    pub(crate) fn check_created(&self, now_millis: u64) -> Result<(), ApiError> {
        match self.status(now_millis) {
            Status::Creating => self.require_active(Status::Creating),
            _ => Ok(()),
        }
    }

    fn require_active(&self, status: Status) -> Result<(), ApiError> {
        if status == Status::Active {
            return Ok(());
        }
        let message =
            format!("Stream {} under account {ACCOUNT} not ACTIVE, instead in state {}", self.name, status.word());
        Err(in_use(message))
    }

    /// Looks at the settings.
    pub(crate) fn config<T>(&self, look: impl FnOnce(&Config) -> T) -> T {
        look(&read(&self.config))
    }

    /// Changes settings or shards of an active stream, one change at a time. The change is done when this returns; the
    /// stream then counts as `UPDATING` for `delay_millis`.
    ///
    /// Locks are taken in this order: the service's streams, a stream's settings, its shards or consumers. So `change` may not look at
    /// other streams.
    ///
    /// # Errors
    /// `ResourceInUseException` if the stream is not `ACTIVE`, and whatever `change` refuses; the state is then as before.
    pub(crate) fn change<T>(
        &self,
        now_millis: u64,
        delay_millis: u64,
        change: impl FnOnce(&mut Config) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut config = write(&self.config);
        self.require_active(config.phases.status(now_millis))?;
        self.touch();
        let changed = change(&mut config)?;
        config.phases.update(now_millis, delay_millis);
        Ok(changed)
    }

    /// Which of its records are encrypted.
    pub(crate) fn encryption(&self) -> Arc<Encryption> {
        Arc::clone(&read(&self.config).encryption)
    }

    /// The turn of the next record if records are spread evenly over the shards.
    pub(crate) fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Hours that records are kept.
    pub(crate) fn retention_hours(&self) -> u32 {
        self.retention_hours.load(Ordering::Relaxed)
    }

    /// Changes how long records are kept. A shorter time trims at the next access.
    pub(crate) fn set_retention_hours(&self, hours: u32) {
        self.retention_hours.store(hours, Ordering::Relaxed);
    }

    /// KiB that a record may have, its partition key included.
    pub(crate) fn record_kib(&self) -> u32 {
        self.record_kib.load(Ordering::Relaxed)
    }

    /// Changes how large records may be.
    pub(crate) fn set_record_kib(&self, kib: u32) {
        self.record_kib.store(kib, Ordering::Relaxed);
    }

    /// The arrival of the oldest record that may be left, in milliseconds since 1970.
    pub(crate) fn horizon(&self, now_millis: u64) -> u64 {
        let retained = now_millis.saturating_sub(u64::from(self.retention_hours()) * HOUR_MILLIS);
        retained.max(self.created_millis)
    }

    /// Looks at the shards. While `look` runs no shard opens or closes.
    pub(crate) fn with_topology<T>(&self, look: impl FnOnce(&Topology) -> T) -> T {
        look(&read(&self.topology))
    }

    /// Changes the shards.
    ///
    /// # Errors
    /// What a [`Refusal`] means in AWS's words.
    pub(crate) fn reshard(&self, change: impl FnOnce(&mut Topology) -> Result<(), Refusal>) -> Result<(), ApiError> {
        change(&mut write(&self.topology)).map_err(|refusal| self.explain(refusal))
    }

    /// Forgets all records and shards whose retention is over.
    pub(crate) fn forget_expired(&self, now_millis: u64) {
        let horizon = self.horizon(now_millis);
        self.shards(now_millis).iter().for_each(|shard| shard.trim(horizon));
    }

    /// All shards that are not expired, in order of their numbers.
    pub(crate) fn shards(&self, now_millis: u64) -> Vec<Arc<Shard>> {
        let horizon = self.horizon(now_millis);
        if self.with_topology(|topology| topology.has_expired(horizon)) {
            write(&self.topology).drop_expired(horizon);
        }
        self.with_topology(|topology| topology.all().cloned().collect())
    }

    /// Finds a shard that is not expired.
    ///
    /// # Errors
    /// `ResourceNotFoundException`.
    pub(crate) fn shard(&self, id: &str, now_millis: u64) -> Result<Arc<Shard>, ApiError> {
        let horizon = self.horizon(now_millis);
        let found =
            wire::parse_shard_id(id).and_then(|number| self.with_topology(|topology| topology.get(number).cloned()));
        found
            .filter(|shard| shard.lifetime().closed.is_none_or(|closed| closed >= horizon))
            .ok_or_else(|| no_shard(id, &self.name))
    }

    /// How many shards take records.
    pub(crate) fn open_shards(&self) -> u32 {
        self.with_topology(|topology| u32::try_from(topology.open().len()).unwrap_or(u32::MAX))
    }

    /// Begins to delete an active stream, which takes `delay_millis`, and ends all subscriptions.
    ///
    /// # Errors
    /// `ResourceInUseException` if the stream is not `ACTIVE`.
    pub(crate) fn delete(&self, now_millis: u64, delay_millis: u64) -> Result<(), ApiError> {
        let mut config = write(&self.config);
        self.require_active(config.phases.status(now_millis))?;
        self.touch();
        config.phases.delete(now_millis, delay_millis);
        // Under the lock of the settings, so that no stream is kept that goes and has consumers.
        self.change_consumers().close();
        Ok(())
    }

    fn explain(&self, refusal: Refusal) -> ApiError {
        let stream = format!("stream {} under account {ACCOUNT}", self.name);
        match refusal {
            Refusal::Unknown(shard) => no_shard(&wire::shard_id(shard), &self.name),
            Refusal::Closed(shard) => invalid_argument(format!(
                "Shard {} in {stream} has already been merged or split, and thus is not eligible for merging or splitting.",
                wire::shard_id(shard)
            )),
            Refusal::Outside(range) => invalid_argument(format!(
                "NewStartingHashKey in {stream} is not within the shard's hash keys, {} to {}, so that both children have some.",
                range.start, range.end
            )),
            Refusal::Apart => invalid_argument(format!(
                "The shards in {stream} are not an adjacent pair of shards eligible for merging."
            )),
        }
    }
}
