//! Words and marks of DDL.

use crate::error::Error;

/// A piece of DDL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A bare word or a number.
    Word(String),
    /// A name in backticks or double quotes.
    Quoted(String),
    /// A string in single quotes.
    Text(String),
    Mark(char),
}

/// The tokens of a text, each with its line, from 1. Comments are left out.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, Error> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    let mut line = 1;
    while let Some(character) = rest.next() {
        match character {
            '\n' => line += 1,
            '-' if rest.peek() == Some(&'-') => {
                while rest.peek().is_some_and(|next| *next != '\n') {
                    rest.next();
                }
            }
            '/' if rest.peek() == Some(&'*') => {
                let mut last = ' ';
                for next in rest.by_ref() {
                    line += usize::from(next == '\n');
                    if last == '*' && next == '/' {
                        break;
                    }
                    last = next;
                }
            }
            '`' | '"' | '\'' => {
                let name = quoted(character, &mut rest, line)?;
                tokens.push((if character == '\'' { Token::Text(name) } else { Token::Quoted(name) }, line));
            }
            space if space.is_whitespace() => {}
            letter if letter.is_alphanumeric() || matches!(letter, '_' | '$' | '@') => {
                let mut word = String::from(letter);
                while let Some(next) = rest.next_if(|next| next.is_alphanumeric() || matches!(next, '_' | '$' | '@')) {
                    word.push(next);
                }
                tokens.push((Token::Word(word), line));
            }
            mark => tokens.push((Token::Mark(mark), line)),
        }
    }
    Ok(tokens)
}

/// What stands up to the closing quote; a doubled one is one of the name.
fn quoted(quote: char, rest: &mut std::iter::Peekable<std::str::Chars<'_>>, line: usize) -> Result<String, Error> {
    let mut name = String::new();
    loop {
        match rest.next() {
            Some(next) if next == quote => {
                if rest.next_if_eq(&quote).is_none() {
                    return Ok(name);
                }
                name.push(quote);
            }
            Some(next) => name.push(next),
            None => return Err(Error::Usage(format!("schema, line {line}: a {quote} is not closed"))),
        }
    }
}
