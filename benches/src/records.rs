//! Records of 1 KiB, and PutRecords bodies full of them.

use crate::{Connection, Error, Result};
use base64_simd::STANDARD;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinSet;

/// Bytes of data in every record.
pub const DATA_BYTES: usize = 1_024;
/// Bytes of every partition key.
pub const KEY_BYTES: usize = 8;
/// Records of one PutRecords, the most there may be.
pub const BATCH: usize = 500;
/// Calls in flight, as `loadgen` has by default.
const IN_FLIGHT: usize = 8;

/// Random data of one record, and its key.
pub fn record(random: &mut fastrand::Rng) -> ([u8; KEY_BYTES], [u8; DATA_BYTES]) {
    let (mut key, mut data) = ([0; KEY_BYTES], [0; DATA_BYTES]);
    key.fill_with(|| b'0' + random.u8(..10));
    random.fill(&mut data);
    (key, data)
}

/// The body of a PutRecords to the stream `bench`.
pub fn body(random: &mut fastrand::Rng) -> Bytes {
    let mut body = b"{\"StreamName\":\"bench\",\"Records\":[".to_vec();
    for position in 0..BATCH {
        let (key, data) = record(random);
        body.extend_from_slice(if position > 0 { b",{\"Data\":\"" } else { b"{\"Data\":\"" });
        STANDARD.encode_append(data, &mut body);
        body.extend_from_slice(b"\",\"PartitionKey\":\"");
        body.extend_from_slice(&key);
        body.extend_from_slice(b"\"}");
    }
    body.extend_from_slice(b"]}");
    body.into()
}

/// Puts `batches` bodies over `connections`, 8 calls in flight; every record must be accepted. Returns the records.
///
/// # Errors
/// The network's, or a record that was refused.
pub async fn put(connections: Vec<Connection>, bodies: &Arc<[Bytes]>, batches: usize) -> Result<u64> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut calls = JoinSet::new();
    for mut connection in connections {
        let (next, bodies) = (Arc::clone(&next), Arc::clone(bodies));
        calls.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(body) = bodies.get(number % bodies.len()).filter(|_| number < batches) else {
                    return Ok(());
                };
                let answer = connection.bytes("PutRecords", body.clone()).await?;
                if !answer.starts_with(b"{\"FailedRecordCount\":0,") {
                    return Err(Error::from("a record was refused"));
                }
            }
        });
    }
    while let Some(ended) = calls.join_next().await {
        ended??;
    }
    Ok((batches * BATCH) as u64)
}

/// The users of one connection that [`put`] needs: as many as calls are in flight.
pub fn shared(connection: &Connection) -> Vec<Connection> {
    (0..IN_FLIGHT).filter_map(|_| connection.share()).collect()
}

/// How many connections without streams [`put`] needs.
pub const CONNECTIONS: usize = IN_FLIGHT;
