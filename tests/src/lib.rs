//! What the black-box tests share: the binaries, a world with an emulator of its own, and ways to look at what came out.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is a test that failed")]

mod bin;
mod daemon;
mod rows;
mod world;

pub use bin::{bin, example, workspace_root};
pub use daemon::{Daemon, Finished, finish};
pub use rows::{Name, RawRow, names};
pub use world::{StreamRecord, World, eventually};
