//! Numbers with units as people type them: `10MiB`, `60s`, `5k`.

use std::time::Duration;

/// Numbers are held in millionths while they are read, so that `1.5k` is exact.
pub(crate) const MILLION: u128 = 1_000_000;

/// Splits `text` into its leading decimal number, in millionths, and the trimmed rest.
/// `None` without a digit, with more than 6 decimals, or above 10^20.
pub(crate) fn split_number(text: &str) -> Option<(u128, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let number = number.replace('_', "");
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    if whole.is_empty() || whole.len() > 20 || fraction.len() > 6 || fraction.contains('.') {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let fraction: u128 = format!("{fraction:0<6}").parse().ok()?;
    Some((whole * MILLION + fraction, rest.trim()))
}

/// The factor of a decimal multiplier: none, `k` or `M`.
pub(crate) fn multiplier(suffix: &str) -> Option<u128> {
    match suffix {
        "" => Some(1),
        "k" | "K" => Some(1_000),
        "m" | "M" => Some(1_000_000),
        _ => None,
    }
}

fn whole(millionths: u128) -> Option<u64> {
    millionths.is_multiple_of(MILLION).then(|| u64::try_from(millionths / MILLION).ok()).flatten()
}

/// Reads a count above zero: `10000`, `10_000`, `10k`, `1.5M`.
///
/// # Errors
/// Says what was expected.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    let read = || {
        let (number, rest) = split_number(text)?;
        whole(number.checked_mul(multiplier(rest)?)?).filter(|&count| count > 0)
    };
    read().ok_or_else(|| format!("`{text}` is not a count above 0; write it as 10000, 10k or 1.5M"))
}

/// Reads a size above zero: `512`, `64KiB`, `10MiB`, `1.5GB`. KiB is 1,024 bytes, KB is 1,000.
///
/// # Errors
/// Says what was expected.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let read = || {
        let (number, rest) = split_number(text)?;
        let factor: u128 = match rest.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "kib" | "k" => 1 << 10,
            "mib" | "m" => 1 << 20,
            "gib" | "g" => 1 << 30,
            _ => return None,
        };
        u64::try_from(number.checked_mul(factor)? / MILLION).ok().filter(|&size| size > 0)
    };
    read().ok_or_else(|| format!("`{text}` is not a size above 0; write it as 10MiB, 512KiB or 1000000"))
}

/// Reads a time above zero: `500ms`, `60s`, `2min`, `1h`; a bare number is seconds.
///
/// # Errors
/// Says what was expected.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let read = || {
        let (number, rest) = split_number(text)?;
        let nanos: u128 = match rest {
            "ms" => 1_000_000,
            "" | "s" | "sec" => 1_000_000_000,
            "m" | "min" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let nanos = u64::try_from(number.checked_mul(nanos)? / MILLION).ok()?;
        Some(Duration::from_nanos(nanos)).filter(|time| !time.is_zero())
    };
    read().ok_or_else(|| format!("`{text}` is not a time above 0; write it as 60s, 500ms, 2min or 1h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_take_multipliers_and_refuse_fractions() {
        assert_eq!(count("10_000"), Ok(10_000));
        assert_eq!(count("1.5k"), Ok(1_500));
        assert_eq!(count("2M"), Ok(2_000_000));
        for bad in ["", "0", "1.5", "k", "10x", "-1", "1..2", "999999999999999999999"] {
            assert!(count(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_tell_kib_from_kb() {
        assert_eq!(bytes("10MiB"), Ok(10 << 20));
        assert_eq!(bytes("10MB"), Ok(10_000_000));
        assert_eq!(bytes("512"), Ok(512));
        assert!(bytes("ten").is_err() && bytes("0").is_err() && bytes("1TiB").is_err());
    }

    #[test]
    fn times_name_their_unit() {
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("1.5min"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        assert!(duration("0s").is_err() && duration("1d").is_err());
    }
}
