//! Uniform random decimals, drawn and written as integers: no rounding, the same digits on every machine.

use bytes::BytesMut;
use fastrand::Rng;

/// Multiples of `step / 10^decimals` between two bounds, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    low: i64,
    high: i64,
    step: i64,
    decimals: u32,
}

/// Integers above this are not exact as JSON numbers (RFC 8259, section 6).
const EXACT: f64 = 9_007_199_254_740_991.0;

impl Decimal {
    /// Values from `min` to `max` in steps of `precision`, such as 1, 5 or 0.01.
    ///
    /// # Errors
    /// Says which of the three is out of range.
    pub(crate) fn new(min: f64, max: f64, precision: f64) -> Result<Self, String> {
        let (step, decimals) = Self::step(precision)?;
        if min > max {
            return Err(format!("min {min} is above max {max}"));
        }
        // A bound that is a multiple of the precision must not be lost to the division's last bit.
        let low = (min / precision - 1e-6).ceil();
        let high = (max / precision + 1e-6).floor();
        let largest = low.abs().max(high.abs());
        if low > high {
            return Err(format!("no multiple of {precision} lies between {min} and {max}"));
        }
        let exact = largest * step as f64 <= EXACT;
        if !exact {
            return Err(format!("{min} to {max} by {precision} needs more than 15 digits"));
        }
        #[allow(clippy::cast_possible_truncation, reason = "both are integers below 2^53, as checked above")]
        Ok(Self { low: low as i64, high: high as i64, step, decimals })
    }

    fn step(precision: f64) -> Result<(i64, u32), String> {
        for decimals in 0..=12 {
            let scaled = precision * 10_f64.powi(decimals);
            if (1.0..1e12).contains(&scaled) && (scaled - scaled.round()).abs() < 1e-9 * scaled {
                #[allow(clippy::cast_possible_truncation, reason = "between 1 and 10^12")]
                return Ok((scaled.round() as i64, decimals.unsigned_abs()));
            }
        }
        Err(format!("precision {precision} must be above 0, with at most 12 decimals"))
    }

    /// Draws one value and appends it, always with its full number of decimals.
    pub(crate) fn write(&self, random: &mut Rng, out: &mut BytesMut) {
        let value = random.i64(self.low..=self.high) * self.step;
        if value < 0 {
            out.extend_from_slice(b"-");
        }
        let unit = 10_u64.pow(self.decimals);
        let value = value.unsigned_abs();
        push_number(out, value / unit, 1);
        if self.decimals > 0 {
            out.extend_from_slice(b".");
            push_number(out, value % unit, self.decimals as usize);
        }
    }
}

/// Appends `value` in decimal with at least `width` digits, zeros in front; at most 20 digits.
pub(crate) fn push_number(out: &mut BytesMut, mut value: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        if value == 0 && used >= width {
            break;
        }
        *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        used += 1;
    }
    out.extend_from_slice(&digits[digits.len() - used..]);
}

#[cfg(test)]
mod tests;
