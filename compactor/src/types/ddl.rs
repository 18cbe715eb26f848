//! Reads the columns of a `CREATE TABLE`, as Athena, Hive, Spark and DuckDB write them.

use super::Type;
use super::lexer::{Token, tokens};
use crate::error::Error;

/// Types within each other, at most, and one more in the innermost: as many as the columns that are found have.
const MAX_DEPTH: usize = 64;

/// The columns of `text`: of a statement, or a list of columns alone. What follows the list (partitions, format,
/// location, properties) is not looked at.
pub(super) fn parse(text: &str) -> Result<Vec<(Box<str>, Type)>, Error> {
    let mut ddl = Ddl { tokens: tokens(text)?, at: 0 };
    let statement = ddl.is_word("create");
    if statement {
        while !ddl.is_mark('(') {
            if ddl.next().is_none() {
                return Err(ddl.wrong("CREATE TABLE without a list of columns"));
            }
        }
    }
    let in_brackets = ddl.take_mark('(');
    let columns = ddl.fields(in_brackets.then_some(')'), 0)?;
    if !in_brackets && ddl.peek().is_some() && !ddl.take_mark(';') {
        return Err(ddl.wrong("a comma or the end is missing"));
    }
    Ok(columns)
}

/// A type alone.
pub(super) fn parse_type(text: &str) -> Result<Type, Error> {
    let mut ddl = Ddl { tokens: tokens(text)?, at: 0 };
    let kind = ddl.kind(1)?;
    if ddl.peek().is_some() { Err(ddl.wrong("the type ends before this")) } else { Ok(kind) }
}

struct Ddl {
    tokens: Vec<(Token, usize)>,
    at: usize,
}

impl Ddl {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += usize::from(token.is_some());
        token
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    fn is_mark(&self, mark: char) -> bool {
        self.peek() == Some(&Token::Mark(mark))
    }

    fn take_mark(&mut self, mark: char) -> bool {
        let found = self.is_mark(mark);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, mark: char) -> Result<(), Error> {
        if self.take_mark(mark) { Ok(()) } else { Err(self.wrong(&format!("{mark} is missing"))) }
    }

