//! Which folder a row goes to, and that none is lost on the way.

use crate::support::{World, files, gzip, rows, rows_of_file};
use alluvial_compactor::{Report, Settings};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn settings(world: &World, by: &[&str]) -> Settings {
    let partition_by = by.iter().map(|by| by.parse().expect("what to partition by")).collect();
    Settings { partition_by, ..world.settings() }
}

async fn compact(rows: &[Value], by: &[&str]) -> (World, Report) {
    let text: Vec<String> = rows.iter().map(Value::to_string).collect();
    let world = World::with(gzip(text.join("\n")));
    let report = world.try_compact(&settings(&world, by)).await.expect("compacted");
    assert_eq!(report.rows, rows.len() as u64);
    (world, report)
}

/// The rows of every folder.
fn folders(world: &World) -> BTreeMap<String, Vec<Value>> {
    let mut folders: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for file in files(&world.dst()) {
        let folder = file.parent().expect("a folder").strip_prefix(world.dst()).expect("below the destination");
        folders.entry(folder.to_string_lossy().into_owned()).or_default().extend(rows_of_file(&file));
    }
    folders
}

#[tokio::test]
async fn a_field_becomes_folders_and_leaves_the_files() {
    let all: Vec<Value> = (0..1000)
        .map(|n| json!({"site": if n % 3 == 0 { "NO" } else if n % 3 == 1 { "SE" } else { "DK" }, "n": n}))
        .collect();
    let (world, report) = compact(&all, &["site"]).await;
    assert_eq!((report.partitions, report.files), (3, 3));
    let folders = folders(&world);
    assert_eq!(folders.keys().collect::<Vec<_>>(), ["site=DK", "site=NO", "site=SE"]);
    let expected: Vec<Value> = (0..1000).filter(|n| n % 3 == 1).map(|n| json!({ "n": n })).collect();
    assert_eq!(folders["site=SE"], expected, "in their order");
    assert!(!report.schema.contains_key("site"));
}

#[tokio::test]
async fn a_field_stays_in_the_files_when_asked_for() {
    let world = World::with(gzip(json!({"site": "NO", "n": 1}).to_string()));
    let settings = Settings { write_partition_columns: true, ..settings(&world, &["key:day", "site"]) };
    world.try_compact(&settings).await.expect("compacted");
    assert_eq!(folders(&world)["dt=2026-11-23/site=NO"], [json!({"site": "NO", "n": 1})]);
}

#[tokio::test]
async fn hostile_values_stay_below_the_destination_and_are_lost_in_no_folder() {
    let long = "x".repeat(300);
    let values = ["..", "../../../etc/passwd", "/", "a/b", "a=b", "%2F", "\u{0}\n", "C:\\", " ", "sør 😀", "", &long];
    let mut all: Vec<Value> = values.iter().map(|value| json!({"v": value, "n": value.len()})).collect();
    all.extend([
        json!({"v": null, "n": 1}),
        json!({"n": 2}),
        json!({"v": 1.5, "n": 3}),
        json!({"v": {"a": [true]}, "n": 4}),
    ]);
    let (world, report) = compact(&all, &["v"]).await;
    let folders = folders(&world);
    for (folder, n) in [
        ("v=..", 2),
        ("v=..%2F..%2F..%2Fetc%2Fpasswd", 19),
        ("v=%2F", 1),
        ("v=a%2Fb", 3),
        ("v=a%3Db", 3),
        ("v=%252F", 3),
        ("v=%00%0A", 2),
        ("v=C%3A%5C", 3),
        ("v=%20", 1),
        ("v=sør 😀", 9),
        ("v=1.5", 3),
        ("v=%7B\"a\"%3A%5Btrue%5D}", 4),
    ] {
        let folder = folder.replace('"', "%22");
        assert_eq!(folders.get(&folder).map(|rows| rows[0]["n"].clone()), Some(json!(n)), "{folder}: {folders:?}");
    }
    // Empty and too long: no folder can show them, so the files keep the column.
    assert_eq!(report.untold_rows, 2);
    let rest = &folders["v=__HIVE_DEFAULT_PARTITION__"];
    assert!(rest.contains(&json!({"v": "", "n": 0})) && rest.contains(&json!({"v": long, "n": 300})), "{rest:?}");
    assert!(rest.contains(&json!({"n": 1})) && rest.contains(&json!({"n": 2})), "{rest:?}");
    assert_eq!(rows(&world.dst()).len(), all.len());
}

