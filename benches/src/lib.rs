//! What the benchmarks share: interleaved runs, medians, a result as a table and as JSON, and an emulator in a process of its own.
//!
//! These machines are noisy: a figure counts only beside another one that was measured in the same run, in turns.

mod bin;
mod client;
mod log;
mod machine;
mod measure;
mod process;
pub mod procfs;
pub mod records;
mod table;
mod worker;

pub use bin::bin;
pub use client::{Connection, Protocol, Windows};
pub use log::{Count, Delivery, Log, Seen};
pub use machine::{Core, machine, pin_self, pin_self_to};
pub use measure::{Contender, compare, median, speeds};
pub use process::Server;
pub use procfs::Memory;
pub use table::{Table, save};
pub use worker::{Program, Worker};

/// Any reason why a benchmark cannot go on.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a step of a benchmark gives.
pub type Result<T> = std::result::Result<T, Error>;
