//! Black-box tests: the real binaries, over TLS and HTTP/2, against an emulator in a process of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is a test that failed")]

mod aggregate;
mod commands;
mod compactors;
mod contested;
mod demo;
mod errors;
mod examples;
mod fleet;
mod fleet_rows;
mod hours;
mod http2;
mod leases;
mod loss;
mod paused;
mod polling;
mod processor;
mod reading;
mod readme;
mod recovery;
mod registration;
mod renewal;
mod reshard;
mod restart;
mod streams;
mod subscription;
mod subscription_kinds;
