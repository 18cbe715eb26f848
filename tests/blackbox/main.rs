//! Black-box tests: the real binaries, over TLS and HTTP/2, against an emulator in a process of its own.

mod demo;
mod errors;
mod http2;
mod leases;
mod readme;
mod reshard;
mod restart;
