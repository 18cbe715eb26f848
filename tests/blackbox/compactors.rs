//! `compact` on S3: several at once, killed, in shares, and with answers that are lost.

use alluvial_compactor::{GcSettings, gc};
use alluvial_runtime::clock::Clock;
use alluvial_tests::{World, finish};
use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use aws_sdk_s3::primitives::ByteStream;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt as _;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Rows of an object.
const ROWS: i64 = 500;

fn object(first: i64) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for n in first..first + ROWS {
        let late = if n % 7000 == 6999 { ",\"late\":1.5" } else { "" };
        writeln!(encoder, "{{\"n\":{n},\"site\":\"s{}\"{late}}}", n % 5).unwrap();
    }
    encoder.finish().unwrap()
}

/// Puts objects `from..to`, over several hours.
async fn put(world: &World, from: i64, to: i64) {
    let s3 = world.s3();
    let puts = (from..to).map(|n| {
        let key = format!("raw/2026/11/23/{:02}/{n:05}", n % 6);
        s3.put_object().bucket("lake").key(key).body(ByteStream::from(object(n * ROWS))).send()
    });
    let puts: Vec<_> = futures_util::stream::iter(puts).buffer_unordered(16).collect().await;
    puts.into_iter().for_each(|put| drop(put.unwrap()));
}

/// Every object below `prefix`, by what follows the prefix.
async fn content(world: &World, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let s3 = world.s3();
    let mut content = BTreeMap::new();
    let mut pages = s3.list_objects_v2().bucket("lake").prefix(prefix).into_paginator().send();
    while let Some(page) = pages.next().await {
        for object in page.unwrap().contents.unwrap_or_default() {
            let key = object.key.unwrap();
            let body = s3.get_object().bucket("lake").key(&key).send().await.unwrap().body.collect().await.unwrap();
            content.insert(key[prefix.len()..].to_owned(), body.to_vec());
        }
    }
    content
}

/// The numbers of all rows, as a reader finds them who lists folders.
fn numbers(content: &BTreeMap<String, Vec<u8>>) -> Vec<i64> {
    let files = content.iter().filter(|(name, _)| !name.starts_with('_'));
    let rows = files.flat_map(|(_, bytes)| {
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes.clone())).unwrap();
        reader
            .build()
            .unwrap()
            .flat_map(|batch| batch.unwrap().column_by_name("n").unwrap().as_primitive::<Int64Type>().values().to_vec())
    });
    let mut rows: Vec<i64> = rows.collect();
    rows.sort_unstable();
    rows
}

fn compact(world: &World, args: &[&str]) -> Command {
    let mut command = world.command("compact");
    command.args(args);
    command
}

/// What a command tells that has to end with 0.
fn told(world: &World, args: &[&str]) -> serde_json::Value {
    let done = finish(compact(world, args).arg("--json"));
    assert_eq!(done.code, Some(0), "{args:?}: {}{}", done.stdout, done.log);
    serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {:?}", done.stdout))
}

