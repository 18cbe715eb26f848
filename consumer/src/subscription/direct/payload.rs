//! A `SubscribeToShardEvent` as the service writes it, read in one pass.
//!
//! Only JSON without white space, escapes and surprises is read here, with each field once, in any order:
//! ```json
//! {"Records":[{"SequenceNumber":"…","ApproximateArrivalTimestamp":1.441215410867E9,"Data":"…","PartitionKey":"…"}],
//!  "ContinuationSequenceNumber":"…","MillisBehindLatest":0}
//! ```
//! The answer to anything else is `None`, and the SDK reads it: what is read here is what the SDK would have read.
//!
//! Source: API_SubscribeToShardEvent and API_Record; the form of the time is that of the example in API_GetRecords.

use crate::feed::{Kind, Record};
use crate::subscription::{Event, Next};
use alluvial_record::{Position, SequenceNumber};
use base64_simd::STANDARD as BASE64;
use bytes::Bytes;
use bytestring::ByteString;

/// The year 2286, from which on seconds have eleven digits.
const LARGEST_MILLIS: u64 = 10_000_000_000_000;

/// The event in `payload`, if it is of the usual shape. Its records share one buffer of exactly [`Event::bytes`].
pub(super) fn read(payload: &[u8]) -> Option<Event> {
    let mut cursor = Cursor { rest: payload };
    let (mut found, mut continuation, mut millis_behind) = (None, None, None);
    cursor.object(|cursor, name| match name {
        b"Records" => set(&mut found, cursor.records()?),
        b"ContinuationSequenceNumber" => set(&mut continuation, cursor.text()?),
        b"MillisBehindLatest" => set(&mut millis_behind, cursor.whole_number()?),
        _ => None,
    })?;
    // Without a continuation the shard has ended, and its children are for the SDK to read.
    let continuation = continuation.filter(|text| !text.is_empty() && cursor.rest.is_empty())?;
    let continuation = std::str::from_utf8(continuation).ok()?.to_owned();
    let (records, bytes) = found?.decode()?;
    Some(Event { records, bytes, millis_behind_latest: millis_behind?, next: Next::Continuation(continuation) })
}

/// Sets what was not set.
fn set<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.is_none().then(|| *slot = Some(value))
}

/// Records whose data are not decoded yet.
#[derive(Debug, Default)]
struct Found<'a> {
    records: Vec<Encoded<'a>>,
    /// Bytes of all data, decoded, and of all keys.
    bytes: usize,
}

#[derive(Debug)]
struct Encoded<'a> {
    sequence: SequenceNumber,
    arrived_millis: u64,
    key: &'a [u8],
    data: &'a [u8],
}

impl Found<'_> {
    /// The records, and the bytes of the buffer that they share.
    fn decode(self) -> Option<(Vec<Record>, usize)> {
        let mut buffer = Vec::with_capacity(self.bytes);
        for record in &self.records {
            BASE64.decode_append(record.data, &mut buffer).ok()?;
            buffer.extend_from_slice(record.key);
        }
        let mut buffer = Bytes::from(buffer);
        let bytes = buffer.len();
        let mut records = Vec::with_capacity(self.records.len());
        for record in self.records {
            let data = buffer.split_to(BASE64.decoded_length(record.data).ok()?);
            let partition_key = ByteString::try_from(buffer.split_to(record.key.len())).ok()?;
            let (position, arrived_millis) = (Position::of(record.sequence), record.arrived_millis);
            records.push(Record { position, partition_key, data, arrived_millis, kind: Kind::Plain });
        }
        Some((records, bytes))
    }
}

/// JSON that is not read yet. Every method takes from its beginning what it names, and is `None` where that is not there.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    fn skip(&mut self, wanted: u8) -> Option<()> {
        (self.byte()? == wanted).then_some(())
    }

    /// A text without escapes and control characters, which may not be UTF-8.
    fn text(&mut self) -> Option<&'a [u8]> {
        let text = self.encoded()?;
        text.iter().all(|byte| *byte >= b' ').then_some(text)
    }

    /// As [`Cursor::text`], for a text of which the alphabet is checked later.
    fn encoded(&mut self) -> Option<&'a [u8]> {
        self.skip(b'"')?;
        let end = memchr::memchr2(b'"', b'\\', self.rest)?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.skip(b'"')?;
        Some(text)
    }

    /// Digits, and how many; 18 at most.
    fn digits(&mut self) -> Option<(u64, usize)> {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at_checked(count).filter(|_| (1..=18).contains(&count))?;
        self.rest = rest;
        Some((digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')), count))
    }

    /// Digits that JSON allows before a fraction: no leading zero.
    fn whole_number(&mut self) -> Option<u64> {
        let leading_zero = self.rest.first() == Some(&b'0');
        self.digits().filter(|(_, count)| !leading_zero || *count == 1).map(|(number, _)| number)
    }

    /// Whole seconds since 1970 or with three digits of fraction at most, as `1732504512.001` or `1.732504512001E9`, in
    /// milliseconds.
    fn seconds(&mut self) -> Option<u64> {
        let mut number = self.whole_number()?;
        let mut scale = 3_i32;
        if self.rest.first() == Some(&b'.') {
            self.skip(b'.')?;
            let (fraction, count) = self.digits()?;
            number = number.checked_mul(10_u64.checked_pow(u32::try_from(count).ok()?)?)?.checked_add(fraction)?;
            scale -= i32::try_from(count).ok()?;
        }
        if self.rest.first() == Some(&b'E') {
            self.skip(b'E')?;
            scale += i32::try_from(self.whole_number()?).ok()?;
        }
        let factor = 10_u64.checked_pow(scale.unsigned_abs())?;
        let millis = if scale >= 0 { number.checked_mul(factor)? } else { number / factor };
        let exact = scale >= 0 || number % factor == 0;
        // Past this, the SDK's floating-point number does not hold the millisecond any more.
        (exact && millis < LARGEST_MILLIS).then_some(millis)
    }

    /// An object that is not empty; `field` takes the value of each field.
    fn object(&mut self, mut field: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
        self.skip(b'{')?;
        loop {
            let name = self.encoded()?;
            self.skip(b':')?;
            field(self, name)?;
            match self.byte()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn records(&mut self) -> Option<Found<'a>> {
        let mut found = Found::default();
        self.skip(b'[')?;
        if self.rest.first() == Some(&b']') {
            self.skip(b']')?;
            return Some(found);
        }
        loop {
            let record = self.record()?;
            found.bytes += BASE64.decoded_length(record.data).ok()? + record.key.len();
            found.records.push(record);
            match self.byte()? {
                b',' => {}
                b']' => return Some(found),
                _ => return None,
            }
        }
    }

    fn record(&mut self) -> Option<Encoded<'a>> {
        let (mut sequence, mut arrived_millis, mut key, mut data, mut encryption) = (None, None, None, None, None);
        self.object(|cursor, name| match name {
            b"SequenceNumber" => set(&mut sequence, std::str::from_utf8(cursor.text()?).ok()?.parse().ok()?),
            b"ApproximateArrivalTimestamp" => set(&mut arrived_millis, cursor.seconds()?),
            b"Data" => set(&mut data, cursor.encoded()?),
            b"PartitionKey" => set(&mut key, cursor.text()?),
            b"EncryptionType" => set(&mut encryption, cursor.text().filter(|text| matches!(*text, b"NONE" | b"KMS"))?),
            _ => None,
        })?;
        Some(Encoded { sequence: sequence?, arrived_millis: arrived_millis?, key: key?, data: data? })
    }
}

#[cfg(test)]
mod tests;
