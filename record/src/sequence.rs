//! Sequence numbers: decimal texts that order as integers.

use std::fmt;
use std::str::FromStr;

/// The largest number that has 19 decimal digits, plus one: the chunk in which decimals are written.
const CHUNK: u64 = 10_000_000_000_000_000_000;

/// The sequence number of a record, as an integer below 2^256.
///
/// Kinesis assigns numbers of 56 decimal digits (186 bits), which do not fit `u128`. They are compared as integers,
/// never as text: "9" comes before "10". Copying costs 32 bytes and no allocation.
///
/// Source: `SequenceNumberValidator` of the Kinesis Client Library (version 2 numbers have 186 bits).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber([u64; 4]);

/// A text that is no sequence number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a sequence number: a decimal integer below 2^256 is wanted")]
pub struct InvalidSequenceNumber {
    text: String,
}

impl SequenceNumber {
    /// The lowest number. Kinesis assigns it to no record.
    pub const ZERO: Self = Self([0; 4]);

    /// The number as 32 bytes, most significant first.
    pub fn to_be_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (slot, limb) in bytes.chunks_exact_mut(8).zip(self.0) {
            slot.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }

    /// `self × factor + addend`; `None` past 2^256.
    fn scaled(self, factor: u64, addend: u64) -> Option<Self> {
        let mut carry = u128::from(addend);
        let mut limbs = self.0;
        for limb in limbs.iter_mut().rev() {
            let wide = u128::from(*limb) * u128::from(factor) + carry;
            *limb = low_half(wide);
            carry = wide >> 64;
        }
        (carry == 0).then_some(Self(limbs))
    }

    /// The quotient and the remainder of a division by [`CHUNK`].
    fn split_chunk(self) -> (Self, u64) {
        let mut rest = 0_u128;
        let mut limbs = self.0;
        for limb in &mut limbs {
            let wide = (rest << 64) | u128::from(*limb);
            *limb = low_half(wide / u128::from(CHUNK));
            rest = wide % u128::from(CHUNK);
        }
        (Self(limbs), low_half(rest))
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the low 64 bits are what is wanted")]
const fn low_half(wide: u128) -> u64 {
    wide as u64
}

/// The number that eight decimal digits are, read side by side in one word.
fn eight_digits(digits: [u8; 8]) -> u64 {
    let ones = u64::from_le_bytes(digits) & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (ones.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000 << 32 | 1) >> 32
}

impl SequenceNumber {
    /// The number that is written with these digits; `None` where they are none, or too many for 256 bits.
    ///
    /// Every record comes with one, so that it is read sixteen digits at a time.
    pub fn from_digits(digits: &[u8]) -> Option<Self> {
        const SIXTEEN_DIGITS: u64 = 10_000_000_000_000_000;
        // Without an early end, the compiler looks at many digits at once.
        let others = digits.iter().fold(false, |others, byte| others | !byte.is_ascii_digit());
        if digits.is_empty() || others {
            return None;
        }
        let (first, rest) = digits.split_at(digits.len() % 16);
        let first = first.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
        let mut number = Self([0, 0, 0, first]);
        let (eights, _) = rest.as_chunks::<8>();
        let (sixteens, _) = eights.as_chunks::<2>();
        for [high, low] in sixteens {
            let value = eight_digits(*high) * 100_000_000 + eight_digits(*low);
            number = number.scaled(SIXTEEN_DIGITS, value)?;
        }
        Some(number)
    }
}

impl FromStr for SequenceNumber {
    type Err = InvalidSequenceNumber;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidSequenceNumber { text: text.chars().take(100).collect() };
        Self::from_digits(text.as_bytes()).ok_or_else(invalid)
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 2^256 has 78 digits: five chunks.
        let mut chunks = [0_u64; 5];
        let mut rest = *self;
        for chunk in chunks.iter_mut().rev() {
            (rest, *chunk) = rest.split_chunk();
        }
        let mut leading = chunks.iter().skip_while(|chunk| **chunk == 0);
        write!(f, "{}", leading.next().unwrap_or(&0))?;
        leading.try_for_each(|chunk| write!(f, "{chunk:019}"))
    }
}

impl fmt::Debug for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SequenceNumber({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> SequenceNumber {
        text.parse().unwrap()
    }

    #[test]
    fn a_number_of_kinesis_survives_the_round_trip() {
        for text in [
            "0",
            "7",
            "49590338271490256608559692538361571095921575989136588898",
            "10000000000000000000",
            "115792089237316195423570985008687907853269984665640564039457584007913129639935",
        ] {
            assert_eq!(number(text).to_string(), text);
        }
    }

    #[test]
    fn numbers_order_as_integers_and_not_as_text() {
        assert!(number("9") < number("10"));
        assert!(number("49590338271490256608559692538361571095921575989136588898") > number("5"));
    }

    #[test]
    fn what_is_no_number_is_refused_with_its_text() {
        for text in [
            "",
            "-1",
            "1e5",
            "TRIM_HORIZON",
            " 1",
            "115792089237316195423570985008687907853269984665640564039457584007913129639936",
        ] {
            let error = text.parse::<SequenceNumber>().unwrap_err();
            assert!(error.to_string().contains("sequence number"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_u128_reads_back_and_orders_as_u128(a: u128, b: u128) {
            prop_assert_eq!(number(&a.to_string()).to_string(), a.to_string());
            prop_assert_eq!(number(&a.to_string()).cmp(&number(&b.to_string())), a.cmp(&b));
        }

        #[test]
        fn longer_digits_read_back(text in "[1-9][0-9]{20,76}") {
            prop_assert_eq!(number(&text).to_string(), text);
        }
    }
}
