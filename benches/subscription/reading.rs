//! One turn: all shards read at once, from their oldest record to their last.

use crate::load::Load;
use alluvial_benches::{Result, Server};
use alluvial_consumer::{RawSubscription, SubscriptionKind};
use alluvial_runtime::aws::Aws;
use alluvial_runtime::http2;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Shards of the stream.
pub(crate) const SHARDS: u32 = 8;

/// Reads the stream.
pub(crate) struct Reader {
    client: Client,
    load: Load,
}

/// What a turn gives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    /// CPU time of this thread, from the first request on.
    pub(crate) cpu: Duration,
    /// The same for the same records, in whatever order the shards came.
    pub(crate) content: u64,
}

impl Reader {
    pub(crate) async fn new(server: &Server, load: Load) -> Result<Self> {
        let ca = Path::new(server.export("AWS_CA_BUNDLE"));
        let aws = Aws::local(server.export("AWS_ENDPOINT_URL"), server.export("AWS_REGION"), ca).await?;
        let config = aws.subscriptions(http2::Settings::for_streams(usize::try_from(SHARDS)?))?;
        let config = aws_sdk_kinesis::config::Builder::from(&config).retry_config(RetryConfig::disabled()).build();
        Ok(Self { client: Client::from_conf(config), load })
    }

    /// # Errors
    /// When a subscription ends before all records are there.
    pub(crate) async fn read_all(&self, kind: SubscriptionKind, consumer: &str) -> Result<Turn> {
        let began = cpu_time()?;
        let (missing, all_read) = (Arc::new(AtomicUsize::new(self.load.records)), Arc::new(Semaphore::new(0)));
        let mut shards = JoinSet::new();
        for shard in 0..SHARDS {
            let (client, consumer, missing) = (self.client.clone(), consumer.to_owned(), Arc::clone(&missing));
            let all_read = Arc::clone(&all_read);
            shards.spawn(async move {
                let shard = format!("shardId-{shard:012}");
                let mut subscription = Box::pin(RawSubscription::open(kind, client, &consumer, &shard)).await?;
                let mut content = 0_u64;
                loop {
                    let event = tokio::select! {
                        event = subscription.next() => event?,
                        // Only ever closed: the last record has come, by some subscription.
                        _ = all_read.acquire() => break,
                    };
                    let (records, _) = event.ok_or("the subscription ended early")?;
                    for record in &records {
                        let hash = crc32fast::hash(&record.data) ^ crc32fast::hash(record.partition_key.as_bytes());
                        content = content.wrapping_add(u64::from(hash) ^ record.arrived_millis << 8);
                    }
                    if missing.fetch_sub(records.len(), Ordering::Relaxed) == records.len() {
                        all_read.close();
                    }
                }
                Ok::<_, String>(content)
            });
        }
        let mut content = 0_u64;
        while let Some(ended) = shards.join_next().await {
            content = content.wrapping_add(ended??);
        }
        Ok(Turn { cpu: cpu_time()?.saturating_sub(began), content })
    }
}

/// CPU time of the main thread, on which everything runs.
///
/// Source: <https://docs.kernel.org/scheduler/sched-stats.html>, "time spent on the cpu (in nanoseconds)".
fn cpu_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanos = stat.split(' ').next().ok_or("an unknown /proc/self/schedstat")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}
