//! A consumer of one shard, by either method: it notes when it first has each record.

use crate::producer::{RECORDS, number};
use alluvial_benches::Result;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::get_records::GetRecordsError;
use aws_sdk_kinesis::types::{Record, ShardIteratorType, StartingPosition, SubscribeToShardEventStream};
use std::time::{Duration, Instant};

/// The only shard.
const SHARD: &str = "shardId-000000000000";

/// What a consumer got.
#[derive(Debug)]
pub(crate) struct Tally {
    /// When each record came.
    pub(crate) times: Vec<Option<Instant>>,
    missing: usize,
    /// Calls that were refused for exceeding the limits.
    pub(crate) refused: u32,
}

/// A consumer that is ready for records.
pub(crate) enum Consumer {
    /// An open subscription.
    FanOut(Box<aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput>),
    /// A position, and the wait between two reads.
    Polling(Client, String, Duration),
}

impl Tally {
    fn new() -> Self {
        Self { times: vec![None; RECORDS], missing: RECORDS, refused: 0 }
    }

    /// # Errors
    /// For a record that came before, or that was never put.
    fn add(&mut self, records: &[Record]) -> Result<()> {
        let now = Instant::now();
        for record in records {
            let number = number(record.data().as_ref())?;
            let time = self.times.get_mut(number).ok_or("a record that was never put")?;
            if time.replace(now).is_some() {
                return Err(format!("record {number} came twice").into());
            }
            self.missing -= 1;
        }
        Ok(())
    }
}

impl Consumer {
    /// Subscribes from the oldest record on.
    pub(crate) async fn fan_out(client: &Client, arn: &str) -> Result<Self> {
        let start = StartingPosition::builder().r#type(ShardIteratorType::TrimHorizon).build()?;
        let call = client.subscribe_to_shard().consumer_arn(arn).shard_id(SHARD).starting_position(start);
        Ok(Self::FanOut(Box::new(Box::pin(call.send()).await?)))
    }

    /// Gets an iterator at the oldest record.
    pub(crate) async fn polling(client: Client, idle: Duration) -> Result<Self> {
        let call = client.get_shard_iterator().stream_name("bench").shard_id(SHARD);
        let answer = Box::pin(call.shard_iterator_type(ShardIteratorType::TrimHorizon).send()).await?;
        Ok(Self::Polling(client, answer.shard_iterator.ok_or("no iterator")?, idle))
    }

    /// Reads until all records are there, each once.
    pub(crate) async fn read_all(self) -> Result<Tally> {
        let mut tally = Tally::new();
        match self {
            Self::FanOut(mut subscription) => {
                while tally.missing > 0 {
                    let event = subscription.event_stream.recv().await?.ok_or("the subscription ended early")?;
                    if let SubscribeToShardEventStream::SubscribeToShardEvent(event) = event {
                        tally.add(event.records())?;
                    }
                }
            }
            Self::Polling(client, iterator, idle) => poll(&client, iterator, idle, &mut tally).await?,
        }
        Ok(tally)
    }
}

/// As the KCL: after each call, refused or not, it waits `idle`.
async fn poll(client: &Client, mut iterator: String, idle: Duration, tally: &mut Tally) -> Result<()> {
    while tally.missing > 0 {
        match Box::pin(client.get_records().shard_iterator(&iterator).send()).await {
            Ok(page) => {
                tally.add(page.records())?;
                iterator = page.next_shard_iterator.ok_or("the shard ended")?;
            }
            Err(error) if error.as_service_error().is_some_and(is_throttle) => tally.refused += 1,
            Err(error) => return Err(error.into()),
        }
        if tally.missing > 0 {
            tokio::time::sleep(idle).await;
        }
    }
    Ok(())
}

fn is_throttle(error: &GetRecordsError) -> bool {
    error.is_provisioned_throughput_exceeded_exception()
}
