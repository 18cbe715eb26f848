//! A compiled template: what is written, in order.

use super::decimal::{Decimal, push_number};
use super::moment::{self, Instantaneous, Piece};
use bytes::BytesMut;
use fastrand::Rng;

/// One step of writing a record.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Text(String),
    Decimal(Decimal),
    /// One of these, each as likely as the others; never empty.
    Choice(Box<[String]>),
    /// One of these by weight: each with the sum of the weights up to and with its own.
    Weighted(Box<[(f64, String)]>),
    Uuid,
    Sequence,
    Date(Box<[Piece]>),
    Ipv4,
    Boolean,
    AlphaNumeric(usize),
    /// The body so many times, with commas between.
    Repeat {
        times: usize,
        body: Box<[Op]>,
    },
}

/// Where a record is written, and from what.
pub(crate) struct Writer<'a> {
    pub(crate) random: &'a mut Rng,
    pub(crate) number: u64,
    pub(crate) time: Instantaneous,
    pub(crate) out: &'a mut BytesMut,
}

impl Writer<'_> {
    pub(crate) fn all(&mut self, ops: &[Op]) {
        for op in ops {
            self.one(op);
        }
    }

    fn one(&mut self, op: &Op) {
        match op {
            Op::Text(text) => self.push(text),
            Op::Decimal(decimal) => decimal.write(self.random, self.out),
            Op::Choice(values) => {
                let chosen = self.random.choice(values.iter());
                self.push(chosen.map_or("", String::as_str));
            }
            Op::Weighted(values) => {
                let total = values.last().map_or(0.0, |(sum, _)| *sum);
                let drawn = self.random.f64() * total;
                let chosen = values.iter().find(|(sum, _)| drawn < *sum).or(values.last());
                self.push(chosen.map_or("", |(_, value)| value));
            }
            Op::Uuid => self.uuid(),
            Op::Sequence => push_number(self.out, self.number, 1),
            Op::Date(pieces) => moment::write(pieces, &mut self.time, self.out),
            Op::Ipv4 => self.ipv4(),
            Op::Boolean => {
                let value = self.random.bool();
                self.push(if value { "true" } else { "false" });
            }
            Op::AlphaNumeric(length) => {
                for _ in 0..*length {
                    let letter = self.random.alphanumeric().to_ascii_lowercase();
                    self.push(letter.encode_utf8(&mut [0; 4]));
                }
            }
            Op::Repeat { times, body } => {
                for round in 0..*times {
                    if round > 0 {
                        self.push(",");
                    }
                    self.all(body);
                }
            }
        }
    }

    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A version 4 UUID (RFC 9562, section 5.4) from the seeded source: unique within a run, and repeatable.
    fn uuid(&mut self) {
        const VERSION_4: u128 = 0x4 << 76;
        const VERSION_MASK: u128 = 0xf << 76;
        const VARIANT: u128 = 0x2 << 62;
        const VARIANT_MASK: u128 = 0x3 << 62;
        let bits = self.random.u128(..) & !VERSION_MASK & !VARIANT_MASK | VERSION_4 | VARIANT;
        let mut text = [b'-'; 36];
        let mut shift = 128;
        for (index, letter) in text.iter_mut().enumerate() {
            if !matches!(index, 8 | 13 | 18 | 23) {
                shift -= 4;
                let nibble = u8::try_from((bits >> shift) & 0xf).unwrap_or(0);
                *letter = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
            }
        }
        self.out.extend_from_slice(&text);
    }

    fn ipv4(&mut self) {
        for (index, byte) in self.random.u32(..).to_be_bytes().into_iter().enumerate() {
            if index > 0 {
                self.push(".");
            }
            push_number(self.out, u64::from(byte), 1);
        }
    }
}
