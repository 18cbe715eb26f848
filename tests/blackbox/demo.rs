//! The demo in small, and a file of any JSON objects.

use alluvial_tests::{Finished, bin, finish};
use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

fn demo(dir: &Path, args: &[&str]) -> Finished {
    finish(Command::new(bin("alluvial")).arg("demo").arg("--dir").arg(dir).args(args))
}

fn json(finished: &Finished) -> serde_json::Value {
    let value = serde_json::from_str(&finished.stdout);
    value.unwrap_or_else(|error| panic!("{error}: stdout {:?}, stderr {}", finished.stdout, finished.log))
}

fn batches(folder: &Path) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            batches.extend(self::batches(&path));
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap();
            batches.extend(reader.build().unwrap().map(Result::unwrap));
        }
    }
    batches
}

#[test]
fn the_demo_in_small_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let finished = demo(&dir.path().join("demo"), &["--records", "3000", "--rate", "3k/s", "--shards", "3", "--json"]);
    assert_eq!(finished.code, Some(0), "{}", finished.log);
    let report = json(&finished);
    for (key, value) in [
        ("records_in", 3_000),
        ("delivered", 3_000),
        ("rows", 3_000),
        ("filtered", 0),
        ("dead_lettered", 0),
        ("missing", 0),
        ("duplicated", 0),
        ("order_violations", 0),
    ] {
        assert_eq!(report[key], value, "{key} in {report}");
    }
    assert!(report["firehose_billed_bytes"].as_u64() < report["billed_bytes_unpacked"].as_u64());
    assert!(report["latency_ms"]["p50"].as_u64() <= report["latency_ms"]["max"].as_u64());
    let file = std::fs::read_to_string(dir.path().join("demo/report.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&file).unwrap(), report);
    let rows: usize = batches(&dir.path().join("demo/parquet")).iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 3_000);
    let columns = batches(&dir.path().join("demo/parquet"))[0].schema();
    for column in ["_shard", "_sequence", "_sub_sequence", "eventId", "sensorId", "site", "sensor"] {
        assert!(columns.column_with_name(column).is_some(), "{column} in {columns}");
    }
}

/// Objects of many shapes: nested, missing fields, changing types, unicode, and lines of 300 KB.
fn any_objects() -> (String, usize) {
    let mut text = String::new();
    for n in 0..2_000 {
        match n % 6 {
            0 => writeln!(text, "{{\"id\":{n},\"v\":{n},\"nested\":{{\"a\":{{\"b\":[{n},null,1.5]}}}}}}"),
            1 => writeln!(text, "{{\"id\":{n},\"v\":\"text {n} é漢字😀 \\u00e9\\n\"}}"),
            2 => writeln!(text, "{{ \"id\" : {n} , \"v\" : [true, {{\"x\": null}}], \"only_here\": 0.1 }}\r"),
            3 => writeln!(text, "{{\"id\":{n},\"v\":null,\"nested\":{{\"a\":\"no longer an object\"}}}}"),
            4 if n % 96 == 4 => writeln!(text, "{{\"id\":{n},\"long\":\"{}\"}}", "läng".repeat(60_000)),
            4 => writeln!(text, "{{\"id\":{n},\"v\":-0.0,\"big\":9007199254740993}}"),
            _ => writeln!(text, "{{\"id\":{n}}}"),
        }
        .unwrap();
    }
    (text, 2_000)
}

#[test]
fn any_json_objects_arrive_in_parquet_each_once() {
    let dir = tempfile::tempdir().unwrap();
    let (text, lines) = any_objects();
    let input = dir.path().join("input.ndjson");
    std::fs::write(&input, &text).unwrap();
    let finished = demo(&dir.path().join("demo"), &["--input", input.to_str().unwrap(), "--json"]);
    assert_eq!(finished.code, Some(0), "{}", finished.log);
    let report = json(&finished);
    assert_eq!((report["records_in"].as_u64(), report["rows"].as_u64()), (Some(lines as u64), Some(lines as u64)));

    let mut values: BTreeMap<i64, Option<String>> = BTreeMap::new();
    let mut long = 0;
    for batch in batches(&dir.path().join("demo/parquet")) {
        let ids = batch.column_by_name("id").unwrap().as_primitive::<arrow_array::types::Int64Type>().clone();
        let texts = batch.column_by_name("v").unwrap().as_string::<i32>().clone();
        let longs = batch.column_by_name("long").unwrap().as_string::<i32>().clone();
        for row in 0..batch.num_rows() {
            let value = texts.is_valid(row).then(|| texts.value(row).to_owned());
            assert!(values.insert(ids.value(row), value).is_none(), "row {} came twice", ids.value(row));
            if longs.is_valid(row) {
                assert_eq!(longs.value(row), "läng".repeat(60_000));
                long += 1;
            }
        }
    }
    assert_eq!((values.len(), long), (lines, 21));
    assert_eq!(values[&0].as_deref(), Some("0"));
    assert_eq!(values[&1].as_deref(), Some("text 1 é漢字😀 é\n"));
    // A column of text shows JSON in its canonical form, in which a null member and a missing one are the same.
    assert_eq!(values[&2].as_deref(), Some("[true,{}]"));
    assert_eq!(values[&3], None);
}

#[test]
fn a_bad_line_makes_the_demo_done_in_part_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("input.ndjson");
    std::fs::write(&input, "{\"a\":1}\nnot json\n{\"a\":2}\n").unwrap();
    let finished = demo(&dir.path().join("demo"), &["--input", input.to_str().unwrap(), "--json"]);
    assert_eq!(finished.code, Some(3), "{}", finished.log);
    let report = json(&finished);
    assert_eq!(
        (report["rows"].as_u64(), report["dead_lettered"].as_u64(), report["missing"].as_u64()),
        (Some(2), Some(1), Some(0))
    );
    assert!(finished.log.contains("dead-letters"), "{}", finished.log);
}

#[test]
fn a_missing_input_or_a_strangers_folder_is_a_usage_error() {
    let dir = tempfile::tempdir().unwrap();
    let finished = demo(&dir.path().join("demo"), &["--input", "/none.ndjson"]);
    assert_eq!(finished.code, Some(2));
    assert!(finished.log.contains("/none.ndjson"), "{}", finished.log);
    std::fs::write(dir.path().join("mine.txt"), "x").unwrap();
    let finished = demo(dir.path(), &[]);
    assert_eq!(finished.code, Some(2));
    assert!(finished.log.contains("not empty") && dir.path().join("mine.txt").exists(), "{}", finished.log);
}
