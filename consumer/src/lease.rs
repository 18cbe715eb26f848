//! Leases: who reads a shard, and how far it is done, in a table that the Kinesis Client Library reads and writes too.

#[cfg(any(test, feature = "conformance"))]
#[allow(clippy::unwrap_used, reason = "a check that panics is a check that fails")]
pub mod conformance;
mod dynamo;
mod freshness;
mod gate;
mod held;
mod item;
mod key;
mod liveness;
mod memory;
mod renewer;
mod row;
mod table;
mod turn;

pub use dynamo::DynamoLeases;
pub use gate::DeliveryGate;
pub use held::HeldLease;
pub use item::GarbledLease;
pub use key::StreamId;
pub use memory::MemoryLeases;
pub use row::{Heartbeat, Lease, LeaseMode, Listing, Written};
pub use table::LeaseTable;

pub(crate) use liveness::Liveness;
pub(crate) use renewer::{Held, Holding, renew_all};
pub(crate) use turn::Urgency;
