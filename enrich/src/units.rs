//! Sizes and times as people write them in a settings file.

use std::time::Duration;

/// Reads a size such as `1000KiB`, `4 MiB`, `5MB` or `1024` (bytes). KB and MB are powers of ten, KiB and MiB of two.
///
/// # Errors
/// What is wrong, with examples.
pub fn parse_bytes(text: &str) -> Result<usize, String> {
    let (number, unit) = split(text);
    let factor: u64 = match unit {
        "" | "B" => 1,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(format!("{text:?} is not a size; write 1000KiB, 4MiB or a number of bytes")),
    };
    let number: u64 =
        number.parse().map_err(|_| format!("{text:?} is not a size; write 1000KiB, 4MiB or a number of bytes"))?;
    number
        .checked_mul(factor)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| format!("{text:?} is larger than this machine can address"))
}

/// Reads a time such as `500ms`, `1s`, `2m` or `1h`. A bare number is refused: its unit would be a guess.
///
/// # Errors
/// What is wrong, with examples.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("{text:?} is not a time; write 500ms, 1s, 2m or 1h")),
    };
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is not a time; write 500ms, 1s, 2m or 1h"))?;
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(|| format!("{text:?} is too long"))
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_as_people_mean_them() {
        assert_eq!(parse_bytes("1000KiB"), Ok(1_024_000));
        assert_eq!(parse_bytes("4 MiB"), Ok(4_194_304));
        assert_eq!(parse_bytes("5120"), Ok(5_120));
        assert_eq!(parse_duration("1s"), Ok(Duration::from_secs(1)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn what_has_no_unit_or_a_wrong_one_is_refused_with_examples() {
        for bad in ["10", "s", "1 day", "-1s", "1.5s", ""] {
            assert!(parse_duration(bad).unwrap_err().contains("500ms"), "{bad}");
        }
        for bad in ["big", "1TiBB", "", "-3", "99999999999999999999"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }
}
