//! A Kinesis without a network: it answers the SDK's requests from a script and keeps what it stored.

use alluvial_record::aggregate::{Decoded, decode};
use alluvial_record::{HashKeyRange, hash_key};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Config, Credentials, Region};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::base64;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What one PutRecords call does.
pub(super) enum Reply {
    /// Stores every record but those that are refused with a code.
    Store(Box<dyn FnMut(usize) -> Option<&'static str> + Send>),
    /// Stores every record after this time.
    Slow(Duration),
    /// Stores every record and never answers.
    Hang,
    /// Stores nothing.
    Error(u16, &'static str),
}

impl Reply {
    pub(super) fn ok() -> Self {
        Self::Store(Box::new(|_| None))
    }
}

type Script = Box<dyn FnMut(u64) -> Reply + Send>;

/// A record as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) shard: String,
    pub(super) key: String,
    pub(super) data: Vec<u8>,
}

impl Stored {
    /// What the record says in its field `n`.
    pub(super) fn number(&self) -> u64 {
        let value: Value = serde_json::from_slice(&self.data).unwrap();
        value["n"].as_u64().unwrap()
    }
}

/// A shard: its name and hash keys, and whether it takes records.
#[derive(Clone)]
struct Shard {
    name: String,
    range: HashKeyRange,
    open: bool,
}

struct World {
    shards: Vec<Shard>,
    script: Script,
    describe: (u16, Value),
    stored: Vec<Stored>,
    calls: u64,
    in_flight: usize,
    most_in_flight: usize,
    sequence: u64,
}

/// The service; clones are the same one.
#[derive(Clone)]
pub(super) struct Kinesis(Arc<Mutex<World>>);

impl fmt::Debug for Kinesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kinesis")
    }
}

impl Kinesis {
    /// `script` answers call 0, 1, 2, …
    pub(super) fn scripted(script: impl FnMut(u64) -> Reply + Send + 'static) -> Self {
        let summary = json!({"StreamDescriptionSummary": {
            "StreamName": "orders", "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/orders",
            "StreamStatus": "ACTIVE", "RetentionPeriodHours": 24, "StreamCreationTimestamp": 0,
            "EnhancedMonitoring": [], "OpenShardCount": 4,
        }});
        Self(Arc::new(Mutex::new(World {
            shards: Vec::new(),
            script: Box::new(script),
            describe: (200, summary),
            stored: Vec::new(),
            calls: 0,
            in_flight: 0,
            most_in_flight: 0,
            sequence: 0,
        })))
    }

    pub(super) fn describing(self, status: u16, code: &str) -> Self {
        self.world().describe = (status, json!({"__type": code, "message": "as scripted"}));
        self
    }

    /// Shards that start at these hash keys take the records from now on; those before are closed.
    pub(super) fn shard(&self, starts: &[u128]) {
        let mut world = self.world();
        world.shards.iter_mut().for_each(|shard| shard.open = false);
        let ends = starts.iter().skip(1).map(|start| start - 1).chain([u128::MAX]);
        for (start, end) in starts.iter().zip(ends) {
            let name = format!("shardId-{:012}", world.shards.len());
            world.shards.push(Shard { name, range: HashKeyRange { start: *start, end }, open: true });
        }
    }

    /// What a consumer makes of the stored records: the user records that belong to the shard where they are, in order.
    pub(super) fn consumed(&self) -> Vec<Stored> {
        let shards = self.world().shards.clone();
        let range = |name: &str| shards.iter().find(|shard| shard.name == name).unwrap().range;
        let consume = |stored: Stored| match decode(&stored.data.clone().into()) {
            Decoded::Aggregate(aggregate) => aggregate
                .records_within(range(&stored.shard))
                .map(|user| Stored {
                    shard: stored.shard.clone(),
                    key: user.partition_key.to_string(),
                    data: user.data.to_vec(),
                })
                .collect(),
            _ => vec![stored],
        };
        self.stored().into_iter().flat_map(consume).collect()
    }

