//! Records that the Kinesis Producer Library packed into one
//! (<https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md>): a magic number, a protobuf
//! message, and the MD5 of that message.

use bytes::Bytes;
use md5::{Digest as _, Md5};

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];

const MD5_BYTES: usize = 16;

/// The field of the message that holds a record, and the field of a record that holds its data.
const RECORDS: u64 = 3;
const DATA: u64 = 3;

/// The records in `record`, in order: itself, unless it is whole and in the library's format.
pub(super) fn split(record: &[u8]) -> Vec<Bytes> {
    unpack(record).unwrap_or_else(|| vec![Bytes::copy_from_slice(record)])
}

fn unpack(record: &[u8]) -> Option<Vec<Bytes>> {
    let packed = record.strip_prefix(&MAGIC)?;
    let (message, digest) = packed.split_at_checked(packed.len().checked_sub(MD5_BYTES)?)?;
    if Md5::digest(message)[..] != *digest {
        return None;
    }
    let mut records = Vec::new();
    for field in Fields(message) {
        let (number, value) = field?;
        if let (RECORDS, Some(inner)) = (number, value) {
            records.push(data(inner)?);
        }
    }
    Some(records)
}

/// The data of one record; it must have some, if only an empty one.
fn data(record: &[u8]) -> Option<Bytes> {
    let mut data = None;
    for field in Fields(record) {
        let (number, value) = field?;
        if number == DATA {
            data = Some(Bytes::copy_from_slice(value?));
        }
    }
    data
}

/// The fields of a protobuf message: number, and bytes if it is of that type. `None` ends one that is malformed
/// (<https://protobuf.dev/programming-guides/encoding/>).
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Option<&'a [u8]>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Option<&'a [u8]>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => {
                self.varint()?;
                None
            }
            1 => self.take(8).map(|_| None)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Some(self.take(length)?)
            }
            5 => self.take(4).map(|_| None)?,
            _ => return None,
        };
        Some((tag >> 3, value))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn varint(mut value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
            value >>= 7;
        }
        bytes.push(u8::try_from(value).expect("seven bits"));
        bytes
    }

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [vec![number << 3 | 2], varint(bytes.len()), bytes.to_vec()].concat()
    }

    /// As the library packs records: a table of one partition key, then the records that point to it.
    fn packed(records: &[Vec<u8>]) -> Vec<u8> {
        let record = |data: &Vec<u8>| field(3, &[vec![0x08, 0x00], field(3, data)].concat());
        let message = [field(1, b"key"), records.iter().flat_map(record).collect()].concat();
        [&MAGIC[..], &message, &Md5::digest(&message)[..]].concat()
    }

    #[test]
    fn a_packed_record_that_others_made_is_unpacked() {
        let message = b"\x0a\x01k\x1a\x07\x08\x00\x1a\x03one\x1a\x04\x08\x00\x1a\x00";
        let digest = Md5::digest(message);
        assert_eq!(split(&[&MAGIC[..], message, &digest[..]].concat()), [Bytes::from_static(b"one"), Bytes::new()]);
    }

    #[test]
    fn what_is_not_whole_stays_as_it_is() {
        let whole = packed(&[b"one".to_vec()]);
        let mut wrong = whole.clone();
        wrong[6] ^= 1;
        for record in [&b""[..], b"plain", &MAGIC, &whole[..whole.len() - 1], &wrong] {
            assert_eq!(split(record), [Bytes::copy_from_slice(record)]);
        }
        let cut = b"\x1a\x07\x08\x00\x1a\x03on";
        let record = [&MAGIC[..], cut, &Md5::digest(cut)[..]].concat();
        assert_eq!(split(&record), [Bytes::from(record.clone())], "a right digest of a wrong message");
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out_and_no_bytes_are_a_panic(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..8),
            noise: Vec<u8>,
        ) {
            prop_assert_eq!(split(&packed(&records)), records.into_iter().map(Bytes::from).collect::<Vec<_>>());
            let claimed = [&MAGIC[..], &noise, &Md5::digest(&noise)[..]].concat();
            split(&claimed);
        }
    }
}
