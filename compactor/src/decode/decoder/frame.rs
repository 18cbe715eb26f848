//! One zstd frame: RFC 8878.

use super::{Decoder, State, Stepped, Wait};
use crate::decode::fault::MemberFault;
use zstd::stream::raw::{InBuffer, Operation as _, OutBuffer};

/// The first bytes of a frame.
pub(super) const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Base-2 logarithm of the window that a frame may ask for: what `zstd --ultra` uses at most, without `--long`.
const WINDOW_LOG: u32 = 27;

impl Decoder {
    pub(super) fn begin_frame(&mut self) -> Stepped {
        self.begun = true;
        self.state = State::Zstd;
        self.member_start = self.position();
        (self.member_text, self.held) = (0, 0);
        self.extra.clear();
        let begun = match &mut self.zstd {
            Some(zstd) => zstd.reinit(),
            None => zstd::stream::raw::Decoder::new().and_then(|mut zstd| {
                zstd.set_parameter(zstd::stream::raw::DParameter::WindowLogMax(WINDOW_LOG))?;
                self.zstd = Some(zstd);
                Ok(())
            }),
        };
        if begun.is_err() { self.damaged_frame() } else { Err(Wait::Again) }
    }

    /// What follows a damaged frame is looked through for a gzip member: frames have no checksum at a known place.
    fn damaged_frame(&mut self) -> Stepped {
        let spoilt = self.begin_loss(MemberFault::Zstd);
        self.state = State::Search;
        spoilt
    }

    /// Text, and the frame's checksum if it has one, are checked by the library.
    pub(super) fn zstd(&mut self) -> Stepped {
        self.make_room()?;
        let Some(zstd) = &mut self.zstd else { return self.damaged_frame() };
        let mut input = InBuffer::around(&self.buffer[self.at..]);
        let mut output = OutBuffer::around(&mut self.out[self.held..]);
        let hint = zstd.run(&mut input, &mut output);
        let (read, length) = (input.pos(), output.pos());
        self.at += read;
        let Ok(hint) = hint else { return self.damaged_frame() };
        if let Some(fault) = self.took(length) {
            return self.too_large(fault);
        }
        if hint == 0 {
            self.proven();
        } else if read == 0 && length == 0 {
            return self.need(Self::truncated);
        }
        Err(Wait::Again)
    }
}
