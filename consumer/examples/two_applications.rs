//! Two applications read one stream, each every record, with leases and checkpoints of its own: `two_applications STREAM`.
#![allow(clippy::print_stdout, reason = "it is what the program is for")]

use alluvial_consumer::{Consumer, Error};

/// Prints the name of the application and the payload of each record.
async fn read(stream: String, application: &'static str) -> Result<(), Error> {
    let consumer = Consumer::builder().stream(stream).application(application);
    consumer
        .run_each(move |record| async move {
            println!("{application}\t{}", String::from_utf8_lossy(&record.data));
            Ok(())
        })
        .await
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let stream = std::env::args().nth(1).unwrap_or_default();
    // Each has a throughput of its own: fan-out gives every registered application 2 MB a second of each shard.
    tokio::try_join!(read(stream.clone(), "example-billing"), read(stream, "example-audit"))?;
    Ok(())
}
