//! The segments of an object: gzip members, zstd frames and plain text, found by content and checked.

mod frame;
mod member;

use super::fault::{Loss, MemberFault};
use super::foreign;
use super::gzip::{self, Magic};
use flate2::Decompress;
use std::collections::VecDeque;
use std::ops::Range;

/// Decompressed bytes of a piece of a segment that is too large to be held.
const PIECE_BYTES: usize = 1 << 20;

/// The first size of the buffer for decompressed bytes.
const FIRST_BYTES: usize = 64 << 10;

/// Compressed bytes of a member that are kept, so that the search for the next member can start over right behind the
/// damaged one's first byte. In a longer member, it starts where the damage was noticed.
const WINDOW: u64 = 4 << 20;

/// What the decoder found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// The next segment is too large to be held: what follows is not to be trusted before its [`Event::End`].
    Unproven,
    /// A segment begins at this byte of the object.
    Start { offset: u64, plain: bool },
    /// The next text of a plain segment.
    Text(&'a [u8]),
    /// The next text of a compressed segment: take so many bytes by [`Decoder::swap_text`].
    Inflated(usize),
    /// The segment has ended, and its checksums agree.
    End { plain: bool },
    /// The object ends within the segment, which holds as far as it goes.
    Cut(Loss),
    /// A row that began before is cut; and if the segment was unproven, nothing of it is to be trusted.
    Spoilt { unproven: bool },
    /// The extent of what was spoilt: comes after `Spoilt`, once it is known.
    Lost(Loss),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    Header,
    /// At a member's data, all of which may be there.
    Whole,
    Deflate,
    Trailer,
    /// Behind a member with a wrong checksum: what follows shows whether it ended where it seems to.
    Doubt,
    Zstd,
    Plain,
    /// Looks for the next member after damage.
    Search,
    Stopped,
}

/// As [`Event`], with ranges in place of borrows.
enum Found {
    Unproven,
    Start { offset: u64, plain: bool },
    Inflated(usize),
    Plain(Range<usize>),
    End { plain: bool },
    Cut(Loss),
    Spoilt { unproven: bool },
    Lost(Loss),
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
    whole: libdeflater::Decompressor,
    inflate: Decompress,
    zstd: Option<zstd::stream::raw::Decoder<'static>>,
    /// Decompressed bytes, of which the first `held` count. Its length is how much was ever needed.
    out: Vec<u8>,
    held: usize,
    /// A segment of more decompressed bytes than this is handed out before it is proven.
    max_held: usize,
    unproven: bool,
    crc: crc32fast::Hasher,
    member_start: u64,
    member_text: u64,
    /// The extra field of the segment's header.
    extra: Vec<u8>,
    /// Bytes of input below which a try to inflate a member as a whole is in vain, as far as the last one tells.
    wanted: usize,
    /// Compressed bytes of the last member that was inflated as a whole.
    last_whole: usize,
    /// The member's first bytes of text: gzip again, where a delivery stream compresses what is compressed.
    head: Vec<u8>,
    /// Decompressed bytes of all segments that ended well.
    text: u64,
    max_text: u64,
    /// The fault of the member in [`State::Doubt`].
    doubt: Option<MemberFault>,
    /// Damage whose end is not known yet.
    loss: Option<(u64, MemberFault)>,
    /// Of a member that seems to be cut by the object's end.
    salvage: Option<Salvage>,
    attempts: u32,
    found: VecDeque<Found>,
}

/// What there is of a member.
struct Salvage {
    text: Vec<u8>,
    /// How much of it counts.
    length: usize,
    extra: Vec<u8>,
}

impl Decoder {
    /// A decoder that gives up on more than `max_text` decompressed bytes, and holds at most `max_held` of them.
    pub(crate) fn new(max_text: u64, max_held: usize) -> Self {
        Self {
            buffer: Vec::new(),
            base: 0,
            at: 0,
            finished: false,
            state: State::Between,
            begun: false,
            whole: libdeflater::Decompressor::new(),
            inflate: Decompress::new(false),
            zstd: None,
            out: Vec::new(),
            held: 0,
            max_held: max_held.max(FIRST_BYTES),
            unproven: false,
            crc: crc32fast::Hasher::new(),
            member_start: 0,
            member_text: 0,
            extra: Vec::new(),
            wanted: 0,
            last_whole: 0,
            head: Vec::new(),
            text: 0,
            max_text,
            doubt: None,
            loss: None,
            salvage: None,
            attempts: 0,
            found: VecDeque::new(),
        }
    }

