//! Why a consumer operation failed, sorted by what the caller does next.

use std::error::Error as StdError;

/// Why a consumer operation failed. Act on [`Error::kind`]; show the rest to a person.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What the caller should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A service is throttled or out of reach: try again later. Nothing is known to have been applied.
    Wait,
    /// Another worker owns the shard: stop without checkpointing.
    LostLease,
    /// A row of the lease table cannot be read: its shard halts until a person mends it, and the others go on.
    Garbled,
    /// A fault of ours: a task panicked.
    Internal,
    /// The processor failed on a record, and the policy is to stop. Nothing at or after that record is checkpointed.
    Processing,
    /// Settings or stored data are wrong, or records were lost to retention. Page a person; trying again is no use.
    Fatal,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(crate) fn caused(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Self { kind, message: message.into(), source: Some(Box::new(source)) }
    }

    /// A setting that cannot be: its name, the value given, and what it may be.
    pub(crate) fn setting(field: &str, value: impl std::fmt::Display, wanted: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::Fatal, format!("setting {field} is {value}: {wanted} is wanted"))
    }

    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// Error codes that no retry can mend: the caller may not do this, or names what does not exist.
const FINAL_CODES: [&str; 8] = [
    "AccessDeniedException",
    "InvalidSignatureException",
    "UnrecognizedClientException",
    "ResourceNotFoundException",
    "ValidationException",
    "InvalidArgumentException",
    "InvalidClientTokenId",
    "KMSAccessDeniedException",
];

/// The kind that an AWS error code means for a control-plane call.
pub(crate) fn kind_of_code(code: Option<&str>) -> ErrorKind {
    match code {
        Some(code) if FINAL_CODES.contains(&code) => ErrorKind::Fatal,
        _ => ErrorKind::Wait,
    }
}

/// Error codes of a DynamoDB table that takes no more for now.
const THROTTLING_CODES: [&str; 3] =
    ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"];

/// True when a call was refused because there are too many.
pub(crate) fn is_throttling(code: Option<&str>) -> bool {
    code.is_some_and(|code| THROTTLING_CODES.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_person_must_mend_is_fatal() {
        assert_eq!(kind_of_code(Some("AccessDeniedException")), ErrorKind::Fatal);
        assert_eq!(kind_of_code(Some("ProvisionedThroughputExceededException")), ErrorKind::Wait);
        assert_eq!(kind_of_code(None), ErrorKind::Wait);
        assert!(
            is_throttling(Some("ThrottlingException"))
                && !is_throttling(Some("InternalServerError"))
                && !is_throttling(None)
        );
    }
}
