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

    /// Takes `text`, if that is what follows.
    #[inline]
    fn expect(&mut self, text: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    /// A text of which the alphabet, without quotes, is checked later.
    #[inline]
    fn until_quote(&mut self) -> Option<&'a [u8]> {
        self.skip(b'"')?;
        let (text, rest) = self.rest.split_at_checked(memchr::memchr(b'"', self.rest)?)?;
        self.rest = rest.get(1..)?;
        Some(text)
    }

    fn records(&mut self) -> Option<Found<'a>> {
        let mut found = Found::default();
        let mut order = Vec::with_capacity(5);
        self.skip(b'[')?;
        if self.rest.first() == Some(&b']') {
            self.skip(b']')?;
            return Some(found);
        }
        loop {
            let record = self.record(&mut order)?;
            found.bytes += BASE64.decoded_length(record.data).ok()? + record.key.len();
            found.records.push(record);
            match self.byte()? {
                b',' => {}
                b']' => return Some(found),
                _ => return None,
            }
        }
    }

    /// A record. Its fields most likely come in the `order` of the record before: then their names are compared, and not
    /// searched for.
    fn record(&mut self, order: &mut Vec<Field>) -> Option<Encoded<'a>> {
        let start = self.rest;
        if let Some(record) = self.record_as_before(order) {
            return Some(record);
        }
        self.rest = start;
        order.clear();
        let mut values = Values::default();
        self.object(|cursor, name| {
            let field = Field::named(name)?;
            order.push(field);
            cursor.field(field, &mut values)
        })?;
        values.record()
    }

    fn record_as_before(&mut self, order: &[Field]) -> Option<Encoded<'a>> {
        let mut values = Values::default();
        for (at, field) in order.iter().enumerate() {
            self.skip(if at == 0 { b'{' } else { b',' })?;
            self.expect(field.quoted())?;
            self.field(*field, &mut values)?;
        }
        self.skip(b'}')?;
        values.record()
    }

    #[inline]
    fn field(&mut self, field: Field, values: &mut Values<'a>) -> Option<()> {
        match field {
            Field::SequenceNumber => set(&mut values.sequence, SequenceNumber::from_digits(self.until_quote()?)?),
            Field::ArrivalTimestamp => set(&mut values.arrived_millis, self.seconds()?),
            // What is no base64 is found when it is decoded.
            Field::Data => set(&mut values.data, self.until_quote()?),
            Field::PartitionKey => set(&mut values.key, self.text()?),
            Field::EncryptionType => {
                set(&mut values.encryption, self.text().filter(|text| matches!(*text, b"NONE" | b"KMS"))?)
            }
        }
    }
}

/// A field of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    SequenceNumber,
    ArrivalTimestamp,
    Data,
    PartitionKey,
    EncryptionType,
}

impl Field {
    const ALL: [Self; 5] =
        [Self::SequenceNumber, Self::ArrivalTimestamp, Self::Data, Self::PartitionKey, Self::EncryptionType];

    fn named(name: &[u8]) -> Option<Self> {
        let is =
            |field: &Self| field.quoted().strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\":")) == Some(name);
        Self::ALL.into_iter().find(is)
    }

    /// The name as it stands before a value.
    fn quoted(self) -> &'static [u8] {
        match self {
            Self::SequenceNumber => br#""SequenceNumber":"#,
            Self::ArrivalTimestamp => br#""ApproximateArrivalTimestamp":"#,
            Self::Data => br#""Data":"#,
            Self::PartitionKey => br#""PartitionKey":"#,
            Self::EncryptionType => br#""EncryptionType":"#,
        }
    }
}

/// Values of a record's fields, as far as they are read.
#[derive(Debug, Default)]
struct Values<'a> {
    sequence: Option<SequenceNumber>,
    arrived_millis: Option<u64>,
    key: Option<&'a [u8]>,
    data: Option<&'a [u8]>,
    encryption: Option<&'a [u8]>,
}

impl<'a> Values<'a> {
    fn record(self) -> Option<Encoded<'a>> {
        let (sequence, arrived_millis) = (self.sequence?, self.arrived_millis?);
        Some(Encoded { sequence, arrived_millis, key: self.key?, data: self.data? })
    }
}

#[cfg(test)]
mod tests;
