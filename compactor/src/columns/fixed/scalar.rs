//! Whether a value is what a column holds, exactly.

use crate::json::{EXACT_IN_DOUBLE, Kind, Value, double, integer};
use crate::partition::instant_of;
use crate::types::Type;
use jiff::civil::Date;

/// A value as its column stores it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Bool(bool),
    /// Also days since 1970, and microseconds.
    Int(i64),
    /// Also a float.
    Double(f64),
    /// In units of the last digit.
    Decimal(i128),
}

/// The value as a column of this type stores it, if it is one of its values. Not for text, which holds every value, and
/// not for what has others below.
pub(super) fn scalar(value: Value<'_>, kind: &Type) -> Option<Scalar> {
    match (kind, value.kind()) {
        (Type::Boolean, Kind::True) => Some(Scalar::Bool(true)),
        (Type::Boolean, Kind::False) => Some(Scalar::Bool(false)),
        (Type::Int(bits), Kind::Int | Kind::Float) => {
            whole(value).filter(|int| fits_bits(*int, *bits)).map(Scalar::Int)
        }
        (Type::Double, Kind::Int) => {
            let int = integer(value.source())?;
            // An integer that would be rounded is another one.
            #[allow(clippy::cast_precision_loss, reason = "it is exact up to there")]
            (int.unsigned_abs() <= EXACT_IN_DOUBLE).then_some(Scalar::Double(int as f64))
        }
        (Type::Double, Kind::Float) => double(value.source()).map(Scalar::Double),
        (Type::Float, Kind::Int | Kind::Float) => float(value),
        (Type::Decimal { precision, scale }, Kind::Int | Kind::Float) => {
            decimal(value.source(), *precision, *scale).map(Scalar::Decimal)
        }
        // Amounts are often strings, for the very reason that they are decimals.
        (Type::Decimal { precision, scale }, Kind::Text) => {
            decimal(value.source(), *precision, *scale).map(Scalar::Decimal)
        }
        (Type::Date, Kind::Text) => {
            let day: Date = value.source().parse().ok().filter(|_| value.source().len() == "2026-11-23".len())?;
            let days = day.since(Date::constant(1970, 1, 1)).ok()?.get_days();
            Some(Scalar::Int(i64::from(days)))
        }
        (Type::Timestamp, Kind::Int | Kind::Text) => {
            let nanoseconds = instant_of(value.source())?.as_nanosecond();
            // What a microsecond does not hold would be rounded.
            (nanoseconds % 1000 == 0).then(|| i64::try_from(nanoseconds / 1000).ok()).flatten().map(Scalar::Int)
        }
        _ => None,
    }
}

/// A number without a fraction, however it is written.
fn whole(value: Value<'_>) -> Option<i64> {
    if value.kind() == Kind::Int {
        return integer(value.source());
    }
    let number = double(value.source())?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "whole and within 2^53")]
    let int = (number.fract() == 0.0 && number.abs() <= EXACT_IN_DOUBLE as f64).then_some(number as i64);
    int.filter(|int| *int != 0 || number.is_sign_positive())
}

fn fits_bits(int: i64, bits: u8) -> bool {
    match bits {
        8 => i8::try_from(int).is_ok(),
        16 => i16::try_from(int).is_ok(),
        32 => i32::try_from(int).is_ok(),
        _ => true,
    }
}

/// The nearest float of a fraction, and an integer that is one.
fn float(value: Value<'_>) -> Option<Scalar> {
    let number: f32 = value.source().parse().ok()?;
    let exact = value.kind() == Kind::Float || (number.abs() <= 16_777_216.0);
    (number.is_finite() && exact).then(|| Scalar::Double(f64::from(number)))
}

/// The number in units of the last digit, if it has no more digits than the type.
fn decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix('+').unwrap_or(exponent).parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: String = [whole, fraction].concat();
    if whole.is_empty() || digits.len() > 100 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Digits behind the point that the number would have, and that the type has.
    let shift = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    let shift = i32::from(scale).checked_sub(shift)?;
    let digits = digits.trim_start_matches('0');
    let digits = match shift {
        _ if digits.is_empty() => return Some(0),
        0.. if shift <= 76 => digits.to_owned() + &"0".repeat(usize::try_from(shift).ok()?),
        0.. => return None,
        _ => {
            let dropped = usize::try_from(shift.unsigned_abs()).ok()?;
            let kept = digits.len().checked_sub(dropped)?;
            let (kept, dropped) = digits.split_at(kept);
            dropped.bytes().all(|digit| digit == b'0').then(|| kept.to_owned())?
        }
    };
    if digits.len() > usize::from(precision) {
        return None;
    }
    let units: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    Some(if negative { -units } else { units })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_exact_or_none() {
        for (text, expected) in [
            ("1.5", Some(150)),
            ("-0.01", Some(-1)),
            ("12345678.99", Some(1_234_567_899)),
            ("1.500", Some(150)),
            ("15e-1", Some(150)),
            ("1e2", Some(10_000)),
            ("0", Some(0)),
            ("0.000", Some(0)),
            ("1.005", None),
            ("123456789.00", None),
            ("1e30", None),
            ("1e-400", None),
            ("1e2147483647", None),
            ("", None),
            ("-", None),
            (".5", None),
            ("1,5", None),
            ("0x1", None),
        ] {
            assert_eq!(decimal(text, 10, 2), expected, "{text}");
        }
        assert_eq!(decimal(&"9".repeat(38), 38, 0), Some(10i128.pow(38) - 1));
        assert_eq!(decimal(&"9".repeat(39), 38, 0), None);
    }
}
