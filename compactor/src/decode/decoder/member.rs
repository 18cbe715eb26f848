//! One gzip member: its header, its data, its checksum, and what follows when one of them is wrong.

use super::{Decoder, Found, Salvage, State, Stepped, Wait, is_padding};
use crate::decode::fault::MemberFault;
use crate::decode::gzip::{self, Magic};
use flate2::{FlushDecompress, Status};
use libdeflater::DecompressionError;

/// Compressed bytes of a member that is inflated as a whole. A longer one is inflated as it comes.
const MAX_WHOLE: usize = 16 << 20;

/// Places that look like a member and are none, before the rest of an object is given up.
const MAX_ATTEMPTS: u32 = 64;

/// Blank bytes that are waited out before a member with a wrong checksum is taken to have ended in front of them.
const MAX_DOUBT: usize = 64 << 10;

impl Decoder {
    pub(super) fn begin_member(&mut self) -> Stepped {
        self.begun = true;
        self.state = State::Header;
        self.member_start = self.position();
        (self.member_text, self.held, self.wanted) = (0, 0, self.last_whole);
        self.head.clear();
        Err(Wait::Again)
    }

    /// The member is damaged in a way that hides where it ends: look for the next one.
    fn damaged(&mut self, fault: MemberFault) -> Stepped {
        let spoilt = self.begin_loss(fault);
        self.attempts += 1;
        if self.may_go_back() {
            self.at = self.index(self.member_start) + 1;
        }
        self.state = if self.attempts > MAX_ATTEMPTS { State::Stopped } else { State::Search };
        spoilt
    }

    /// The object ends within the member. Its text up to there is good, if nothing else follows.
    pub(super) fn truncated(&mut self) -> Stepped {
        if self.unproven {
            let loss = self.begin_cut();
            self.hand_out();
            self.found.extend(loss.map(Found::Cut));
            (self.unproven, self.state) = (false, State::Stopped);
            return Err(Wait::Again);
        }
        if self.loss.is_some() {
            // A place that only looked like a member, within one that is damaged.
            return self.damaged(MemberFault::Truncated);
        }
        let (text, length) = (std::mem::take(&mut self.out), std::mem::take(&mut self.held));
        self.salvage = Some(Salvage { text, length, extra: std::mem::take(&mut self.extra) });
        self.loss = Some((self.member_start, MemberFault::Truncated));
        if self.may_go_back() {
            self.at = self.index(self.member_start) + 1;
        }
        self.state = State::Search;
        Err(Wait::Again)
    }

    fn begin_cut(&mut self) -> Option<crate::decode::fault::Loss> {
        self.loss = Some((self.member_start, MemberFault::Truncated));
        self.at = self.buffer.len();
        self.end_loss(self.base + self.buffer.len() as u64)
    }

    pub(super) fn header(&mut self) -> Stepped {
        match gzip::header(&self.buffer[self.index(self.member_start)..]) {
            Ok(Some(length)) => {
                let start = self.index(self.member_start);
                self.extra.clear();
                self.extra.extend_from_slice(gzip::extra(&self.buffer[start..start + length]));
                self.at += length;
                self.state = State::Whole;
                Err(Wait::Again)
            }
            Ok(None) => self.need(Self::truncated),
            Err(why) => self.damaged(MemberFault::Header(why)),
        }
    }

    /// Inflates the member in one go, which is faster than piece by piece, if all of it is here.
    ///
    /// The library does not say where the data ended. But with the text, CRC-32 and length are known, and these eight
    /// bytes follow the data: the first place that holds them is the trailer. Where there is none, the slow way says
    /// what is wrong.
    pub(super) fn whole(&mut self) -> Stepped {
        let available = self.buffer.len() - self.at;
        if !self.finished && available < self.wanted {
            return Err(Wait::Input);
        }
        match self.inflate_whole() {
            Some((text, length)) => {
                self.at += length;
                self.last_whole = length;
                if self.out.starts_with(&gzip::MAGIC) && text >= gzip::MAGIC.len() {
                    return self.damaged(MemberFault::Nested);
                }
                if let Some(fault) = self.took(text) {
                    return self.too_large(fault);
                }
                self.proven();
            }
            None if !self.finished && available < MAX_WHOLE && self.out.len() < self.max_held => {
                self.wanted = available.saturating_mul(2).max(1);
                return Err(Wait::Input);
            }
            None => {
                self.crc.reset();
                self.inflate.reset(false);
                self.state = State::Deflate;
            }
        }
        Err(Wait::Again)
    }

