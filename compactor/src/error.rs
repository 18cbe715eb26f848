//! Why a run stopped.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStreamError;
use std::io;
use std::path::Path;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a run stopped. Act on [`Error::kind`]; print the rest, with its sources.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The locations or the settings are wrong; the message says which and what to write instead.
    #[error("{0}")]
    Usage(String),
    /// S3 refused, or was out of reach after the SDK's retries.
    #[error("{action} {target}")]
    Remote {
        /// What was being done, as in "list".
        action: &'static str,
        /// The bucket or object.
        target: String,
        /// The SDK's error.
        #[source]
        source: Source,
    },
    /// This machine's disk or file system failed.
    #[error("{action} {path}")]
    Io {
        /// What was being done, as in "read".
        action: &'static str,
        /// The file or folder.
        path: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// An object is not the one that was listed. Nothing was committed.
    #[error("{object} changed after it was planned; its plan is given up and nothing of it was written, run again")]
    Changed {
        /// The object's full name.
        object: String,
    },
    /// Another run has given up the plan that this one was about to commit. Nothing of it is visible.
    #[error("plan {number} was given up by another run: {reason}; nothing of it was written, run again")]
    GivenUp {
        /// The plan's number.
        number: u64,
        /// Why it was given up.
        reason: String,
    },
    /// Another run has committed the same plan with other files, though these are a function of it: a fault of this
    /// program, or one of the two was another version of it.
    #[error("plan {plan} was committed by another run, with other files than this run made; please report it")]
    Diverged {
        /// The plan's name.
        plan: String,
    },
    /// What a share of a plan has left cannot be used.
    #[error("{path}: {fault}; remove the .json and the .parts of this share and run it again")]
    Share {
        /// The file's full name.
        path: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// Other runs were faster to write the table's summary, too often in a row. The plan itself is committed.
    #[error("{path} is written by others again and again; run again to bring it up to date")]
    Contended {
        /// The summary's full name.
        path: String,
    },
    /// An object that an earlier plan consumed now has other content, so its rows are partly in the destination.
    #[error(
        "{object} was compacted by plan {plan} and has been overwritten since; \
         give the new object a new name, or compact into an empty destination"
    )]
    Overwritten {
        /// The object's full name.
        object: String,
        /// The plan that consumed it.
        plan: String,
    },
    /// The rows have so many distinct fields that even the schema does not fit in memory.
    #[error("the rows have more than {limit} distinct fields, nested ones included: are keys used as values?")]
    TooManyFields {
        /// The limit.
        limit: usize,
    },
    /// The columns and the parser disagree on whether a row is one: a fault of this program.
    #[error("{object}: a row could not be read, though it is good JSON; please report it")]
    Misread {
        /// The object's full name.
        object: String,
    },
    /// A row does not fit the schema that was given, and the settings say that this stops the run.
    #[error(
        "{object}, text byte {text_offset}: {misfit}; change the schema, or let such rows be quarantined or such values \
         go to the overflow"
    )]
    Misfit {
        /// The object's full name.
        object: String,
        /// Of the row, in the object's decoded text.
        text_offset: u64,
        /// What does not fit.
        misfit: String,
    },
    /// A manifest in the destination cannot be read.
    #[error("{path} is not a manifest of this program")]
    Manifest {
        /// Its full name.
        path: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The Parquet encoder failed.
    #[error("encode Parquet")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Columns could not be put together.
    #[error("build columns")]
    Arrow(#[from] arrow_schema::ArrowError),
    /// A worker thread panicked.
    #[error("a worker failed")]
    Worker(#[from] tokio::task::JoinError),
    /// A thread that decodes or encodes panicked: a fault of this program.
    #[error("a worker failed; what it said is above")]
    Panicked,
    /// Another part of the run stopped first; its error is the one to read.
    #[error("stopped")]
    Stopped,
}

/// What the caller should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Correct the call; the same one fails again.
    Usage,
    /// Try again later; the remote service refused or was out of reach.
    Remote,
    /// A fault of this program or this machine, or data that moved underneath it.
    Internal,
}

impl Error {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Usage(_) | Self::Overwritten { .. } | Self::Misfit { .. } => ErrorKind::Usage,
            Self::Remote { .. } => ErrorKind::Remote,
            _ => ErrorKind::Internal,
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.display().to_string(), source }
    }

    pub(crate) fn body(target: &str, source: ByteStreamError) -> Self {
        Self::Remote { action: "read", target: target.to_owned(), source: Box::new(source) }
    }

    /// An SDK error; a bucket that does not exist is the user's to correct.
    pub(crate) fn s3<E>(action: &'static str, target: &str, source: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        if source.code() == Some("NoSuchBucket") {
            return Self::Usage(format!("{target}: there is no such bucket"));
        }
        Self::Remote { action, target: target.to_owned(), source: Box::new(source) }
    }
}
