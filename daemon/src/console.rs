//! What people read: lines on stdout, or on stderr when stdout carries JSON.

use alluvial_runtime::exit::Failure;
use std::io::{IsTerminal as _, Write as _};

/// Writes text to stdout.
///
/// # Errors
/// When stdout is closed.
pub(crate) fn out(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::internal(format!("cannot write to stdout: {error}")))
}

/// Lines for a person who watches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Console {
    to_stderr: bool,
    live: bool,
    colour: bool,
}

impl Console {
    /// To stdout, or to stderr when `json` takes stdout.
    pub(crate) fn new(json: bool) -> Self {
        let terminal = if json { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() };
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { to_stderr: json, live: terminal, colour }
    }

    /// True when lines may be drawn over.
    pub(crate) fn is_live(self) -> bool {
        self.live
    }

    /// One line. A closed pipe is no reason to stop the work.
    pub(crate) fn line(self, text: &str) {
        self.raw(&format!("{text}\n"));
    }

    /// One line about a step that is done.
    pub(crate) fn done(self, step: &str, text: &str) {
        let mark = if self.colour { "\x1b[32m✓\x1b[0m" } else { "✓" };
        self.line(&format!("  {mark} {step:<13} {text}"));
    }

    /// One line about a step that failed.
    pub(crate) fn failed(self, step: &str, text: &str) {
        let mark = if self.colour { "\x1b[31m✗\x1b[0m" } else { "✗" };
        self.line(&format!("  {mark} {step:<13} {text}"));
    }

    /// Text as it is.
    pub(crate) fn raw(self, text: &str) {
        let written = if self.to_stderr {
            std::io::stderr().write_all(text.as_bytes())
        } else {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
        };
        written.ok();
    }
}

/// A value as one word of a POSIX shell.
pub(crate) fn shell_word(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', "'\\''"))
    }
}

/// 1234567 as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// 1234567 as `1.2 MB`; powers of ten.
pub(crate) fn megabytes(bytes: u64) -> String {
    let (whole, tenth) = (bytes / 1_000_000, bytes % 1_000_000 / 100_000);
    if whole < 10 { format!("{whole}.{tenth} MB") } else { format!("{} MB", grouped(whole)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_spaces_or_quotes_is_one_word() {
        assert_eq!(shell_word("/a/b-1.pem"), "/a/b-1.pem");
        assert_eq!(shell_word("/my aws/it's"), r"'/my aws/it'\''s'");
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!([grouped(0), grouped(999), grouped(1_000), grouped(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([megabytes(0), megabytes(1_250_000), megabytes(512_000_000)], ["0.0 MB", "1.2 MB", "512 MB"]);
    }
}
