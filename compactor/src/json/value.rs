//! A parsed value: tokens on a tape, over the row's text.

use super::text::unescape;
use std::borrow::Cow;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    True,
    False,
    /// A number without fraction and exponent, and not `-0`, which only a double can hold.
    Int,
    /// Any other number.
    Float,
    /// A string without escapes.
    Text,
    /// A string with escapes.
    EscapedText,
    Object,
    Array,
}

/// One token. Of a string, the text lies between the quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// Bytes from the start of the row.
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// The index on the tape of what follows this value and all that it holds.
    pub(crate) next: u32,
}

/// A value of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'a> {
    row: &'a str,
    tape: &'a [Token],
    at: usize,
}

impl<'a> Value<'a> {
    /// The row's object. `tape` must come from a parser that completed `row`.
    pub(crate) fn root(row: &'a str, tape: &'a [Token]) -> Self {
        Self { row, tape, at: 0 }
    }

    pub(crate) fn kind(self) -> Kind {
        self.tape[self.at].kind
    }

    /// The value as it stands in the row; a string without its quotes, its escapes untouched.
    pub(crate) fn source(self) -> &'a str {
        let token = self.tape[self.at];
        &self.row[token.start as usize..token.end as usize]
    }

    /// A string's text with its escapes resolved, and any other value's JSON text; with it, the number of halves of
    /// surrogate pairs that were replaced.
    pub(crate) fn text(self) -> (Cow<'a, str>, u64) {
        if self.kind() == Kind::EscapedText {
            let mut text = String::with_capacity(self.source().len());
            let replaced = unescape(self.source(), &mut text);
            return (Cow::Owned(text), replaced);
        }
        (Cow::Borrowed(self.source()), 0)
    }

    /// The keys and values of an object, in the order written; nothing for any other kind.
    pub(crate) fn members(self) -> impl Iterator<Item = (Self, Self)> {
        let mut keys = self.children(Kind::Object, 1);
        std::iter::from_fn(move || keys.next().map(|key| (key, Self { at: key.at + 1, ..key })))
    }

    /// The elements of an array; nothing for any other kind.
    pub(crate) fn elements(self) -> impl Iterator<Item = Self> {
        self.children(Kind::Array, 0)
    }

    /// Every child of a container of `kind`; `lead` tokens (an object's key) stand before each value.
    fn children(self, kind: Kind, lead: usize) -> impl Iterator<Item = Self> {
        let end = if self.kind() == kind { self.tape[self.at].next as usize } else { 0 };
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            (at < end).then(|| {
                let child = Self { at, ..self };
                at = self.tape[at + lead].next as usize;
                child
            })
        })
    }
}
