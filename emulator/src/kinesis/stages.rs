//! The record path, stage by stage, so that a benchmark can time each alone. Built with the feature `stages` only.

use super::encryption::Encryption;
use super::log::{Batch, Limits, Log, Size};
use super::sequence::Origin;
use super::store::Store;
use super::{Format, Kinesis, frame, parse, render};
use crate::api::{ApiError, BoxError};
use crate::tls;
use bytes::Bytes;
use rustls::ServerConfig;
use serde::Deserialize;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// What one fan-out event holds at most, as subscriptions have it.
const EVENT: Limits = super::subscription::EVENT;

/// One shard's records, without the HTTP, the routing and the locks around them.
#[derive(Debug)]
pub struct Shard {
    store: Store,
    log: Log,
    origin: Origin,
}

/// Records that were read: the input of [`Shard::render`].
#[derive(Debug)]
pub struct Read(Batch);

impl Read {
    /// Bytes of partition keys and data.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// The index to read from next.
    pub fn next(&self) -> u64 {
        self.0.next()
    }
}

impl Shard {
    /// An empty shard whose payloads go to an unnamed file in `dir`.
    pub fn new(dir: &Path) -> Self {
        let origin = Origin { created_secs: 1_795_000_000, shard: 0 };
        Self { store: Store::new(Some(dir.to_owned())), log: Log::new(), origin }
    }

    /// Writes records of `key_bytes` and `data_bytes` each, which lie one behind the other in `lot`, and adds them to the index.
    ///
    /// # Errors
    /// The file system's, or sizes that no record can have.
    pub fn append(&mut self, lot: &[u8], key_bytes: usize, data_bytes: usize) -> io::Result<()> {
        let size = Size::of(key_bytes, data_bytes).ok_or(io::ErrorKind::InvalidInput)?;
        let count = lot.len() / size.bytes().max(1);
        let extent = self.store.append(0, lot)?;
        self.log.append(1_795_000_000_000, &extent, &vec![size; count]);
        Ok(())
    }

    /// Plans the event that begins with record `cursor`, which counts from 1, and reads its payloads. `None` at the end.
    ///
    /// # Errors
    /// The file system's.
    pub fn read(&self, cursor: u64) -> io::Result<Option<Read>> {
        self.log.plan(cursor, EVENT).map(|plan| plan.read().map(Read)).transpose()
    }

    /// The event as a message, ready for the HTTP layer, as a subscription makes it.
    ///
    /// # Errors
    /// As [`frame`].
    pub fn event(&self, read: &Read) -> Result<Bytes, BoxError> {
        frame(self.render(read))
    }

    /// The JSON of the event.
    pub fn render(&self, read: &Read) -> Vec<u8> {
        let continuation = self.origin.record(read.0.next() - 1, read.0.last_arrival_millis());
        let records = render::Records { origin: self.origin, batch: &read.0, encryption: &Encryption::default() };
        render::event(Some(records), &continuation, 0)
    }
}

/// Answers one request, JSON, without the HTTP around it; true if it was done.
pub async fn call(kinesis: &Kinesis, operation: &str, body: Bytes) -> bool {
    kinesis.call(operation, Format::Json, body).await.status().is_success()
}

/// Reads the JSON of a PutRecords request, and nothing more.
///
/// # Errors
/// What Kinesis would answer.
pub fn parse_put_records(body: &[u8]) -> Result<(), String> {
    fn request_of<'a, T: Deserialize<'a>>(
        _: fn(&Kinesis, T) -> Result<Vec<u8>, ApiError>,
        body: &'a [u8],
    ) -> Result<T, ApiError> {
        parse(body)
    }
    request_of(Kinesis::put_records, body).map(drop).map_err(|error| error.to_string())
}

/// Puts the JSON of an event into a message, with its checksums.
///
/// # Errors
/// If the JSON does not fit in a message: 4 GiB.
pub fn frame(json: Vec<u8>) -> Result<Bytes, BoxError> {
    frame::event(Format::Json, json)
}

/// The server's TLS configuration, and the CA that clients must trust, as PEM.
///
/// # Errors
/// When no certificate can be made.
pub fn tls_config(now: SystemTime) -> Result<(Arc<ServerConfig>, String), BoxError> {
    let identity = tls::identity(now, std::net::Ipv4Addr::LOCALHOST.into())?;
    Ok((identity.server, identity.ca_pem))
}