    fn list_shards(&self) -> Value {
        let world = self.world();
        let shard = |shard: &Shard| {
            let mut numbers = json!({"StartingSequenceNumber": "1"});
            if !shard.open {
                numbers["EndingSequenceNumber"] = "9".into();
            }
            let keys =
                json!({"StartingHashKey": shard.range.start.to_string(), "EndingHashKey": shard.range.end.to_string()});
            json!({"ShardId": shard.name, "HashKeyRange": keys, "SequenceNumberRange": numbers})
        };
        json!({"Shards": world.shards.iter().map(shard).collect::<Vec<_>>()})
    }

    pub(super) fn client(&self) -> Client {
        let connector = SharedHttpConnector::new(self.clone());
        let config = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(http_client_fn(move |_, _| connector.clone()));
        Client::from_conf(config.build())
    }

    pub(super) fn stored(&self) -> Vec<Stored> {
        self.world().stored.clone()
    }

    pub(super) fn most_in_flight(&self) -> usize {
        self.world().most_in_flight
    }

    /// The numbers of the records, by key, in the order of the stream.
    pub(super) fn by_key(&self) -> HashMap<String, Vec<u64>> {
        let mut keys: HashMap<String, Vec<u64>> = HashMap::new();
        for stored in self.consumed() {
            keys.entry(stored.key.clone()).or_default().push(stored.number());
        }
        keys
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    async fn put(&self, body: Value) -> (u16, Value) {
        let reply = {
            let mut world = self.world();
            let call = world.calls;
            world.calls += 1;
            world.in_flight += 1;
            world.most_in_flight = world.most_in_flight.max(world.in_flight);
            (world.script)(call)
        };
        // An answer takes time, so that calls overlap.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let answer = match reply {
            Reply::Store(refuse) => (200, self.store(&body, refuse)),
            Reply::Slow(time) => {
                tokio::time::sleep(time).await;
                (200, self.store(&body, Box::new(|_| None)))
            }
            Reply::Hang => {
                self.store(&body, Box::new(|_| None));
                std::future::pending().await
            }
            Reply::Error(status, code) => (status, json!({"__type": code, "message": "as scripted"})),
        };
        self.world().in_flight -= 1;
        answer
    }

    fn store(&self, body: &Value, mut refuse: Box<dyn FnMut(usize) -> Option<&'static str> + Send>) -> Value {
        let mut world = self.world();
        let mut failed = 0;
        let records: Vec<Value> = body["Records"]
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
            .map(|(index, record)| match refuse(index) {
                Some(code) => {
                    failed += 1;
                    json!({"ErrorCode": code, "ErrorMessage": "as scripted"})
                }
                None => {
                    let key = record["PartitionKey"].as_str().unwrap().to_owned();
                    let data = base64::decode(record["Data"].as_str().unwrap()).unwrap();
                    let hash =
                        record["ExplicitHashKey"].as_str().map_or_else(|| hash_key(&key), |key| key.parse().unwrap());
                    let taker = world.shards.iter().find(|shard| shard.open && shard.range.contains(hash));
                    let shard =
                        taker.map_or_else(|| format!("shardId-{:012}", key.len() % 2), |shard| shard.name.clone());
                    world.stored.push(Stored { shard: shard.clone(), key, data });
                    world.sequence += 1;
                    json!({"SequenceNumber": world.sequence.to_string(), "ShardId": shard})
                }
            })
            .collect();
        json!({"FailedRecordCount": failed, "Records": records})
    }
}

impl HttpConnector for Kinesis {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let kinesis = self.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
            let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
            let (status, answer) = if target.ends_with(".PutRecords") {
                kinesis.put(body).await
            } else if target.ends_with(".ListShards") {
                (200, kinesis.list_shards())
            } else {
                kinesis.world().describe.clone()
            };
            Ok(HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(answer.to_string())))
        })
    }
}
