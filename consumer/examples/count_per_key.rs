//! Counts records by partition key, with a processor for each shard: `count_per_key STREAM`. Records that are no JSON are set
//! aside in `dead-letters.ndjson`.
#![allow(clippy::print_stdout, reason = "it is what the program is for")]

use alluvial_consumer::{Consumer, DeadLetter, Error, OnError, ProcessError, Processor, Records, ShardName};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;

#[derive(Default)]
struct Count {
    shard: String,
    per_key: BTreeMap<String, u64>,
}

impl Processor for Count {
    async fn process(&mut self, records: Records<'_>) -> Result<(), ProcessError> {
        for (place, record) in records.iter().enumerate() {
            // The records before this one stay counted, and are not given to us again.
            serde_json::from_slice::<Value>(&record.data).map_err(|e| ProcessError::new(e).permanent().after(place))?;
            *self.per_key.entry(record.partition_key.to_string()).or_default() += 1;
        }
        Ok(())
    }

    async fn lease_gained(&mut self, shard: &ShardName) {
        self.shard = shard.to_string();
    }

    async fn shard_ended(&mut self) {
        self.shutdown().await;
    }

    async fn shutdown(&mut self) {
        self.per_key.iter().for_each(|(key, count)| println!("{}\t{key}\t{count}", self.shard));
    }
}

async fn set_aside(letter: DeadLetter) -> Result<(), ProcessError> {
    let line = json!({ "shard": letter.shard.to_string(), "position": letter.record.position.to_string(),
        "reason": letter.reason, "payload": String::from_utf8_lossy(&letter.record.data) });
    let mut file = std::fs::File::options().create(true).append(true).open("dead-letters.ndjson")?;
    Ok(file.write_all(format!("{line}\n").as_bytes())?)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let stream = std::env::args().nth(1).unwrap_or_default();
    let consumer = Consumer::builder().stream(stream).application("example-count");
    consumer.on_error(OnError::dead_letter(set_aside)).run(|_| Count::default()).await
}
