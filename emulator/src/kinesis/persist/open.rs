//! Opens what an earlier run left: streams from their files, records from the segments.

use super::super::account::Commitment;
use super::super::log::Log;
use super::super::store::Store;
use super::super::stream::Stream;
use super::file::{self, Broken, Damage, PART};
use super::scan::Found;
use super::{ACCOUNT, Changes, Files, Keeper, SEGMENT, STREAM, SavedAccount, SavedShard, SavedStream, Segments};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use uuid::Uuid;

/// What lay in the folder.
pub(crate) struct Opened {
    /// Keeps it up to date.
    pub(crate) keeper: Keeper,
    /// Counts what changes.
    pub(crate) changes: Arc<Changes>,
    /// Where records are and go.
    pub(crate) store: Store,
    /// All streams by name.
    pub(crate) streams: BTreeMap<String, Arc<Stream>>,
    /// The account's commitment.
    pub(crate) commitment: Commitment,
    /// The latest time that anything tells of, in milliseconds since 1970.
    pub(crate) latest_millis: u64,
}

/// The files of the folder, by kind.
#[derive(Debug, Default)]
struct Listing {
    streams: Vec<PathBuf>,
    segments: Vec<PathBuf>,
}

/// Opens `dir`, which is made if it is missing.
///
/// # Errors
/// [`Broken`] names the file that cannot be used. Nothing but half-written ends has been removed then.
pub(crate) fn open(dir: &Path) -> Result<Opened, Broken> {
    let listing = list(dir).map_err(|damage| damage.of(dir))?;
    let account = dir.join(ACCOUNT);
    let account: SavedAccount = if account.exists() {
        file::read(&account).map_err(|damage| damage.of(&account))?
    } else {
        SavedAccount::default()
    };
    let read = |path: PathBuf| match file::read(&path) {
        Ok(saved) => Ok((path, saved)),
        Err(damage) => Err(damage.of(&path)),
    };
    let mut saved: Vec<(PathBuf, SavedStream)> = listing.streams.into_iter().map(read).collect::<Result<_, _>>()?;
    // Of two streams of one name the older one is about to go.
    saved.sort_by_key(|(_, stream)| stream.created_millis);

    let changes = Arc::new(Changes::default());
    let mut segments = Segments::default();
    listing.segments.into_iter().try_for_each(|path| segments.add(path, &changes))?;
    let (mut streams, mut latest_millis) = (BTreeMap::new(), account.saved_millis);
    let mut files = Files { streams: BTreeMap::new(), commitment: account.commitment };
    for (path, mut stream) in saved {
        latest_millis = latest_millis.max(stream.saved_millis);
        skip_numbers(&mut stream, &segments.found);
        let logs = logs(&stream, &mut segments.found).map_err(|damage| damage.of(&path))?;
        latest_millis = logs.values().map(Log::last_arrival_millis).fold(latest_millis, u64::max);
        let stream = Stream::restore(stream, logs, Arc::clone(&changes)).map_err(|damage| damage.of(&path))?;
        files.streams.insert(stream.id, stream.version());
        streams.insert(stream.name.clone(), Arc::new(stream));
    }
    let Segments { files: segments, found } = segments;
    // What no stream asked for.
    drop(found);
    let store = Store::kept(dir.to_owned(), Arc::clone(&changes), segments);
    // A count that no change has yet: the first save looks at everything.
    changes.note();
    let keeper = Keeper {
        dir: dir.to_owned(),
        changes: Arc::clone(&changes),
        saved: AtomicU64::new(0),
        files: Mutex::new(files),
    };
    Ok(Opened { keeper, changes, store, streams, commitment: account.commitment, latest_millis })
}

fn list(dir: &Path) -> Result<Listing, Damage> {
    fs::create_dir_all(dir)?;
    let mut listing = Listing::default();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.extension().is_some_and(|extension| extension == PART) {
            fs::remove_file(&path)?;
        } else if name.starts_with(STREAM) {
            listing.streams.push(path);
        } else if name.starts_with(SEGMENT) {
            listing.segments.push(path);
        }
    }
    Ok(listing)
}

/// Gives no number again that a shard had whose opening was never answered for: segments may hold its records.
fn skip_numbers(stream: &mut SavedStream, found: &HashMap<(Uuid, u32), Vec<Found>>) {
    let used = found.keys().filter(|(id, _)| *id == stream.id).map(|(_, shard)| shard.saturating_add(1)).max();
    stream.topology.next = stream.topology.next.max(used.unwrap_or_default());
}

/// The records of each shard.
fn logs(stream: &SavedStream, found: &mut HashMap<(Uuid, u32), Vec<Found>>) -> Result<BTreeMap<u32, Log>, Damage> {
    let log = |shard: &SavedShard| {
        let found = found.remove(&(stream.id, shard.number)).unwrap_or_default();
        Ok((shard.number, log(&stream.name, shard, found)?))
    };
    stream.topology.shards.iter().map(log).collect()
}

/// The records of one shard, all from its oldest on.
fn log(stream: &str, shard: &SavedShard, mut found: Vec<Found>) -> Result<Log, Damage> {
    let missing = |from, to| Damage::Missing { stream: stream.to_owned(), shard: shard.number, from, to };
    found.sort_by_key(|found| found.first);
    let mut log = Log::starting_at(shard.first);
    for found in found {
        if found.first + found.sizes.len() as u64 <= shard.first {
            continue;
        }
        if found.first != log.next() {
            return Err(missing(log.next().min(found.first), log.next().max(found.first) - 1));
        }
        log.append(found.arrival_millis, &found.extent, &found.sizes);
    }
    if log.next() < shard.next {
        return Err(missing(log.next(), shard.next - 1));
    }
    log.continue_after(shard.last_arrival_millis);
    Ok(log)
}
