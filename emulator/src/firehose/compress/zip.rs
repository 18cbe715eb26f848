//! A ZIP archive of one deflated entry, in memory
//! (<https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>, 4.3 and 4.4).

use bytes::Bytes;
use flate2::Crc;
use flate2::write::DeflateEncoder;
use std::io::{self, Write as _};

const LOCAL_HEADER: u32 = 0x0403_4b50;
const DIRECTORY_HEADER: u32 = 0x0201_4b50;
const END_OF_DIRECTORY: u32 = 0x0605_4b50;

/// Version 2.0 of the format, the first with deflate.
const VERSION: u16 = 20;
const DEFLATE: u16 = 8;

/// 1980-01-01 at midnight: the entry's time is not told.
const MIDNIGHT: u16 = 0;
const FIRST_DAY: u16 = 0x0021;

/// An archive whose one entry, called `name`, is `records` joined without anything in between.
pub(super) fn archive(records: &[Bytes], name: &str) -> io::Result<Vec<u8>> {
    let (mut crc, mut encoder) = (Crc::new(), DeflateEncoder::new(Vec::new(), flate2::Compression::default()));
    for record in records {
        crc.update(record);
        encoder.write_all(record)?;
    }
    let deflated = encoder.finish()?;
    let length = records.iter().map(Bytes::len).sum();
    let entry = entry(crc.sum(), deflated.len(), length, name)?;

    let mut archive = LOCAL_HEADER.to_le_bytes().to_vec();
    archive.extend_from_slice(&entry);
    archive.extend_from_slice(name.as_bytes());
    archive.extend_from_slice(&deflated);
    let directory = archive.len();
    archive.extend_from_slice(&DIRECTORY_HEADER.to_le_bytes());
    archive.extend_from_slice(&VERSION.to_le_bytes());
    archive.extend_from_slice(&entry);
    // No comment, disk 0, no attributes inside (two bytes each) or outside (four), and the local header at 0 (four).
    archive.extend_from_slice(&[0; 14]);
    archive.extend_from_slice(name.as_bytes());
    let directory_bytes = archive.len() - directory;
    archive.extend_from_slice(&END_OF_DIRECTORY.to_le_bytes());
    // Disk 0, which the directory is on as well; one entry of one.
    archive.extend_from_slice(&[0, 0, 0, 0, 1, 0, 1, 0]);
    archive.extend_from_slice(&in_four_bytes(directory_bytes)?);
    archive.extend_from_slice(&in_four_bytes(directory)?);
    archive.extend_from_slice(&[0; 2]);
    Ok(archive)
}

/// What the local header and the directory say alike about the entry.
fn entry(crc: u32, deflated: usize, length: usize, name: &str) -> io::Result<Vec<u8>> {
    let name_bytes = u16::try_from(name.len()).map_err(io::Error::other)?;
    let mut entry = Vec::new();
    for field in [VERSION, 0, DEFLATE, MIDNIGHT, FIRST_DAY] {
        entry.extend_from_slice(&field.to_le_bytes());
    }
    entry.extend_from_slice(&crc.to_le_bytes());
    entry.extend_from_slice(&in_four_bytes(deflated)?);
    entry.extend_from_slice(&in_four_bytes(length)?);
    entry.extend_from_slice(&name_bytes.to_le_bytes());
    entry.extend_from_slice(&[0; 2]);
    Ok(entry)
}

fn in_four_bytes(number: usize) -> io::Result<[u8; 4]> {
    u32::try_from(number).map(u32::to_le_bytes).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn number(archive: &[u8], at: usize) -> usize {
        let bytes = archive[at..at + 4].try_into().expect("four bytes");
        usize::try_from(u32::from_le_bytes(bytes)).expect("a size")
    }

    #[test]
    fn a_reader_finds_the_entry_from_the_end() {
        let archive = archive(&[Bytes::from_static(b"one\n"), Bytes::from_static(b"two\n")], "orders").expect("ZIP");
        let end = archive.len() - 22;
        assert_eq!(number(&archive, end), 0x0605_4b50);
        let directory = number(&archive, end + 16);
        assert_eq!(directory + number(&archive, end + 12), end);
        assert_eq!(number(&archive, directory), 0x0201_4b50);
        assert_eq!(&archive[directory + 46..end], b"orders");
        assert_eq!(number(&archive, directory + 42), 0, "the local header comes first");
        assert_eq!(archive[4..30], archive[directory + 6..directory + 32], "both headers say the same");

        let (deflated, length) = (number(&archive, 18), number(&archive, 22));
        let mut text = String::new();
        let mut decoder = flate2::read::DeflateDecoder::new(&archive[36..36 + deflated]);
        decoder.read_to_string(&mut text).expect("a deflated entry");
        assert_eq!(text, "one\ntwo\n");
        assert_eq!((length, 36 + deflated), (text.len(), directory));
        // By zlib's crc32().
        assert_eq!(number(&archive, 14), 0x12ba_0be6);
    }
}
