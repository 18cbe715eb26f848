//! One lock per object, in bounded space: objects are spread over a fixed number of locks by their names.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Enough that writers of different objects seldom meet.
const LOCKS: usize = 64;

/// Locks by bucket and key. Hold one at a time: two objects may share a lock.
#[derive(Debug)]
pub(super) struct Locks {
    locks: [Arc<RwLock<()>>; LOCKS],
}

impl Locks {
    pub(super) fn new() -> Self {
        Self { locks: std::array::from_fn(|_| Arc::default()) }
    }

    /// Waits until no one writes the object.
    pub(super) async fn read(&self, bucket: &str, key: &str) -> OwnedRwLockReadGuard<()> {
        self.of(bucket, key).read_owned().await
    }

    /// Waits until no one reads or writes the object.
    pub(super) async fn write(&self, bucket: &str, key: &str) -> OwnedRwLockWriteGuard<()> {
        self.of(bucket, key).write_owned().await
    }

    fn of(&self, bucket: &str, key: &str) -> Arc<RwLock<()>> {
        let mut hasher = DefaultHasher::new();
        (bucket, key).hash(&mut hasher);
        // The remainder is below LOCKS, so it fits and the index exists.
        let index = usize::try_from(hasher.finish() % LOCKS as u64).unwrap_or_default();
        Arc::clone(&self.locks[index])
    }
}
