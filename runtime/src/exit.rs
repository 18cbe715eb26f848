//! Exit codes, and the error that a command ends with.

use std::io::Write as _;
use std::process::ExitCode;

/// How a command ended. The numbers are a contract with scripts and schedulers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All was done.
    Done = 0,
    /// A fault of ours.
    Internal = 1,
    /// The command line or the settings are wrong; the same call fails again.
    Usage = 2,
    /// Done in part: something was quarantined, dead-lettered or lost, and the report says what.
    Partial = 3,
    /// A remote service refused or was out of reach; the same call may work later.
    Remote = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command stopped, in words for the person who ran it: what, where, and the fix.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    /// The command line or the settings are wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }

    /// A fault of ours, or of this machine (disk, memory).
    pub fn internal(message: impl Into<String>) -> Self {
        Self { exit: Exit::Internal, message: message.into() }
    }

    /// A remote service refused or was out of reach.
    pub fn remote(message: impl Into<String>) -> Self {
        Self { exit: Exit::Remote, message: message.into() }
    }

    /// The code that the process ends with.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

/// An error and its causes in one line, each cause once.
///
/// SDK errors print as "service error"; what a person needs is further down the chain.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let line = inner.to_string();
        if !text.contains(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        cause = inner.source();
    }
    text
}

/// Turns a command's result into the process's exit code; a failure is printed to stderr as `error: …`.
pub fn finish(result: Result<Exit, Failure>) -> ExitCode {
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            // Nothing can be done about a closed stderr; the exit code still tells.
            writeln!(std::io::stderr(), "error: {failure}").ok();
            failure.exit.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("service error")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("no such stream: orders")]
    struct Inner;

    #[test]
    fn chain_names_every_cause_once() {
        assert_eq!(chain(&Outer(Inner)), "service error: no such stream: orders");
    }

    #[test]
    fn exit_codes_are_the_documented_numbers() {
        let codes = [Exit::Done, Exit::Internal, Exit::Usage, Exit::Partial, Exit::Remote].map(|exit| exit as u8);
        assert_eq!(codes, [0, 1, 2, 3, 4]);
    }
}
