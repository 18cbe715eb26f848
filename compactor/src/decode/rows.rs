//! Cuts text into rows.
//!
//! Good rows need no separator: an object ends with its last brace. A bad row ends with its line, or with its gzip
//! member, so that it takes no good neighbour with it, whichever way the rows are separated. Where the fault lies
//! past the first line, the row is taken for one that was printed over several lines, and ends before the next line
//! that begins with a brace: the lines of a nested object are indented.

use super::fault::{RowFault, describe};
use crate::json::{Parser, Step};
use std::collections::VecDeque;

/// Where a row begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// In the object: the row's first byte in plain text, or the first byte of the gzip member in which it begins.
    pub(crate) offset: u64,
    /// In the object's decoded text, without what was lost.
    pub(crate) text_offset: u64,
}

/// A row, or what stands in place of one.
#[derive(Debug)]
pub(crate) enum Row<'a> {
    /// Taken by the function that was given.
    Taken {
        bytes: usize,
    },
    /// Good, and not taken.
    Object {
        text: &'a str,
    },
    Bad {
        raw: &'a [u8],
        fault: RowFault,
        origin: Origin,
    },
}

#[derive(Debug)]
struct Segment {
    text_offset: u64,
    offset: u64,
    plain: bool,
}

/// What the bytes at `start` are.
#[derive(Debug, Clone, Copy)]
enum Mode {
    /// Before a row.
    Idle,
    /// Within a row that is good so far.
    Open,
    /// Within a bad row, whose end is not known yet.
    Cut { fault: RowFault, at: usize, searched: usize },
    /// Behind a row that is too long, up to where the next one may begin.
    Skip,
    /// Within a row of this length that was handed out.
    Taken { length: usize, then_skip: bool },
}

/// Cuts the text of one object into rows.
///
/// Push text, take rows until there are none, and so on; mark segments as they begin and end.
#[derive(Debug)]
pub(crate) struct Rows {
    /// Text, of which the first `end` bytes count.
    buffer: Vec<u8>,
    end: usize,
    /// Up to here, the buffer is UTF-8; what follows was not looked at, or is not.
    utf8: usize,
    /// Within the brackets of an array of rows.
    in_array: bool,
    /// The text offset that `buffer` begins with.
    base: u64,
    start: usize,
    mode: Mode,
    parser: Parser,
    /// Set once no more text follows, with what that makes of an open row.
    ended: Option<RowFault>,
    segments: VecDeque<Segment>,
    /// Text offsets at which segments ended.
    boundaries: VecDeque<u64>,
    max_bytes: usize,
}

impl Rows {
    /// Rows of at most `max_bytes`, nested at most `max_depth` deep.
    pub(crate) fn new(max_bytes: usize, max_depth: usize) -> Self {
        Self {
            buffer: Vec::new(),
            end: 0,
            utf8: 0,
            in_array: false,
            base: 0,
            start: 0,
            mode: Mode::Idle,
            parser: Parser::new(max_depth),
            ended: None,
            segments: VecDeque::new(),
            boundaries: VecDeque::new(),
            max_bytes,
        }
    }

    /// The text that follows comes from the object's byte `offset` on.
    pub(crate) fn begin_segment(&mut self, offset: u64, plain: bool) {
        let text_offset = self.text_end();
        self.segments.push_back(Segment { text_offset, offset, plain });
    }

    /// The segment's text ends here. Take the rows that this completes.
    pub(crate) fn end_segment(&mut self) {
        self.boundaries.push_back(self.text_end());
    }

    /// Takes the next text.
    pub(crate) fn push(&mut self, text: &[u8]) {
        self.forget_read();
        let end = self.end + text.len();
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        self.buffer[self.end..end].copy_from_slice(text);
        self.end = end;
    }

    /// Whether nothing waits, so that the next text may be taken by [`Rows::swap`].
    pub(crate) fn is_empty(&mut self) -> bool {
        self.settle();
        self.start == self.end
    }

    /// Takes the first `length` bytes of `text` as the next text, and gives another buffer for it. Nothing may wait.
    pub(crate) fn swap(&mut self, length: usize, swap: impl FnOnce(&mut Vec<u8>)) {
        self.forget_read();
        swap(&mut self.buffer);
        self.end = length;
    }

    fn forget_read(&mut self) {
        self.settle();
        self.buffer.copy_within(self.start..self.end, 0);
        self.base += self.start as u64;
        self.end -= self.start;
        self.utf8 = self.utf8.saturating_sub(self.start);
        self.start = 0;
    }

    /// No more text follows, or what follows is lost: `fault` is what becomes of an open row. Take the last rows.
    pub(crate) fn finish(&mut self, fault: RowFault) {
        self.ended = Some(fault);
    }

