//! A reader that does no more than note when each record of a shard came: what the emulator itself takes.

use crate::producer::now_nanos;
use alluvial_benches::{Connection, Result};
use alluvial_runtime::clock::Clock;
use http_body_util::BodyExt as _;
use memchr::memmem::Finder;
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};

/// Before the number of a record, which is its partition key.
const BEFORE_KEY: &str = "\"PartitionKey\":\"";

/// When each record came, with its number.
pub(crate) type Arrivals = Arc<Mutex<Vec<(u64, u64)>>>;

/// Reads a shard from its oldest record on, until it is dropped.
pub(crate) async fn read(
    mut connection: Connection,
    consumer: String,
    shard: usize,
    clock: Clock,
    arrivals: Arrivals,
) -> Result<()> {
    let request = json!({
        "ConsumerARN": consumer,
        "ShardId": format!("shardId-{shard:012}"),
        "StartingPosition": {"Type": "TRIM_HORIZON"},
    });
    let mut body = connection.send("SubscribeToShard", request.to_string().into()).await?.into_body();
    let (key, mut buffer) = (Finder::new(BEFORE_KEY), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame?;
        let Some(bytes) = frame.data_ref() else { continue };
        buffer.extend_from_slice(bytes);
        // A message counts once it is complete: its length comes first.
        while let Some((length, _)) = buffer.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_be_bytes(*length))?.max(1);
            if buffer.len() < length {
                break;
            }
            let nanos = now_nanos(&clock)?;
            let message: Vec<u8> = buffer.drain(..length).collect();
            let mut arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
            for at in key.find_iter(&message) {
                let digits =
                    message.get(at + BEFORE_KEY.len()..).unwrap_or_default().split(|byte| *byte == b'"').next();
                arrivals.push((std::str::from_utf8(digits.unwrap_or_default())?.parse()?, nanos));
            }
        }
    }
    Err("a subscription ended early".into())
}