    /// The bytes of the text, and those of the data and trailer.
    fn inflate_whole(&mut self) -> Option<(usize, usize)> {
        let data = &self.buffer[self.at..];
        let text = loop {
            match self.whole.deflate_decompress(data, &mut self.out) {
                Ok(text) => break text,
                Err(DecompressionError::InsufficientSpace) if self.out.len() < self.max_held => {
                    self.out.resize((self.out.len() * 2).clamp(super::FIRST_BYTES, self.max_held), 0);
                }
                Err(_) => return None,
            }
        };
        let crc = crc32fast::hash(&self.out[..text]).to_le_bytes();
        let [a, b, c, d, ..] = (text as u64).to_le_bytes();
        let [e, f, g, h] = crc;
        let trailer = memchr::memmem::find(data, &[e, f, g, h, a, b, c, d])?;
        Some((text, trailer + gzip::TRAILER))
    }

    pub(super) fn deflate(&mut self) -> Stepped {
        self.make_room()?;
        let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
        let into = &mut self.out[self.held..];
        let status = self.inflate.decompress(&self.buffer[self.at..], into, FlushDecompress::None);
        let (read, written) = (self.inflate.total_in() - read, self.inflate.total_out() - written);
        let (read, length) = (usize::try_from(read).unwrap_or(0), usize::try_from(written).unwrap_or(0));
        self.at += read;
        match status {
            Err(_) => return self.damaged(MemberFault::Deflate),
            Ok(Status::StreamEnd) => self.state = State::Trailer,
            Ok(Status::Ok | Status::BufError) if read == 0 && length == 0 => return self.need(Self::truncated),
            Ok(Status::Ok | Status::BufError) => {}
        }
        let new = self.held..self.held + length;
        self.crc.update(&self.out[new.clone()]);
        if self.head.len() < gzip::MAGIC.len() {
            let missing = gzip::MAGIC.len() - self.head.len();
            self.head.extend_from_slice(&self.out[new.start..new.end.min(new.start + missing)]);
            if self.head == gzip::MAGIC {
                return self.damaged(MemberFault::Nested);
            }
        }
        match self.took(length) {
            Some(fault) => self.too_large(fault),
            None => Err(Wait::Again),
        }
    }

    pub(super) fn trailer(&mut self) -> Stepped {
        let Some((crc, length)) = gzip::trailer(self.rest()) else { return self.need(Self::truncated) };
        self.at += gzip::TRAILER;
        let found_crc = self.crc.clone().finalize();
        let found_length = u32::try_from(self.member_text & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        if crc != found_crc {
            self.doubt = Some(MemberFault::Checksum { stored: crc, found: found_crc });
            self.state = State::Doubt;
        } else if length != found_length {
            self.doubt = Some(MemberFault::Length { stored: length, found: found_length });
            self.state = State::Doubt;
        } else {
            self.proven();
        }
        Err(Wait::Again)
    }

    /// The member is lost. If what follows is a member, JSON or the end, then it ended where it seemed to; if not, the
    /// damage made the decompression run past its end, or stop before.
    pub(super) fn doubt(&mut self) -> Stepped {
        let blanks = self.rest().iter().take_while(|byte| is_padding(**byte)).count();
        let rest = self.rest().get(blanks..).unwrap_or_default();
        let begins = match (gzip::magic(rest), rest) {
            (Magic::Yes, _) => Some(true),
            (Magic::No, [b'{', next, ..]) => Some(matches!(next, b'"' | b'}') || is_padding(*next)),
            (Magic::Perhaps, _) | (Magic::No, [b'{']) if blanks < MAX_DOUBT && !self.finished => None,
            (Magic::Perhaps, _) => Some(rest.is_empty()),
            (Magic::No, _) => Some(false),
        };
        let Some(begins) = begins else { return Err(Wait::Input) };
        let Some(fault) = self.doubt.take() else {
            self.state = State::Between;
            return Err(Wait::Again);
        };
        if !begins {
            return self.damaged(fault);
        }
        let spoilt = self.begin_loss(fault);
        let loss = self.end_loss(self.position());
        self.found.extend(loss.map(Found::Lost));
        self.state = State::Between;
        spoilt
    }
}
