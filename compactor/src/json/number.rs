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
    fn integers_end_at_64_bits() {
        assert_eq!(integer("9223372036854775807"), Some(i64::MAX));
        assert_eq!(integer("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(integer("9223372036854775808"), None);
    }
}
