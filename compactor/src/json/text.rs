//! String escapes.

/// What stands for half of a surrogate pair, which no UTF-8 text can hold.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// Appends `raw`, a string as it stands in a row, to `out` with its escapes resolved.
///
/// Returns how many halves of UTF-16 surrogate pairs were replaced by U+FFFD. `raw` must have passed the parser.
pub(crate) fn unescape(raw: &str, out: &mut String) -> u64 {
    let mut rest = raw;
    let mut replaced = 0;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let mut tail = rest[at + 1..].chars();
        let escape = tail.next();
        rest = tail.as_str();
        match escape {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let (decoded, used) = code_point(rest);
                replaced += u64::from(decoded.is_none());
                out.push(decoded.unwrap_or(REPLACEMENT));
                rest = rest.get(used..).unwrap_or_default();
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out.push_str(rest);
    replaced
}

/// The character of a `\u` escape, and the bytes it takes after the `u`.
fn code_point(rest: &str) -> (Option<char>, usize) {
    let Some(first) = unit(rest) else { return (None, rest.len().min(4)) };
    if !(0xd800..0xdc00).contains(&first) {
        return (char::from_u32(first), 4);
    }
    let second = rest.get(4..).and_then(|tail| tail.strip_prefix("\\u")).and_then(unit);
    match second {
        Some(low) if (0xdc00..0xe000).contains(&low) => {
            (char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00)), 10)
        }
        _ => (None, 4),
    }
}

fn unit(text: &str) -> Option<u32> {
    text.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(raw: &str) -> (String, u64) {
        let mut out = String::new();
        let replaced = unescape(raw, &mut out);
        (out, replaced)
    }

    #[test]
    fn every_escape_of_the_grammar_is_resolved() {
        assert_eq!(of(r#"a\"\\\/\b\f\n\r\tz"#), ("a\"\\/\u{8}\u{c}\n\r\tz".to_owned(), 0));
        assert_eq!(of(r"\u00e9\u0000\u20AC"), ("é\0€".to_owned(), 0));
        assert_eq!(of(r"\ud83d\ude00!"), ("😀!".to_owned(), 0));
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced_and_counted() {
        assert_eq!(of(r"\ud800"), ("\u{fffd}".to_owned(), 1));
        assert_eq!(of(r"\udc00x"), ("\u{fffd}x".to_owned(), 1));
        assert_eq!(of(r"\ud800\u0041"), ("\u{fffd}A".to_owned(), 1));
        assert_eq!(of(r"\ud800\ud83d\ude00"), ("\u{fffd}😀".to_owned(), 1));
    }
}
