//! The example programs of the consumer library, each against an emulator, as a reader of the manual would run them.

use alluvial_tests::{Daemon, World, eventually};
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// An example that runs, and what it prints.
struct Running {
    process: Daemon,
    output: PathBuf,
}

impl Running {
    fn start(world: &World, name: &str, args: &[&str]) -> Self {
        // One file for each run: a second run of the same example must not be taken for the first.
        let output = tempfile::Builder::new().prefix(name).tempfile_in(world.path("")).unwrap().into_temp_path();
        let output = output.keep().unwrap();
        let mut command = world.example(name);
        command.arg("orders").args(args);
        Self { process: Daemon::start_printing(command, File::create(&output).unwrap()), output }
    }

    fn lines(&self) -> Vec<String> {
        std::fs::read_to_string(&self.output).unwrap().lines().map(str::to_owned).collect()
    }

    async fn until_lines(&self, count: usize) -> Vec<String> {
        eventually("lines of the example", LIMIT, || async { Some(self.lines()).filter(|lines| lines.len() >= count) })
            .await
    }

    /// Stops it as Ctrl-C does; it must end in good order. Returns all that it printed.
    async fn stop(self) -> Vec<String> {
        let output = self.output.clone();
        let finished = self.process.terminate(LIMIT).await;
        assert_eq!(finished.code, Some(0), "{}", finished.log);
        std::fs::read_to_string(output).unwrap().lines().map(str::to_owned).collect()
    }
}

fn payload(n: u32) -> String {
    format!("{{\"n\":{n}}}")
}

fn records(range: Range<u32>) -> impl Iterator<Item = (String, Vec<u8>)> {
    range.map(|n| (format!("key-{}", n % 7), payload(n).into_bytes()))
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn print_prints_every_record_and_goes_on_where_it_stopped() {
    let world = World::start(2).await;
    let line = |n: u32| format!("key-{}\t{}", n % 7, payload(n));
    world.put(records(0..60)).await;
    let running = Running::start(&world, "print", &[]);
    running.until_lines(60).await;
    assert_eq!(sorted(running.stop().await), sorted((0..60).map(line).collect()));
    world.put(records(60..80)).await;
    let running = Running::start(&world, "print", &[]);
    running.until_lines(20).await;
    assert_eq!(sorted(running.stop().await), sorted((60..80).map(line).collect()));
}

#[tokio::test(flavor = "multi_thread")]
async fn count_per_key_counts_all_but_what_it_set_aside() {
    let world = World::start(2).await;
    world.put(records(0..30)).await;
    world.put([("key-0".to_owned(), b"no JSON".to_vec())]).await;
    world.put(records(30..70)).await;
    let running = Running::start(&world, "count_per_key", &[]);
    world.until_checkpointed_by("example-count", LIMIT).await;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for line in running.stop().await {
        let fields: Vec<&str> = line.split('\t').collect();
        let count = counts.entry(fields[1].to_owned()).or_default();
        *count += fields[2].parse::<u64>().unwrap();
    }
    assert_eq!(counts, (0..7).map(|key| (format!("key-{key}"), 10)).collect());
    let dead = std::fs::read_to_string(world.path("dead-letters.ndjson")).unwrap();
    let dead: Vec<serde_json::Value> = dead.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((dead.len(), &dead[0]["payload"]), (1, &serde_json::json!("no JSON")));
    assert!(dead[0]["shard"].as_str().unwrap().starts_with("orders/shardId-"), "{}", dead[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn to_file_writes_each_record_once_over_a_restart() {
    let world = World::start(2).await;
    let file = world.path("out.ndjson");
    for round in 0..2 {
        world.put(records(round * 50..(round + 1) * 50)).await;
        let running = Running::start(&world, "to_file", &["out.ndjson"]);
        world.until_checkpointed_by("example-to-file", LIMIT).await;
        assert_eq!(running.stop().await, Vec::<String>::new());
    }
    let lines = std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(sorted(lines), sorted((0..100).map(payload).collect()));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_applications_have_every_record_each() {
    let world = World::start(2).await;
    world.put(records(0..40)).await;
    let running = Running::start(&world, "two_applications", &[]);
    running.until_lines(80).await;
    let both = ["example-billing", "example-audit"];
    let wanted = both.iter().flat_map(|name| (0..40).map(move |n| format!("{name}\t{}", payload(n))));
    assert_eq!(sorted(running.stop().await), sorted(wanted.collect()));
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_begins_at_its_moment_each_time() {
    let world = World::start(2).await;
    world.put(records(0..20)).await;
    let running = Running::start(&world, "replay", &["1"]);
    running.until_lines(20).await;
    world.put(records(20..30)).await;
    running.until_lines(30).await;
    let all = running.stop().await;
    let (mut since, mut before) = (u64::MAX, 0);
    for line in &all {
        let (arrived, record) = line.split_once('\t').unwrap();
        let (arrived, late): (u64, bool) = (arrived.parse().unwrap(), (20..30).any(|n| record == payload(n)));
        if late { since = since.min(arrived) } else { before = before.max(arrived) }
    }
    assert!(before < since, "the second call came later: {before} {since}");
    let running = Running::start(&world, "replay", &[&since.to_string()]);
    running.until_lines(10).await;
    let again = running.stop().await;
    let again = again.iter().map(|line| line.split_once('\t').unwrap().1.to_owned()).collect();
    assert_eq!(sorted(again), sorted((20..30).map(payload).collect()));
}
