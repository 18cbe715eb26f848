//! Why an emulator does not start.

use super::InvalidHttp2;
use crate::clock::InvalidSpeed;
use crate::fault::PlanError;
use crate::kinesis::{Broken, Damage};
use crate::tls::TlsError;
use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

/// Why an emulator did not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process listens on the port.
    #[error("port {port} on {host} is in use: stop what listens there or give another {flag}")]
    PortTaken {
        /// The address asked for.
        host: IpAddr,
        /// The port asked for.
        port: u16,
        /// The flag that sets it.
        flag: &'static str,
    },
    /// The port cannot be bound for another reason, such as missing rights.
    #[error("cannot listen on port {port} of {host}: give another {flag} or --host")]
    Bind {
        /// The address asked for.
        host: IpAddr,
        /// The port asked for.
        port: u16,
        /// The flag that sets it.
        flag: &'static str,
        /// What the system answered.
        source: io::Error,
    },
    /// Another emulator works on the same data.
    #[error("another emulator uses {}: stop it or give another --dir", dir.display())]
    FolderTaken {
        /// The data folder.
        dir: PathBuf,
    },
    /// A file or folder cannot be made.
    #[error("cannot write {}: make it writable or give another --dir", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// Data from an earlier run cannot be opened.
    #[error("cannot open {}: move it away or give another --dir", path.display())]
    Data {
        /// The file or folder.
        path: PathBuf,
        /// What the storage library answered.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The clock cannot run as asked.
    #[error(transparent)]
    Speed(#[from] InvalidSpeed),
    /// The fault plan cannot be.
    #[error(transparent)]
    Faults(#[from] PlanError),
    /// HTTP/2 cannot be spoken as asked.
    #[error("HTTP/2: {0}")]
    Http2(#[from] InvalidHttp2),
    /// No certificate could be made.
    #[error("cannot prepare TLS")]
    Tls(#[source] TlsFailure),
}

impl From<Broken> for StartError {
    fn from(Broken { path, damage }: Broken) -> Self {
        match damage {
            Damage::Io(source) => Self::Write { path, source },
            damage => Self::Data { path, source: damage.into() },
        }
    }
}

/// A failure of the certificate or TLS library.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TlsFailure(#[from] TlsError);
