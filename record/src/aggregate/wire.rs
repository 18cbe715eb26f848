//! The part of the protobuf wire format that an aggregate needs: fields of a message as ranges of its buffer.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

use super::Corruption;
use std::ops::Range;

/// Groups within groups that are skipped; deeper ones are refused, as protobuf's own readers do.
///
/// Source: the default recursion limit of `CodedInputStream`.
const MOST_GROUPS: u32 = 100;

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// An integer.
    Varint(u64),
    /// Text, bytes or a message: where it lies.
    Bytes(Range<usize>),
    /// A fixed-size number or a group; an aggregate has none of its own, so it is skipped.
    Other,
}

/// Reads the fields of the message at `range` of `buffer`, in their order.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    buffer: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Fields<'a> {
    /// `range` lies within `buffer`; what would lie outside is malformed.
    pub(super) fn new(buffer: &'a [u8], range: Range<usize>) -> Self {
        Self { buffer, at: range.start, end: range.end.min(buffer.len()) }
    }

    /// The next field: its number and value; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Value)>, Corruption> {
        if self.at >= self.end {
            return Ok(None);
        }
        let (number, kind) = self.tag()?;
        Ok(Some((number, self.value(number, kind, 0)?)))
    }

    fn malformed(&self) -> Corruption {
        Corruption::Malformed { at: self.at }
    }

    fn tag(&mut self) -> Result<(u32, u64), Corruption> {
        let start = self.at;
        let tag = self.varint()?;
        // Field numbers have 29 bits and start at 1.
        let number = u32::try_from(tag).ok().map(|tag| tag >> 3).filter(|number| *number > 0);
        Ok((number.ok_or(Corruption::Malformed { at: start })?, tag & 7))
    }

    fn value(&mut self, number: u32, kind: u64, depth: u32) -> Result<Value, Corruption> {
        match kind {
            0 => self.varint().map(Value::Varint),
            1 => self.take(8).map(|_| Value::Other),
            2 => {
                let start = self.at;
                let length = self.varint()?;
                let length = usize::try_from(length).map_err(|_| Corruption::Malformed { at: start })?;
                self.take(length).map(Value::Bytes)
            }
            3 if depth < MOST_GROUPS => self.skip_group(number, depth + 1),
            5 => self.take(4).map(|_| Value::Other),
            _ => Err(self.malformed()),
        }
    }

    /// Skips to the end tag of the group that has begun.
    fn skip_group(&mut self, group: u32, depth: u32) -> Result<Value, Corruption> {
        loop {
            match self.tag()? {
                (number, 4) if number == group => return Ok(Value::Other),
                (_, 4) => return Err(self.malformed()),
                (number, kind) => self.value(number, kind, depth)?,
            };
        }
    }

    fn take(&mut self, length: usize) -> Result<Range<usize>, Corruption> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.end).ok_or(self.malformed())?;
        let taken = self.at..end;
        self.at = end;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Corruption> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = *self.buffer.get(self.at).filter(|_| self.at < self.end).ok_or(self.malformed())?;
            self.at += 1;
            // Of a tenth byte only one bit counts; protobuf's readers drop the others too.
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.malformed())
    }
}

/// Bytes that [`push_varint`] adds for `value`.
pub(super) fn varint_bytes(value: usize) -> usize {
    let bits = usize::BITS - (value | 1).leading_zeros();
    usize::try_from(bits.div_ceil(7)).unwrap_or(usize::MAX)
}

pub(super) fn push_varint(out: &mut Vec<u8>, mut value: usize) {
    while let rest @ 1.. = value >> 7 {
        out.push(low_seven_bits(value) | 0x80);
        value = rest;
    }
    out.push(low_seven_bits(value));
}

#[allow(clippy::cast_possible_truncation, reason = "masked to seven bits")]
fn low_seven_bits(value: usize) -> u8 {
    (value & 0x7f) as u8
}

/// Adds a length-delimited field. Its number is below 16, so that its tag is one byte.
pub(super) fn push_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    push_tag(out, number, 2);
    push_varint(out, bytes.len());
    out.extend_from_slice(bytes);
}

pub(super) fn push_tag(out: &mut Vec<u8>, number: u32, kind: u8) {
    out.push(u8::try_from(number << 3).unwrap_or(u8::MAX) | kind);
}

/// Bytes that [`push_bytes`] adds for a value of `length` bytes.
pub(super) fn field_bytes(length: usize) -> usize {
    1 + varint_bytes(length) + length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &[u8]) -> Result<Vec<(u32, Value)>, Corruption> {
        let mut fields = Fields::new(message, 0..message.len());
        std::iter::from_fn(|| fields.next().transpose()).collect()
    }

    #[test]
    fn fields_of_every_wire_type_are_read_or_skipped() {
        let message = [
            &[0x08, 0x96, 0x01][..],               // 1: varint 150
            &[0x11, 1, 2, 3, 4, 5, 6, 7, 8],       // 2: 64 bits
            &[0x1a, 0x02, b'h', b'i'],             // 3: bytes
            &[0x23, 0x08, 0x01, 0x2b, 0x2c, 0x24], // 4: a group with a varint and a group in it
            &[0x35, 1, 2, 3, 4],                   // 6: 32 bits
            &[0xf8, 0xff, 0xff, 0xff, 0x0f, 0x00], // the highest field number
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ]
        .concat();
        let other = |number| (number, Value::Other);
        let wanted = [
            (1, Value::Varint(150)),
            other(2),
            (3, Value::Bytes(14..16)),
            other(4),
            other(6),
            ((1 << 29) - 1, Value::Varint(0)),
            (1, Value::Varint(u64::MAX)),
        ];
        assert_eq!(read(&message).unwrap(), wanted);
    }

    #[test]
    fn what_is_cut_off_or_impossible_is_malformed() {
        let endless_groups = [0x0b; 500];
        for message in [
            &b"\x08"[..],
            b"\x1a\x03hi",
            b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
            b"\x11\x00",
            b"\x00\x00",
            b"\x0c",
            b"\x0b\x14",
            b"\x0b",
            b"\x0f",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            &endless_groups,
        ] {
            assert!(matches!(read(message), Err(Corruption::Malformed { .. })), "{message:?}");
        }
    }

    #[test]
    fn the_size_of_a_varint_is_known_before_it_is_written() {
        for value in [0, 1, 127, 128, 16_383, 16_384, usize::MAX] {
            let mut out = Vec::new();
            push_varint(&mut out, value);
            assert_eq!(out.len(), varint_bytes(value), "{value}");
            out.insert(0, 0x08);
            assert_eq!(read(&out).unwrap(), [(1, Value::Varint(value as u64))]);
        }
    }
}
