//! A world for one test: a folder, an emulator process in it, and clients for what the test does from outside.

use crate::bin::{bin, example};
use crate::daemon::Daemon;
use alluvial_runtime::aws::Aws;
use aws_sdk_firehose::types::{BufferingHints, ExtendedS3DestinationConfiguration};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Shard, ShardIteratorType};
use base64::Engine as _;
use std::collections::BTreeMap;
use std::future::Future;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

/// The stream, bucket and delivery stream of every world.
const STREAM: &str = "orders";
const BUCKET: &str = "lake";
const DELIVERY_STREAM: &str = "orders-raw";

/// A record as it lies in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRecord {
    /// Its shard.
    pub shard: String,
    /// Its sequence number.
    pub sequence: String,
    /// Its partition key.
    pub partition_key: String,
    /// Its payload.
    pub data: Vec<u8>,
}

/// An emulator with a stream, a bucket and a delivery stream.
#[derive(Debug)]
pub struct World {
    dir: TempDir,
    emulator: Child,
    env: Vec<(String, String)>,
    /// Host and port of the emulator's control path.
    control: String,
    /// Clients for what the test does itself.
    pub aws: Aws,
}

impl Drop for World {
    fn drop(&mut self) {
        self.emulator.kill().ok();
        self.emulator.wait().ok();
    }
}

