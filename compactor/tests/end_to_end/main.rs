//! The compactor as its users meet it: objects in, Parquet out, read back by the parquet crate.

mod cli;
mod dedupe;
mod gates;
mod given;
mod layout;
mod members;
mod partitions;
mod people;
mod property;
mod rerun;
mod s3;
mod shares;
mod support;
mod table;
