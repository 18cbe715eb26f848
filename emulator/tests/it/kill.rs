//! An emulator in a process of its own, killed with SIGKILL in the middle of its work.

use crate::dynamodb::{create_leases, owner_of, text};
use crate::world::World;
use alluvial_emulator::{Emulator, Settings};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Record, ShardIteratorType};
use aws_sdk_s3::primitives::ByteStream;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The data folder of the emulator that [`serve`] is to run.
const DIR: &str = "ALLUVIAL_TEST_SERVE_DIR";

/// What the line with the endpoint and the CA begins with.
const SERVING: &str = "serving ";

/// Tasks that put records side by side.
const WRITERS: usize = 4;

/// Records of one PutRecords.
const BATCH: usize = 50;

/// Kills, one after the other on the same data.
const ROUNDS: usize = 3;

/// Not a test but the other process, which [`Victim::start`] starts from this program. It ends with its standard input at
/// the latest, so that it does not outlive a test that failed.
#[tokio::test]
async fn serve() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let settings = Settings { persist: true, ..Settings::new(dir) };
    let emulator = Emulator::start(settings).await.expect("an emulator");
    println!("\n{SERVING}{} {}", emulator.endpoint(), emulator.ca_bundle().display());
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    ended.await.expect("a thread").expect("the end of the input");
}

/// The other process.
struct Victim {
    process: Child,
    endpoint: String,
    ca_bundle: PathBuf,
}

impl Victim {
    fn start(dir: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .args(["kill::serve", "--exact", "--nocapture"])
            .env(DIR, dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("another process");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let line = lines
            .find_map(|line| line.expect("a line").strip_prefix(SERVING).map(str::to_owned))
            .expect("the line with the endpoint");
        let (endpoint, ca_bundle) = line.split_once(' ').expect("two words");
        Self { process, endpoint: endpoint.to_owned(), ca_bundle: ca_bundle.into() }
    }

    fn kinesis(&self) -> aws_sdk_kinesis::Client {
        World::kinesis_of(self.endpoint.clone(), &self.ca_bundle)
    }

    fn s3(&self) -> aws_sdk_s3::Client {
        World::s3_of(self.endpoint.clone(), &self.ca_bundle)
    }

    fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        World::dynamodb_of(self.endpoint.clone(), &self.ca_bundle)
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.process.kill().expect("a kill");
        let status = self.process.wait().expect("its end");
        assert!(!status.success() && status.code().is_none(), "it was to die of the signal: {status}");
    }
}

/// What was acknowledged: sequence numbers with their partition key and shard, objects, items, consumers' ARNs.
#[derive(Default)]
struct Acknowledged {
    records: BTreeMap<String, (String, String)>,
    objects: Vec<String>,
    items: Vec<String>,
    consumers: Vec<String>,
}

impl Acknowledged {
    fn join(&mut self, other: Self) {
        self.records.extend(other.records);
        self.objects.extend(other.objects);
        self.items.extend(other.items);
        self.consumers.extend(other.consumers);
    }
}

/// About 1 KiB that follow from the key.
fn data(key: &str) -> Vec<u8> {
    key.bytes().cycle().take(1_024).collect()
}

/// Puts records until the emulator is gone.
async fn write_records(
    client: aws_sdk_kinesis::Client,
    writer: String,
    progress: watch::Sender<usize>,
) -> Acknowledged {
    let mut done = Acknowledged::default();
    for batch in 0.. {
        let keys: Vec<_> = (0..BATCH).map(|number| format!("{writer}-{batch}-{number}")).collect();
        let entry = |key: &String| {
            let entry = PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data(key)));
            entry.build().expect("an entry")
        };
        let put = client.put_records().stream_name("orders").set_records(Some(keys.iter().map(entry).collect()));
        let Ok(answer) = put.send().await else { break };
        for (result, key) in answer.records().iter().zip(keys) {
            let number = result.sequence_number().expect("a sequence number").to_owned();
            let shard = result.shard_id().expect("a shard").to_owned();
            assert_eq!(done.records.insert(number, (key, shard)), None, "a number is given once");
        }
        progress.send_modify(|count| *count += 1);
    }
    done
}