/// Waits until `check` gives a value; polls, because what it looks at is in another process.
///
/// # Panics
/// When it gives none within `limit`.
pub async fn eventually<T, F>(what: &str, limit: Duration, mut check: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl World {
    /// Starts an emulator, and makes a stream of `shards`, a bucket and a delivery stream.
    pub async fn start(shards: i32) -> Self {
        Self::start_at_speed(shards, 1).await
    }

    /// As [`World::start`], with an emulator whose clock runs `speed` times as fast: at 60 a subscription ends after 5 s.
    pub async fn start_at_speed(shards: i32, speed: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut emulator = Command::new(bin("alluvial"))
            .args([
                "emulator",
                "--port",
                "0",
                "--plain-port",
                "0",
                "--limits",
                "off",
                "--clock-speed",
                &speed.to_string(),
                "--dir",
            ])
            .arg(dir.path().join("aws"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(emulator.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut env: Vec<(String, String)> = Vec::new();
        let last = loop {
            let line = lines.next().unwrap();
            let Some((name, value)) = line.strip_prefix("export ").and_then(|rest| rest.split_once('=')) else {
                break line;
            };
            env.push((name.to_owned(), value.trim_matches('\'').to_owned()));
        };
        let plain = last.split_whitespace().find_map(|word| word.strip_prefix("http://")).unwrap();
        let control = plain.trim_end_matches(';').to_owned();
        let find = |name: &str| env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap();
        let (endpoint, region, ca) = (find("AWS_ENDPOINT_URL"), find("AWS_REGION"), find("AWS_CA_BUNDLE"));
        let aws = Aws::local(&endpoint, &region, Path::new(&ca)).await.unwrap();
        let world = Self { dir, emulator, env, control, aws };
        world.create(shards).await;
        world
    }

    async fn create(&self, shards: i32) {
        let create =
            self.kinesis().create_stream().stream_name(STREAM).shard_count(shards).max_record_size_in_kib(4096);
        create.send().await.unwrap();
        self.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
        let destination = ExtendedS3DestinationConfiguration::builder()
            .role_arn("arn:aws:iam::000000000000:role/test")
            .bucket_arn(format!("arn:aws:s3:::{BUCKET}"))
            .prefix("raw/")
            .buffering_hints(BufferingHints::builder().size_in_mbs(8).interval_in_seconds(60).build())
            .build()
            .unwrap();
        let firehose = aws_sdk_firehose::Client::new(&self.aws.control);
        let create = firehose
            .create_delivery_stream()
            .delivery_stream_name(DELIVERY_STREAM)
            .extended_s3_destination_configuration(destination);
        Box::pin(create.send()).await.unwrap();
    }

    /// Ends the emulator as a power cut would: all of AWS is out of reach.
    pub fn kill_emulator(&mut self) {
        self.emulator.kill().unwrap();
        self.emulator.wait().unwrap();
    }

    /// Puts a fault plan in force, see docs/emulator.md.
    pub async fn set_faults(&self, plan: &str) {
        let answer = self.control("PUT", "faults", plan).await;
        assert!(answer.contains(" 200 "), "{answer}");
    }

    /// Ends all faults.
    pub async fn end_faults(&self) {
        self.control("DELETE", "faults", "").await;
    }

    /// Rows that Firehose has accepted so far, whether it has written them or not.
    pub async fn delivered_rows(&self) -> usize {
        let answer = self.control("GET", &format!("firehose/{DELIVERY_STREAM}/records"), "").await;
        let records = answer.lines().filter(|line| line.starts_with('{'));
        let rows = records.map(|line| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            let member = base64::engine::general_purpose::STANDARD.decode(record["Data"].as_str().unwrap()).unwrap();
            BufReader::new(flate2::read::MultiGzDecoder::new(member.as_slice())).lines().count()
        });
        rows.sum()
    }

    /// What a path of the emulator's control path answers, such as `faults/log`: one value a line.
    pub async fn journal(&self, path: &str) -> Vec<serde_json::Value> {
        let answer = self.control("GET", path, "").await;
        assert!(answer.contains(" 200 "), "{path}: {answer}");
        answer.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Ends every subscription, as if its five minutes were over.
    pub async fn expire_subscriptions(&self) {
        let answer = self.control("POST", "kinesis/expire-subscriptions", "").await;
        assert!(answer.contains(" 200 "), "{answer}");
    }

    async fn control(&self, method: &str, path: &str, body: &str) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut connection = tokio::net::TcpStream::connect(&self.control).await.unwrap();
        // HTTP/1.0: the answer ends with the connection, and comes in one piece.
        let head =
            format!("{method} /_emulator/{path} HTTP/1.0\r\nhost: emulator\r\ncontent-length: {}\r\n\r\n", body.len());
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.write_all(body.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A Kinesis client.
    pub fn kinesis(&self) -> aws_sdk_kinesis::Client {
        aws_sdk_kinesis::Client::new(&self.aws.control)
    }

    /// A DynamoDB client.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.aws.control)
    }

    /// An S3 client.
    pub fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.aws.control).force_path_style(true).build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// A file or folder of this world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command that finds this world's emulator.
    pub fn command(&self, name: &str) -> Command {
        self.with_env(Command::new(bin(name)))
    }

    /// An example program of the consumer library, which finds this world's emulator.
    pub fn example(&self, name: &str) -> Command {
        self.with_env(Command::new(example(name)))
    }

    fn with_env(&self, mut command: Command) -> Command {
        command.envs(self.env.iter().cloned()).env_remove("AWS_PROFILE").current_dir(self.dir.path());
        command
    }

    /// Starts the daemon with position columns and short intervals, and dead letters in the folder `dead`.
    pub fn daemon(&self) -> Daemon {
        self.daemon_with("dead", &[])
    }

    /// Starts the daemon with another dead-letter store, and with options.
    pub fn daemon_with(&self, dead_letter: &str, options: &[&str]) -> Daemon {
        self.start_daemon("alluvial", "", dead_letter, options)
    }

    /// Starts a worker of a fleet, with more lines for the table `[source]` of its settings.
    pub fn worker(&self, name: &str, source: &str) -> Daemon {
        self.start_daemon(name, &format!("worker = \"{name}\"\n{source}\n"), "dead", &[])
    }

    fn start_daemon(&self, name: &str, source: &str, dead_letter: &str, options: &[&str]) -> Daemon {
        let settings = format!(
            "[source]\nstream = \"{STREAM}\"\napplication = \"enricher\"\nfailover = \"2s\"\ncheckpoint_interval = \"200ms\"\ndrain_grace = \"5s\"\n\
             {source}\
             [pack]\nmax_wait = \"100ms\"\nmetadata = \"columns\"\n\
             [sink]\ntype = \"firehose\"\ndelivery_stream = \"{DELIVERY_STREAM}\"\n\
             [on_error]\ndead_letter = \"{dead_letter}\"\n"
        );
        let config = self.path(&format!("{name}.toml"));
        std::fs::write(&config, settings).unwrap();
        let mut command = self.command("alluvial");
        command.args(["run", "--log", "info,alluvial_consumer=debug"]).args(options).arg("--config").arg(config);
        Daemon::start(command)
    }

    /// Puts records, in order, each under its key; every one must be accepted.
    pub async fn put(&self, records: impl IntoIterator<Item = (String, Vec<u8>)>) {
        let entry = |(key, data): (String, Vec<u8>)| {
            PutRecordsRequestEntry::builder().partition_key(key).data(Blob::new(data)).build().unwrap()
        };
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for record in records {
            bytes += record.1.len();
            batch.push(entry(record));
            if batch.len() == 500 || bytes > 4_000_000 {
                self.put_batch(std::mem::take(&mut batch)).await;
                bytes = 0;
            }
        }
        self.put_batch(batch).await;
    }

    async fn put_batch(&self, batch: Vec<PutRecordsRequestEntry>) {
        if !batch.is_empty() {
            let put = self.kinesis().put_records().stream_name(STREAM).set_records(Some(batch)).send().await.unwrap();
            assert_eq!(put.failed_record_count, Some(0));
        }
    }

    /// All shards of the stream.
    pub async fn shards(&self) -> Vec<Shard> {
        self.kinesis().list_shards().stream_name(STREAM).send().await.unwrap().shards.unwrap_or_default()
    }

    /// All records of the stream, by GetRecords: what the daemon must deliver.
    pub async fn stream_records(&self) -> Vec<StreamRecord> {
        let mut records = Vec::new();
        for shard in self.shards().await {
            let first = self
                .kinesis()
                .get_shard_iterator()
                .stream_name(STREAM)
                .shard_id(shard.shard_id())
                .shard_iterator_type(ShardIteratorType::TrimHorizon);
            let mut iterator = first.send().await.unwrap().shard_iterator;
            while let Some(current) = iterator.take() {
                let page = self.kinesis().get_records().shard_iterator(current).send().await.unwrap();
                let done = page.records.is_empty() && page.millis_behind_latest == Some(0);
                records.extend(page.records.into_iter().map(|record| StreamRecord {
                    shard: shard.shard_id().to_owned(),
                    sequence: record.sequence_number,
                    partition_key: record.partition_key.unwrap_or_default(),
                    data: record.data.into_inner(),
                }));
                iterator = page.next_shard_iterator.filter(|_| !done);
            }
        }
        records
    }

    /// The lease rows: shard → (owner, checkpoint).
    pub async fn leases(&self) -> BTreeMap<String, (Option<String>, String)> {
        self.leases_of("enricher").await
    }

    /// As [`World::leases`], of another application.
    pub async fn leases_of(&self, application: &str) -> BTreeMap<String, (Option<String>, String)> {
        let Ok(rows) = self.dynamodb().scan().table_name(application).consistent_read(true).send().await else {
            return BTreeMap::new();
        };
        let text = |row: &std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>, name: &str| {
            row.get(name).and_then(|value| value.as_s().ok()).cloned()
        };
        rows.items()
            .iter()
            // Workers' heartbeats lie in the same table.
            .filter(|row| row.contains_key("leaseCounter"))
            .map(|row| (text(row, "leaseKey").unwrap(), (text(row, "leaseOwner"), text(row, "checkpoint").unwrap())))
            .collect()
    }

    /// Waits until every shard is checkpointed at its last record or its end.
    pub async fn until_checkpointed(&self, limit: Duration) {
        self.until_checkpointed_by("enricher", limit).await;
    }

    /// As [`World::until_checkpointed`], by another application.
    pub async fn until_checkpointed_by(&self, application: &str, limit: Duration) {
        let mut last: BTreeMap<String, String> = BTreeMap::new();
        for record in self.stream_records().await {
            last.insert(record.shard, record.sequence);
        }
        eventually("all records checkpointed", limit, || async {
            let leases = self.leases_of(application).await;
            let done = |(shard, sequence): (&String, &String)| {
                leases.get(shard).is_some_and(|(_, at)| at == sequence || at == "SHARD_END")
            };
            last.iter().all(done).then_some(())
        })
        .await;
    }

    /// Has Firehose write what it buffers, and makes the delivery stream anew.
    pub async fn flush_firehose(&self) {
        let firehose = aws_sdk_firehose::Client::new(&self.aws.control);
        firehose.delete_delivery_stream().delivery_stream_name(DELIVERY_STREAM).send().await.unwrap();
    }

    /// The folder of the raw objects.
    pub fn raw(&self) -> PathBuf {
        self.path("aws/s3").join(BUCKET).join("raw")
    }

    /// The folder of the dead letters.
    pub fn dead_letters(&self) -> PathBuf {
        self.path("dead")
    }
}
