//! HTTP/2 connections for subscriptions: our own pool behind the SDK's HTTP client trait.
//!
//! The SDK's stock client cannot carry subscriptions: it keeps one connection, lets requests hang past the
//! server's stream limit, sends no ping, and gives 5 MiB of window to a connection whose streams may hold 2 MiB each, so
//! that three unread subscriptions stop every other one. Here a [`Pool`] owns several connections to a host, places at
//! most [`Settings::streams_per_connection`] streams on each, pings them, and sizes the connection window so that every
//! stream's own window fits: however many readers are held back, the others go on.
//!
//! `https` needs ALPN `h2`; `http` is HTTP/2 with prior knowledge (RFC 9113, section 3.3), for emulators.

mod connection;
mod placement;
mod pool;

pub use pool::{Pool, Settings};
