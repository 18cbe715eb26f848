//! What people see: plans, progress, reports, statements.

use crate::cli::compact;
use crate::support::{World, files, gzip};
use serde_json::Value;
use std::path::Path;
use std::process::Output;

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn run(world: &World, more: &[&str]) -> Output {
    let (src, dst) = (text(&world.src()), text(&world.dst()));
    compact(&[&["run", &src, &dst], more].concat(), &[])
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&stdout(output)).expect("one JSON object")
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let world = World::with(gzip("{\"a\":1}\n"));
    world.put("2026/11/23/06/x", gzip("{\"a\":1}\n"));
    world.put("_hidden", "");
    let said = stdout(&run(&world, &["--dry-run"]));
    for part in ["objects      2 (", "partitions   2 by key:hour", "files        about 2", "hidden       1 objects"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!world.dst().exists());
    let preview = json(&run(&world, &["--dry-run", "--json", "--partition-by", "a"]));
    assert_eq!(
        (&preview["dry_run"], &preview["objects"], &preview["partitions"]),
        (&true.into(), &2.into(), &Value::Null)
    );
    run(&world, &[]);
    let again = json(&run(&world, &["--dry-run", "--json"]));
    assert_eq!(
        (&again["objects"], &again["skipped_objects"], &again["files_about"]),
        (&0.into(), &2.into(), &0.into())
    );
}

#[test]
fn a_report_says_what_is_new_and_what_is_odd() {
    let world = World::with(gzip("{\"a\":1,\"B\":1,\"b\":1}\n"));
    let first = json(&run(&world, &["--json"]));
    assert_eq!(first["schema_changes"], Value::Array(Vec::new()));
    assert_eq!(first["partition_columns"], serde_json::json!(["dt", "hour"]));
    assert!(first["peak_memory_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{first}");
    let warnings = first["warnings"].as_array().expect("notes").iter().filter_map(Value::as_str).collect::<Vec<_>>();
    assert!(warnings[0].contains("B and b differ in case only"), "{warnings:?}");
    assert!(warnings[1].contains("is gzip; its name has no .gz"), "{warnings:?}");
    world.put("2026/11/23/06/x.gz", "{\"a\":1.5,\"c\":{\"d\":1}}\n");
    let said = stdout(&run(&world, &[]));
    for part in
        ["a was bigint and is double", "c is new: struct<`d`:bigint>", "is plain text, though its name says otherwise"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let progress = String::from_utf8_lossy(&run(&world, &["--json"]).stderr).into_owned();
    assert!(!progress.contains('\r'), "{progress}");
}

#[test]
fn progress_is_lines_where_stderr_is_no_terminal() {
    let world = World::new();
    for n in 0..30 {
        world.put(&format!("2026/11/23/05/{n}"), gzip("{\"a\":1}\n"));
    }
    let output = run(&world, &["--json"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("reading 30 objects, ") && said.contains("reading 30/30 objects, 30 rows, "), "{said}");
    assert!(said.contains(" MB/s") && said.contains("writing 1/1 files") && !said.contains('\r'), "{said}");
    assert!(said.lines().count() < 20, "{said}");
}

#[test]
fn a_table_is_made_known_to_engines() {
    let world = World::with(gzip("{\"id\":1,\"user\":{\"name\":\"x\"}}\n"));
    let dst = text(&world.dst());
    let none = compact(&["ddl", &dst], &[]);
    assert_eq!(none.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&none.stderr).contains("is no table yet"));
    run(&world, &[]);
    world.put("2026/11/23/06/x", gzip("{\"id\":1.5,\"more\":true}\n"));
    run(&world, &[]);
    let athena = stdout(&compact(&["ddl", &dst, "--table", "orders"], &[]));
    // Of both runs, each type the wider one.
    assert!(athena.contains("`id` double,\n  `more` boolean,\n  `user` struct<name:string>\n)"), "{athena}");
    assert!(athena.contains("CREATE EXTERNAL TABLE `orders`") && athena.contains("projection.enabled"), "{athena}");
    assert!(stdout(&compact(&["ddl", &dst, "--engine", "duckdb"], &[])).contains("dt=*/hour=*/*.parquet"));
    // What is printed can be given.
    let schema = world.dst().with_extension("sql");
    std::fs::write(&schema, athena).expect("a file");
    let other = World::with(gzip("{\"id\":2,\"more\":\"x\"}\n"));
    let report = json(&run(&other, &["--json", "--schema", &text(&schema)]));
    assert_eq!((&report["schema"]["id"], &report["unfit_rows"]), (&"Float64".into(), &1.into()));
    assert_eq!(files(&other.dst()).len(), 1);
}

#[test]
fn a_wrong_schema_or_partition_exits_with_2_and_says_what_to_do() {
    let world = World::with(gzip("{\"a\":1}\n"));
    let schema = world.dst().with_extension("sql");
    std::fs::write(&schema, "a bigint,\nb strng").expect("a file");
    let schema = text(&schema);
    for (args, says) in [
        (vec!["--schema", &schema], "line 2, before \"strng\": this is no type"),
        (vec!["--schema", "/no/such/file"], "--schema /no/such/file: No such file"),
        (vec!["--schema-mismatch", "reject"], "--schema"),
        (vec!["--partition-by", "at:minute"], "is no unit"),
        (vec!["--partition-by", "key:day,at:hour"], "would both be called dt="),
    ] {
        let output = run(&world, &args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(says), "{args:?}: {output:?}");
    }
    std::fs::write(&schema, "a string, b int").expect("a file");
    let output = run(&world, &["--schema", &schema, "--schema-mismatch", "reject"]);
    assert_eq!(output.status.code(), Some(0), "text holds every value: {output:?}");
}
