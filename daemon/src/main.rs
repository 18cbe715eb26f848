//! The `alluvial` command.

mod check;
mod cli;
mod config;
mod console;
mod demo;
mod emulator;
mod run;
mod service;

use alluvial_runtime::exit::{Failure, finish};
use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    finish(match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(cli.run());
            // A blocking call that hangs, such as a write to a dead network drive, must not hold up the exit.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(Failure::internal(format!("cannot start: {error}"))),
    })
}
