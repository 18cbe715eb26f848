//! Ground truth for tests: every record that a stream holds, in the order in which its shards took them.

use super::Kinesis;
use super::log::Limits;
use super::shard::{Look, Shard};
use super::stream::Stream;
use super::sync::read;
use base64_simd::STANDARD;
use bytes::Bytes;
use serde_json::json;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// What one piece holds at most, before base64.
const PIECE: Limits = Limits { records: 1_000, bytes: 256 * 1024 };

/// The records of a stream as NDJSON in pieces, shard after shard.
#[derive(Debug)]
pub(crate) struct Truth {
    kinesis: Kinesis,
    stream: Arc<Stream>,
    shards: VecDeque<Arc<Shard>>,
    cursor: u64,
}

impl Kinesis {
    /// The records of `stream` that are not trimmed, of all its shards; `None` if there is no such stream.
    pub(crate) fn truth(&self, stream: &str) -> Option<Truth> {
        let stream = read(&self.inner.streams).get(stream).cloned()?;
        let shards = stream.shards(self.now()).into();
        Some(Truth { kinesis: self.clone(), stream, shards, cursor: 0 })
    }
}

impl Iterator for Truth {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let shard = self.shards.front()?;
            let horizon = self.stream.horizon(self.kinesis.now());
            let Look::Plan(plan) = shard.look(self.cursor.max(shard.first()), PIECE, horizon) else {
                self.shards.pop_front();
                self.cursor = 0;
                continue;
            };
            let batch = match plan.read() {
                Ok(batch) => batch,
                Err(error) => {
                    self.shards.clear();
                    return Some(Err(error));
                }
            };
            self.cursor = batch.next();
            let (id, origin) = (shard.id(), shard.origin());
            let lines = batch.records().flat_map(|record| {
                let line = json!({
                    "ShardId": id,
                    "SequenceNumber": origin.record(record.index, record.arrival_millis).to_string(),
                    "ApproximateArrivalTimestamp": super::wire::seconds(record.arrival_millis),
                    "PartitionKey": String::from_utf8_lossy(record.key),
                    "Data": STANDARD.encode_to_string(record.data),
                });
                (line.to_string() + "\n").into_bytes()
            });
            return Some(Ok(lines.collect()));
        }
    }
}
