//! What a Kinesis record is known by: sequence numbers, positions, shards and their hash key ranges, aggregates of the
//! Kinesis Producer Library, and the AWS quotas that bound all of it. Pure types: no I/O, no clock, no AWS SDK.

pub mod aggregate;
mod member;
mod position;
pub mod quota;
mod sequence;
mod shard;

pub use member::MemberLabel;
pub use position::{Checkpoint, InvalidCheckpoint, Position};
pub use sequence::{InvalidSequenceNumber, SequenceNumber};
pub use shard::{HashKeyRange, InvalidHashKey, ShardId, hash_key};
