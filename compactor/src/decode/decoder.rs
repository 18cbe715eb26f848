//! The segments of an object: gzip members and plain text, found by content and checked.

mod member;

use super::fault::{Loss, MemberFault};
use super::foreign;
use super::gzip::{self, Magic};
use flate2::Decompress;
use std::collections::VecDeque;
use std::ops::Range;

/// Decompressed bytes of one [`Event::Text`], at most.
const TEXT_BYTES: usize = 256 << 10;

/// Compressed bytes of a member that are kept, so that the search for the next member can start over right behind the
/// damaged one's first byte. In a longer member, it starts where the damage was noticed.
const WINDOW: u64 = 4 << 20;

/// What the decoder found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// A segment begins at this byte of the object.
    Start { offset: u64, plain: bool },
    /// The next text of the segment. Of a gzip member, it is not to be trusted before its [`Event::End`].
    Text(&'a [u8]),
    /// The segment has ended, and CRC-32 and length agree.
    End { plain: bool },
    /// Nothing since the last `End` is to be trusted, a row that began before it is cut.
    Spoilt,
    /// The extent of what was spoilt: comes after `Spoilt`, once it is known.
    Lost(Loss),
    /// As `Spoilt` and `Lost`, for a range that was handed in as known.
    Gap(Loss),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    Header,
    Deflate,
    Trailer,
    /// Behind a member with a wrong checksum: what follows shows whether it ended where it seems to.
    Doubt,
    Plain,
    /// Looks for the next member after damage.
    Search,
    Gap,
    Stopped,
}

/// As [`Event`], with ranges in place of borrows.
enum Found {
    Start { offset: u64, plain: bool },
    Inflated(usize),
    Plain(Range<usize>),
    End { plain: bool },
    Spoilt,
    Lost(Loss),
    Gap(Loss),
}

/// Why a step found nothing.
enum Wait {
    /// The state changed: go on.
    Again,
    /// More input is needed.
    Input,
}

type Stepped = Result<Found, Wait>;

/// Decodes one object, from its first byte to its last.
///
/// Push bytes, take events until there are none, and so on; then [`Decoder::finish`], and take the rest.
pub(crate) struct Decoder {
    buffer: Vec<u8>,
    /// The object's byte that `buffer` begins with.
    base: u64,
    /// The next byte to read, within `buffer`.
    at: usize,
    finished: bool,
    state: State,
    /// Whether any segment or damage was seen yet: only an object's start is plain text of any kind.
    begun: bool,
    inflate: Decompress,
    out: Vec<u8>,
    crc: crc32fast::Hasher,
    member_start: u64,
    member_text: u64,
    /// The member's first bytes of text: gzip again, where a delivery stream compresses what is compressed.
    head: Vec<u8>,
    /// Decompressed bytes of all members that ended well.
    text: u64,
    max_text: u64,
    /// The fault of the member in [`State::Doubt`].
    doubt: Option<MemberFault>,
    /// Damage whose end is not known yet.
    loss: Option<(u64, MemberFault)>,
    attempts: u32,
    gaps: VecDeque<Loss>,
    found: VecDeque<Found>,
}

impl Decoder {
    /// A decoder that finds damage by itself and gives up on more than `max_text` decompressed bytes.
    pub(crate) fn new(max_text: u64) -> Self {
        Self::with_gaps(max_text, Vec::new())
    }

    /// A decoder for a second reading: `gaps` are the losses that the first one reported.
    pub(crate) fn with_gaps(max_text: u64, gaps: Vec<Loss>) -> Self {
        Self {
            buffer: Vec::new(),
            base: 0,
            at: 0,
            finished: false,
            state: State::Between,
            begun: false,
            inflate: Decompress::new(false),
            out: vec![0; TEXT_BYTES],
            crc: crc32fast::Hasher::new(),
            member_start: 0,
            member_text: 0,
            head: Vec::new(),
            text: 0,
            max_text,
            doubt: None,
            loss: None,
            attempts: 0,
            gaps: gaps.into(),
            found: VecDeque::new(),
        }
    }

