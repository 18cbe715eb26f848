//! Records from a file or from stdin: each line is one, as it is. Read as it is needed, never held whole.

use crate::load::{Error, Input};
use bytes::{Bytes, BytesMut};
use std::fs::File;
use std::io::{self, Read};
use tokio::sync::mpsc;

/// Bytes of one read, and so about how much of the input is in one message to the reader's user.
const READ_BYTES: usize = 256 * 1_024;
/// Messages that wait: enough that reading a file is never what the schedule waits for.
const AHEAD: usize = 4;

/// A line, with its number from 1. Empty lines have numbers but do not appear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// Without its `\n` or `\r\n`.
    Record { number: u64, data: Bytes },
    /// Longer than the limit, so it was not kept.
    TooLong { number: u64, bytes: u64 },
}

/// What the reader sends.
#[derive(Debug)]
pub(crate) enum Lines {
    More(Vec<Line>),
    /// The input is read to its end. A channel that closes without it lost its reader.
    End,
    Broken(io::Error),
}

/// Cuts a stream of bytes into lines. No I/O: bytes are pushed in.
#[derive(Debug)]
pub(crate) struct Splitter {
    max_bytes: usize,
    /// The start of a line whose end was not seen yet; at most `max_bytes` and a `\r`.
    partial: BytesMut,
    /// Bytes of the unfinished line that were thrown away, when it is too long.
    dropped: u64,
    number: u64,
}

impl Splitter {
    /// Lines of more than `max_bytes` are reported and not kept.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, partial: BytesMut::new(), dropped: 0, number: 0 }
    }

    /// Appends the lines that end within `bytes` to `lines`.
    pub(crate) fn push(&mut self, bytes: &[u8], lines: &mut Vec<Line>) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            self.keep(line);
            self.end_line(lines);
            rest = after.get(1..).unwrap_or_default();
        }
        self.keep(rest);
    }

    /// The last line, when it has no newline.
    pub(crate) fn finish(mut self, lines: &mut Vec<Line>) {
        self.end_line(lines);
    }

    fn keep(&mut self, bytes: &[u8]) {
        // One byte above the limit may still be the `\r` of the line's end.
        let room = if self.dropped > 0 { 0 } else { (self.max_bytes + 1).saturating_sub(self.partial.len()) };
        if bytes.len() <= room {
            self.partial.extend_from_slice(bytes);
        } else {
            self.dropped += (bytes.len() + self.partial.len()) as u64;
            self.partial.clear();
        }
    }

    fn end_line(&mut self, lines: &mut Vec<Line>) {
        self.number += 1;
        let mut data = self.partial.split();
        if data.last() == Some(&b'\r') {
            data.truncate(data.len() - 1);
        }
        let dropped = std::mem::take(&mut self.dropped);
        let number = self.number;
        if dropped > 0 || data.len() > self.max_bytes {
            lines.push(Line::TooLong { number, bytes: dropped + data.len() as u64 });
        } else if !data.is_empty() {
            lines.push(Line::Record { number, data: data.freeze() });
        }
    }
}

/// An input that was opened, so that a wrong path fails before anything is sent.
pub(crate) struct Opened(Box<dyn Read + Send>);

/// Opens the input.
///
/// # Errors
/// [`Error::Setting`] names the file.
pub(crate) fn open(input: &Input) -> Result<Opened, Error> {
    match input {
        Input::Stdin => Ok(Opened(Box::new(io::stdin()))),
        Input::File(path) => {
            let opened = File::open(path).and_then(|file| match file.metadata()?.is_dir() {
                true => Err(io::Error::from(io::ErrorKind::IsADirectory)),
                false => Ok(file),
            });
            let file =
                opened.map_err(|error| Error::Setting(format!("cannot read the input {}: {error}", path.display())))?;
            Ok(Opened(Box::new(file)))
        }
    }
}

/// A channel for [`read`].
pub(crate) fn channel() -> (mpsc::Sender<Lines>, mpsc::Receiver<Lines>) {
    mpsc::channel(AHEAD)
}

/// Reads to the end, or until nobody listens. Blocks, so it needs a thread of its own.
pub(crate) fn read(mut input: Opened, max_bytes: usize, lines: &mpsc::Sender<Lines>) {
    let mut splitter = Splitter::new(max_bytes);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let mut found = Vec::new();
        let more = match input.0.read(&mut buffer) {
            Ok(0) => {
                splitter.finish(&mut found);
                lines.blocking_send(Lines::More(found)).and_then(|()| lines.blocking_send(Lines::End)).ok();
                return;
            }
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                lines.blocking_send(Lines::Broken(error)).ok();
                return;
            }
        };
        splitter.push(more, &mut found);
        if !found.is_empty() && lines.blocking_send(Lines::More(found)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
