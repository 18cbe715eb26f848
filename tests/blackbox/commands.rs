//! The commands one by one, as they run on AWS: load, daemon, compaction, each a process of its own.

use crate::restart::records;
use alluvial_tests::{World, eventually, finish};
use std::time::Duration;

fn json(stdout: &str) -> serde_json::Value {
    serde_json::from_str(stdout).unwrap_or_else(|error| panic!("{error}: {stdout:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn loadgen_daemon_and_compact_work_as_commands_of_their_own() {
    let world = World::start(2).await;
    let load = finish(world.command("loadgen").args([
        "--stream",
        "orders",
        "--records",
        "2000",
        "--rate",
        "max",
        "--seed",
        "7",
        "--json",
    ]));
    assert_eq!(load.code, Some(0), "{}", load.log);
    assert_eq!(json(&load.stdout)["accepted"], 2_000);
    std::fs::write(world.path("lines.ndjson"), "{\"a\":1}\r\n\n{\"a\":2}").unwrap();
    let load = finish(world.command("loadgen").args(["--stream", "orders", "--input", "lines.ndjson", "--json"]));
    assert_eq!((load.code, json(&load.stdout)["accepted"].as_u64()), (Some(0), Some(2)), "{}", load.log);
    let put = world.stream_records().await;
    assert_eq!(put.len(), 2_002);
    assert!(
        put.iter().any(|record| record.data == b"{\"a\":1}") && put.iter().any(|record| record.data == b"{\"a\":2}")
    );

    let daemon = world.daemon();
    world.until_checkpointed(Duration::from_secs(60)).await;
    let finished = daemon.terminate(Duration::from_secs(25)).await;
    assert_eq!(finished.code, Some(0), "{}", finished.log);
    world.flush_firehose().await;

    let compact = ["run", "s3://lake/raw", "s3://lake/parquet", "--json"];
    let first = finish(world.command("compact").args(compact));
    assert_eq!(first.code, Some(0), "{}", first.log);
    assert_eq!(json(&first.stdout)["rows"], 2_002);
    let keys = || async {
        let listed = world.s3().list_objects_v2().bucket("lake").prefix("parquet/").send().await.unwrap();
        listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let written = keys().await;
    assert!(written.iter().any(|key| key.ends_with(".parquet") && key.contains("/dt=20") && key.contains("/hour=")));
    assert!(written.contains(&"parquet/_SUCCESS".to_owned()), "{written:?}");
    let again = finish(world.command("compact").args(compact));
    assert_eq!(
        (again.code, json(&again.stdout)["rows"].as_u64()),
        (Some(0), Some(0)),
        "a second run adds nothing: {}",
        again.log
    );
    assert_eq!(keys().await, written);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_json_when_asked_and_dead_letters_may_go_to_s3() {
    let world = World::start(1).await;
    let daemon = world.daemon_with("s3://lake/dead", &["--log-format", "json"]);
    world.put(records(0..10)).await;
    world.put([("k".to_owned(), b"no json".to_vec())]).await;
    world.until_checkpointed(Duration::from_secs(30)).await;
    let finished = daemon.terminate(Duration::from_secs(25)).await;
    assert_eq!(finished.code, Some(3), "{}", finished.log);
    for line in finished.log.lines() {
        assert!(json(line)["level"].is_string(), "{line}");
    }
    let key = eventually("a dead letter", Duration::from_secs(5), || async {
        let listed = world.s3().list_objects_v2().bucket("lake").prefix("dead/orders/").send().await.unwrap();
        listed.contents().first().map(|object| object.key().unwrap().to_owned())
    })
    .await;
    let object = world.s3().get_object().bucket("lake").key(key).send().await.unwrap();
    let body = object.body.collect().await.unwrap().to_vec();
    assert_eq!(json(std::str::from_utf8(&body).unwrap())["payload"], "no json");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_store_that_is_not_there_is_found_at_the_start() {
    let world = World::start(1).await;
    let mut daemon = world.daemon_with("s3://no-such-bucket/dead", &[]);
    let status = daemon.wait(Duration::from_secs(30)).await;
    assert_eq!(status.code(), Some(4));
    assert!(
        daemon.log().contains("on_error.dead_letter") && daemon.log().contains("no-such-bucket"),
        "{}",
        daemon.log()
    );
}