/// Puts objects, items and consumers, and splits shards, until the emulator is gone.
async fn write_others(
    victim: (aws_sdk_kinesis::Client, aws_sdk_s3::Client, aws_sdk_dynamodb::Client),
    round: usize,
    progress: watch::Sender<usize>,
) -> Acknowledged {
    let (kinesis, s3, dynamodb) = victim;
    let mut done = Acknowledged::default();
    for number in 0.. {
        let name = format!("{round}-{number}");
        let put = s3.put_object().bucket("lake").key(&name).body(ByteStream::from(data(&name)));
        if put.send().await.is_err() {
            break;
        }
        done.objects.push(name.clone());
        let put = dynamodb.put_item().table_name("leases").item("leaseKey", text(&name)).item("leaseOwner", text("a"));
        if put.send().await.is_err() {
            break;
        }
        done.items.push(name.clone());
        if number < 3 {
            let register = kinesis.register_stream_consumer().consumer_name(&name).stream_arn(STREAM_ARN);
            let Ok(registered) = register.send().await else { break };
            done.consumers.push(registered.consumer().expect("a consumer").consumer_arn().to_owned());
            let shards = kinesis.list_shards().stream_name("orders").send().await;
            let Ok(shards) = shards else { break };
            let open = shards
                .shards()
                .iter()
                .find(|shard| shard.sequence_number_range().expect("a range").ending_sequence_number().is_none());
            let open = open.expect("an open shard");
            let range = open.hash_key_range().expect("a range");
            let (low, high): (u128, u128) =
                (range.starting_hash_key().parse().expect("a key"), range.ending_hash_key().parse().expect("a key"));
            let split = kinesis.split_shard().stream_name("orders").shard_to_split(open.shard_id());
            if split.new_starting_hash_key((low + (high - low) / 2).to_string()).send().await.is_err() {
                break;
            }
        }
        progress.send_modify(|count| *count += 1);
    }
    done
}

const STREAM_ARN: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/orders";

/// All records of the stream by sequence number, with their key and shard.
async fn all_records(client: &aws_sdk_kinesis::Client) -> BTreeMap<String, (String, String)> {
    let shards = client.list_shards().stream_name("orders").send().await.expect("shards");
    let mut all = BTreeMap::new();
    for shard in shards.shards().iter().map(|shard| shard.shard_id()) {
        let iterator = client.get_shard_iterator().stream_name("orders").shard_id(shard);
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.expect("an iterator");
        let mut iterator = iterator.shard_iterator().map(str::to_owned);
        while let Some(current) = iterator {
            let answer = client.get_records().shard_iterator(current).send().await.expect("records");
            answer.records().iter().for_each(|record| add(&mut all, record, shard));
            let at_tip = answer.records().is_empty() && answer.millis_behind_latest() == Some(0);
            iterator = answer.next_shard_iterator().filter(|_| !at_tip).map(str::to_owned);
        }
    }
    all
}

fn add(all: &mut BTreeMap<String, (String, String)>, record: &Record, shard: &str) {
    let key = record.partition_key().expect("a key").to_owned();
    assert_eq!(record.data().as_ref(), data(&key), "no record is half there");
    let number = record.sequence_number().to_owned();
    let earlier = all.insert(number, (key, shard.to_owned()));
    assert_eq!(earlier, None, "a number is given once");
}

/// Loads the emulator until it has answered much, kills it while it answers more, and says what it acknowledged.
async fn load_and_kill(victim: Victim, round: usize) -> Acknowledged {
    let (progress, mut made) = watch::channel(0);
    let (others, mut others_made) = watch::channel(0);
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        tasks.spawn(write_records(victim.kinesis(), format!("{round}-{writer}"), progress.clone()));
    }
    tasks.spawn(write_others((victim.kinesis(), victim.s3(), victim.dynamodb()), round, others));
    made.wait_for(|batches| *batches >= 40).await.expect("writers");
    others_made.wait_for(|puts| *puts >= 5).await.expect("a writer");
    victim.kill();
    let mut acknowledged = Acknowledged::default();
    while let Some(done) = tasks.join_next().await {
        acknowledged.join(done.expect("a writer that was refused"));
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_acknowledged_is_lost_by_sigkill() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut victim = Victim::start(dir.path());
    victim.kinesis().create_stream().stream_name("orders").shard_count(3).send().await.expect("a stream");
    victim.s3().create_bucket().bucket("lake").send().await.expect("a bucket");
    create_leases(&victim.dynamodb()).await;
    let mut acknowledged = Acknowledged::default();
    for round in 0..ROUNDS {
        acknowledged.join(load_and_kill(victim, round).await);
        victim = Victim::start(dir.path());

        let kinesis = victim.kinesis();
        let there = all_records(&kinesis).await;
        let lost = acknowledged.records.iter().find(|(number, record)| there.get(*number) != Some(record));
        assert_eq!(
            lost,
            None,
            "round {round}: of {} acknowledged, {} are there",
            acknowledged.records.len(),
            there.len()
        );
        // A consumer whose registration was not answered may be there too.
        let listed = kinesis.list_stream_consumers().stream_arn(STREAM_ARN).send().await.expect("consumers");
        let arns: Vec<_> = listed.consumers().iter().map(|consumer| consumer.consumer_arn().to_owned()).collect();
        assert!(acknowledged.consumers.iter().all(|arn| arns.contains(arn)), "{:?} {arns:?}", acknowledged.consumers);
        let (s3, dynamodb) = (victim.s3(), victim.dynamodb());
        for key in &acknowledged.objects {
            let got = s3.get_object().bucket("lake").key(key).send().await.expect("an object");
            assert_eq!(got.body.collect().await.expect("a body").to_vec(), data(key), "{key}");
        }
        for item in &acknowledged.items {
            assert_eq!(owner_of(&dynamodb, item).await.as_deref(), Some("a"), "{item}");
        }
    }
    victim.kill();
}