    /// Begins another object; buffers stay as they are.
    pub(crate) fn restart(&mut self) {
        self.buffer.clear();
        (self.base, self.at, self.finished, self.state, self.begun) = (0, 0, false, State::Between, false);
        (self.held, self.unproven, self.text, self.attempts) = (0, false, 0, 0);
        (self.doubt, self.loss, self.salvage) = (None, None, None);
        self.found.clear();
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

    /// Hands over the text of an [`Event::Inflated`], which begins the buffer, and takes another buffer in its place.
    pub(crate) fn swap_text(&mut self, buffer: &mut Vec<u8>) {
        std::mem::swap(&mut self.out, buffer);
    }

    /// The text of an [`Event::Inflated`].
    pub(crate) fn text(&self, length: usize) -> &[u8] {
        &self.out[..length]
    }

    /// The extra field of the segment that the last [`Event::Start`] began.
    pub(crate) fn extra(&self) -> &[u8] {
        &self.extra
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
                Err(Wait::Input) => {
                    self.last_loss();
                    break self.found.pop_front()?;
                }
            }
        };
        Some(match found {
            Found::Unproven => Event::Unproven,
            Found::Start { offset, plain } => Event::Start { offset, plain },
            Found::Inflated(length) => Event::Inflated(length),
            Found::Plain(range) => Event::Text(&self.buffer[range]),
            Found::End { plain } => Event::End { plain },
            Found::Cut(loss) => Event::Cut(loss),
            Found::Spoilt { unproven } => Event::Spoilt { unproven },
            Found::Lost(loss) => Event::Lost(loss),
        })
    }

    fn step(&mut self) -> Stepped {
        match self.state {
            State::Between => self.between(),
            State::Header => self.header(),
            State::Whole => self.whole(),
            State::Deflate => self.deflate(),
            State::Trailer => self.trailer(),
            State::Doubt => self.doubt(),
            State::Zstd => self.zstd(),
            State::Plain => self.plain(),
            State::Search => self.search(),
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
        matches!(
            self.state,
            State::Header | State::Whole | State::Deflate | State::Trailer | State::Doubt | State::Zstd
        )
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
        let rest = self.rest();
        match gzip::magic(rest) {
            Magic::Yes => return self.begin_member(),
            Magic::Perhaps => return self.need(Self::begin_member),
            Magic::No => {}
        }
        if frame::MAGIC.starts_with(&rest[..rest.len().min(frame::MAGIC.len())]) {
            return if rest.len() < frame::MAGIC.len() {
                self.need(|this| this.begin_loss(MemberFault::Junk))
            } else {
                self.begin_frame()
            };
        }
        if !self.begun && rest.len() < foreign::LOOK_AHEAD && !self.finished {
            return Err(Wait::Input);
        }
        let foreign = if self.begun { None } else { foreign::format(rest) };
        if self.begun && !matches!(first, b'{' | b'[') || foreign.is_some() {
            self.state = if foreign.is_some() { State::Stopped } else { State::Search };
            return self.begin_loss(foreign.map_or(MemberFault::Junk, MemberFault::Foreign));
        }
        self.begun = true;
        self.state = State::Plain;
        self.extra.clear();
        Ok(Found::Start { offset: self.position(), plain: true })
    }

    fn begin_loss(&mut self, fault: MemberFault) -> Stepped {
        self.begun = true;
        let from = if self.in_member() { self.member_start } else { self.position() };
        self.loss.get_or_insert((from, fault));
        self.held = 0;
        Ok(Found::Spoilt { unproven: std::mem::take(&mut self.unproven) })
    }

    /// The loss ends before the byte `to`.
    fn end_loss(&mut self, to: u64) -> Option<Loss> {
        self.loss.take().map(|(from, fault)| Loss { from, to, fault })
    }

    /// What was lost up to the object's end; or, of a member that it cuts, what is still good.
    fn last_loss(&mut self) {
        if !self.finished {
            return;
        }
        let end = self.base + self.buffer.len() as u64;
        let Some(loss) = self.end_loss(end) else { return };
        let Some(Salvage { text, length, extra }) = self.salvage.take() else {
            self.found.push_back(Found::Lost(loss));
            return;
        };
        (self.out, self.extra) = (text, extra);
        self.found.extend([
            Found::Start { offset: loss.from, plain: false },
            Found::Inflated(length),
            Found::Cut(loss),
        ]);
    }

    /// The segment ended well.
    fn proven(&mut self) {
        self.text += self.member_text;
        self.attempts = 0;
        let loss = self.end_loss(self.member_start);
        if self.salvage.take().is_some() {
            // What seemed to be cut by the object's end was not: another member followed.
            self.found.push_back(Found::Spoilt { unproven: false });
        }
        self.found.extend(loss.map(Found::Lost));
        if !std::mem::take(&mut self.unproven) {
            self.found.push_back(Found::Start { offset: self.member_start, plain: false });
        }
        self.hand_out();
        self.found.push_back(Found::End { plain: false });
        self.state = State::Between;
    }

    fn hand_out(&mut self) {
        if self.held > 0 {
            self.found.push_back(Found::Inflated(std::mem::take(&mut self.held)));
        }
    }

    /// Makes room for more text. What was found by that has to be handed out first.
    fn make_room(&mut self) -> Result<(), Wait> {
        if self.unproven && self.held >= PIECE_BYTES {
            self.hand_out();
            return Err(Wait::Again);
        }
        if self.held < self.out.len() {
            return Ok(());
        }
        let limit = if self.unproven { PIECE_BYTES } else { self.max_held };
        if self.out.len() < limit {
            self.out.resize((self.out.len() * 2).clamp(FIRST_BYTES, limit), 0);
            return Ok(());
        }
        self.unproven = true;
        self.found.extend([Found::Unproven, Found::Start { offset: self.member_start, plain: false }]);
        self.hand_out();
        Err(Wait::Again)
    }

    /// Counts `length` new bytes of text.
    fn took(&mut self, length: usize) -> Option<MemberFault> {
        self.held += length;
        self.member_text += length as u64;
        let all = self.text.saturating_add(self.member_text);
        (all > self.max_text).then_some(MemberFault::TooLarge(self.max_text))
    }

    fn too_large(&mut self, fault: MemberFault) -> Stepped {
        let spoilt = self.begin_loss(fault);
        self.state = State::Stopped;
        spoilt
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
}

/// What may stand between members: line ends that a producer adds, and the zeros that fill a block.
fn is_padding(byte: u8) -> bool {
    matches!(byte, 0 | b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests;
