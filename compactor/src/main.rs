//! `compact`: gzip objects to Parquet.

mod cli;

use alluvial_runtime::exit;
use clap::Parser as _;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    exit::finish(cli::Cli::parse().run().await)
}