#[tokio::test]
async fn late_rows_go_to_the_partition_of_their_own_time() {
    let world = World::new();
    for hour in 5..8 {
        let rows = (0..100).map(|n| {
            // Every tenth is a day late.
            let day = if n % 10 == 0 { 22 } else { 23 };
            json!({"at": format!("2026-11-{day}T{hour:02}:{:02}:00Z", n % 60), "n": n}).to_string() + "\n"
        });
        world.put(&format!("2026/11/23/{hour:02}/x"), gzip(rows.collect::<String>()));
    }
    let report = world.try_compact(&settings(&world, &["at:hour"])).await.expect("compacted");
    assert_eq!((report.partitions, report.rows), (6, 300));
    let folders = folders(&world);
    assert_eq!((folders["dt=2026-11-22/hour=06"].len(), folders["dt=2026-11-23/hour=06"].len()), (10, 90));
    assert!(
        folders["dt=2026-11-22/hour=06"].iter().all(|row| row["at"].as_str().is_some_and(|at| at.contains("22T06")))
    );
    // The next run's late rows lie beside them.
    world.put("2026/11/24/00/y", gzip(json!({"at": "2026-11-22T06:00:00Z", "n": 1000}).to_string()));
    world.try_compact(&settings(&world, &["at:hour"])).await.expect("compacted");
    assert_eq!(self::folders(&world)["dt=2026-11-22/hour=06"].len(), 11);
}

#[tokio::test]
async fn times_of_every_kind_and_what_is_no_time() {
    let all = [
        json!({"m": {"at": 1_795_410_000}}),
        json!({"m": {"at": 1_795_410_000_123_i64}}),
        json!({"m": {"at": "2026-11-23T06:00:00+01:00"}}),
        json!({"m": {"at": "soon"}}),
        json!({"m": 7}),
        json!({}),
    ];
    let (world, _) = compact(&all, &["m.at:day"]).await;
    let counts: Vec<(String, usize)> = folders(&world).into_iter().map(|(folder, rows)| (folder, rows.len())).collect();
    assert_eq!(counts, [("dt=2026-11-23".into(), 3), ("dt=__HIVE_DEFAULT_PARTITION__".into(), 3)]);
}

#[tokio::test]
async fn a_field_whose_name_would_hide_its_folder_stays_a_column() {
    let (world, _) = compact(&[json!({"_type": "x", "n": 1})], &["_type"]).await;
    assert_eq!(folders(&world)["partition__type=x"], [json!({"_type": "x", "n": 1})]);
}

#[tokio::test]
async fn no_partitions_at_all() {
    let (world, report) = compact(&[json!({"n": 1})], &[]).await;
    assert_eq!(report.partitions, 1);
    assert_eq!(folders(&world)[""], [json!({"n": 1})]);
}

#[tokio::test]
async fn hundreds_of_partitions_are_written_with_few_encoders() {
    let all: Vec<Value> = (0..1500).map(|n| json!({"id": n % 500, "n": n})).collect();
    let (world, report) = compact(&all, &["id"]).await;
    assert_eq!(report.partitions, 500);
    let folders = folders(&world);
    for id in [0, 77, 499] {
        let numbers: Vec<i64> = folders[&format!("id={id}")].iter().filter_map(|row| row["n"].as_i64()).collect();
        assert_eq!(numbers, [id, id + 500, id + 1000]);
    }
}

#[tokio::test]
async fn a_schema_that_widens_does_not_move_rows() {
    let mut all: Vec<Value> = (0..3000).map(|n| json!({"k": 7, "n": n})).collect();
    all.extend((0..3000).map(|n| json!({"k": if n % 2 == 0 { json!("7") } else { json!("x") }, "n": n})));
    let text: Vec<String> = all.iter().map(Value::to_string).collect();
    let world = World::new();
    for (at, part) in text.chunks(1500).enumerate() {
        world.put(&format!("2026/11/23/05/{at}"), gzip(part.join("\n")));
    }
    let settings = Settings { unit_bytes: 1, ..settings(&world, &["k"]) };
    world.try_compact(&settings).await.expect("compacted");
    let folders = folders(&world);
    assert_eq!((folders["k=7"].len(), folders["k=x"].len()), (4500, 1500));
}

#[tokio::test]
async fn two_levels_of_one_name_are_refused() {
    let world = World::with(gzip("{}"));
    let error = world.try_compact(&settings(&world, &["key:day", "at:hour"])).await.expect_err("refused");
    assert!(error.to_string().contains("would both be called dt="), "{error}");
}
