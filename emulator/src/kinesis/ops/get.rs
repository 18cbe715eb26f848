//! GetShardIterator and GetRecords.

use super::super::log::{Batch, Limits};
use super::super::meter::{ShardMeter, exceeded};
use super::super::position::{Asked, Position};
use super::super::shard::{Look, Shard};
use super::super::stream::Stream;
use super::super::token::{self, Refused, ShardIterator};
use super::super::validate::{self, invalid_argument, length, required, within};
use super::super::{Kinesis, render, wire};
use super::check_dry_run;
use crate::api::ApiError;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Records of one GetRecords.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html>, also of the bound in bytes.
const MOST_RECORDS: u32 = 10_000;

/// Bytes of one GetRecords: 10 MiB, keys included.
const MOST_BYTES: usize = 10 * 1024 * 1024;

/// The purpose of the tokens that are shard iterators.
pub(in crate::kinesis) const TOKEN: &str = "GetRecords";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct GetShardIterator {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    shard_id: Option<String>,
    shard_iterator_type: Option<String>,
    starting_sequence_number: Option<String>,
    timestamp: Option<f64>,
    dry_run: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct NewIterator {
    shard_iterator: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::kinesis) struct GetRecords {
    shard_iterator: Option<String>,
    limit: Option<i64>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    dry_run: Option<bool>,
}

impl Kinesis {
    /// A position whose records are trimmed begins at the oldest record, unlike SubscribeToShard's, which is refused.
    pub(in crate::kinesis) fn get_shard_iterator(&self, request: &GetShardIterator) -> Result<NewIterator, ApiError> {
        let shard = required("shardId", request.shard_id.as_deref())?;
        validate::name("shardId", shard)?;
        let kind = required("shardIteratorType", request.shard_iterator_type.as_deref())?;
        let stream = self.stream(request.stream_name.as_deref(), request.stream_arn.as_deref())?;
        let now = self.now();
        stream.check_usable(now)?;
        let shard = stream.shard(shard, now)?;
        let asked = Asked {
            fields: ["shardIteratorType", "startingSequenceNumber"],
            kind,
            sequence: request.starting_sequence_number.as_deref(),
            timestamp: request.timestamp,
        };
        let position = Position::parse(asked, shard.number(), &stream.name, now)?;
        check_dry_run(request.dry_run)?;
        self.check_meter(&stream, &shard, now, |meter| meter.iterator(now))?;
        let cursor = shard.locate(&position, &stream.name, stream.horizon(now))?;
        Ok(NewIterator { shard_iterator: iterator(&stream, &shard, cursor, now) })
    }

    pub(in crate::kinesis) fn get_records(&self, request: &GetRecords) -> Result<Vec<u8>, ApiError> {
        let token = required("shardIterator", request.shard_iterator.as_deref())?;
        length("shardIterator", token, 1..=512)?;
        let limit = request.limit.map_or(Ok(MOST_RECORDS), |limit| {
            if limit > i64::from(MOST_RECORDS) {
                return Err(invalid_argument(format!("Limit must be at most {MOST_RECORDS}, not {limit}.")));
            }
            within("limit", limit, 1..=MOST_RECORDS)
        })?;
        let now = self.now();
        let at: ShardIterator = token::open(TOKEN, token, now).map_err(|refused| refuse(refused, now))?;
        let stream = self.stream(Some(&at.stream), request.stream_arn.as_deref())?;
        if stream.created_millis != at.stream_created {
            return Err(validate::no_stream(&at.stream));
        }
        stream.check_usable(now)?;
        let shard = stream.shard(&wire::shard_id(at.shard), now)?;
        check_dry_run(request.dry_run)?;
        let limits = Limits { records: limit as usize, bytes: MOST_BYTES };
        let look = shard.look(at.cursor, limits, stream.horizon(now));
        let bytes = || if let Look::Plan(plan) = &look { plan.bytes() } else { 0 };
        self.check_meter(&stream, &shard, now, |meter| meter.read(now, bytes()))?;
        match look {
            Look::Idle => Ok(render::get_records(None, Ok(&iterator(&stream, &shard, at.cursor, now)), 0)),
            Look::End(closure) => Ok(render::get_records(None, Err(&closure.children), 0)),
            Look::Plan(plan) => {
                let failed = |error| ApiError::server("InternalFailure", format!("reading {}: {error}", shard.id()));
                Ok(answer(&stream, &shard, &plan.read().map_err(failed)?, now))
            }
        }
    }

    /// Asks the meter of `shard`, if there are limits on rates.
    fn check_meter(
        &self,
        stream: &Stream,
        shard: &Shard,
        now_millis: u64,
        passes: impl FnOnce(&mut ShardMeter) -> bool,
    ) -> Result<(), ApiError> {
        if !self.inner.limits || shard.metered(now_millis, passes) {
            return Ok(());
        }
        Err(exceeded(shard.number(), &stream.name))
    }
}

fn answer(stream: &Stream, shard: &Shard, batch: &Batch, now_millis: u64) -> Vec<u8> {
    let encryption = &*stream.encryption();
    let records = Some(render::Records { origin: shard.origin(), batch, encryption });
    let behind = batch.millis_behind(now_millis);
    // A shard that closed after the read may have got records in between: then the next call finds its end.
    match shard.closure().filter(|_| batch.next() >= shard.next()) {
        Some(closure) => render::get_records(records, Err(&closure.children), behind),
        None => render::get_records(records, Ok(&iterator(stream, shard, batch.next(), now_millis)), behind),
    }
}

fn iterator(stream: &Stream, shard: &Shard, cursor: u64, now_millis: u64) -> String {
    let (stream_created, shard) = (stream.created_millis, shard.number());
    token::seal(TOKEN, ShardIterator { stream: stream.name.clone(), stream_created, shard, cursor }, now_millis)
}

fn refuse(refused: Refused, now_millis: u64) -> ApiError {
    match refused {
        Refused::Foreign => invalid_argument("Invalid ShardIterator."),
        Refused::Expired(issued) => ApiError::client(
            "ExpiredIteratorException",
            format!(
                "Iterator expired. The iterator was created at time {} while right now it is {} which is further in the future than the tolerated delay of {} milliseconds.",
                readable(issued),
                readable(now_millis),
                token::LIFETIME_MILLIS
            ),
        ),
    }
}

fn readable(millis: u64) -> String {
    let time = i64::try_from(millis).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    time.map_or_else(|| millis.to_string(), |time| time.to_string())
}
