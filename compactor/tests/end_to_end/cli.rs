//! The `compact` binary: exit codes, stdout and stderr.

use crate::support::{World, gzip, rows};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

pub(crate) fn compact(args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_compact"));
    command.args(args).env_clear().env("AWS_EC2_METADATA_DISABLED", "true");
    command.envs(environment.iter().copied()).output().expect("the binary runs")
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_run_prints_a_summary_and_exits_with_0() {
    let world = World::with(gzip("{\"a\":1}\n{\"a\":2}\n"));
    let output = compact(&["run", &text(&world.src()), &text(&world.dst())], &[]);
    let stdout = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout.contains("rows         2"), "{stdout}");
    assert!(stderr(&output).contains("reading 1/1 objects, 2 rows"), "{}", stderr(&output));
    assert_eq!(rows(&world.dst()).len(), 2);

    let again = compact(&["run", &text(&world.src()), &text(&world.dst())], &[]);
    assert_eq!(again.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&again.stdout).contains("nothing to do: all 1 objects"));
}

#[test]
fn json_is_one_object_with_the_contracted_keys() {
    let world = World::with(gzip("{\"a\":1}\n"));
    let output = compact(&["run", &text(&world.src()), &text(&world.dst()), "--json"], &[]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let expected = [
        ("objects", 1),
        ("members", 1),
        ("rows", 1),
        ("bytes_json", 8),
        ("files", 1),
        ("partitions", 1),
        ("quarantined_rows", 0),
        ("quarantined_members", 0),
        ("skipped_objects", 0),
    ];
    for (key, value) in expected {
        assert_eq!(report[key], value, "{key}");
    }
    assert_eq!(report["schema"]["a"], "Int64");
    assert_eq!(report["plan"].as_str().map(str::len), Some(32));
    for key in ["bytes_in", "bytes_out", "seconds"] {
        assert!(report[key].is_number(), "{key}");
    }
}

#[test]
fn something_quarantined_exits_with_3() {
    let world = World::with(gzip("{\"a\":1}\nnonsense\n"));
    let output = compact(&["run", &text(&world.src()), &text(&world.dst())], &[]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("QUARANTINED  1 rows"));
    assert_eq!(rows(&world.dst()).len(), 1);
}

#[test]
fn a_wrong_call_exits_with_2_and_says_what_to_do() {
    let world = World::with(gzip("{\"a\":1}\n"));
    let (src, dst) = (text(&world.src()), text(&world.dst()));
    let missing = format!("{src}/missing");
    let inside = format!("{src}/parquet");
    for (args, says) in [
        (vec!["run", &missing, &dst], "there is no such file or folder"),
        (vec!["run", &src, &inside], "lies within the source"),
        (vec!["run", &src, "gs://bucket/x"], "write s3://bucket/prefix"),
        (vec!["run", &src, &dst, "--threads", "0"], "threads is 0"),
        (vec!["run", &src, &dst, "--target-size", "1 parsec"], "is no unit"),
        (vec!["run", &src], "DST"),
        (vec!["run", "s3://bucket/raw", &dst], "no AWS region"),
    ] {
        let output = compact(&args, &[]);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn a_service_out_of_reach_exits_with_4() {
    let world = World::with(gzip("{\"a\":1}\n"));
    let environment = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_MAX_ATTEMPTS", "1")];
    // Port 1 of the loopback: nobody listens there.
    let args = [
        "run",
        "s3://bucket/raw",
        &text(&world.dst()),
        "--region",
        "eu-north-1",
        "--endpoint-url",
        "http://127.0.0.1:1",
    ];
    let output = compact(&args, &environment);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("s3://bucket/raw"), "{}", stderr(&output));
}
