//! One row of JSON, parsed to a tape of tokens that point into the row's text.
//!
//! The parser is written for this crate, and not taken from a library, for three reasons: it stops and resumes at any
//! byte, so a row may arrive in pieces without being parsed twice; it keeps the text of every value, so a number that
//! no column type holds is not lost; and it does not recurse, so no input exhausts the stack.
//! Grammar: RFC 8259.

mod canonical;
pub(crate) mod number;
mod parser;
mod text;
mod value;

pub(crate) use canonical::{quote, write_canonical};
pub(crate) use parser::{Parser, Step, Syntax};
pub(crate) use text::unescape;
pub(crate) use value::Value;
