//! Any sequence of operations, with restarts between: what was acknowledged is there, and nothing else.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Act {
    Create { stream: usize, shards: u32 },
    Delete { stream: usize },
    Put { stream: usize, records: Vec<(String, Vec<u8>)> },
    Split { stream: usize, shard: usize },
    Merge { stream: usize, shard: usize },
    Tag { stream: usize, key: String },
    Register { stream: usize, consumer: usize },
    Deregister { stream: usize, consumer: usize },
    Retain { stream: usize, hours: u32 },
    Wait { hours: u64 },
    Reopen,
}

const STREAMS: [&str; 2] = ["orders", "clicks"];

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let stream = || 0..STREAMS.len();
    let record = ("[a-zé]{1,4}", proptest::collection::vec(any::<u8>(), 0..40));
    let records = proptest::collection::vec(record, 1..8);
    let act = prop_oneof![
        2 => (stream(), 1u32..4).prop_map(|(stream, shards)| Act::Create { stream, shards }),
        1 => stream().prop_map(|stream| Act::Delete { stream }),
        8 => (stream(), records).prop_map(|(stream, records)| Act::Put { stream, records }),
        2 => (stream(), 0usize..8).prop_map(|(stream, shard)| Act::Split { stream, shard }),
        2 => (stream(), 0usize..8).prop_map(|(stream, shard)| Act::Merge { stream, shard }),
        1 => (stream(), "[a-z]{1,3}").prop_map(|(stream, key)| Act::Tag { stream, key }),
        1 => (stream(), 0usize..3).prop_map(|(stream, consumer)| Act::Register { stream, consumer }),
        1 => (stream(), 0usize..3).prop_map(|(stream, consumer)| Act::Deregister { stream, consumer }),
        1 => (stream(), 24u32..72).prop_map(|(stream, hours)| Act::Retain { stream, hours }),
        2 => (1u64..14).prop_map(|hours| Act::Wait { hours }),
        4 => Just(Act::Reopen),
    ];
    proptest::collection::vec(act, 1..50)
}

