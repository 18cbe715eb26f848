//! Prints every record of a stream: `print STREAM`. Ctrl-C stops it, and the next start goes on where it stopped.
#![allow(clippy::print_stdout, reason = "it is what the program is for")]

use alluvial_consumer::{Consumer, Error};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let stream = std::env::args().nth(1).unwrap_or_default();
    let consumer = Consumer::builder().stream(stream).application("example-print");
    consumer
        .run_each(|record| async move {
            println!("{}\t{}", record.partition_key, String::from_utf8_lossy(&record.data));
            Ok(())
        })
        .await
}