    /// Forgets what was not handed out, and begins a new row with the next text.
    pub(crate) fn restart(&mut self) {
        self.base = self.text_end();
        (self.start, self.end, self.utf8, self.in_array) = (0, 0, 0, false);
        self.mode = Mode::Idle;
        self.ended = None;
        self.segments.clear();
        self.boundaries.clear();
    }

    /// Begins another object; buffers stay as they are.
    pub(crate) fn begin_object(&mut self) {
        self.restart();
        self.base = 0;
    }

    /// The next row, or none until more text comes.
    ///
    /// `take` is shown the text from the row's first byte on, which is UTF-8: it may take the row and say how long it
    /// is, or leave it.
    #[inline]
    pub(crate) fn next(&mut self, mut take: impl FnMut(&[u8]) -> Option<usize>) -> Option<Row<'_>> {
        if let Some(bytes) = self.fast(&mut take) {
            return Some(Row::Taken { bytes });
        }
        let (length, fault) = self.advance()?;
        let origin = self.origin();
        let raw = &self.buffer[self.start..self.start + length];
        Some(match (fault, std::str::from_utf8(raw)) {
            (None, Ok(text)) => Row::Object { text },
            (None, Err(error)) => Row::Bad { raw, fault: RowFault::NotUtf8(error.valid_up_to()), origin },
            (Some(fault), _) => Row::Bad { raw, fault, origin },
        })
    }

    /// Lets a new row be taken.
    #[inline]
    fn fast(&mut self, take: &mut impl FnMut(&[u8]) -> Option<usize>) -> Option<usize> {
        self.settle();
        if !matches!(self.mode, Mode::Idle) {
            return None;
        }
        self.begin_row();
        if !matches!(self.mode, Mode::Open) {
            return None;
        }
        if self.start >= self.utf8 {
            self.utf8 = match std::str::from_utf8(self.rest()) {
                Ok(_) => self.end,
                Err(error) => self.start + error.valid_up_to(),
            };
        }
        let end = self.utf8.min(self.start.saturating_add(self.max_bytes));
        let length = take(self.buffer.get(self.start..end)?)?;
        self.mode = Mode::Taken { length, then_skip: false };
        Some(length)
    }

    /// What was read of a row that goes on, and where it began.
    pub(crate) fn open_row(&mut self) -> Option<(Vec<u8>, Origin)> {
        self.settle();
        let open = matches!(self.mode, Mode::Open | Mode::Cut { .. }) && self.start < self.end;
        open.then(|| (self.rest().to_vec(), self.origin()))
    }

    fn text_end(&self) -> u64 {
        self.base + self.end as u64
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Steps over a row that was handed out.
    fn settle(&mut self) {
        if let Mode::Taken { length, then_skip } = self.mode {
            self.start += length;
            self.mode = if then_skip { Mode::Skip } else { Mode::Idle };
        }
    }

    fn take(&mut self, length: usize, fault: Option<RowFault>) -> Option<(usize, Option<RowFault>)> {
        self.mode = Mode::Taken { length, then_skip: matches!(fault, Some(RowFault::TooLong(_))) };
        Some((length, fault))
    }

    /// The length of the next row, from `start`, and what is wrong with it.
    fn advance(&mut self) -> Option<(usize, Option<RowFault>)> {
        self.settle();
        if matches!(self.mode, Mode::Skip) {
            self.skip();
        }
        if matches!(self.mode, Mode::Idle) {
            self.begin_row();
        }
        if matches!(self.mode, Mode::Open) {
            match self.parser.resume(&self.buffer[self.start..self.end]) {
                // The bound comes first, so that the size of the pieces pushed changes nothing.
                Step::Complete(length) if length > self.max_bytes => return self.too_long(),
                Step::Bad { at, .. } if at > self.max_bytes => return self.too_long(),
                Step::Complete(length) => return self.take(length, None),
                Step::Incomplete => return self.incomplete(),
                Step::Bad { at, why } => {
                    self.mode = Mode::Cut { fault: RowFault::Json { at, why }, at, searched: 0 };
                }
            }
        }
        let Mode::Cut { fault, at, searched } = self.mode else { return None };
        match self.end_of_bad_row(at, searched) {
            Some(length) if length <= self.max_bytes => self.take(length, Some(fault)),
            _ if self.rest().len() > self.max_bytes => self.too_long(),
            _ if self.ended.is_some() => self.take(self.rest().len(), Some(fault)),
            _ => {
                // The last byte is looked at again: what follows it may decide.
                self.mode = Mode::Cut { fault, at, searched: self.rest().len().saturating_sub(1) };
                None
            }
        }
    }

    fn incomplete(&mut self) -> Option<(usize, Option<RowFault>)> {
        let length = self.rest().len();
        match self.ended {
            _ if length > self.max_bytes => self.too_long(),
            Some(fault) => self.take(length, Some(fault)),
            None => None,
        }
    }

    /// Hands out what may be kept of a row that is too long.
    fn too_long(&mut self) -> Option<(usize, Option<RowFault>)> {
        self.take(self.max_bytes, Some(RowFault::TooLong(self.max_bytes)))
    }

    fn begin_row(&mut self) {
        const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
        if self.base + self.start as u64 == 0 && self.rest().first() == BYTE_ORDER_MARK.first() {
            if self.rest().starts_with(BYTE_ORDER_MARK) {
                self.start += BYTE_ORDER_MARK.len();
            } else if BYTE_ORDER_MARK.starts_with(self.rest()) && self.ended.is_none() {
                return;
            }
        }
        if !self.skip_blanks() {
            return;
        }
        if !(self.boundaries.is_empty() && self.segments.len() <= 1) {
            self.forget_passed();
        }
        match self.rest().first() {
            None => {}
            Some(b'{') => {
                self.parser.begin();
                self.mode = Mode::Open;
            }
            Some(&first) => {
                let fault = RowFault::NotAnObject(describe(first));
                self.mode = Mode::Cut { fault, at: 0, searched: 0 };
            }
        }
    }

    /// Steps over what may stand between rows; within an array of rows, its commas and its end too. Returns whether what
    /// follows is clear without more text.
    fn skip_blanks(&mut self) -> bool {
        loop {
            let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0);
            self.start += self.rest().iter().take_while(blank).count();
            match self.rest().first() {
                Some(b'[') if !self.in_array => match self.array_of_rows() {
                    Some(true) => self.in_array = true,
                    Some(false) => return true,
                    None => return false,
                },
                Some(b',') if self.in_array => {}
                Some(b']') if self.in_array => self.in_array = false,
                _ => return true,
            }
            self.start += 1;
        }
    }

    /// Whether the bracket that follows opens an array of objects, if its first element is here.
    fn array_of_rows(&self) -> Option<bool> {
        let mut inside = self.rest().iter().skip(1).skip_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        match inside.next() {
            Some(first) => Some(matches!(first, b'{' | b']')),
            None => self.ended.is_some().then_some(false),
        }
    }

    /// Drops the boundaries and segments that lie before the row.
    fn forget_passed(&mut self) {
        let start = self.base + self.start as u64;
        while self.boundaries.front().is_some_and(|boundary| *boundary <= start) {
            self.boundaries.pop_front();
        }
        while self.segments.get(1).is_some_and(|segment| segment.text_offset <= start) {
            self.segments.pop_front();
        }
    }

    fn origin(&self) -> Origin {
        let text_offset = self.base + self.start as u64;
        let offset = match self.segments.iter().rev().find(|segment| segment.text_offset <= text_offset) {
            Some(segment) if segment.plain => segment.offset + (text_offset - segment.text_offset),
            Some(segment) => segment.offset,
            None => text_offset,
        };
        Origin { offset, text_offset }
    }

    /// How far the next boundary lies behind `start`, if its text is here.
    fn boundary(&self) -> Option<usize> {
        let start = self.base + self.start as u64;
        let boundary = self.boundaries.iter().find(|boundary| **boundary > start)?;
        usize::try_from(boundary - start).ok()
    }

    /// The length of a bad row with its fault at `at`, if its end is here; it was looked for up to `searched`.
    fn end_of_bad_row(&self, at: usize, searched: usize) -> Option<usize> {
        let rest = self.rest();
        let first_line = memchr::memchr(b'\n', &rest[..rest.len().min(at + 1)]);
        let line = match first_line {
            Some(first) if first < at => {
                let from = first.max(searched);
                memchr::memmem::find(&rest[from..], b"\n{").map(|found| from + found)
            }
            _ => {
                let from = at.max(searched).min(rest.len());
                memchr::memchr(b'\n', &rest[from..]).map(|found| from + found)
            }
        };
        match (line, self.boundary()) {
            (Some(line), Some(boundary)) => Some(line.min(boundary)),
            (line, boundary) => line.or(boundary),
        }
    }

    fn skip(&mut self) {
        let start = self.base + self.start as u64;
        let at_boundary = self.boundaries.contains(&start);
        let line = memchr::memchr(b'\n', self.rest());
        let end = if at_boundary { Some(0) } else { line.into_iter().chain(self.boundary()).min() };
        self.start += end.unwrap_or(self.rest().len());
        if end.is_some() || self.ended.is_some() {
            self.mode = Mode::Idle;
        }
    }
}

#[cfg(test)]
mod tests;