#[tokio::test(flavor = "multi_thread")]
async fn compactors_at_once_that_are_killed_leave_each_row_once() {
    let world = World::start(1).await;
    let run = ["run", "s3://lake/raw", "s3://lake/parquet"];
    let mut objects = 0;
    for (round, lines) in [1usize, 3, 8, 14, 16, 18].into_iter().enumerate() {
        put(&world, objects, objects + 20).await;
        objects += 20;
        let mut killed = compact(&world, &run).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let beside = compact(&world, &run).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        // Killed while it reads, writes or commits, as far as its progress tells.
        BufReader::new(killed.stderr.take().unwrap()).lines().take(lines).for_each(drop);
        killed.kill().unwrap();
        killed.wait().unwrap();
        let beside = tokio::task::spawn_blocking(move || beside.wait_with_output()).await.unwrap().unwrap();
        let log = String::from_utf8_lossy(&beside.stderr);
        assert_eq!(beside.status.code(), Some(0), "round {round}: {log}");
        let found = numbers(&content(&world, "parquet/").await);
        assert!(found == (0..objects * ROWS).collect::<Vec<_>>(), "round {round}: {} rows", found.len());
    }
    assert_eq!(told(&world, &run)["already_done"], true);
    assert_eq!(told(&world, &["verify", "s3://lake/parquet", "--inputs"])["rows"], objects * ROWS);
    // What the killed ones were uploading is there still, and too young.
    let young = told(&world, &["gc", "s3://lake/parquet", "--inputs", "--grace", "1h"]);
    assert_eq!((young["young_inputs"].as_i64(), young["orphans"].as_i64()), (Some(objects), Some(0)));
    // A day later, they are not: by the emulator's clock, which the machine's is.
    let begun = || async { world.s3().list_multipart_uploads().bucket("lake").send().await.unwrap().uploads().len() };
    let abandoned = begun().await;
    let settings = GcSettings {
        dst: "s3://lake/parquet".parse().unwrap(),
        grace: Duration::from_secs(3600),
        inputs: true,
        dry_run: false,
    };
    let later = Clock::system().now() + Duration::from_secs(86_400);
    let old = gc(&settings, Some(world.s3()), later).await.unwrap();
    assert_eq!((old.uploads, old.inputs, old.orphans), (abandoned as u64, u64::try_from(objects).unwrap(), 0));
    assert_eq!(begun().await, 0);
    assert_eq!(told(&world, &["verify", "s3://lake/parquet", "--inputs"])["removed_inputs"], objects);
    let content = content(&world, "parquet/").await;
    let summary: serde_json::Value = serde_json::from_slice(&content["_manifest.json"]).unwrap();
    assert_eq!(summary["rows"], objects * ROWS);
    for file in summary["files"].as_array().unwrap() {
        assert!(content.contains_key(file["path"].as_str().unwrap()), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_of_s3_cost_no_row_and_repeat_none() {
    let world = World::start(1).await;
    put(&world, 0, 20).await;
    for how in ["tcp_reset", "rst_stream"] {
        for operation in ["PutObject", "CompleteMultipartUpload", "UploadPart", "CreateMultipartUpload"] {
            let plan = format!(
                "[[fault]]\non = {{ service = \"s3\", operation = \"{operation}\" }}\nwhen = {{ every = 3 }}\n\
                 effect = {{ lose_response = {{ how = \"{how}\" }} }}\n"
            );
            world.set_faults(&plan).await;
            let dst = format!("s3://lake/{how}/{operation}");
            let done = finish(&mut compact(&world, &["run", "s3://lake/raw", &dst]));
            world.end_faults().await;
            assert_eq!(done.code, Some(0), "{operation}, {how}: {}", done.log);
            let content = content(&world, &format!("{how}/{operation}/")).await;
            assert!(numbers(&content) == (0..20 * ROWS).collect::<Vec<_>>(), "{operation}, {how}");
            assert!(content.contains_key("_SUCCESS"), "{operation}, {how}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_on_s3_give_the_files_of_one_process() {
    let world = World::start(1).await;
    put(&world, 0, 40).await;
    told(&world, &["run", "s3://lake/raw", "s3://lake/whole", "--sort", "n:desc"]);
    let planned = told(&world, &["plan", "s3://lake/raw", "s3://lake/shares", "--sort", "n:desc"]);
    let plan = planned["plan"].as_str().unwrap().to_owned();
    assert_eq!(plan, "s3://lake/shares/_plans/00000001.json");
    let shares: Vec<_> = (0..3)
        .map(|index: i32| {
            let mut share = compact(&world, &["run", "--plan", &plan]);
            share.env("AWS_BATCH_JOB_ARRAY_INDEX", index.to_string()).env("AWS_BATCH_JOB_ARRAY_SIZE", "3");
            share.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for share in shares {
        let done = tokio::task::spawn_blocking(move || share.wait_with_output()).await.unwrap().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    assert_eq!(told(&world, &["commit", &plan])["rows"], 40 * ROWS);
    let (whole, shares) = (content(&world, "whole/").await, content(&world, "shares/").await);
    assert_eq!(whole.keys().collect::<Vec<_>>(), shares.keys().collect::<Vec<_>>());
    let other: Vec<&String> = whole.keys().filter(|name| whole[*name] != shares[*name]).collect();
    assert!(other.is_empty(), "other bytes in {other:?}");
    assert!(numbers(&shares) == (0..40 * ROWS).collect::<Vec<_>>());
}
