//! How a value becomes the name of a folder.

use std::fmt::Write as _;

/// Hive's name for "not known".
pub(crate) const DEFAULT: &str = "__HIVE_DEFAULT_PARTITION__";

/// Bytes of one level's value, escaped, at most: file systems hold names of 255 bytes, S3 whole keys of 1,024.
const MAX_VALUE: usize = 180;

/// Whether a folder's name shows this value. Otherwise its rows go to the default partition, as those of null do.
pub(crate) fn is_shown(value: &str) -> bool {
    !value.is_empty() && value != DEFAULT && escaped(value).len() <= MAX_VALUE
}

/// The folder of a level: `name=value`, the default where there is no value that can be shown.
pub(crate) fn folder(name: &str, value: Option<&str>) -> String {
    let value = value.filter(|value| is_shown(value)).map_or_else(|| DEFAULT.to_owned(), escaped);
    format!("{}={value}", escaped(name))
}

/// The text with `%XX` for the characters that Hive's `FileUtils.escapePathName` escapes, and for a blank at an end,
/// which some file systems drop.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.len().saturating_sub(1);
    for (at, character) in text.char_indices() {
        let escape = match character {
            '\0'..='\x1f' | '\x7f' => true,
            '"' | '#' | '%' | '\'' | '*' | '/' | ':' | '=' | '?' | '\\' | '{' | '[' | ']' | '^' => true,
            // Harmless to Hive, and read alike by all; keys and URLs are better off without them.
            '<' | '>' | '|' | '+' | '&' => true,
            ' ' => at == 0 || at == last,
            _ => false,
        };
        if escape {
            // Writing to a string cannot fail.
            write!(out, "%{:02X}", u32::from(character)).ok();
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_values_stay_in_their_folder() {
        for (value, expected) in [
            ("NO", "site=NO"),
            ("..", "site=.."),
            ("../../etc", "site=..%2F..%2Fetc"),
            ("a=b", "site=a%3Db"),
            ("100%", "site=100%25"),
            ("\0\n", "site=%00%0A"),
            (" a b ", "site=%20a b%20"),
            ("C:\\x", "site=C%3A%5Cx"),
            ("sør", "site=sør"),
            ("", "site=__HIVE_DEFAULT_PARTITION__"),
            (DEFAULT, "site=__HIVE_DEFAULT_PARTITION__"),
        ] {
            assert_eq!(folder("site", Some(value)), expected);
            assert!(!folder("site", Some(value)).contains('/'));
        }
        assert_eq!(folder("a/b=c", None), "a%2Fb%3Dc=__HIVE_DEFAULT_PARTITION__");
    }

    #[test]
    fn a_value_that_no_folder_can_show_goes_to_the_default() {
        assert!(is_shown(&"x".repeat(MAX_VALUE)));
        assert!(!is_shown(&"x".repeat(MAX_VALUE + 1)));
        assert!(!is_shown(&"/".repeat(MAX_VALUE / 2)));
        assert_eq!(folder("n", Some(&"/".repeat(100))), format!("n={DEFAULT}"));
    }
}
