//! Numbers, and what holds them without loss.

use std::fmt::Write as _;

/// Every integer up to this one, in both directions, is a double without rounding.
pub(crate) const EXACT_IN_DOUBLE: u64 = 1 << 53;

/// The integer, where 64 bits hold it.
pub(crate) fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// The nearest double, unless it would be infinite, or zero for a number that is not.
pub(crate) fn double(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    (value.is_finite() && (value != 0.0 || is_zero(text))).then_some(value)
}

/// Powers of ten that 64 bits hold.
const TENS: [u64; 20] = {
    let mut tens = [1; 20];
    let mut at = 1;
    while at < 20 {
        tens[at] = tens[at - 1] * 10;
        at += 1;
    }
    tens
};

/// Powers of ten that a double holds without rounding, as far as they are needed.
const EXACT_TENS: [f64; 20] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19];

/// For each power of ten, 2^126 over it once both are moved to their highest bit, rounded down: of 63 or 64 bits.
#[allow(clippy::cast_possible_truncation, reason = "they have at most 64 bits")]
const INVERSES: [u64; 20] = {
    let mut inverses = [0; 20];
    let mut at = 0;
    while at < 20 {
        inverses[at] = ((1u128 << 126) / (TENS[at] << TENS[at].leading_zeros()) as u128) as u64;
        at += 1;
    }
    inverses
};

/// The double nearest to `digits` / 10^`fraction`; none, where there are more than 19 digits in the fraction.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "one factor has at most 64 bits, the other is at most 2^63")]
pub(crate) fn scaled(digits: u64, fraction: usize) -> Option<f64> {
    if digits <= EXACT_IN_DOUBLE {
        // Both are exact, and IEEE 754 rounds the quotient right.
        return Some(digits as f64 / EXACT_TENS.get(fraction)?);
    }
    let divisor = *TENS.get(fraction)?;
    // With both at their highest, the quotient has 62 to 64 bits: more than a double, and whether anything is left.
    let (shift, back) = (digits.leading_zeros(), divisor.leading_zeros());
    let dividend = digits << shift;
    // Less than the quotient by less than 3: by 2 for what the inverse lacks, and by 1 for what is cut here.
    let product = ((u128::from(dividend) * u128::from(*INVERSES.get(fraction)?)) >> 63) as u64;
    let lost = 11 - product.leading_zeros();
    let quotient = match product & ((1 << lost) - 1) {
        // So near to half of what a double leaves away that it may be either side of it.
        left if left.abs_diff(1 << (lost - 1)) <= 2 => rounded_to_odd(dividend, divisor << back),
        _ => product,
    };
    // A power of two from 2^-74 to 1.
    let exponent = 1023 - 63 - u64::from(shift) + u64::from(back);
    Some(quotient as f64 * f64::from_bits(exponent << 52))
}

/// 2^63 times the quotient, with a last bit that is 1 where anything is left.
#[cold]
#[allow(clippy::cast_possible_truncation, reason = "both are at their highest, so that it is less than 2^64")]
fn rounded_to_odd(dividend: u64, divisor: u64) -> u64 {
    let (dividend, divisor) = (u128::from(dividend) << 63, u128::from(divisor));
    let quotient = dividend / divisor;
    quotient as u64 | u64::from(quotient * divisor != dividend)
}

/// Appends a number in the text that all numbers of its value share: a 64-bit integer in digits, a double as
/// [`write_double`] has it, and any other number as it stands.
pub(crate) fn write_number(source: &str, out: &mut String) {
    // `-0` is no integer: only a double can hold it.
    match double(source) {
        Some(value) if source == "-0" || source.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => {
            write_double(value, out);
        }
        _ => out.push_str(source),
    }
}

/// Appends the shortest text that reads back as `value`; without a fraction if it has none, so that an integer is the
/// same text whether it became a double or not.
pub(crate) fn write_double(value: f64, out: &mut String) {
    let start = out.len();
    // Writing to a string cannot fail.
    write!(out, "{value:?}").unwrap_or(());
    if out.get(start..).is_some_and(|text| text.ends_with(".0")) {
        out.truncate(out.len() - 2);
    }
}

/// Whether a number that reads as zero is zero, and not only near it.
pub(crate) fn is_zero(text: &str) -> bool {
    text.bytes().take_while(|byte| byte | 0x20 != b'e').all(|byte| !(b'1'..=b'9').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_exact_or_refused() {
        assert_eq!(double("0.1").map(f64::to_bits), Some(0.1f64.to_bits()));
        assert_eq!(double("9007199254740993.0").map(f64::to_bits), Some(9_007_199_254_740_992.0f64.to_bits()));
        assert_eq!(double("-0").map(f64::to_bits), Some((-0.0f64).to_bits()));
        assert_eq!(double("0e999"), Some(0.0));
        assert_eq!(double("5e-324"), Some(5e-324));
        assert_eq!(double("1e400"), None);
        assert_eq!(double("-1e400"), None);
        assert_eq!(double("1e-400"), None);
    }

    #[test]
    fn a_number_has_one_text() {
        let text = |source| {
            let mut out = String::new();
            write_number(source, &mut out);
            out
        };
        for (source, expected) in [
            ("1", "1"),
            ("1.0", "1"),
            ("1e0", "1"),
            ("1.50", "1.5"),
            ("-0", "-0"),
            ("-0.0", "-0"),
            ("0.10", "0.1"),
            ("9223372036854775807", "9223372036854775807"),
            ("123456789012345678901", "123456789012345678901"),
            ("1e400", "1e400"),
            ("1e-400", "1e-400"),
            ("9007199254740993", "9007199254740993"),
            ("1E+2", "100"),
        ] {
            assert_eq!(text(source), expected, "{source}");
        }
        // As doubles, integers show the text that they have as integers.
        for int in [0i64, 7, -12, 1 << 53, -(1 << 53), 999_999_999_999_999] {
            let mut out = String::new();
            write_double(int as f64, &mut out);
            assert_eq!(out, int.to_string());
        }
    }

    #[test]
    fn quotients_are_the_nearest_doubles() {
        let mut random = fastrand::Rng::with_seed(5);
        for round in 0..400_000 {
            let fraction = random.usize(..20);
            let digits = match round % 5 {
                0 => random.u64(..),
                // Nearly halfway once it is divided.
                4 if fraction > 0 => {
                    let halfway = u128::from(random.u64(1 << 53..1 << 54) | 1) * u128::from(TENS[fraction]);
                    let near = u64::try_from(halfway >> random.u32(54..60)).unwrap_or(u64::MAX);
                    near.wrapping_add(random.u64(0..3)).wrapping_sub(1)
                }
                1 => random.u64(..10_000_000_000_000_000_000),
                2 => (1 << 53) + random.u64(..4096),
                // Halfway between two doubles, and beside it.
                _ => ((random.u64(1 << 52..1 << 53) << 1 | 1) << random.u32(0..10)) + random.u64(0..2),
            };
            let text = format!("{digits}e-{fraction}");
            let expected: f64 = text.parse().expect("a number");
            assert_eq!(scaled(digits, fraction).map(f64::to_bits), Some(expected.to_bits()), "{text}");
        }
        assert_eq!(scaled(1, 20), None);
        assert_eq!(scaled(0, 3), Some(0.0));
    }

    #[test]
    fn integers_end_at_64_bits() {
        assert_eq!(integer("9223372036854775807"), Some(i64::MAX));
        assert_eq!(integer("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(integer("9223372036854775808"), None);
    }
}
