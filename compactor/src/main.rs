//! `compact`: gzip objects to Parquet.

mod cli;

use alluvial_runtime::exit;
use clap::Parser as _;
use std::process::ExitCode;

/// Columns and pages are of the same sizes again and again; the C library gives their memory back to the system each
/// time, which took an eighth of all time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    exit::finish(cli::Cli::parse().run().await)
}
