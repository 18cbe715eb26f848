//! Numbers, and what holds them without loss.

/// Every integer up to this one, in both directions, is a double without rounding.
pub(crate) const EXACT_IN_DOUBLE: u64 = 1 << 53;

/// A text without exponent and of at most this length is neither past the largest double (1.8e308) nor nearer to zero
/// than the smallest (4.9e-324).
const SURELY_FINITE: usize = 300;

/// The integer, where 64 bits hold it.
pub(crate) fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// The nearest double, unless it would be infinite, or zero for a number that is not.
pub(crate) fn double(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    (value.is_finite() && (value != 0.0 || is_zero(text))).then_some(value)
}

/// Whether [`double`] has an answer.
pub(crate) fn fits_double(text: &str) -> bool {
    (text.len() <= SURELY_FINITE && !text.bytes().any(|byte| byte | 0x20 == b'e')) || double(text).is_some()
}

fn is_zero(text: &str) -> bool {
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
    fn the_short_cut_agrees_with_the_parser() {
        for text in ["1.5", "1e400", "1E400", "1e-400", "1e10", "-0", &"9".repeat(300), &"9".repeat(310)] {
            assert_eq!(fits_double(text), double(text).is_some(), "{text}");
        }
    }

    #[test]
    fn integers_end_at_64_bits() {
        assert_eq!(integer("9223372036854775807"), Some(i64::MAX));
        assert_eq!(integer("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(integer("9223372036854775808"), None);
    }
}
