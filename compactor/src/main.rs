//! `compact`: gzip objects to Parquet.

mod cli;

use alluvial_runtime::exit;
use clap::Parser as _;
use std::process::ExitCode;

/// Columns and pages are of the same sizes again and again; the C library gives their memory back to the system each
/// time, which took an eighth of all time. It serves C code too: Zstandard's contexts, one for each column, are larger
/// than all else.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    without_huge_pages();
    exit::finish(cli::Cli::parse().run().await)
}

/// The allocator asks for huge pages. Buffers that are never filled would make the system clear all of them: a fifth
/// more memory at the peak, and no run is faster.
fn without_huge_pages() {
    #[cfg(target_os = "linux")]
    rustix::thread::disable_transparent_huge_pages(true).ok();
}
