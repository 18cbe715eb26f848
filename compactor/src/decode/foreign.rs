//! Formats that turn up under a prefix of raw data and are not ours to read.

/// First bytes and names. Sources: the Parquet, ORC and Avro specifications, APPNOTE.TXT (ZIP),
/// and the format notes of bzip2, xz, LZ4 frames and Snappy frames.
const KNOWN: &[(&[u8], &str)] = &[
    (b"PAR1", "a Parquet file"),
    (b"ORC", "an ORC file"),
    (b"Obj\x01", "an Avro file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x04\x22\x4d\x18", "LZ4"),
    (b"\xff\x06\x00\x00sN", "Snappy"),
];

/// The longest of the first bytes above.
pub(super) const LOOK_AHEAD: usize = 6;

/// The name of the format that begins like this, if it is a known one.
pub(super) fn format(start: &[u8]) -> Option<&'static str> {
    KNOWN.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_look_ahead_covers_every_magic() {
        assert_eq!(KNOWN.iter().map(|(magic, _)| magic.len()).max(), Some(LOOK_AHEAD));
        assert_eq!(format(b"PAR1...."), Some("a Parquet file"));
        assert_eq!(format(b"{\"a\":1}"), None);
    }
}
