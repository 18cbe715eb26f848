//! Plumbing that every alluvial command shares: AWS clients from settings, the HTTP/2 connector for
//! subscriptions, backoff, supervised tasks, shutdown, logs and exit codes.
//!
//! Nothing here knows about streams or records. Time, randomness and clients are handed on as values:
//! [`clock::Clock`] and [`backoff::Backoff`] are the places that own the wall clock and the jitter.

pub mod aws;
pub mod backoff;
pub mod clock;
pub mod exit;
pub mod http2;
pub mod shutdown;
pub mod tasks;
pub mod telemetry;
