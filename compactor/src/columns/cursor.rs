//! Reads JSON in place, for the columns that it goes to.
//!
//! What the cursor accepts is what [`crate::json::Parser`] accepts. What it refuses is looked at again by that one,
//! which says why; so the cursor's only error is [`Stop`].

use crate::json::{Parser, Step, Value, number, quote, unescape, write_canonical};
use crate::same::same;
use std::ops::Range;

/// Characters of one number, as for the parser.
const MAX_NUMBER: usize = 4096;

/// Why a row was left half read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Not here: the row is bad, cut, or asks for a change of the columns, which only a row that is known to be good
    /// may make.
    Slow,
    /// A nested object has more fields than a struct may have.
    Crowded,
    /// There are more distinct fields than memory may hold.
    Fields,
}

/// A number of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Double(f64),
    /// Past 64 bits, or not near a finite double.
    Odd,
}

/// A place in a row.
pub(super) struct Cursor<'a> {
    /// From the row's first byte on. That it is UTF-8 was found out for all rows at once, so only what is read as text
    /// here is looked at again.
    bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    #[inline]
    pub(super) fn peek(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::Slow)
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<u8, Stop> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    /// Steps over blanks.
    #[inline]
    pub(super) fn blank(&mut self) {
        while self.bytes.get(self.at).is_some_and(|byte| *byte <= b' ' && matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
        {
            self.at += 1;
        }
    }

    /// Steps over `literal`, if it is what follows.
    #[inline]
    pub(super) fn take(&mut self, literal: &[u8]) -> bool {
        let follows = self.bytes.get(self.at..self.at + literal.len()).is_some_and(|text| same(text, literal));
        self.at += if follows { literal.len() } else { 0 };
        follows
    }

    pub(super) fn slice(&self, range: Range<usize>) -> Result<&'a str, Stop> {
        std::str::from_utf8(self.bytes(range)).map_err(|_| Stop::Slow)
    }

    pub(super) fn bytes(&self, range: Range<usize>) -> &'a [u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// Steps over a string: the range between its quotes, and whether there are escapes in it. They are not checked.
    #[inline]
    pub(super) fn string(&mut self) -> Result<(Range<usize>, bool), Stop> {
        if self.next()? != b'"' {
            return Err(Stop::Slow);
        }
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = special(self.bytes, self.at).ok_or(Stop::Slow)?;
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += self.escape()?;
                }
                _ => return Err(Stop::Slow),
            }
        }
        self.at += 1;
        Ok((start..self.at - 1, escaped))
    }

    /// What is between the quotes of the string that follows, if there is no escape in it. Does not step over it.
    #[inline(always)]
    pub(super) fn plain_string(&self) -> Option<&'a [u8]> {
        if *self.bytes.get(self.at)? != b'"' {
            return None;
        }
        let start = self.at + 1;
        let end = special(self.bytes, start)?;
        if self.bytes.get(end) == Some(&b'"') { self.bytes.get(start..end) } else { None }
    }

    /// The length of the escape that follows.
    fn escape(&self) -> Result<usize, Stop> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
            Some(b'u') => match self.bytes.get(self.at + 2..self.at + 6) {
                Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(6),
                _ => Err(Stop::Slow),
            },
            _ => Err(Stop::Slow),
        }
    }

    /// Steps over an integer of at most 15 digits, which a double holds too; does nothing where another value follows.
    #[inline(always)]
    pub(super) fn short_integer(&mut self) -> Option<i64> {
        let mut at = self.at;
        let negative = *self.bytes.get(at)? == b'-';
        at += usize::from(negative);
        let first = at;
        let mut whole: i64 = 0;
        loop {
            let byte = *self.bytes.get(at)?;
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 {
                whole = whole.wrapping_mul(10).wrapping_add(i64::from(digit));
                at += 1;
            } else if matches!(byte, b'.' | b'e' | b'E') {
                return None;
            } else {
                break;
            }
        }
        let digits = at - first;
        let leading_zero = self.bytes[first] == b'0' && (digits > 1 || negative);
        if !(1..=15).contains(&digits) || leading_zero {
            return None;
        }
        self.at = at;
        Some(if negative { -whole } else { whole })
    }

    /// Steps over a number with a fraction and without an exponent, of at most 19 digits, whose double is known at once;
    /// does nothing where another value follows.
    #[inline(always)]
    pub(super) fn decimal(&mut self) -> Option<f64> {
        let mut at = self.at;
        let negative = *self.bytes.get(at)? == b'-';
        at += usize::from(negative);
        let first = at;
        let mut digits: u64 = 0;
        while let Some(digit) = self.bytes.get(at).map(|byte| byte.wrapping_sub(b'0'))
            && digit < 10
        {
            digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit));
            at += 1;
        }
        let whole = at - first;
        if whole == 0 || (whole > 1 && self.bytes[first] == b'0') || self.bytes.get(at) != Some(&b'.') {
            return None;
        }
        at += 1;
        let point = at;
        // Whole words of digits, and what is left of the last one.
        loop {
            let word = u64::from_le_bytes(*self.bytes.get(at..)?.first_chunk::<8>()?);
            let count = digits_before(word);
            if count < 8 {
                if count > 0 {
                    digits = digits.wrapping_mul(TENS[count]).wrapping_add(eight_digits(word << (64 - 8 * count)));
                }
                at += count;
                break;
            }
            digits = digits.wrapping_mul(100_000_000).wrapping_add(eight_digits(word));
            at += 8;
        }
        let fraction = at - point;
        if fraction == 0 || whole + fraction > 19 || matches!(self.bytes.get(at)?, b'e' | b'E') {
            return None;
        }
        let value = number::scaled(digits, fraction)?;
        self.at = at;
        Some(if negative { -value } else { value })
    }

    /// Steps over a number.
    #[inline]
    pub(super) fn number(&mut self) -> Result<Number, Stop> {
        let start = self.at;
        let negative = self.peek()? == b'-';
        self.at += usize::from(negative);
        let first = self.at;
        let mut whole: u64 = 0;
        while let Some(digit) = self.bytes.get(self.at).map(|byte| byte.wrapping_sub(b'0'))
            && digit < 10
        {
            whole = whole.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.at += 1;
        }
        let digits = self.at - first;
        if digits == 0 || (digits > 1 && self.bytes.get(first) == Some(&b'0')) {
            return Err(Stop::Slow);
        }
        if matches!(self.peek()?, b'.' | b'e' | b'E') || (negative && whole == 0 && digits == 1) {
            return self.double(start);
        }
        if digits <= 18 {
            let int = i64::try_from(whole).map_err(|_| Stop::Slow)?;
            return Ok(Number::Int(if negative { -int } else { int }));
        }
        self.check_length(start)?;
        Ok(number::integer(self.slice(start..self.at)?).map_or(Number::Odd, Number::Int))
    }

    /// A number with a fraction or an exponent, whose whole part was stepped over.
    fn double(&mut self, start: usize) -> Result<Number, Stop> {
        if self.peek()? == b'.' && !self.bytes.get(self.at + 1).is_some_and(u8::is_ascii_digit) {
            return Err(Stop::Slow);
        }
        // What it accepts besides JSON's numbers begins otherwise, or was refused above.
        let rest = self.bytes.get(start..).unwrap_or_default();
        let (value, length) = fast_float2::parse_partial::<f64, _>(rest).map_err(|_| Stop::Slow)?;
        self.at = start + length;
        self.check_length(start)?;
        let odd = !value.is_finite() || (value == 0.0 && !number::is_zero(self.slice(start..self.at)?));
        Ok(if odd { Number::Odd } else { Number::Double(value) })
    }

    fn check_length(&self, start: usize) -> Result<(), Stop> {
        if self.at - start > MAX_NUMBER { Err(Stop::Slow) } else { Ok(()) }
    }

    /// Steps over `true`, `false` or `null`.
    #[inline]
    pub(super) fn literal(&mut self, word: &str) -> Result<(), Stop> {
        if self.take(word.as_bytes()) { Ok(()) } else { Err(Stop::Slow) }
    }

    /// Steps over any value, and appends its canonical text to `out`. Returns the replaced halves of surrogate pairs.
    ///
    /// `depth` more objects and arrays may lie within each other.
    pub(super) fn canonical(&mut self, depth: usize, out: &mut String) -> Result<u64, Stop> {
        let start = self.at;
        match self.peek()? {
            b'"' => {
                let (range, escaped) = self.string()?;
                let mut replaced = 0;
                if escaped {
                    let mut text = String::new();
                    replaced = unescape(self.slice(range)?, &mut text);
                    quote(&text, out);
                } else {
                    quote(self.slice(range)?, out);
                }
                return Ok(replaced);
            }
            b'{' | b'[' => {
                let mut parser = Parser::new(depth);
                let rest = self.bytes.get(start..).unwrap_or_default();
                let Step::Complete(length) = parser.resume(rest) else { return Err(Stop::Slow) };
                self.at += length;
                return Ok(write_canonical(Value::root(self.slice(start..self.at)?, parser.tape()), out));
            }
            b't' => self.literal("true")?,
            b'f' => self.literal("false")?,
            b'n' => self.literal("null")?,
            _ => {
                self.number()?;
                number::write_number(self.slice(start..self.at)?, out);
                return Ok(0);
            }
        }
        out.push_str(self.slice(start..self.at)?);
        Ok(0)
    }
}

