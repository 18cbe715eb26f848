//! The records of one request on their way into shards: checked, decoded, routed, throttled, written.

use super::super::super::hash;
use super::super::super::log::{Appended, Size};
use super::super::super::meter::exceeded;
use super::super::super::shard::Shard;
use super::super::super::store::Store;
use super::super::super::stream::Stream;
use super::super::super::topology::Topology;
use super::super::super::validate::{self, invalid_argument, length, required};
use super::super::super::wire;
use super::{Entry, MOST_BYTES, Receipt, Text};
use crate::api::ApiError;
use base64_simd::STANDARD;
use std::io;
use std::sync::Arc;

/// The records of one request for one shard.
#[derive(Debug, Default)]
struct Lot {
    bytes: Vec<u8>,
    sizes: Vec<Size>,
}

/// The records of one request, sorted by shard.
#[derive(Debug)]
pub(super) struct Intake<'a> {
    stream: &'a Stream,
    /// By place in the topology's open shards.
    lots: Vec<Lot>,
    /// For each record its place.
    places: Vec<usize>,
    /// For each record whether the limits on its shard keep it out; empty without limits.
    refused: Vec<bool>,
    bytes: usize,
    most_record_bytes: usize,
    /// Whether records go to shards in turn, whatever their keys.
    spreads: bool,
}

impl<'a> Intake<'a> {
    pub(super) fn new(stream: &'a Stream, topology: &Topology, spreads: bool) -> Self {
        let lots = topology.open().iter().map(|_| Lot::default()).collect();
        let most_record_bytes = stream.record_kib() as usize * 1024;
        Self { stream, lots, places: Vec::new(), refused: Vec::new(), bytes: 0, most_record_bytes, spreads }
    }

    /// Checks, decodes and routes one record.
    pub(super) fn take(&mut self, record: &Entry<'_>, topology: &Topology) -> Result<(), ApiError> {
        let Text(data) = required("data", record.data.as_ref())?;
        let key = match &record.partition_key {
            None if self.spreads => "",
            key => {
                let Text(key) = required("partitionKey", key.as_ref())?;
                length("partitionKey", key, 1..=256)?;
                key
            }
        };
        let explicit =
            record.explicit_hash_key.as_ref().map(|Text(explicit)| explicit_hash_key(explicit)).transpose()?;
        let place = if self.spreads {
            self.stream.next_turn() % topology.open().len().max(1)
        } else {
            topology.route(explicit.unwrap_or_else(|| hash::of_partition_key(key)))
        };
        let Some(lot) = self.lots.get_mut(place) else { return Ok(()) };
        let size = lot.push(key, data)?;
        if size.data as usize > MOST_BYTES {
            let constraint = format!("Member must have length less than or equal to {MOST_BYTES}");
            return Err(validate::violation("data", format!("{} bytes", size.data), &constraint));
        }
        let bytes = size.bytes();
        self.bytes += bytes;
        self.places.push(place);
        if bytes > self.most_record_bytes {
            return Err(invalid_argument(format!(
                "Record size {bytes} exceeds the stream's limit of {} bytes for data and partition key.",
                self.most_record_bytes
            )));
        }
        if self.bytes > MOST_BYTES {
            return Err(invalid_argument(format!(
                "Records size exceeds the limit of {MOST_BYTES} bytes for one request."
            )));
        }
        Ok(())
    }

    /// Takes out the records that their shards have no room for this second. They fail one by one; a smaller one behind
    /// may still pass.
    pub(super) fn throttle(&mut self, topology: &Topology, now_millis: u64) {
        let keep = |(lot, shard): (&mut Lot, &Arc<Shard>)| {
            if lot.sizes.is_empty() {
                return Vec::new();
            }
            shard.metered(now_millis, |meter| lot.keep(|size| meter.put(now_millis, size.bytes() as u64)))
        };
        let verdicts = self.lots.iter_mut().zip(topology.open()).map(keep);
        let mut verdicts: Vec<_> = verdicts.map(Vec::into_iter).collect();
        let refused = |place: &usize| verdicts.get_mut(*place).and_then(Iterator::next) == Some(false);
        self.refused = self.places.iter().map(refused).collect();
    }

    /// Writes all lots at the first of `times`, and forgets what arrived before the second. A lot whose write fails fails its records and no others.
    pub(super) fn store(self, store: &Store, topology: &Topology, times: (u64, u64)) -> Vec<Receipt> {
        let write = |(lot, shard): (&Lot, &Arc<Shard>)| {
            let records = (lot.bytes.as_slice(), lot.sizes.as_slice());
            (!lot.sizes.is_empty()).then(|| shard.write(store, self.stream.id, records, times))
        };
        let outcomes = self.lots.iter().zip(topology.open()).map(write);
        let mut outcomes: Vec<_> = outcomes.collect();
        let receipt = |(number, place): (usize, &usize)| {
            let shard = topology.open().get(*place)?;
            if self.refused.get(number) == Some(&true) {
                let ApiError { code: error_code, message: error_message, .. } =
                    exceeded(shard.number(), &self.stream.name);
                return Some(Receipt::Failed { error_code, error_message });
            }
            Some(next_receipt(shard, outcomes.get_mut(*place)?.as_mut()?))
        };
        self.places.iter().enumerate().filter_map(receipt).collect()
    }
}

fn explicit_hash_key(text: &str) -> Result<u128, ApiError> {
    validate::hash_key("explicitHashKey", text)?;
    hash::parse(text).ok_or_else(|| {
        invalid_argument(format!(
            "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {text}"
        ))
    })
}

impl Lot {
    fn push(&mut self, key: &str, data: &str) -> Result<Size, ApiError> {
        self.bytes.extend_from_slice(key.as_bytes());
        let start = self.bytes.len();
        STANDARD
            .decode_append(data, &mut self.bytes)
            .map_err(|_| ApiError::client("SerializationException", "Data of a record is no base64."))?;
        let size =
            Size::of(key.len(), self.bytes.len() - start).ok_or_else(|| invalid_argument("A record is too large."))?;
        self.sizes.push(size);
        Ok(size)
    }

    /// Keeps the records that `admit` lets in, and says for each whether it did.
    fn keep(&mut self, admit: impl FnMut(&Size) -> bool) -> Vec<bool> {
        let verdicts: Vec<_> = self.sizes.iter().map(admit).collect();
        if !verdicts.contains(&false) {
            return verdicts;
        }
        let lot = std::mem::take(self);
        let mut rest = lot.bytes.as_slice();
        for (&size, &admitted) in lot.sizes.iter().zip(&verdicts) {
            let (record, later) = rest.split_at_checked(size.bytes()).unwrap_or_default();
            rest = later;
            if admitted {
                self.bytes.extend_from_slice(record);
                self.sizes.push(size);
            }
        }
        verdicts
    }
}

/// The receipt of a lot's next record.
fn next_receipt(shard: &Shard, outcome: &mut io::Result<Appended>) -> Receipt {
    match outcome {
        Ok(appended) => {
            let sequence = shard.origin().record(appended.first, appended.arrival_millis);
            appended.first += 1;
            Receipt::Stored { sequence_number: sequence.to_string(), shard_id: shard.id() }
        }
        Err(error) => Receipt::Failed {
            error_code: "InternalFailure",
            error_message: format!("writing to {}: {error}", wire::shard_id(shard.number())),
        },
    }
}
