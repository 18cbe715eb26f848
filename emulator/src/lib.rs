//! Kinesis with enhanced fan-out, Firehose, S3 and DynamoDB in one process, for laptops and tests.
//!
//! [`Emulator::start`] binds two loopback ports: one with TLS (HTTP/2 and HTTP/1.1 by ALPN) and one in plain text
//! (HTTP/1.1, and HTTP/2 with prior knowledge). Every AWS SDK reaches it through `AWS_ENDPOINT_URL` and
//! `AWS_CA_BUNDLE`; [`Emulator::exports`] lists all that a client needs. What it does not copy from AWS is written in
//! `docs/emulator-gaps.md`.
//!
//! The code is an independent reading of the AWS documents: it depends on nothing else of this workspace, so that a
//! mistake in the consumer is not repeated in what the consumer is tested against.

mod api;
mod bucket;
mod clock;
mod dynamodb;
mod fault;
mod firehose;
mod journal;
mod kinesis;
mod random;
mod s3;
mod server;
mod settings;
mod tls;

pub use clock::{Clock, InvalidSpeed, TooFar};
pub use fault::{PlanError, check_faults};
pub use kinesis::Kinesis;
pub use server::{Connector, Control, Emulator, Http2, InMemory, InvalidHttp2, StartError};
pub use settings::Settings;

#[cfg(feature = "stages")]
#[doc(hidden)]
pub use kinesis::stages;
