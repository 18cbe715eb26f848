//! Leave to deliver, for those who deliver what a shard brought.

use super::HeldLease;

/// Tells whether what was read from a shard may be delivered at this moment. Clones are the same gate.
///
/// It is closed when the lease may have passed to a peer while this process slept, until a write to the lease says
/// whether it did. While the lease table is out of reach it stays open. See `docs/fleet.md`.
#[derive(Debug, Clone, Default)]
pub struct DeliveryGate(Option<HeldLease>);

impl DeliveryGate {
    /// The gate of a lease. For tests of what passes gates; a feed brings its own.
    pub fn of(lease: &HeldLease) -> Self {
        Self(Some(lease.clone()))
    }

    /// Waits until deliveries are allowed. When the lease is lost that is never: the feed's `abandon` says so.
    pub async fn open(&self) {
        if let Some(lease) = &self.0 {
            lease.may_deliver().await;
        }
    }
}