const TENS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// How many of eight characters, the first one lowest, are digits before the first that is none.
#[inline]
fn digits_before(word: u64) -> usize {
    // The upper half of a digit is 3, and stays so when 6 is added.
    let upper = word & 0xf0f0_f0f0_f0f0_f0f0;
    let more = word.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0;
    let others = (upper ^ 0x3030_3030_3030_3030) | (more ^ 0x3030_3030_3030_3030);
    (others.trailing_zeros() / 8) as usize
}

/// The number that eight characters are, of which any first ones may be 0 in place of a digit.
#[inline]
fn eight_digits(word: u64) -> u64 {
    let ones = word & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (ones.wrapping_mul((10 << 8) | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul((100 << 16) | 1) >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul((10_000 << 32) | 1) >> 32
}

/// Where the next quote, backslash or control character lies.
///
/// Eight bytes at a time: in each word, the lowest byte that a test marks is marked rightly; borrows only mark higher
/// ones in vain.
#[inline]
fn special(bytes: &[u8], from: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut at = from;
    // Compilers make a few vector instructions of this.
    let is_special = |byte: &u8| u8::from(*byte == b'"') | u8::from(*byte == b'\\') | u8::from(*byte < 0x20);
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        if block.iter().fold(0, |any, byte| any | is_special(byte)) != 0 {
            break;
        }
        at += 16;
    }
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\'))) | control;
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).map(|found| at + found)
}

#[cfg(test)]
mod tests;
