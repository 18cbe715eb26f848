//! Appends payloads to a file, and acknowledges what has reached the disk, many batches with one flush: `to_file STREAM FILE`.

use alluvial_consumer::{Acknowledgement, Consumer};
use futures_util::StreamExt as _;
use std::error::Error;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::time::MissedTickBehavior;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(stream), Some(path)) = (args.next(), args.next()) else {
        return Err("usage: to_file STREAM FILE".into());
    };
    let mut file = tokio::fs::File::options().create(true).append(true).open(path).await?;
    let mut batches = Consumer::builder().stream(stream).application("example-to-file").batches().await?;
    let mut waiting: Vec<Acknowledgement> = Vec::new();
    let mut flushes = tokio::time::interval(Duration::from_millis(200));
    flushes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            batch = batches.next() => match batch.transpose()? {
                Some(batch) => {
                    let (records, ack) = batch.into_parts();
                    for record in records {
                        file.write_all(&record.data).await?;
                        file.write_all(b"\n").await?;
                    }
                    waiting.push(ack);
                }
                // It was told to stop, and all that it read is written and acknowledged.
                None => return Ok(()),
            },
            _ = flushes.tick(), if !waiting.is_empty() => {
                file.flush().await?;
                file.sync_data().await?;
                for ack in waiting.drain(..) {
                    ack.ack().await;
                }
            }
        }
    }
}
