//! Prints the records that arrived since a moment, and goes on with what comes: `replay STREAM MILLIS`, in milliseconds since
//! 1970. Leases are kept in memory, so that every run begins at the moment it is told, and no other worker is disturbed.
#![allow(clippy::print_stdout, reason = "it is what the program is for")]

use alluvial_consumer::{Consumer, LeaseTable, MemoryLeases, StartPosition};
use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(stream), Some(since)) = (args.next(), args.next()) else {
        return Err("usage: replay STREAM MILLIS".into());
    };
    let consumer = Consumer::builder()
        .stream(stream)
        .application("example-replay")
        .leases(LeaseTable::Memory(MemoryLeases::default()))
        .start(StartPosition::AtTimestamp(since.parse()?));
    consumer
        .run_each(|record| async move {
            println!("{}\t{}", record.arrived_millis, String::from_utf8_lossy(&record.data));
            Ok(())
        })
        .await?;
    Ok(())
}
