//! A Kinesis stream as the source of a delivery stream: one task a shard, and one that starts them in order
//! (<https://docs.aws.amazon.com/firehose/latest/dev/writing-with-kinesis-streams.html>).

mod aggregated;
mod lineage;

use super::channel::Channel;
use crate::kinesis::{Child, Found, Tail};
use lineage::Lineage;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;

/// Reads what `tails` find into `channel`, then the shards that take over from theirs, until the channel is drained or
/// the stream deleted. A shard is not read on while there is no room for what it holds.
pub(super) async fn follow(tails: Vec<Tail>, channel: Arc<Channel>) {
    let (mut lineage, mut readers) = (Lineage::default(), JoinSet::new());
    for tail in tails {
        lineage.begin(tail.number());
        readers.spawn(read(tail, Arc::clone(&channel)));
    }
    while let Some(ended) = readers.join_next().await {
        match ended {
            Ok(Some((shard, children))) => {
                lineage.end(shard);
                for Child { tail, parents } in children {
                    if lineage.is_next(tail.number(), &parents) {
                        lineage.begin(tail.number());
                        readers.spawn(read(tail, Arc::clone(&channel)));
                    }
                }
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "a Firehose reader of a Kinesis shard ended early"),
        }
    }
}

/// Reads one shard to its end. `None` if reading ends before that.
async fn read(mut tail: Tail, channel: Arc<Channel>) -> Option<(u32, Vec<Child>)> {
    let shard = tail.number();
    channel.until_drained(channel.active()).await?;
    loop {
        let plan = match channel.until_drained(tail.find()).await? {
            Found::Records(plan) => plan,
            Found::Ended(children) => return Some((shard, children)),
            Found::Gone => {
                tracing::warn!(shard, "the source of a Firehose delivery stream was deleted: nothing more is read");
                return None;
            }
        };
        channel.until_drained(channel.room_for(plan.bytes())).await?;
        let batch = match plan.read() {
            Ok(batch) => batch,
            Err(error) => {
                tracing::error!(%error, shard, "Firehose cannot read its source, and reads the shard no further");
                return None;
            }
        };
        for record in batch.records() {
            let arrival = SystemTime::UNIX_EPOCH + Duration::from_millis(record.arrival_millis);
            for data in aggregated::split(record.data) {
                channel.absorb(data, arrival).await?;
            }
        }
        tail.advance_to(batch.next());
    }
}
