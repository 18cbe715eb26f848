//! Rows → gzip members that fill a Firehose record. Pure.
//!
//! A member (RFC 1952) is written while rows come: raw deflate (RFC 1951) in one stream, with a sync flush whenever the
//! bytes held inside of the compressor could push the member past its limit. After a flush the size is known exactly,
//! so a member never exceeds its limit and no row is compressed twice because of a wrong guess.

mod deflate;

use alluvial_record::MemberLabel;
use deflate::Deflate;

/// Header of a member: no name, no time, no extra field, unknown system (RFC 1952, section 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The flag of a header that an extra field follows, and where the flags are.
const FEXTRA: (usize, u8) = (3, 1 << 2);
/// CRC-32 and length (RFC 1952, section 2.3).
const TRAILER_BYTES: usize = 8;
/// The final block of a deflate stream without data, with room for a stored one.
const FINAL_BLOCK_BYTES: usize = 16;

/// When a member closes, and how it is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackLimits {
    /// Bytes of a member, header and trailer included; it is filled towards this and never exceeds it.
    pub target_bytes: usize,
    /// Compression level, 1 (fast) to 9 (small).
    pub level: u32,
}

impl PackLimits {
    /// Where the deflate stream of a member must end, before its header is made longer by `label_bytes`.
    fn room_end(&self, label_bytes: usize) -> usize {
        self.target_bytes.saturating_sub(TRAILER_BYTES + FINAL_BLOCK_BYTES + label_bytes)
    }
}

/// A closed member: valid gzip of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The gzip bytes.
    pub bytes: Vec<u8>,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of the rows, newlines included.
    pub row_bytes: u64,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the member.
    Taken,
    /// It does not fit any more: close the member and push the row into the next one.
    Full,
    /// It does not fit into a member of its own.
    TooLarge,
}

/// Writes one member after the other. While a member is open it holds that and a compressor of about 300 KiB;
/// without rows it holds nothing.
#[derive(Debug)]
pub struct Packer {
    limits: PackLimits,
    /// Bytes that are kept free for a label.
    label_bytes: usize,
    /// Made for the first row of a member, and gone with its last: an idle shard costs no memory.
    deflate: Option<Deflate>,
    out: Vec<u8>,
    crc: crc32fast::Hasher,
    rows: u64,
    row_bytes: u64,
    /// Bytes given to the compressor since its last flush: they may still be inside.
    unflushed: usize,
}

impl Packer {
    /// A packer without rows, whose members have labels of up to `max_extra_bytes` (see [`MemberLabel::max_extra_bytes`];
    /// 0 for members without).
    pub fn new(limits: PackLimits, max_extra_bytes: usize) -> Self {
        Self {
            limits,
            label_bytes: if max_extra_bytes > 0 { max_extra_bytes + 2 } else { 0 },
            deflate: None,
            out: HEADER.to_vec(),
            crc: crc32fast::Hasher::new(),
            rows: 0,
            row_bytes: 0,
            unflushed: 0,
        }
    }

    /// True when no row waits.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Bytes of rows in the open member.
    pub fn row_bytes(&self) -> u64 {
        self.row_bytes
    }

    /// Rows in the open member.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds a row, newline included.
    pub fn push(&mut self, row: &[u8]) -> Pushed {
        let deflate = self.deflate.get_or_insert_with(|| Deflate::new(self.limits.level));
        let room_end = self.limits.room_end(self.label_bytes);
        // However badly they compress.
        let fits = |written: usize, pending: usize| written + deflate::worst_case(pending) <= room_end;
        if !fits(self.out.len(), self.unflushed + row.len()) && self.unflushed > 0 {
            deflate.flush(&mut self.out);
            self.unflushed = 0;
        }
        if fits(self.out.len(), self.unflushed + row.len()) {
            deflate.write(row, &mut self.out);
            self.unflushed += row.len();
            return self.taken(row);
        }
        // Only the row's compressed size can tell now.
        let alone = deflate::compress_alone(self.limits.level, row);
        if self.out.len() + alone.len() <= room_end {
            // Deflate blocks that end on a byte may follow one another, as long as none refers to what lies before: the
            // compressor starts over, because it does not know of these.
            self.out.extend_from_slice(&alone);
            deflate.reset();
            return self.taken(row);
        }
        if self.is_empty() { Pushed::TooLarge } else { Pushed::Full }
    }

    fn taken(&mut self, row: &[u8]) -> Pushed {
        self.crc.update(row);
        self.rows += 1;
        self.row_bytes += u64::try_from(row.len()).unwrap_or(u64::MAX);
        Pushed::Taken
    }

    /// Closes the member, with a label if there is room for it, and starts the next; `None` when there are no rows.
    pub fn close(&mut self, label: Option<&MemberLabel>) -> Option<Member> {
        if self.is_empty() {
            return None;
        }
        self.deflate.take()?.finish(&mut self.out);
        let mut bytes = std::mem::replace(&mut self.out, HEADER.to_vec());
        bytes.extend_from_slice(&std::mem::take(&mut self.crc).finalize().to_le_bytes());
        // The length is kept modulo 2^32 (RFC 1952, section 2.3.1).
        let length = u32::try_from(self.row_bytes % (1 << 32)).unwrap_or(0);
        bytes.extend_from_slice(&length.to_le_bytes());
        if let Some(label) = label {
            self.put_label(&mut bytes, label);
        }
        let member = Member { bytes, rows: self.rows, row_bytes: self.row_bytes };
        (self.rows, self.row_bytes, self.unflushed) = (0, 0, 0);
        Some(member)
    }

