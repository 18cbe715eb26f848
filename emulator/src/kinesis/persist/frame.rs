//! The bytes of a segment: a start, then frames. All numbers are little-endian.
//!
//! A frame is a head of fixed size, the sizes of its records (2 bytes for the key, 4 for the data), and their payloads. The
//! head has a checksum of its own, so that a length in it is never believed in vain.

use super::super::log::Size;
use super::FORMAT;
use uuid::Uuid;

const MAGIC: [u8; 12] = *b"alluvial-seg";

/// Bytes of a segment's start.
pub(super) const START_BYTES: usize = MAGIC.len() + 4;

/// Bytes of a frame's head.
pub(super) const HEAD_BYTES: usize = 52;

/// Bytes of each record's sizes.
const SIZE_BYTES: usize = 6;

/// Whose records a frame holds, and what they got at arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// The stream's id.
    pub(crate) stream: Uuid,
    /// The shard's number.
    pub(crate) shard: u32,
    /// The index of the first record.
    pub(crate) first: u64,
    /// The arrival of all of them, in milliseconds since 1970.
    pub(crate) arrival_millis: u64,
}

/// A head as it was read, with what it says of the bytes behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) head: Head,
    records: u32,
    payload_bytes: u32,
    checksum: u32,
}

/// What a segment begins with.
pub(super) fn start() -> [u8; START_BYTES] {
    let mut start = [0; START_BYTES];
    let (magic, format) = start.split_at_mut(MAGIC.len());
    magic.copy_from_slice(&MAGIC);
    format.copy_from_slice(&FORMAT.to_le_bytes());
    start
}

/// The format of a segment that begins so, if it is one.
pub(super) fn format(start: [u8; START_BYTES]) -> Option<u32> {
    let (magic, format) = start.split_first_chunk()?;
    Some(u32::from_le_bytes(*format.first_chunk()?)).filter(|_| *magic == MAGIC)
}

impl Head {
    /// Bytes before the payloads of so many records.
    pub(crate) fn bytes_before_payload(records: usize) -> usize {
        HEAD_BYTES + records * SIZE_BYTES
    }

    /// The frame of records that lie one behind the other in `payload`: at most a request of some MiB.
    pub(crate) fn frame(&self, sizes: &[Size], payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::with_capacity(Self::bytes_before_payload(sizes.len()) + payload.len());
        frame.extend_from_slice(&[0; HEAD_BYTES]);
        for size in sizes {
            frame.extend_from_slice(&size.key.to_le_bytes());
            frame.extend_from_slice(&size.data.to_le_bytes());
        }
        frame.extend_from_slice(payload);
        let (head, body) = frame.split_at_mut(HEAD_BYTES);
        let mut bytes = Vec::with_capacity(HEAD_BYTES);
        bytes.extend_from_slice(self.stream.as_bytes());
        bytes.extend_from_slice(&self.shard.to_le_bytes());
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&self.arrival_millis.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(sizes.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        head.copy_from_slice(&bytes);
        frame
    }
}

impl Announced {
    /// Reads a head; `None` if its checksum is wrong.
    pub(super) fn parse(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        let (checked, checksum) = bytes.split_last_chunk()?;
        if crc32fast::hash(checked) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let mut rest = checked;
        let head = Head {
            stream: Uuid::from_bytes(take(&mut rest)?),
            shard: u32::from_le_bytes(take(&mut rest)?),
            first: u64::from_le_bytes(take(&mut rest)?),
            arrival_millis: u64::from_le_bytes(take(&mut rest)?),
        };
        Some(Self {
            head,
            records: u32::from_le_bytes(take(&mut rest)?),
            payload_bytes: u32::from_le_bytes(take(&mut rest)?),
            checksum: u32::from_le_bytes(take(&mut rest)?),
        })
    }

    /// Bytes between the head and the payloads.
    pub(super) fn sizes_bytes(&self) -> u64 {
        u64::from(self.records) * SIZE_BYTES as u64
    }

    /// Bytes behind the head.
    pub(super) fn body_bytes(&self) -> u64 {
        self.sizes_bytes() + u64::from(self.payload_bytes)
    }

    /// The sizes in a whole body; `None` if it does not match its checksum.
    pub(super) fn sizes(&self, body: &[u8]) -> Option<Vec<Size>> {
        if crc32fast::hash(body) != self.checksum {
            return None;
        }
        let mut rest = body.get(..usize::try_from(self.sizes_bytes()).ok()?)?;
        let mut sizes = Vec::with_capacity(self.records as usize);
        while !rest.is_empty() {
            let key = u16::from_le_bytes(take(&mut rest)?);
            sizes.push(Size { key, data: u32::from_le_bytes(take(&mut rest)?) });
        }
        let payload: usize = sizes.iter().map(|size| size.bytes()).sum();
        (payload == self.payload_bytes as usize).then_some(sizes)
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, later) = rest.split_first_chunk()?;
    *rest = later;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [Size; 2] = [Size { key: 1, data: 3 }, Size { key: 2, data: 0 }];

    fn head() -> Head {
        Head { stream: Uuid::from_u128(7), shard: 3, first: 5, arrival_millis: 1_700_000_000_123 }
    }

    fn read(frame: &[u8]) -> Option<(Head, Vec<Size>)> {
        let (head, body) = frame.split_first_chunk()?;
        let announced = Announced::parse(head)?;
        (announced.body_bytes() == body.len() as u64).then_some((announced.head, announced.sizes(body)?))
    }

    #[test]
    fn a_frame_reads_back() {
        let frame = head().frame(&SIZES, b"kabcke");
        assert_eq!(read(&frame), Some((head(), SIZES.to_vec())));
        assert_eq!(&frame[Head::bytes_before_payload(2)..], b"kabcke");
        assert_eq!(format(start()), Some(FORMAT));
    }

    #[test]
    fn no_changed_bit_goes_unseen() {
        let frame = head().frame(&SIZES, b"kabcke");
        for bit in 0..frame.len() * 8 {
            let mut changed = frame.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&changed), None, "bit {bit}");
        }
    }
}
