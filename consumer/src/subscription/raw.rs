//! A subscription by itself, for benchmarks and for tests in other crates.

use super::{AnyEvents, AnySource, Events as _, From, Next, Source as _};
use crate::feed::Record;
use crate::registration::ConsumerArn;
use crate::settings::SubscriptionKind;
use alluvial_record::Checkpoint;
use aws_sdk_kinesis::Client;

/// One subscription without lease, budget, deadlines or what follows its end.
#[derive(Debug)]
pub struct RawSubscription(AnyEvents);

impl RawSubscription {
    /// Opens a subscription to `shard` from its oldest record on. `client` must not retry.
    ///
    /// # Errors
    /// Why it was refused.
    pub async fn open(kind: SubscriptionKind, client: Client, consumer: &str, shard: &str) -> Result<Self, String> {
        let source = AnySource::new(kind, client, ConsumerArn::fixed(consumer));
        let from = From::Checkpoint(Checkpoint::TrimHorizon);
        source.open(&shard.into(), &from).await.map(Self).map_err(|cause| cause.to_string())
    }

    /// The records of the next event, and whether it was the last of the shard; `None` when the subscription has expired.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn next(&mut self) -> Result<Option<(Vec<Record>, bool)>, String> {
        loop {
            let arrival = self.0.next().await.map_err(|cause| cause.to_string())?;
            let Some(arrival) = arrival else { return Ok(None) };
            if let Some(event) = arrival.event() {
                return Ok(Some((event.records, matches!(event.next, Next::ShardEnd(_)))));
            }
        }
    }
}
