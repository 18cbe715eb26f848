//! The control path for tests in the same process.

use super::Http2;
use super::http2::InvalidHttp2;
use super::route::Services;
use crate::clock::Clock;
use crate::fault::{Plan, PlanError};
use std::fmt;
use std::io;
use std::sync::Arc;

/// Sets faults, moves the clock and reads ground truth, as `/_emulator/…` does over HTTP. Copies are for one emulator.
#[derive(Clone)]
pub struct Control(Arc<Services>);

impl Control {
    pub(super) fn new(services: Arc<Services>) -> Self {
        Self(services)
    }

    /// Puts a fault plan in force, TOML as in `docs/emulator.md`; the empty text ends all faults.
    ///
    /// # Errors
    /// [`PlanError`] names what is wrong with it; the plan before it then goes on.
    pub fn set_faults(&self, plan: &str) -> Result<(), PlanError> {
        self.0.faults.set(Plan::parse(plan)?);
        Ok(())
    }

    /// Every fault that took effect, NDJSON, oldest first; at most the last 100,000.
    pub fn fault_log(&self) -> Vec<u8> {
        self.0.faults.log().0
    }

    /// The emulated clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Ends every open subscription as if its five minutes were over.
    pub fn expire_subscriptions(&self) {
        self.0.kinesis.expire_subscriptions();
    }

    /// What HTTP/2 connections begin with from now on.
    ///
    /// # Errors
    /// [`InvalidHttp2`] names the setting that HTTP/2 does not have.
    pub fn set_http2(&self, settings: Http2) -> Result<(), InvalidHttp2> {
        self.0.http2.set(settings.check()?);
        Ok(())
    }

    /// The records of `stream`, shard after shard, NDJSON; none if there is no such stream.
    ///
    /// # Errors
    /// The file system's.
    pub fn stream_records(&self, stream: &str) -> io::Result<Vec<u8>> {
        join(self.0.kinesis.truth(stream).into_iter().flatten())
    }

    /// The records that `delivery_stream` accepted, NDJSON; none unless [`Settings::truth`](crate::Settings) is set.
    ///
    /// # Errors
    /// The file system's.
    pub fn accepted_records(&self, delivery_stream: &str) -> io::Result<Vec<u8>> {
        join(self.0.firehose.accepted(delivery_stream))
    }

    /// The writes to `table`, NDJSON; none unless [`Settings::truth`](crate::Settings) is set.
    ///
    /// # Errors
    /// The file system's.
    pub fn table_history(&self, table: &str) -> io::Result<Vec<u8>> {
        join(self.0.dynamodb.history(table))
    }
}

fn join(pieces: impl Iterator<Item = io::Result<bytes::Bytes>>) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    for piece in pieces {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}
