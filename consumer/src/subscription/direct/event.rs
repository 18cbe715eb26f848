//! A SubscribeToShardEvent in JSON → records that are slices of its buffer.

use super::frame::Frame;
use super::full;
use crate::feed::{Kind, Record};
use crate::subscription::{Cause, Event, Next};
use alluvial_record::{Position, SequenceNumber};
use base64_simd::STANDARD;
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use std::ops::Range;

/// Reads the event of `frame`.
pub(super) fn read(frame: Frame) -> Result<Event, Cause> {
    let mut payload = frame.into_payload();
    let scanned = match Scanner::new(&payload).event() {
        Some(scanned) => scanned,
        None => return full::read(&payload),
    };
    let failed = |text: &str| Cause::Failed(text.into());
    let mut lengths = Vec::with_capacity(scanned.records.len());
    for record in &scanned.records {
        let text = payload.get_mut(record.data.clone()).unwrap_or_default();
        let data = STANDARD.decode_inplace(text).map_err(|_| failed("the data of a record is not base64"))?;
        lengths.push(data.len());
    }
    let buffer = payload.freeze();
    let slices = scanned.records.into_iter().zip(lengths);
    let records = slices.map(|(record, length)| record.slice(&buffer, length)).collect::<Option<_>>();
    Ok(Event {
        bytes: buffer.len(),
        records: records.ok_or_else(|| failed("a partition key is not UTF-8"))?,
        millis_behind_latest: scanned.millis_behind_latest,
        next: Next::Continuation(scanned.continuation),
    })
}

/// An event as the scan found it.
struct Scanned {
    records: Vec<RawRecord>,
    millis_behind_latest: u64,
    continuation: String,
}

/// A record as the scan found it: places in the payload.
#[derive(Default)]
struct RawRecord {
    data: Range<usize>,
    partition_key: Range<usize>,
    sequence: Option<SequenceNumber>,
    arrived_millis: u64,
}

impl RawRecord {
    fn slice(self, buffer: &Bytes, length: usize) -> Option<Record> {
        Some(Record {
            position: Position::of(self.sequence?),
            partition_key: ByteString::try_from(buffer.slice(self.partition_key)).ok()?,
            data: buffer.slice(self.data.start..self.data.start + length),
            arrived_millis: self.arrived_millis,
            kind: Kind::Plain,
        })
    }
}

/// Reads JSON as the service writes it: no white space, no escapes, each field once. Anything else is `None`.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn new(payload: &'a BytesMut) -> Self {
        Self { text: payload, at: 0 }
    }

    fn event(mut self) -> Option<Scanned> {
        let (mut continuation, mut millis, mut records) = (None, None, None);
        self.expect(b'{')?;
        loop {
            match self.name()? {
                b"ContinuationSequenceNumber" if continuation.is_none() => {
                    let range = self.plain_text()?;
                    continuation = Some(std::str::from_utf8(self.text.get(range)?).ok()?.to_owned());
                }
                b"MillisBehindLatest" if millis.is_none() => millis = Some(self.integer()?),
                b"Records" if records.is_none() => records = Some(self.records()?),
                b"ChildShards" => {
                    self.expect(b'[')?;
                    self.expect(b']')?;
                }
                _ => return None,
            }
            if self.is_last_field()? {
                break;
            }
        }
        let continuation = continuation.filter(|number| !number.is_empty() && self.at == self.text.len())?;
        Some(Scanned { records: records?, millis_behind_latest: millis?, continuation })
    }

    fn records(&mut self) -> Option<Vec<RawRecord>> {
        self.expect(b'[')?;
        let mut records = Vec::new();
        if self.next_is(b']') {
            return Some(records);
        }
        loop {
            records.push(self.record()?);
            match self.byte()? {
                b',' => {}
                b']' => return Some(records),
                _ => return None,
            }
        }
    }

    fn record(&mut self) -> Option<RawRecord> {
        let mut record = RawRecord::default();
        let (mut has_data, mut has_key, mut has_time) = (false, false, false);
        self.expect(b'{')?;
        loop {
            match self.name()? {
                b"ApproximateArrivalTimestamp" if !has_time => {
                    record.arrived_millis = self.seconds_as_millis()?;
                    has_time = true;
                }
                b"Data" if !has_data => {
                    record.data = self.text()?;
                    has_data = true;
                }
                b"PartitionKey" if !has_key => {
                    record.partition_key = self.plain_text()?;
                    has_key = true;
                }
                b"SequenceNumber" if record.sequence.is_none() => {
                    let range = self.text()?;
                    record.sequence = Some(std::str::from_utf8(self.text.get(range)?).ok()?.parse().ok()?);
                }
                b"EncryptionType" => drop(self.plain_text()?),
                _ => return None,
            }
            if self.is_last_field()? {
                return (has_data && record.sequence.is_some()).then_some(record);
            }
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.text.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        (self.byte()? == wanted).then_some(())
    }

    fn next_is(&mut self, wanted: u8) -> bool {
        let is = self.text.get(self.at) == Some(&wanted);
        self.at += usize::from(is);
        is
    }

    /// After a field: true before the end of its object, which is passed.
    fn is_last_field(&mut self) -> Option<bool> {
        match self.byte()? {
            b',' => Some(false),
            b'}' => Some(true),
            _ => None,
        }
    }

    /// The name of a field, and its colon.
    fn name(&mut self) -> Option<&'a [u8]> {
        let range = self.text()?;
        self.expect(b':')?;
        self.text.get(range)
    }

    /// A text without escapes.
    fn text(&mut self) -> Option<Range<usize>> {
        self.expect(b'"')?;
        let start = self.at;
        let length = memchr::memchr2(b'"', b'\\', self.text.get(start..)?)?;
        self.at = start + length;
        self.expect(b'"')?;
        Some(start..start + length)
    }

    /// A text without escapes and without control characters, which JSON does not allow there.
    fn plain_text(&mut self) -> Option<Range<usize>> {
        let range = self.text()?;
        self.text.get(range.clone())?.iter().all(|byte| *byte >= b' ').then_some(range)
    }

    /// Digits; `None` past 18 of them, and where JSON allows none: before other digits, a leading zero.
    fn digits(&mut self) -> Option<(u64, usize)> {
        let rest = self.text.get(self.at..)?;
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = rest.get(..count).filter(|_| (1..=18).contains(&count))?;
        self.at += count;
        Some((digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')), count))
    }

    fn integer(&mut self) -> Option<u64> {
        let leading_zero = self.text.get(self.at) == Some(&b'0');
        let (number, count) = self.digits()?;
        (!leading_zero || count == 1).then_some(number)
    }

    /// A time in seconds, such as `1795000000.123` or `1.795000000123E9`, in milliseconds; `None` for a finer one.
    fn seconds_as_millis(&mut self) -> Option<u64> {
        let mut number = self.integer()?;
        let mut scale = 3_i32;
        if self.next_is(b'.') {
            let (fraction, count) = self.digits()?;
            number = number.checked_mul(10_u64.checked_pow(u32::try_from(count).ok()?)?)?.checked_add(fraction)?;
            scale -= i32::try_from(count).ok()?;
        }
        if self.next_is(b'E') || self.next_is(b'e') {
            scale += i32::try_from(self.integer()?).ok()?;
        }
        let factor = 10_u64.checked_pow(scale.unsigned_abs())?;
        if scale >= 0 { number.checked_mul(factor) } else { (number % factor == 0).then_some(number / factor) }
    }
}
