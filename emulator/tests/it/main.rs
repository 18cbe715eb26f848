//! The emulator through real sockets: by hand-made HTTP clients for the protocols, and by the AWS SDK for the services.

mod cbor;
mod control;
mod dynamodb;
mod faults;
mod firehose;
mod kill;
mod kinesis;
mod memory;
mod restart;
mod s3;
mod sockets;
mod world;
