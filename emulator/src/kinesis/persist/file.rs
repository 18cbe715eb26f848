//! Small files that are replaced as a whole: a line with the format and a checksum, then JSON.

use super::FORMAT;
use crate::clock::TooFar;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the first line begins with.
const NAME: &str = "alluvial-kinesis";

/// What a file is called before it is complete.
pub(super) const PART: &str = "part";

/// A file that cannot be opened, and why.
#[derive(Debug)]
pub(crate) struct Broken {
    /// The file or folder.
    pub(crate) path: PathBuf,
    /// What is wrong with it.
    pub(crate) damage: Damage,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Damage {
    /// The file system's answer.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It was never ours, or its beginning was changed.
    #[error("it does not begin as a file of Kinesis data does")]
    Foreign,
    /// It is from another version.
    #[error("its format is {0}, and this version reads format {FORMAT} only")]
    Format(u32),
    /// Its checksum is wrong.
    #[error("what begins at byte {at} does not match its checksum")]
    Checksum {
        /// Bytes from the file's beginning.
        at: u64,
    },
    /// It holds what no version of ours wrote.
    #[error(transparent)]
    Content(#[from] serde_json::Error),
    /// It names a metric that Kinesis does not have.
    #[error("there is no metric {0}")]
    Metric(String),
    /// The time in it is beyond what the clock can show.
    #[error(transparent)]
    Time(#[from] TooFar),
    /// Records that were acknowledged are in no segment.
    #[error("records {from} to {to} of shard {shard} of stream {stream} are in no segment, or in two")]
    Missing {
        /// The stream's name.
        stream: String,
        /// The shard's number.
        shard: u32,
        /// The index of the first one.
        from: u64,
        /// The index of the last one.
        to: u64,
    },
}

impl Damage {
    /// Says where it is.
    pub(super) fn of(self, path: &Path) -> Broken {
        Broken { path: path.to_owned(), damage: self }
    }
}

/// Writes `content` to `path` in one step: a reader sees the old content or the new one.
pub(super) fn write(path: &Path, content: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_vec(content)?;
    let mut text = format!("{NAME} {FORMAT} {:08x}\n", crc32fast::hash(&json)).into_bytes();
    text.extend_from_slice(&json);
    let part = path.with_extension(PART);
    fs::write(&part, text)?;
    fs::rename(&part, path)
}

/// Reads what [`write`] wrote.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Damage> {
    let text = fs::read(path)?;
    let line = text.iter().position(|byte| *byte == b'\n').ok_or(Damage::Foreign)?;
    let (line, json) = text.split_at_checked(line).ok_or(Damage::Foreign)?;
    let json = json.get(1..).unwrap_or_default();
    let mut words = std::str::from_utf8(line).map_err(|_| Damage::Foreign)?.split(' ');
    if words.next() != Some(NAME) {
        return Err(Damage::Foreign);
    }
    let format = words.next().and_then(|word| word.parse().ok()).ok_or(Damage::Foreign)?;
    if format != FORMAT {
        return Err(Damage::Format(format));
    }
    let checksum = words.next().and_then(|word| u32::from_str_radix(word, 16).ok()).ok_or(Damage::Foreign)?;
    if checksum != crc32fast::hash(json) {
        return Err(Damage::Checksum { at: line.len() as u64 + 1 });
    }
    Ok(serde_json::from_slice(json)?)
}
