//! Where record payloads lie: append-only files, so that payloads need not fit in memory. Without a name, so that nothing is left behind;
//! or with one, for streams that outlive the process.
//!
//! Shards share a fixed number of lanes, so that thousands of shards do not need thousands of open files. Up to that number each shard has a lane of its own.

use super::log::Size;
use super::persist::{self, Changes, Head};
use super::sync::lock;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Lanes, and so the most files open for appending.
const LANES: usize = 64;

/// Bytes after which a lane goes on in a new file. The old one is freed when the last record in it is trimmed.
const SEGMENT_BYTES: u64 = 256 * 1024 * 1024;

/// A file of payloads. When the last reference goes its space is freed, or may be freed if it has a name.
#[derive(Debug)]
pub(crate) struct Segment {
    file: File,
    /// Its name, and who is told that nobody needs it any more.
    name: Option<(PathBuf, Arc<Changes>)>,
}

/// A place in a segment.
#[derive(Debug, Clone)]
pub(crate) struct Extent {
    /// The file.
    pub(crate) segment: Arc<Segment>,
    /// The first byte.
    pub(crate) offset: u32,
}

/// All payloads of all streams.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    lanes: Vec<Mutex<Lane>>,
    /// Who is told of segments that nobody needs any more, if they have names.
    kept: Option<Arc<Changes>>,
}

#[derive(Debug, Default)]
struct Lane {
    segment: Option<Arc<Segment>>,
    tail: u64,
}

impl Segment {
    fn create(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let path = dir.join(format!(".kinesis-{}.log", uuid::Uuid::new_v4()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(Self { file, name: None })
    }

    /// A segment that outlives the process, and its length.
    fn create_kept(dir: &Path, changes: &Arc<Changes>) -> io::Result<(Self, u64)> {
        let (path, start) = (persist::segment_path(dir), persist::segment_start());
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        if let Err(error) = file.write_all_at(&start, 0) {
            // Whether or not that works: a file without its start is nothing to the next process.
            std::fs::remove_file(&path).ok();
            return Err(error);
        }
        Ok((Self::reopen(file, path, Arc::clone(changes)), start.len() as u64))
    }

    /// A segment that an earlier process left at `path`.
    pub(crate) fn reopen(file: File, path: PathBuf, changes: Arc<Changes>) -> Self {
        Self { file, name: Some((path, changes)) }
    }

    /// Fills `bytes` from the segment.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn read(&self, bytes: &mut [u8], offset: u32) -> io::Result<()> {
        self.file.read_exact_at(bytes, u64::from(offset))
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if let Some((path, changes)) = self.name.take() {
            changes.unused(path);
        }
    }
}

impl Store {
    /// A store whose files lie in `dir`, or in the system's folder for temporary files. The first append creates them.
    pub(crate) fn new(dir: Option<PathBuf>) -> Self {
        let dir = dir.unwrap_or_else(std::env::temp_dir);
        Self { dir, lanes: (0..LANES).map(|_| Mutex::default()).collect(), kept: None }
    }

    /// A store whose files outlive the process. `segments` are there already, each with its length; those that are in use
    /// and not full are filled first.
    pub(crate) fn kept(dir: PathBuf, changes: Arc<Changes>, mut segments: Vec<(Arc<Segment>, u64)>) -> Self {
        segments.retain(|(segment, tail)| Arc::strong_count(segment) > 1 && *tail < SEGMENT_BYTES);
        segments.sort_by_key(|(_, tail)| *tail);
        let mut lanes: Vec<_> =
            segments.into_iter().map(|(segment, tail)| Mutex::new(Lane { segment: Some(segment), tail })).collect();
        lanes.resize_with(LANES, Mutex::default);
        Self { dir, lanes, kept: Some(changes) }
    }

    /// Whether records are written with [`Store::append_frame`], to outlive the process.
    pub(crate) fn keeps(&self) -> bool {
        self.kept.is_some()
    }

