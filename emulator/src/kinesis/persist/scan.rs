//! Reads segments back, and cuts off what the death of the process left half written.

use super::super::log::Size;
use super::super::store::{Extent, Segment};
use super::file::{Broken, Damage};
use super::frame::{self, Announced, HEAD_BYTES, Head, START_BYTES};
use super::{Changes, FORMAT};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// Bytes that are read at a time.
const BUFFER_BYTES: usize = 1 << 20;

/// Records that were found in a segment.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) first: u64,
    pub(super) arrival_millis: u64,
    pub(super) extent: Extent,
    pub(super) sizes: Vec<Size>,
}

/// All segments, and what lies in them.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    /// Each segment with the byte behind its last frame.
    pub(super) files: Vec<(Arc<Segment>, u64)>,
    /// By stream and shard.
    pub(super) found: HashMap<(Uuid, u32), Vec<Found>>,
}

impl Segments {
    /// Reads the segment at `path`. A frame that is not complete is cut off: it was never answered for.
    ///
    /// # Errors
    /// [`Broken`] if it holds other than frames.
    pub(super) fn add(&mut self, path: PathBuf, changes: &Arc<Changes>) -> Result<(), Broken> {
        let at_path = |damage: Damage| damage.of(&path);
        let file = File::options().read(true).write(true).open(&path).map_err(|error| at_path(error.into()))?;
        let (frames, intact_bytes) = scan(&file).map_err(at_path)?;
        cut(&file, intact_bytes, &path).map_err(at_path)?;
        let segment = Arc::new(Segment::reopen(file, path, Arc::clone(changes)));
        for (head, offset, sizes) in frames {
            let extent = Extent { segment: Arc::clone(&segment), offset };
            let Head { first, arrival_millis, .. } = head;
            let found = Found { first, arrival_millis, extent, sizes };
            self.found.entry((head.stream, head.shard)).or_default().push(found);
        }
        // A segment that died before its start was written is of no use, and goes as this reference does.
        if intact_bytes >= START_BYTES as u64 {
            self.files.push((segment, intact_bytes));
        }
        Ok(())
    }
}

/// A frame's head, where its payloads begin, and their sizes.
type Frame = (Head, u32, Vec<Size>);

/// The complete frames of a segment, and the byte behind the last one.
fn scan(file: &File) -> Result<(Vec<Frame>, u64), Damage> {
    let length = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, file);
    if length < START_BYTES as u64 {
        let mut start = Vec::new();
        reader.read_to_end(&mut start)?;
        return if frame::start().starts_with(&start) { Ok((Vec::new(), 0)) } else { Err(Damage::Foreign) };
    }
    let mut start = [0; START_BYTES];
    reader.read_exact(&mut start)?;
    match frame::format(start) {
        None => return Err(Damage::Foreign),
        Some(FORMAT) => {}
        Some(other) => return Err(Damage::Format(other)),
    }
    let (mut frames, mut at, mut body) = (Vec::new(), START_BYTES as u64, Vec::new());
    while let Some(left) = (length - at).checked_sub(HEAD_BYTES as u64) {
        let mut head = [0; HEAD_BYTES];
        reader.read_exact(&mut head)?;
        let announced = Announced::parse(&head).ok_or(Damage::Checksum { at })?;
        if left < announced.body_bytes() {
            break;
        }
        body.resize(usize::try_from(announced.body_bytes()).unwrap_or(usize::MAX), 0);
        reader.read_exact(&mut body)?;
        let sizes = announced.sizes(&body).ok_or(Damage::Checksum { at })?;
        let payload = at + HEAD_BYTES as u64 + announced.sizes_bytes();
        let offset = u32::try_from(payload).map_err(|_| Damage::Checksum { at })?;
        frames.push((announced.head, offset, sizes));
        at += HEAD_BYTES as u64 + announced.body_bytes();
    }
    Ok((frames, at))
}

fn cut(file: &File, intact_bytes: u64, path: &Path) -> Result<(), Damage> {
    let length = file.metadata()?.len();
    if length > intact_bytes {
        let bytes = length - intact_bytes;
        tracing::info!(path = %path.display(), bytes, "cut off what was half written when the emulator was killed");
        file.set_len(intact_bytes)?;
    }
    Ok(())
}
