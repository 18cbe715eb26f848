//! A raw deflate stream that can be flushed and started over.

use flate2::{Compress, Compression, FlushCompress};

/// Output is asked for in steps of this.
const STEP_BYTES: usize = 32 * 1024;

/// The most that `bytes` of input can become, the marker of a sync flush included.
///
/// The fast levels of the codec use fixed Huffman codes of up to 9 bits for a byte (RFC 1951, section 3.2.6); the others
/// fall back to stored blocks, which add less.
pub(super) fn worst_case(bytes: usize) -> usize {
    bytes + bytes / 8 + 64
}

#[derive(Debug)]
pub(super) struct Deflate(Compress);

impl Deflate {
    pub(super) fn new(level: u32) -> Self {
        Self(Compress::new(Compression::new(level.clamp(1, 9)), false))
    }

    /// Starts over, without memory of what came before.
    pub(super) fn reset(&mut self) {
        self.0.reset();
    }

    /// Compresses `input`; some of it may stay inside until the next flush.
    pub(super) fn write(&mut self, input: &[u8], out: &mut Vec<u8>) {
        self.run(input, out, FlushCompress::None);
    }

    /// Brings out all that is inside, and ends on a byte.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        self.run(&[], out, FlushCompress::Sync);
    }

    /// Ends the stream.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) {
        self.run(&[], out, FlushCompress::Finish);
    }

    fn run(&mut self, mut input: &[u8], out: &mut Vec<u8>, flush: FlushCompress) {
        loop {
            out.reserve(STEP_BYTES);
            let before = self.0.total_in();
            // Deflate has no failing input, and a buffer without room is only a reason to go on with more room.
            let status = self.0.compress_vec(input, out, flush);
            let taken = usize::try_from(self.0.total_in() - before).unwrap_or(input.len());
            input = input.get(taken..).unwrap_or_default();
            let room_left = out.len() < out.capacity();
            let ended = flush != FlushCompress::Finish || matches!(status, Ok(flate2::Status::StreamEnd));
            if input.is_empty() && room_left && ended {
                return;
            }
        }
    }
}

/// `row` as deflate blocks that end on a byte and refer to nothing before them.
pub(super) fn compress_alone(level: u32, row: &[u8]) -> Vec<u8> {
    let (mut deflate, mut out) = (Deflate::new(level), Vec::new());
    deflate.write(row, &mut out);
    deflate.flush(&mut out);
    out
}
