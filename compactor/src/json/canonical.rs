//! The one JSON text that a value has.

use super::number;
use super::value::{Kind, Value};
use std::fmt::Write as _;

/// Appends `value` without blanks, members by name, the last of several equal keys, no null members, and numbers as
/// [`number::write_number`] has them. Returns how many halves of surrogate pairs were replaced by U+FFFD.
///
/// Recursion is bounded by the depth that the parser allowed.
pub(crate) fn write_canonical(value: Value<'_>, out: &mut String) -> u64 {
    match value.kind() {
        Kind::Object => write_object(value, out),
        Kind::Array => {
            let mut replaced = 0;
            out.push('[');
            for (at, element) in value.elements().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                replaced += write_canonical(element, out);
            }
            out.push(']');
            replaced
        }
        Kind::Text | Kind::EscapedText => {
            let (text, replaced) = value.text();
            quote(&text, out);
            replaced
        }
        Kind::Int | Kind::Float => {
            number::write_number(value.source(), out);
            0
        }
        Kind::Null | Kind::True | Kind::False => {
            out.push_str(value.source());
            0
        }
    }
}

fn write_object(value: Value<'_>, out: &mut String) -> u64 {
    let mut replaced = 0;
    let mut members = Vec::new();
    for (key, value) in value.members() {
        let (name, halves) = key.text();
        replaced += halves;
        members.push((name, value));
    }
    // Stable: of equal keys, the last comes last.
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut separator = '{';
    for (at, (name, value)) in members.iter().enumerate() {
        let again = members.get(at + 1).is_some_and(|(next, _)| next == name);
        if again || value.kind() == Kind::Null {
            continue;
        }
        out.push(std::mem::replace(&mut separator, ','));
        quote(name, out);
        out.push(':');
        replaced += write_canonical(*value, out);
    }
    out.push_str(if separator == '{' { "{}" } else { "}" });
    replaced
}

/// Appends `text` as a JSON string, with the escapes that RFC 8259 asks for and no others.
pub(crate) fn quote(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| matches!(c, '"' | '\\' | '\0'..='\u{1f}')) {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            8 => out.push_str("\\b"),
            12 => out.push_str("\\f"),
            // Writing to a string cannot fail.
            control => write!(out, "\\u{control:04x}").unwrap_or(()),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Parser, Step};

    fn canonical(text: &str) -> String {
        let mut parser = Parser::new(64);
        assert_eq!(parser.resume(text.as_bytes()), Step::Complete(text.len()), "{text}");
        let mut out = String::new();
        write_canonical(Value::root(text, parser.tape()), &mut out);
        out
    }

    #[test]
    fn a_value_has_one_text() {
        let expected = r#"{"a":[1,null,"é\n"],"b":{"x":0.5}}"#;
        for text in [
            r#"{"a":[1,null,"é\n"],"b":{"x":0.5}}"#,
            r#"{ "b" : {"x":5e-1, "y":null} , "a" : [1.0, null, "\u00e9\u000a"] }"#,
            r#"{"a":7,"b":{"x":1,"x":0.50},"a":[1e0,null,"é\n"]}"#,
        ] {
            assert_eq!(canonical(text), expected);
        }
        assert_eq!(canonical(r#"{"a":null,"b":{"c":null}}"#), r#"{"b":{}}"#);
        assert_eq!(canonical("[]"), "[]");
    }

    #[test]
    fn strings_are_escaped_where_they_must_be() {
        let mut out = String::new();
        quote("a\"\\/\u{8}\u{c}\n\r\t\u{1}\u{7f}😀", &mut out);
        assert_eq!(out, "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\u{7f}😀\"");
    }
}