    /// Takes the object's next bytes. Call [`Decoder::next`] until it has nothing more to tell.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let keep = if self.may_go_back() { self.index(self.member_start) } else { self.at };
        self.buffer.drain(..keep);
        self.base += keep as u64;
        self.at -= keep;
        self.buffer.extend_from_slice(bytes);
    }

    /// The object ends here. Take the last events by [`Decoder::next`].
    pub(crate) fn finish(&mut self) {
        self.finished = true;
    }

    /// The next event, or none until more bytes are pushed.
    pub(crate) fn next(&mut self) -> Option<Event<'_>> {
        let found = loop {
            if let Some(found) = self.found.pop_front() {
                break found;
            }
            match self.step() {
                Ok(found) => break found,
                Err(Wait::Again) => {}
                Err(Wait::Input) => return self.last_loss().map(Event::Lost),
            }
        };
        Some(match found {
            Found::Start { offset, plain } => Event::Start { offset, plain },
            Found::Inflated(length) => Event::Text(&self.out[..length]),
            Found::Plain(range) => Event::Text(&self.buffer[range]),
            Found::End { plain } => Event::End { plain },
            Found::Spoilt => Event::Spoilt,
            Found::Lost(loss) => Event::Lost(loss),
            Found::Gap(loss) => Event::Gap(loss),
        })
    }

    fn step(&mut self) -> Stepped {
        match self.state {
            State::Between => self.between(),
            State::Header => self.header(),
            State::Deflate => self.deflate(),
            State::Trailer => self.trailer(),
            State::Doubt => self.doubt(),
            State::Plain => self.plain(),
            State::Search => self.search(),
            State::Gap => self.gap(),
            State::Stopped => {
                self.at = self.buffer.len();
                Err(Wait::Input)
            }
        }
    }

    fn position(&self) -> u64 {
        self.base + self.at as u64
    }

    /// Where a byte of the object that is still held lies in the buffer.
    fn index(&self, offset: u64) -> usize {
        usize::try_from(offset.saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.buffer.len())
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    fn in_member(&self) -> bool {
        matches!(self.state, State::Header | State::Deflate | State::Trailer | State::Doubt)
    }

    fn may_go_back(&self) -> bool {
        self.in_member() && self.position() - self.member_start <= WINDOW && self.member_start >= self.base
    }

    /// More input, or `otherwise` where the object has ended.
    fn need(&mut self, otherwise: impl FnOnce(&mut Self) -> Stepped) -> Stepped {
        if self.finished { otherwise(self) } else { Err(Wait::Input) }
    }

    fn between(&mut self) -> Stepped {
        self.at += self.rest().iter().take_while(|byte| is_padding(**byte)).count();
        let Some(&first) = self.rest().first() else { return Err(Wait::Input) };
        if self.gaps.front().is_some_and(|gap| gap.from == self.position()) {
            self.state = State::Gap;
            return Err(Wait::Again);
        }
        let rest = self.rest();
        match gzip::magic(rest) {
            Magic::Yes => return self.begin_member(),
            Magic::Perhaps => return self.need(Self::begin_member),
            Magic::No => {}
        }
        if !self.begun && rest.len() < foreign::LOOK_AHEAD && !self.finished {
            return Err(Wait::Input);
        }
        let foreign = if self.begun { None } else { foreign::format(rest) };
        if self.begun && first != b'{' || foreign.is_some() {
            self.state = if foreign.is_some() { State::Stopped } else { State::Search };
            return self.begin_loss(foreign.map_or(MemberFault::Junk, MemberFault::Foreign));
        }
        self.begun = true;
        self.state = State::Plain;
        Ok(Found::Start { offset: self.position(), plain: true })
    }

    fn begin_loss(&mut self, fault: MemberFault) -> Stepped {
        self.begun = true;
        let from = if self.in_member() { self.member_start } else { self.position() };
        self.loss.get_or_insert((from, fault));
        Ok(Found::Spoilt)
    }

    /// The loss ends before the byte `to`.
    fn end_loss(&mut self, to: u64) -> Option<Loss> {
        self.loss.take().map(|(from, fault)| Loss { from, to, fault })
    }

    /// What was lost up to the object's end.
    fn last_loss(&mut self) -> Option<Loss> {
        if self.finished { self.end_loss(self.base + self.buffer.len() as u64) } else { None }
    }

    fn plain(&mut self) -> Stepped {
        let start = self.at;
        let mut end = start;
        while let Some(at) = memchr::memchr(0x1f, &self.buffer[end..]) {
            end += at;
            let magic = gzip::magic(&self.buffer[end..]);
            if magic == Magic::Yes || (magic == Magic::Perhaps && !self.finished) {
                if end > start {
                    self.at = end;
                    return Ok(Found::Plain(start..end));
                }
                if magic == Magic::Perhaps {
                    return Err(Wait::Input);
                }
                self.state = State::Between;
                return Ok(Found::End { plain: true });
            }
            end += 1;
        }
        if start < self.buffer.len() {
            self.at = self.buffer.len();
            return Ok(Found::Plain(start..self.at));
        }
        self.need(|this| {
            this.state = State::Stopped;
            Ok(Found::End { plain: true })
        })
    }

    fn search(&mut self) -> Stepped {
        while let Some(at) = memchr::memchr(0x1f, self.rest()) {
            self.at += at;
            match gzip::magic(self.rest()) {
                Magic::Yes => return self.begin_member(),
                Magic::Perhaps if !self.finished => return Err(Wait::Input),
                Magic::Perhaps | Magic::No => self.at += 1,
            }
        }
        self.at = self.buffer.len();
        Err(Wait::Input)
    }

    fn gap(&mut self) -> Stepped {
        let Some(gap) = self.gaps.front() else {
            self.state = State::Between;
            return Err(Wait::Again);
        };
        let (from, to) = (gap.from, gap.to);
        let entered = self.position() == from;
        let left = usize::try_from(to - self.position()).unwrap_or(usize::MAX);
        if left == 0 {
            self.gaps.pop_front();
            self.state = State::Between;
            return Err(Wait::Again);
        }
        let gap = entered.then(|| gap.clone());
        let step = left.min(self.buffer.len() - self.at);
        self.begun = true;
        self.at += step;
        match gap {
            Some(gap) => Ok(Found::Gap(gap)),
            None if step == 0 => Err(Wait::Input),
            None => Err(Wait::Again),
        }
    }
}

/// What may stand between members: line ends that a producer adds, and the zeros that fill a block.
fn is_padding(byte: u8) -> bool {
    matches!(byte, 0 | b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests;