    fn put_label(&self, bytes: &mut Vec<u8>, label: &MemberLabel) {
        let extra = label.to_extra();
        if let Ok(length) = u16::try_from(extra.len())
            && extra.len() + 2 <= self.label_bytes
        {
            bytes[FEXTRA.0] |= FEXTRA.1;
            bytes.splice(HEADER.len()..HEADER.len(), length.to_le_bytes().into_iter().chain(extra));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvial_record::Position;
    use flate2::read::GzDecoder;
    use proptest::prelude::*;
    use std::io::Read as _;

    fn unzip(member: &Member) -> Vec<u8> {
        let mut rows = Vec::new();
        GzDecoder::new(&member.bytes[..]).read_to_end(&mut rows).unwrap();
        rows
    }

    /// Packs all rows; returns the members and the rows that were refused.
    fn pack(limits: PackLimits, rows: &[Vec<u8>]) -> (Vec<Member>, Vec<Vec<u8>>) {
        let (mut packer, mut members, mut refused) = (Packer::new(limits, 200), Vec::new(), Vec::new());
        let label = |rows| MemberLabel {
            application: "a".into(),
            stream: "s".into(),
            shard: "shardId-0".into(),
            after: None,
            first: Position::of("1".parse().unwrap()),
            last: Position::of("2".parse().unwrap()),
            rows,
        };
        for row in rows {
            let mut pushed = packer.push(row);
            if pushed == Pushed::Full {
                members.extend(packer.close(Some(&label(packer.rows()))));
                pushed = packer.push(row);
            }
            assert_ne!(pushed, Pushed::Full, "an empty member is never full");
            if pushed == Pushed::TooLarge {
                refused.push(row.clone());
            }
        }
        members.extend(packer.close(Some(&label(packer.rows()))));
        for member in &members {
            let found =
                GzDecoder::new(&member.bytes[..]).header().and_then(|header| header.extra().map(<[u8]>::to_vec));
            assert_eq!(MemberLabel::from_extra(&found.unwrap()), Some(label(member.rows)));
        }
        (members, refused)
    }

    fn noise(seed: u64, bytes: usize) -> Vec<u8> {
        let mut random = fastrand_like(seed);
        (0..bytes).map(|_| random()).collect()
    }

    /// xorshift64: enough to be incompressible.
    fn fastrand_like(seed: u64) -> impl FnMut() -> u8 {
        let mut state = seed | 1;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()[3]
        }
    }

    #[test]
    fn a_member_is_filled_to_its_target() {
        let limits = PackLimits { target_bytes: 100_000, level: 1 };
        let mut random = fastrand_like(7);
        let rows: Vec<Vec<u8>> = (0..20_000)
            .map(|n| format!("{{\"sensorId\":{},\"t\":{},\"n\":{n}}}\n", random(), random()).into_bytes())
            .collect();
        let (members, refused) = pack(limits, &rows);
        assert!(refused.is_empty() && members.len() > 1);
        for member in &members[..members.len() - 1] {
            assert!(member.bytes.len() <= 100_000 && member.bytes.len() >= 99_000, "{} bytes", member.bytes.len());
        }
        let read: Vec<u8> = members.iter().flat_map(unzip).collect();
        assert!(read == rows.concat());
    }

    #[test]
    fn a_row_above_the_limit_is_taken_when_it_compresses_and_refused_when_it_does_not() {
        let limits = PackLimits { target_bytes: 10_000, level: 6 };
        let compressible = vec![b'x'; 500_000];
        let (members, refused) = pack(limits, &[compressible.clone(), noise(3, 20_000), b"{}\n".to_vec()]);
        assert!(refused == [noise(3, 20_000)]);
        let read: Vec<u8> = members.iter().flat_map(unzip).collect();
        assert!(read == [compressible, b"{}\n".to_vec()].concat());
    }

    #[test]
    fn an_empty_packer_closes_to_nothing() {
        assert_eq!(Packer::new(PackLimits { target_bytes: 1_000, level: 1 }, 0).close(None), None);
    }

    proptest! {
        #[test]
        fn no_member_exceeds_its_limit_and_every_row_comes_back(
            target in 600_usize..20_000,
            level in 1_u32..=9,
            sizes in proptest::collection::vec((0_usize..6_000, any::<bool>(), any::<u64>()), 0..60),
        ) {
            let rows: Vec<Vec<u8>> = sizes.iter().map(|(bytes, noisy, seed)| {
                if *noisy { noise(*seed, *bytes) } else { vec![b'a'; *bytes] }
            }).collect();
            let (members, refused) = pack(PackLimits { target_bytes: target, level }, &rows);
            for member in &members {
                prop_assert!(member.bytes.len() <= target, "{} > {target}", member.bytes.len());
            }
            let kept: Vec<u8> = rows.iter().filter(|row| !refused.contains(row)).flatten().copied().collect();
            let read: Vec<u8> = members.iter().flat_map(unzip).collect();
            prop_assert!(read == kept);
            for row in &refused {
                prop_assert!(row.len() * 2 > target, "a row of {} bytes fits into {target}", row.len());
            }
        }
    }
}
