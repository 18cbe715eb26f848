//! One gzip member: its header, its data, its checksum, and what follows when one of them is wrong.

use super::{Decoder, Found, State, Stepped, Wait, is_padding};
use crate::decode::fault::MemberFault;
use crate::decode::gzip::{self, Magic};
use flate2::{FlushDecompress, Status};

/// Places that look like a member and are none, before the rest of an object is given up.
const MAX_ATTEMPTS: u32 = 64;

/// Blank bytes that are waited out before a member with a wrong checksum is taken to have ended in front of them.
const MAX_DOUBT: usize = 64 << 10;

impl Decoder {
    pub(super) fn begin_member(&mut self) -> Stepped {
        self.begun = true;
        self.state = State::Header;
        self.member_start = self.position();
        self.member_text = 0;
        self.head.clear();
        self.crc.reset();
        self.inflate.reset(false);
        Ok(Found::Start { offset: self.member_start, plain: false })
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

    pub(super) fn header(&mut self) -> Stepped {
        match gzip::header(&self.buffer[self.index(self.member_start)..]) {
            Ok(Some(length)) => {
                self.at += length;
                self.state = State::Deflate;
                Err(Wait::Again)
            }
            Ok(None) => self.need(|this| this.damaged(MemberFault::Truncated)),
            Err(why) => self.damaged(MemberFault::Header(why)),
        }
    }

    pub(super) fn deflate(&mut self) -> Stepped {
        let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(&self.buffer[self.at..], &mut self.out, FlushDecompress::None);
        let (read, written) = (self.inflate.total_in() - read, self.inflate.total_out() - written);
        let (read, length) = (usize::try_from(read).unwrap_or(0), usize::try_from(written).unwrap_or(0));
        self.at += read;
        match status {
            Err(_) => return self.damaged(MemberFault::Deflate),
            Ok(Status::StreamEnd) => self.state = State::Trailer,
            Ok(Status::Ok | Status::BufError) if read == 0 && length == 0 => {
                return self.need(|this| this.damaged(MemberFault::Truncated));
            }
            Ok(Status::Ok | Status::BufError) => {}
        }
        self.member_text += written;
        if self.text.saturating_add(self.member_text) > self.max_text {
            let spoilt = self.begin_loss(MemberFault::TooLarge(self.max_text));
            self.state = State::Stopped;
            return spoilt;
        }
        if length == 0 {
            return Err(Wait::Again);
        }
        if self.head.len() < gzip::MAGIC.len() {
            let missing = gzip::MAGIC.len() - self.head.len();
            self.head.extend_from_slice(&self.out[..length.min(missing)]);
            if self.head == gzip::MAGIC {
                return self.damaged(MemberFault::Nested);
            }
        }
        self.crc.update(&self.out[..length]);
        Ok(Found::Inflated(length))
    }

    pub(super) fn trailer(&mut self) -> Stepped {
        let Some((crc, length)) = gzip::trailer(self.rest()) else {
            return self.need(|this| this.damaged(MemberFault::Truncated));
        };
        self.at += gzip::TRAILER;
        let found_crc = self.crc.clone().finalize();
        let found_length = u32::try_from(self.member_text & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        self.state = if crc != found_crc {
            self.doubt = Some(MemberFault::Checksum { stored: crc, found: found_crc });
            State::Doubt
        } else if length != found_length {
            self.doubt = Some(MemberFault::Length { stored: length, found: found_length });
            State::Doubt
        } else {
            self.text += self.member_text;
            self.attempts = 0;
            let loss = self.end_loss(self.member_start);
            self.found.extend(loss.map(Found::Lost));
            self.found.push_back(Found::End { plain: false });
            State::Between
        };
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