/// By stream and sequence number, the key and the data of each acknowledged record.
type Ledger = BTreeMap<(&'static str, String), (String, String)>;

struct Run {
    world: World,
    ledger: Ledger,
}

impl Run {
    /// Does it; requests that are refused change nothing.
    async fn act(mut self, act: Act) -> Self {
        let name = |stream: usize| STREAMS[stream % STREAMS.len()];
        let consumer = |stream, consumer| json!({ "StreamARN": arn::stream(name(stream)), "ConsumerName": format!("app-{consumer}") });
        let (operation, request) = match act {
            Act::Reopen => return self.reopen().await,
            Act::Put { stream, records } => return self.put(name(stream), &records).await,
            Act::Wait { hours } => {
                self.world.advance(Duration::from_secs(hours * 3_600));
                return self;
            }
            Act::Delete { stream } => {
                let name = name(stream);
                let request = json!({ "StreamName": name, "EnforceConsumerDeletion": true });
                if send(&self.world.kinesis, "DeleteStream", request).await.0.is_success() {
                    self.ledger.retain(|(stream, _), _| *stream != name);
                }
                return self;
            }
            Act::Create { stream, shards } => ("CreateStream", create(name(stream), shards)),
            Act::Split { stream, shard } => {
                let Some([one, _]) = self.neighbours(name(stream), shard).await else { return self };
                let key = |end: &str| one["HashKeyRange"][end].as_str().unwrap().parse::<u128>().unwrap();
                let (low, high) = (key("StartingHashKey"), key("EndingHashKey"));
                let middle = (low + (high - low) / 2 + 1).to_string();
                (
                    "SplitShard",
                    json!({ "StreamName": name(stream), "ShardToSplit": one["ShardId"], "NewStartingHashKey": middle }),
                )
            }
            Act::Merge { stream, shard } => {
                let Some([one, other]) = self.neighbours(name(stream), shard).await else { return self };
                (
                    "MergeShards",
                    json!({ "StreamName": name(stream), "ShardToMerge": one["ShardId"], "AdjacentShardToMerge": other["ShardId"] }),
                )
            }
            Act::Tag { stream, key } => {
                ("AddTagsToStream", json!({ "StreamName": name(stream), "Tags": { key: "x" } }))
            }
            Act::Register { stream, consumer: number } => ("RegisterStreamConsumer", consumer(stream, number)),
            Act::Deregister { stream, consumer: number } => ("DeregisterStreamConsumer", consumer(stream, number)),
            Act::Retain { stream, hours } => {
                let operation =
                    if hours % 2 == 0 { "IncreaseStreamRetentionPeriod" } else { "DecreaseStreamRetentionPeriod" };
                (operation, json!({ "StreamName": name(stream), "RetentionPeriodHours": hours }))
            }
        };
        let (status, answer) = send(&self.world.kinesis, operation, request).await;
        assert!(!status.is_server_error(), "{operation}: {answer}");
        self
    }

    /// An open shard and the one above it, or itself if it is the highest.
    async fn neighbours(&self, stream: &str, shard: usize) -> Option<[Value; 2]> {
        let request = json!({ "StreamName": stream, "ShardFilter": { "Type": "AT_LATEST" } });
        let (_, answer) = send(&self.world.kinesis, "ListShards", request).await;
        let mut open = answer["Shards"].as_array()?.clone();
        open.sort_by_key(|shard| shard["HashKeyRange"]["StartingHashKey"].as_str().unwrap().parse::<u128>().unwrap());
        let one = shard % open.len();
        Some([open[one].clone(), open[(one + 1).min(open.len() - 1)].clone()])
    }

    async fn put(mut self, stream: &'static str, records: &[(String, Vec<u8>)]) -> Self {
        let entry = |(key, data): &(String, Vec<u8>)| json!({ "PartitionKey": key, "Data": STANDARD.encode(data) });
        let entries: Vec<_> = records.iter().map(entry).collect();
        let (status, answer) =
            send(&self.world.kinesis, "PutRecords", json!({ "StreamName": stream, "Records": entries })).await;
        if status.is_success() {
            assert_eq!(answer["FailedRecordCount"], 0);
            for (record, (key, data)) in answer["Records"].as_array().unwrap().iter().zip(records) {
                let number = record["SequenceNumber"].as_str().unwrap().to_owned();
                let earlier = self.ledger.insert((stream, number), (key.clone(), STANDARD.encode(data)));
                assert_eq!(earlier, None, "a sequence number is given once");
            }
        }
        self
    }

    async fn reopen(self) -> Self {
        let before = self.world.everything().await;
        let killed_at = self.world.kinesis.now();
        let world = self.world.reopen();
        // The time of the kill, as the machine's clock would have it.
        world.advance(Duration::from_millis(killed_at.saturating_sub(world.kinesis.now())));
        let after = world.everything().await;
        assert_eq!(after, before);
        // What is read was acknowledged, with this key and data. What was acknowledged and is not read is trimmed:
        // the service before the restart did not have it either.
        for stream in STREAMS {
            for record in after[stream]["Records"]
                .as_object()
                .into_iter()
                .flatten()
                .flat_map(|(_, records)| records.as_array().unwrap())
            {
                let text = |field: &str| record[field].as_str().unwrap().to_owned();
                let known = self.ledger.get(&(stream, text("SequenceNumber")));
                assert_eq!(known, Some(&(text("PartitionKey"), text("Data"))), "{stream}");
            }
        }
        Self { world, ..self }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_changes_nothing_that_can_be_read(acts in acts()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut run = Run { world: World::new(), ledger: Ledger::new() };
            for act in acts {
                run = run.act(act).await;
            }
            run.reopen().await;
        });
    }
}
