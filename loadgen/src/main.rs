//! The `loadgen` command.

use alluvial_loadgen::cli::{self, Args};
use alluvial_runtime::exit::{Failure, finish};
use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    args.log.init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return finish(Err(Failure::internal(format!("cannot start the runtime: {error}")))),
    };
    let result = runtime.block_on(Box::pin(cli::execute(args)));
    // A read from the standard input cannot be interrupted: its thread ends with the process.
    runtime.shutdown_background();
    finish(result)
}