    /// Writes records that lie one behind the other in `payload` in one piece, with all that is needed to find them again.
    ///
    /// Frames of one lane are written one after the other: whatever lies before the end of one is complete.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub(crate) fn append_frame(&self, lane: usize, head: &Head, sizes: &[Size], payload: &[u8]) -> io::Result<Extent> {
        let changes = self.kept.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let lane = self.lanes.get(lane % LANES).ok_or(io::ErrorKind::NotFound)?;
        let frame = head.frame(sizes, payload);
        let mut lane = lock(lane);
        let (segment, tail) = match lane.segment.take() {
            Some(segment) if lane.tail + frame.len() as u64 <= SEGMENT_BYTES => (segment, lane.tail),
            _ => {
                let (segment, tail) = Segment::create_kept(&self.dir, changes)?;
                (Arc::new(segment), tail)
            }
        };
        let payload_at = tail + Head::bytes_before_payload(sizes.len()) as u64;
        let offset = u32::try_from(payload_at).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if let Err(error) = segment.file.write_all_at(&frame, tail) {
            // What a full disk left of it is no frame, and nothing may follow it.
            if segment.file.set_len(tail).is_ok() {
                (lane.tail, lane.segment) = (tail, Some(segment));
            }
            return Err(error);
        }
        (lane.tail, lane.segment) = (tail + frame.len() as u64, Some(Arc::clone(&segment)));
        Ok(Extent { segment, offset })
    }

    /// Writes `bytes`, at most a request of some MiB, in one piece. Any `lane` number will do; equal numbers lie in the same files.
    ///
    /// # Errors
    /// The file system's, such as a full disk. Nothing of `bytes` can then be read.
    pub(crate) fn append(&self, lane: usize, bytes: &[u8]) -> io::Result<Extent> {
        let extent = self.reserve(lane, bytes.len() as u64)?;
        extent.segment.file.write_all_at(bytes, u64::from(extent.offset))?;
        Ok(extent)
    }

    /// The lock is held for the reservation only: appends to one lane write side by side.
    fn reserve(&self, lane: usize, length: u64) -> io::Result<Extent> {
        let lane = self.lanes.get(lane % LANES).ok_or(io::ErrorKind::NotFound)?;
        let mut lane = lock(lane);
        let segment = match &lane.segment {
            Some(segment) if lane.tail + length <= SEGMENT_BYTES => Arc::clone(segment),
            _ => {
                let segment = Arc::new(Segment::create(&self.dir)?);
                lane.tail = 0;
                lane.segment = Some(Arc::clone(&segment));
                segment
            }
        };
        let offset = u32::try_from(lane.tail).map_err(|_| io::ErrorKind::FileTooLarge)?;
        lane.tail += length;
        Ok(Extent { segment, offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_read_back_and_leave_no_file_behind() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(Some(dir.path().join("made")));
        let written = [(0, b"one".as_slice()), (1, b"two"), (0, b""), (64, b"three")];
        let extents = written.map(|(lane, bytes)| (store.append(lane, bytes).unwrap(), bytes));
        for (extent, bytes) in &extents {
            let mut read = vec![0; bytes.len()];
            extent.segment.read(&mut read, extent.offset).unwrap();
            assert_eq!(read, *bytes);
        }
        assert!(Arc::ptr_eq(&extents[0].0.segment, &extents[3].0.segment), "lane 64 is lane 0");
        assert_eq!(std::fs::read_dir(dir.path().join("made")).unwrap().count(), 0);
    }

    #[test]
    fn a_full_segment_is_followed_by_another() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(Some(dir.path().to_owned()));
        let first = store.reserve(3, SEGMENT_BYTES - 1).unwrap();
        let second = store.append(3, b"ab").unwrap();
        assert!(!Arc::ptr_eq(&first.segment, &second.segment));
        assert_eq!(second.offset, 0);
    }

    #[test]
    fn a_frame_that_cannot_be_written_does_not_end_its_lane() {
        let dir = tempfile::tempdir().unwrap();
        let changes = Arc::new(Changes::default());
        let path = persist::segment_path(dir.path());
        std::fs::write(&path, persist::segment_start()).unwrap();
        // Neither written to nor cut.
        let stuck = Arc::new(Segment::reopen(File::open(&path).unwrap(), path.clone(), Arc::clone(&changes)));
        let store = Store::kept(dir.path().to_owned(), Arc::clone(&changes), vec![(Arc::clone(&stuck), 16)]);
        let head = Head { stream: uuid::Uuid::from_u128(1), shard: 0, first: 1, arrival_millis: 1 };
        let append = || store.append_frame(0, &head, &[Size { key: 1, data: 2 }], b"kab");
        append().unwrap_err();
        let extent = append().unwrap();
        assert!(!Arc::ptr_eq(&extent.segment, &stuck));
        let mut read = [0; 3];
        extent.segment.read(&mut read, extent.offset).unwrap();
        assert_eq!(&read, b"kab");
        drop(stuck);
        assert_eq!(changes.take_unused(), [path]);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Store::new(Some(file.path().join("below-a-file"))).append(0, b"a").is_err());
    }
}
