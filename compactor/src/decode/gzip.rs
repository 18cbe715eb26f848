//! The frame of a gzip member: RFC 1952.

/// CRC-32 and length at the end of a member, in bytes.
pub(super) const TRAILER: usize = 8;

/// Headers may hold a name and a comment of any length; a longer header than this is taken for damage.
const MAX_HEADER: usize = 128 << 10;

const FIXED: usize = 10;
const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0xe0;

/// Whether a member begins here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Magic {
    Yes,
    No,
    /// All bytes agree so far; more are needed.
    Perhaps,
}

/// ID1, ID2 and the only compression method there is. They cannot stand in JSON text in this order.
pub(super) const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

/// Whether `bytes` begin with [`MAGIC`].
pub(super) fn magic(bytes: &[u8]) -> Magic {
    let seen = bytes.len().min(MAGIC.len());
    match bytes[..seen] == MAGIC[..seen] {
        false => Magic::No,
        true if seen == MAGIC.len() => Magic::Yes,
        true => Magic::Perhaps,
    }
}

/// The length of the header that begins `bytes`; `None` while more bytes are needed.
pub(super) fn header(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    let Some(&flags) = bytes.get(3) else { return Ok(None) };
    if flags & RESERVED != 0 {
        return Err("a reserved flag is set");
    }
    let mut end = FIXED;
    if flags & FEXTRA != 0 {
        let Some(&[low, high]) = bytes.get(end..end + 2) else { return Ok(None) };
        end += 2 + usize::from(u16::from_le_bytes([low, high]));
    }
    for flag in [FNAME, FCOMMENT] {
        if flags & flag != 0 {
            match bytes.get(end..).and_then(|rest| memchr::memchr(0, rest)) {
                Some(length) => end += length + 1,
                None => return more(bytes),
            }
        }
    }
    if flags & FHCRC != 0 {
        let Some(&[low, high]) = bytes.get(end..end + 2) else { return more(bytes) };
        if crc32fast::hash(&bytes[..end]) & 0xffff != u32::from(u16::from_le_bytes([low, high])) {
            return Err("its checksum is wrong");
        }
        end += 2;
    }
    if bytes.len() < end { more(bytes) } else { Ok(Some(end)) }
}

/// The extra field of a header that is all there.
pub(super) fn extra(header: &[u8]) -> &[u8] {
    if header.get(3).is_none_or(|flags| flags & FEXTRA == 0) {
        return &[];
    }
    let Some(&[low, high]) = header.get(FIXED..FIXED + 2) else { return &[] };
    header.get(FIXED + 2..FIXED + 2 + usize::from(u16::from_le_bytes([low, high]))).unwrap_or_default()
}

fn more(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
    if bytes.len() > MAX_HEADER { Err("longer than 128 KiB") } else { Ok(None) }
}

/// CRC-32 and length (modulo 2^32) of a member; `None` while more bytes are needed.
pub(super) fn trailer(bytes: &[u8]) -> Option<(u32, u32)> {
    let &[a, b, c, d, e, f, g, h] = bytes.first_chunk::<TRAILER>()?;
    Some((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::GzBuilder;

    fn written(builder: GzBuilder) -> Vec<u8> {
        builder.write(Vec::new(), flate2::Compression::fast()).finish().expect("a member")
    }

    #[test]
    fn every_optional_field_is_skipped() {
        let builder = GzBuilder::new().extra(vec![7; 300]).filename("a").comment("b c");
        let member = written(builder);
        assert_eq!(header(&member), Ok(Some(10 + 2 + 300 + 2 + 4)));
        for short in 0..10 + 2 + 300 + 2 + 4 {
            assert_eq!(header(&member[..short]), Ok(None), "{short} bytes");
        }
        assert_eq!(extra(&member), [7; 300]);
        assert!(extra(&written(GzBuilder::new().filename("a"))).is_empty());
    }

    #[test]
    fn the_header_checksum_is_checked() {
        let mut member = vec![0x1f, 0x8b, 8, FHCRC, 0, 0, 0, 0, 0, 255];
        let [low, high, ..] = crc32fast::hash(&member).to_le_bytes();
        member.extend([low, high]);
        assert_eq!(header(&member), Ok(Some(12)));
        member[10] ^= 1;
        assert!(header(&member).is_err());
    }

    #[test]
    fn damage_is_not_waited_for() {
        assert!(header(&[0x1f, 0x8b, 8, 0x80]).is_err());
        let endless = [vec![0x1f, 0x8b, 8, FNAME, 0, 0, 0, 0, 0, 255], vec![b'x'; MAX_HEADER]].concat();
        assert!(header(&endless).is_err());
        assert_eq!(magic(&[0x1f, 0x8b]), Magic::Perhaps);
        assert_eq!(magic(&[0x1f, 0x8b, 7]), Magic::No);
    }
}
