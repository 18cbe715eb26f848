//! From the text of a template to its ops.

use super::TemplateError;
use super::op::Op;
use super::token::{self, Built};

/// Most values that one record may draw inside of `{{repeat}}` blocks: a slip there must not fill the memory.
const MAX_REPEATS: usize = 1_000_000;

/// A `{{repeat(n)}}` whose `{{end}}` was not reached yet.
struct Open {
    times: usize,
    /// Byte offset of the token, for the error about a missing end.
    at: usize,
    before: Vec<Op>,
}

/// Compiles the text of a template.
pub(crate) fn parse(text: &str) -> Result<Vec<Op>, TemplateError> {
    let mut ops: Vec<Op> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    while let Some(start) = text.get(at..).and_then(|rest| rest.find("{{")).map(|offset| at + offset) {
        push_text(&mut ops, text.get(at..start).unwrap_or_default());
        let located = |message: String| TemplateError::new(format!("{}: {message}", position(text, start)));
        let inside = text.get(start + 2..).unwrap_or_default();
        let (source, length) = split_token(inside).map_err(located)?;
        at = start + 2 + length;
        match token::build(source).map_err(located)? {
            Built::Op(op) => ops.push(op),
            Built::Repeat(times) => {
                let nested: usize = open.iter().map(|outer| outer.times.max(1)).product();
                if times.saturating_mul(nested) > MAX_REPEATS {
                    return Err(located(format!("repeat: more than {MAX_REPEATS} rounds in one record")));
                }
                open.push(Open { times, at: start, before: std::mem::take(&mut ops) });
            }
            Built::End => {
                let Open { times, before, .. } =
                    open.pop().ok_or_else(|| located("`{{end}}` without `{{repeat(n)}}` before it".to_owned()))?;
                let body = std::mem::replace(&mut ops, before).into_boxed_slice();
                ops.push(Op::Repeat { times, body });
            }
        }
    }
    push_text(&mut ops, text.get(at..).unwrap_or_default());
    match open.last() {
        Some(open) => {
            Err(TemplateError::new(format!("{}: `{{{{repeat}}}}` without its `{{{{end}}}}`", position(text, open.at))))
        }
        None if ops.is_empty() => Err(TemplateError::new("the template is empty")),
        None => Ok(ops),
    }
}

/// Line breaks are dropped, as the Kinesis Data Generator does: a record is one line.
fn push_text(ops: &mut Vec<Op>, text: &str) {
    let text = text.replace(['\r', '\n'], "");
    match ops.last_mut() {
        _ if text.is_empty() => {}
        Some(Op::Text(before)) => before.push_str(&text),
        _ => ops.push(Op::Text(text)),
    }
}

/// The inside of the token that `text` starts with, and its length with the closing braces.
/// Braces in its arguments and its strings do not close it.
fn split_token(text: &str) -> Result<(&str, usize), String> {
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'(' | b'[' | b'{' => depth += 1,
            b'}' if depth == 0 => {
                let closed = text.get(index..).is_some_and(|rest| rest.starts_with("}}"));
                let inside = text.get(..index).filter(|_| closed);
                return inside.map(|inside| (inside, index + 2)).ok_or_else(|| unclosed(text));
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Err(unclosed(text))
}

fn unclosed(text: &str) -> String {
    let start: String = text.chars().take(24).take_while(|c| *c != '\n').collect();
    format!("the token `{{{{{start}` is not closed: expected `}}}}` after its name and arguments")
}

fn position(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}")
}