    fn wrong(&self, what: &str) -> Error {
        let line = self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |(_, line)| *line);
        let before = match self.peek() {
            Some(Token::Word(word) | Token::Quoted(word) | Token::Text(word)) => format!(", before {word:?}"),
            Some(Token::Mark(mark)) => format!(", before {mark:?}"),
            None => ", at the end".to_owned(),
        };
        Error::Usage(format!("schema, line {line}{before}: {what}"))
    }

    /// `name type, name: type …`, up to `end`, or to where no comma follows.
    fn fields(&mut self, end: Option<char>, depth: usize) -> Result<Vec<(Box<str>, Type)>, Error> {
        let mut fields = Vec::new();
        loop {
            if end.is_some_and(|end| self.take_mark(end)) {
                return Ok(fields);
            }
            let name = match self.next() {
                Some(Token::Word(name) | Token::Quoted(name)) => name,
                _ => {
                    self.at = self.at.saturating_sub(1);
                    return Err(self.wrong("the name of a column is missing"));
                }
            };
            self.take_mark(':');
            let kind = self.kind(depth + 1)?;
            self.suffixes();
            fields.push((name.into_boxed_str(), kind));
            if self.take_mark(',') {
                continue;
            }
            if let Some(end) = end {
                self.expect(end)?;
            }
            return Ok(fields);
        }
    }

    /// What may follow a column's type and says nothing of it.
    fn suffixes(&mut self) {
        loop {
            if self.take_word("comment") {
                self.next();
            } else if self.take_word("not") || self.take_word("null") {
                // Every column may be null: whether one ever is, the rows say.
            } else {
                return;
            }
        }
    }

    fn kind(&mut self, depth: usize) -> Result<Type, Error> {
        if depth > MAX_DEPTH + 1 {
            return Err(self.wrong(&format!("more than {MAX_DEPTH} types within each other")));
        }
        let Some(Token::Word(word)) = self.peek().cloned() else { return Err(self.wrong("a type is missing")) };
        self.at += 1;
        let mut kind = match word.to_lowercase().as_str() {
            "boolean" | "bool" => Type::Boolean,
            "tinyint" | "int8" => Type::Int(8),
            "smallint" | "int16" | "short" => Type::Int(16),
            "int" | "integer" | "int32" => Type::Int(32),
            "bigint" | "int64" | "long" => Type::Int(64),
            "float" | "real" | "float32" => Type::Float,
            "double" | "float64" => {
                self.take_word("precision");
                Type::Double
            }
            "string" | "text" => Type::Text,
            "varchar" | "char" => {
                self.numbers()?;
                Type::Text
            }
            "date" => Type::Date,
            "timestamp" | "timestamptz" | "timestamp_ltz" => {
                self.numbers()?;
                if self.take_word("with") && !(self.take_word("time") && self.take_word("zone")) {
                    return Err(self.wrong("TIMESTAMP WITH goes on with TIME ZONE"));
                }
                Type::Timestamp
            }
            "decimal" | "numeric" => self.decimal()?,
            "array" | "list" => Type::List(Box::new(self.one_of('<', '>', depth)?)),
            "struct" | "row" => {
                let end = if self.take_mark('<') { '>' } else { ')' };
                if end == ')' {
                    self.expect('(')?;
                }
                Type::Struct(self.fields(Some(end), depth)?)
            }
            "map" => self.map(depth)?,
            _ => {
                self.at -= 1;
                return Err(self.wrong(
                    "this is no type; there are boolean, tinyint, smallint, int, bigint, float, double, decimal(p,s), \
                     string, date, timestamp, array<…>, struct<name:…> and map<string,…>",
                ));
            }
        };
        while self.take_mark('[') {
            self.expect(']')?;
            kind = Type::List(Box::new(kind));
        }
        Ok(kind)
    }

    fn one_of(&mut self, open: char, close: char, depth: usize) -> Result<Type, Error> {
        self.expect(open)?;
        let kind = self.kind(depth + 1)?;
        self.expect(close)?;
        Ok(kind)
    }

    fn map(&mut self, depth: usize) -> Result<Type, Error> {
        let close = if self.take_mark('<') { '>' } else { ')' };
        if close == ')' {
            self.expect('(')?;
        }
        if self.kind(depth + 1)? != Type::Text {
            return Err(self.wrong("the keys of a map are strings, as JSON's are"));
        }
        self.expect(',')?;
        let values = self.kind(depth + 1)?;
        self.expect(close)?;
        Ok(Type::Map(Box::new(values)))
    }

    fn decimal(&mut self) -> Result<Type, Error> {
        // Hive's defaults.
        let (precision, scale) = match self.numbers()?.as_slice() {
            [] => (10, 0),
            [precision] => (*precision, 0),
            [precision, scale] => (*precision, *scale),
            _ => return Err(self.wrong("a decimal has two numbers, as in decimal(10,2)")),
        };
        Type::decimal(precision, scale).ok_or_else(|| self.wrong("a decimal has 1 to 38 digits, a fraction included"))
    }

    /// `(1, 2)`, if it follows.
    fn numbers(&mut self) -> Result<Vec<u64>, Error> {
        let mut numbers = Vec::new();
        if !self.take_mark('(') {
            return Ok(numbers);
        }
        loop {
            match self.next() {
                Some(Token::Word(word)) if word.bytes().all(|byte| byte.is_ascii_digit()) => {
                    numbers.push(word.parse().map_err(|_| self.wrong("a number is too large"))?);
                }
                _ => {
                    self.at = self.at.saturating_sub(1);
                    return Err(self.wrong("a number is missing"));
                }
            }
            if self.take_mark(')') {
                return Ok(numbers);
            }
            self.expect(',')?;
        }
    }
}
