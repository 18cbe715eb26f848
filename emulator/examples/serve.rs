//! Runs an emulator until Ctrl-C, and prints the exports that a client needs.
//!
//! ```text
//! cargo run -p alluvial-emulator --example serve -- ./emulator-data
//! ```

use alluvial_emulator::{Emulator, Settings};
use std::error::Error;

#[tokio::main]
#[allow(clippy::print_stdout, reason = "the exports are this program's output")]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args_os().nth(1).unwrap_or_else(|| "emulator-data".into());
    let emulator = Emulator::start(Settings::new(dir)).await?;
    for (name, value) in emulator.exports() {
        println!("export {name}={value}");
    }
    println!("# without TLS: {}", emulator.plain_endpoint());
    tokio::signal::ctrl_c().await?;
    emulator.stop().await;
    Ok(())
}
