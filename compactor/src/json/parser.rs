//! The parser: one JSON object at a time, resumable at any byte.

use super::value::{Kind, Token};

/// Characters of one number. Longer ones are refused, so that a number cut by the end of the input, which is read
/// again from its first digit, cannot cost more than this.
const MAX_NUMBER: usize = 4096;

/// Why a text is not a JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Syntax {
    #[error("not valid JSON")]
    Unexpected,
    #[error("a control character within a string")]
    Control,
    #[error("an unknown escape within a string")]
    Escape,
    #[error("nested deeper than {0} levels")]
    TooDeep(usize),
    #[error("a number of more than {MAX_NUMBER} characters")]
    LongNumber,
}

/// How far the parser came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The object ends after this many bytes.
    Complete(usize),
    /// All that is there was read, and the object goes on.
    Incomplete,
    /// The byte `at` cannot stand where it stands.
    Bad { at: usize, why: Syntax },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    FirstElement,
    FirstKey,
    Key,
    Colon,
    CommaOrEnd,
}

/// A string whose end was not reached yet.
#[derive(Debug, Clone, Copy)]
struct OpenString {
    start: usize,
    escaped: bool,
    is_key: bool,
}

/// Parses one object, whose text may grow between calls.
#[derive(Debug)]
pub(crate) struct Parser {
    tape: Vec<Token>,
    /// Tape indexes of the containers that are open.
    open: Vec<u32>,
    expect: Expect,
    at: usize,
    string: Option<OpenString>,
    max_depth: usize,
}

/// `Err` leaves the loop: the object is complete, more text is needed, or the text is bad.
type Flow = Result<(), Step>;

impl Parser {
    /// Objects and arrays may lie within each other up to `max_depth` times.
    pub(crate) fn new(max_depth: usize) -> Self {
        Self { tape: Vec::new(), open: Vec::new(), expect: Expect::Value, at: 0, string: None, max_depth }
    }

    /// Forgets the last object. The next call of [`Parser::resume`] begins a new one.
    pub(crate) fn begin(&mut self) {
        self.tape.clear();
        self.open.clear();
        self.expect = Expect::Value;
        self.at = 0;
        self.string = None;
    }

    /// The tokens of the object that was completed last.
    pub(crate) fn tape(&self) -> &[Token] {
        &self.tape
    }

    /// Reads on. `row` holds the object from its first byte on, and at least what the last call was given.
    /// It must begin with `{` and be shorter than 4 GiB.
    pub(crate) fn resume(&mut self, row: &[u8]) -> Step {
        loop {
            let flow = if self.string.is_some() { self.string_goes_on(row) } else { self.token(row) };
            if let Err(step) = flow {
                return step;
            }
        }
    }

