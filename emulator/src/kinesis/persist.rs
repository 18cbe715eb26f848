//! Streams that outlive the process: what lies in `DIR/kinesis`, and when it is written.
//!
//! - `segment-ID` holds records. A frame is the records of one request for one shard with all that is needed to find
//!   them again, and is written in one piece before the request is answered.
//! - `stream-ID` is one stream without its records, `account` the settings of the account. Both are replaced as a
//!   whole, by a rename, before the request that changed them is answered.
//!
//! So the death of the process at any instant loses nothing that was answered, and leaves at most one frame half
//! written at the end of each segment. Nothing is synced to the disk: the death of the machine may lose more, or leave
//! files that are refused.

mod changes;
mod file;
mod frame;
mod open;
mod saved;
mod scan;

use super::account::Commitment;
use super::stream::Stream;
use super::sync::lock;
pub(crate) use changes::Changes;
pub(crate) use file::{Broken, Damage};
pub(crate) use frame::Head;
pub(crate) use open::{Opened, open};
pub(crate) use saved::{SavedConfig, SavedConsumers, SavedShard, SavedStream, SavedTopology};
pub(crate) use scan::Segments;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

/// The format of all files here. A change that an older version would misread needs the next number.
const FORMAT: u32 = 1;

const ACCOUNT: &str = "account";
const STREAM: &str = "stream-";
const SEGMENT: &str = "segment-";

/// What the file `account` holds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct SavedAccount {
    commitment: Commitment,
    /// When it was written, in milliseconds since 1970.
    saved_millis: u64,
}

/// Writes down what changed.
#[derive(Debug)]
pub(crate) struct Keeper {
    dir: PathBuf,
    changes: Arc<Changes>,
    /// The count of changes that are all on disk.
    saved: AtomicU64,
    files: Mutex<Files>,
}

/// What the files hold.
#[derive(Debug, Default)]
struct Files {
    /// The version of each stream, by its id.
    streams: BTreeMap<Uuid, u64>,
    commitment: Commitment,
}

impl Keeper {
    /// Writes what changed since the last time, so that whatever was done or seen before the call is kept.
    ///
    /// A change counts itself under the lock of what it changes, before it changes anything. Here the count is read first
    /// and the state then, under the same locks: a change that was counted is seen.
    ///
    /// The caller holds no lock of the service. `look` gives all streams and the commitment.
    ///
    /// # Errors
    /// The file system's. The next call tries again.
    pub(crate) fn save(
        &self,
        now_millis: u64,
        look: impl FnOnce() -> (Vec<Arc<Stream>>, Commitment),
    ) -> io::Result<()> {
        if self.is_saved() {
            return Ok(());
        }
        let mut files = lock(&self.files);
        if self.is_saved() {
            return Ok(());
        }
        let count = self.changes.count();
        let unused = self.changes.take_unused();
        let (streams, commitment) = look();
        let written = self.write(&mut files, (&streams, commitment), now_millis, !unused.is_empty());
        // Only now does no file on disk need them any more.
        let removed = written.and_then(|()| unused.iter().try_for_each(|path| remove(path)));
        if removed.is_err() {
            unused.into_iter().for_each(|path| self.changes.unused(path));
        } else {
            self.saved.store(count, Ordering::SeqCst);
        }
        removed
    }

    fn is_saved(&self) -> bool {
        self.saved.load(Ordering::SeqCst) == self.changes.count()
    }

    /// Writes streams that changed, or `all`, which brings what they know of their records up to date.
    fn write(
        &self,
        files: &mut Files,
        (streams, commitment): (&[Arc<Stream>], Commitment),
        now_millis: u64,
        all: bool,
    ) -> io::Result<()> {
        for stream in streams {
            let version = stream.version();
            if all || files.streams.get(&stream.id) != Some(&version) {
                file::write(&self.stream_path(stream.id), &stream.save(now_millis))?;
                files.streams.insert(stream.id, version);
            }
        }
        let present = |id: &Uuid| streams.iter().any(|stream| stream.id == *id);
        let gone: Vec<_> = files.streams.keys().copied().filter(|id| !present(id)).collect();
        for id in gone {
            remove(&self.stream_path(id))?;
            files.streams.remove(&id);
        }
        if files.commitment != commitment {
            let account = SavedAccount { commitment, saved_millis: now_millis };
            file::write(&self.dir.join(ACCOUNT), &account)?;
            files.commitment = commitment;
        }
        Ok(())
    }

    fn stream_path(&self, id: Uuid) -> PathBuf {
        self.dir.join(format!("{STREAM}{id}"))
    }
}

/// The path of a new segment in `dir`.
pub(crate) fn segment_path(dir: &Path) -> PathBuf {
    dir.join(format!("{SEGMENT}{}", Uuid::new_v4()))
}

/// What a segment begins with.
pub(crate) fn segment_start() -> [u8; frame::START_BYTES] {
    frame::start()
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