    fn token(&mut self, row: &[u8]) -> Flow {
        while row.get(self.at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        let &byte = row.get(self.at).ok_or(Step::Incomplete)?;
        match (self.expect, byte) {
            (Expect::FirstElement, b']') => self.close(Kind::Array),
            (Expect::FirstKey, b'}') => self.close(Kind::Object),
            (Expect::CommaOrEnd, b']') => self.close(Kind::Array),
            (Expect::CommaOrEnd, b'}') => self.close(Kind::Object),
            (Expect::CommaOrEnd, b',') => {
                self.expect = if self.within() == Some(Kind::Object) { Expect::Key } else { Expect::Value };
                self.at += 1;
                Ok(())
            }
            (Expect::Colon, b':') => {
                self.expect = Expect::Value;
                self.at += 1;
                Ok(())
            }
            (Expect::FirstKey | Expect::Key, b'"') => self.string_begins(true),
            (Expect::Value | Expect::FirstElement, _) => self.value(row, byte),
            _ => Err(self.bad(Syntax::Unexpected)),
        }
    }

    fn value(&mut self, row: &[u8], byte: u8) -> Flow {
        match byte {
            b'{' => self.open(Kind::Object, Expect::FirstKey),
            b'[' => self.open(Kind::Array, Expect::FirstElement),
            b'"' => self.string_begins(false),
            b'-' | b'0'..=b'9' => self.number(row),
            b't' => self.literal(row, b"true", Kind::True),
            b'f' => self.literal(row, b"false", Kind::False),
            b'n' => self.literal(row, b"null", Kind::Null),
            _ => Err(self.bad(Syntax::Unexpected)),
        }
    }

    fn bad(&self, why: Syntax) -> Step {
        Step::Bad { at: self.at, why }
    }

    fn within(&self) -> Option<Kind> {
        self.open.last().map(|&index| self.tape[index as usize].kind)
    }

    fn open(&mut self, kind: Kind, expect: Expect) -> Flow {
        if self.open.len() >= self.max_depth {
            return Err(self.bad(Syntax::TooDeep(self.max_depth)));
        }
        self.open.push(offset(self.tape.len()));
        self.push(kind, self.at, self.at + 1);
        self.expect = expect;
        self.at += 1;
        Ok(())
    }

    fn close(&mut self, kind: Kind) -> Flow {
        if self.within() != Some(kind) {
            return Err(self.bad(Syntax::Unexpected));
        }
        self.at += 1;
        let next = offset(self.tape.len());
        if let Some(token) = self.open.pop().and_then(|index| self.tape.get_mut(index as usize)) {
            token.end = offset(self.at);
            token.next = next;
        }
        self.expect = Expect::CommaOrEnd;
        if self.open.is_empty() { Err(Step::Complete(self.at)) } else { Ok(()) }
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) {
        let next = offset(self.tape.len() + 1);
        self.tape.push(Token { kind, start: offset(start), end: offset(end), next });
    }

    fn literal(&mut self, row: &[u8], word: &[u8], kind: Kind) -> Flow {
        let rest = &row[self.at..];
        if rest.starts_with(word) {
            self.push(kind, self.at, self.at + word.len());
            self.at += word.len();
            self.expect = Expect::CommaOrEnd;
            return Ok(());
        }
        Err(if word.starts_with(rest) { Step::Incomplete } else { self.bad(Syntax::Unexpected) })
    }

    fn number(&mut self, row: &[u8]) -> Flow {
        let rest = &row[self.at..];
        let digits = |from: usize| from + rest[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let whole = usize::from(rest.first() == Some(&b'-'));
        // A leading zero stands alone; what follows it is then refused as a byte out of place.
        let mut end = if rest.get(whole) == Some(&b'0') { whole + 1 } else { digits(whole) };
        let mut last_part = whole;
        let mut float = rest.starts_with(b"-0");
        if end > whole && rest.get(end) == Some(&b'.') {
            (float, last_part) = (true, end + 1);
            end = digits(last_part);
        }
        if end > last_part && rest.get(end).is_some_and(|byte| byte | 0x20 == b'e') {
            let sign = usize::from(rest.get(end + 1).is_some_and(|byte| matches!(byte, b'+' | b'-')));
            (float, last_part) = (true, end + 1 + sign);
            end = digits(last_part);
        }
        if end > MAX_NUMBER {
            return Err(self.bad(Syntax::LongNumber));
        }
        // Within an object something always follows a number; at the end of the text, more digits may come.
        if end >= rest.len() {
            return Err(Step::Incomplete);
        }
        if end == last_part {
            return Err(Step::Bad { at: self.at + end, why: Syntax::Unexpected });
        }
        self.push(if float { Kind::Float } else { Kind::Int }, self.at, self.at + end);
        self.at += end;
        self.expect = Expect::CommaOrEnd;
        Ok(())
    }

    fn string_begins(&mut self, is_key: bool) -> Flow {
        self.at += 1;
        self.string = Some(OpenString { start: self.at, escaped: false, is_key });
        Ok(())
    }

    fn string_goes_on(&mut self, row: &[u8]) -> Flow {
        let Some(mut string) = self.string else { return Ok(()) };
        loop {
            let rest = &row[self.at..];
            let stop = memchr::memchr2(b'"', b'\\', rest);
            let plain = &rest[..stop.unwrap_or(rest.len())];
            if let Some(control) = plain.iter().position(|byte| *byte < 0x20) {
                self.at += control;
                return Err(self.bad(Syntax::Control));
            }
            self.at += plain.len();
            match row.get(self.at) {
                None => {
                    self.string = Some(string);
                    return Err(Step::Incomplete);
                }
                Some(b'"') => break,
                Some(_) => {
                    string.escaped = true;
                    self.string = Some(string);
                    self.at += self.escape(&row[self.at + 1..])?;
                }
            }
        }
        let kind = if string.escaped { Kind::EscapedText } else { Kind::Text };
        self.push(kind, string.start, self.at);
        self.at += 1;
        self.string = None;
        self.expect = if string.is_key { Expect::Colon } else { Expect::CommaOrEnd };
        Ok(())
    }

    /// The length of an escape, its backslash included. `rest` follows the backslash.
    fn escape(&self, rest: &[u8]) -> Result<usize, Step> {
        match rest.first() {
            None => Err(Step::Incomplete),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
            Some(b'u') => {
                let digits = &rest[1..rest.len().min(5)];
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(self.bad(Syntax::Escape));
                }
                if digits.len() == 4 { Ok(6) } else { Err(Step::Incomplete) }
            }
            Some(_) => Err(self.bad(Syntax::Escape)),
        }
    }
}

/// Rows are bounded at 1 GiB by the settings' check, and a tape holds fewer tokens than its row has bytes.
fn offset(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
