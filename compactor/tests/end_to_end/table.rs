//! `compact verify` finds whatever is not as it was written, and `compact gc` removes nothing that is.

use crate::cli::compact;
use crate::support::{World, files, gzip, rows};
use alluvial_compactor::{FixedSchema, GcSettings, Location, Machine, Settings, VerifyReport, gc, verify};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

fn world() -> World {
    let world = World::new();
    for n in 0..6 {
        let lines: String = (0..100)
            .map(|row| format!("{{\"n\":{},\"site\":\"s{}\",\"x\":{row}.5}}\n", n * 100 + row, row % 3))
            .collect();
        world.put(&format!("2026/11/23/0{}/{n}", n % 3), gzip(lines));
    }
    world
}

async fn check(world: &World, inputs: bool) -> VerifyReport {
    let dst = Location::Local(world.dst());
    verify(&dst, inputs, &Machine::default(), None, |_| {}).await.expect("verified")
}

#[tokio::test]
async fn a_table_is_sound_however_it_was_made() {
    let schema = "n bigint, i tinyint, s smallint, j int, f float, x double, t string, d date, at timestamp, \
        m decimal(38,10), l array<array<int>>, o struct<a:int,b:struct<c:string>>, p map<string,double>, b boolean";
    let given = |settings: &mut Settings| settings.schema = Some(FixedSchema::parse(schema).expect("a schema"));
    let by_site = |settings: &mut Settings| settings.partition_by = vec!["site".parse().expect("a field")];
    let sorted = |settings: &mut Settings| settings.sort = vec!["n:desc".parse().expect("an order")];
    let times = |settings: &mut Settings| settings.timestamps = true;
    let makers: [&dyn Fn(&mut Settings); 5] = [&|_| {}, &given, &by_site, &sorted, &times];
    for make in makers {
        let world = world();
        let odd =
            "{\"n\":1,\"at\":\"2026-11-23T05:00:00Z\",\"l\":[[1],[]],\"o\":{\"a\":1,\"b\":{}},\"q\":[{\"z\":null}]}\n";
        world.put("2026/11/23/04/odd", gzip(odd));
        let mut settings = world.settings();
        make(&mut settings);
        world.try_compact(&settings).await.expect("compacted");
        world.put("2026/11/23/04/late", gzip("{\"n\":2.5}\nno row\n"));
        world.try_compact(&settings).await.expect("compacted");
        let report = check(&world, true).await;
        assert!(report.is_sound(), "{report:?}");
        assert_eq!((report.plans, report.rows, report.inputs, report.removed_inputs), (2, 602, 8, 0));
        assert_eq!(report.files, files(&world.dst()).len() as u64);
    }
}

fn only(folder: &Path) -> PathBuf {
    fs::read_dir(folder).expect("a folder").next().expect("an entry").expect("an entry").path()
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("a file");
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).expect("written");
}

#[tokio::test]
async fn whatever_is_changed_is_found() {
    type Change = fn(&World);
    let changes: [(&str, Change, bool); 10] = [
        (
            "CRC-32",
            |world| {
                let file = &files(&world.dst())[0];
                let mut bytes = fs::read(file).expect("a file");
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(file, bytes).expect("written");
            },
            false,
        ),
        (
            "bytes; the manifest says",
            |world| {
                let file = &files(&world.dst())[1];
                let mut bytes = fs::read(file).expect("a file");
                bytes.push(0);
                fs::write(file, bytes).expect("written");
            },
            false,
        ),
        ("is missing", |world| fs::remove_file(&files(&world.dst())[2]).expect("removed"), false),
        (
            "rows were read and",
            |world| edit(&only(&world.dst().join("_manifests")), "\"rows\": 100", "\"rows\": 99"),
            false,
        ),
        (
            "has other columns",
            |world| edit(&only(&world.dst().join("_manifests")), "\"n\": \"Int64\"", "\"n\": \"Utf8\""),
            false,
        ),
        (
            "is missing, though its manifest",
            |world| fs::remove_file(only(&world.dst().join("_plans"))).expect("removed"),
            false,
        ),
        (
            "are not those of plan",
            |world| edit(&only(&world.dst().join("_plans")), "2026/11/23/00/0", "2026/11/23/00/1"),
            false,
        ),
        (
            "does not say what the manifests say",
            |world| edit(&world.dst().join("_manifest.json"), "\"rows\": 600", "\"rows\": 6"),
            false,
        ),
        ("is no longer what was compacted", |world| world.put("2026/11/23/00/0", gzip("{}\n")), true),
        (
            "is in plan",
            |world| {
                let manifest = only(&world.dst().join("_manifests"));
                let copy = manifest.with_file_name("ffffffffffffffffffffffffffffffff.json");
                fs::copy(&manifest, &copy).expect("copied");
                let plan = manifest.file_stem().expect("a name").to_string_lossy().into_owned();
                edit(&copy, &plan, "ffffffffffffffffffffffffffffffff");
            },
            false,
        ),
    ];
    for (expected, change, inputs) in changes {
        let world = world();
        world.compact().await;
        assert!(check(&world, inputs).await.is_sound());
        change(&world);
        let report = check(&world, inputs).await;
        assert!(!report.is_sound());
        assert!(report.faults.iter().any(|fault| fault.fault.contains(expected)), "{expected}: {:?}", report.faults);
    }
}

#[tokio::test]
async fn a_row_that_an_object_has_lost_or_won_since_is_found() {
    let world = world();
    world.compact().await;
    // Of the same size, so that only reading tells.
    let path = world.src().join("2026/11/23/00/0");
    let object = fs::read(&path).expect("an object");
    let mut damaged = object.clone();
    let crc = damaged.len() - 8;
    damaged[crc] ^= 1;
    fs::write(&path, damaged).expect("written");
    let report = check(&world, true).await;
    let fault = report.faults.iter().find(|fault| fault.object.ends_with("00/0")).expect("found");
    assert!(fault.fault.contains("the manifest says 100 in 1"), "{fault:?}");
    fs::write(&path, object).expect("written");
    assert!(check(&world, true).await.is_sound());
    fs::remove_file(&path).expect("removed");
    let report = check(&world, true).await;
    assert!(report.is_sound() && report.removed_inputs == 1, "{report:?}");
}

fn later(seconds: u64) -> SystemTime {
    // Files are dated by the system's clock; one that was just written tells it.
    let file = tempfile::NamedTempFile::new().expect("a file");
    let now = file.as_file().metadata().expect("metadata").modified().expect("a time");
    now + Duration::from_secs(seconds)
}

fn settings(world: &World, inputs: bool, dry_run: bool) -> GcSettings {
    GcSettings { dst: Location::Local(world.dst()), grace: Duration::from_secs(3600), inputs, dry_run }
}

#[tokio::test]
async fn orphans_go_after_the_grace_and_nothing_else_does() {
    let world = world();
    world.compact().await;
    world.put("2026/11/23/02/late", gzip("no row\n"));
    world.compact().await;
    let expected = rows(&world.dst());
    let dead = "0123456789abcdef0123456789abcdef";
    let orphans = [
        format!("dt=2026-11-23/hour=02/part-00000-{}.zstd.parquet", &dead[..16]),
        format!("_quarantine/{dead}.ndjson"),
        format!("_work/{dead}/0-of-2.parts"),
    ];
    let others = ["theirs.parquet", "dt=2026-11-23/hour=02/notes.txt", "_work/readme"];
    for name in orphans.iter().map(String::as_str).chain(others) {
        let path = world.dst().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, "x").expect("written");
    }
    assert_eq!(check(&world, false).await.orphans.len(), 3);
    let young = gc(&settings(&world, false, false), None, later(60)).await.expect("collected");
    assert_eq!((young.orphans, young.young_orphans), (0, 3));
    let dry = gc(&settings(&world, false, true), None, later(7200)).await.expect("collected");
    assert_eq!((dry.orphans, dry.orphan_bytes, dry.dry_run), (3, 3, true));
    let done = gc(&settings(&world, false, false), None, later(7200)).await.expect("collected");
    assert_eq!((done.orphans, done.inputs), (3, 0));
    assert!(orphans.iter().all(|name| !world.dst().join(name).exists()));
    for name in others {
        fs::remove_file(world.dst().join(name)).expect("still there");
    }
    assert_eq!(rows(&world.dst()), expected);
    assert!(check(&world, true).await.is_sound());
}

#[tokio::test]
async fn objects_go_once_their_plan_is_committed_and_old_and_come_into_no_other() {
    let world = world();
    world.compact().await;
    let young = gc(&settings(&world, true, false), None, later(60)).await.expect("collected");
    assert_eq!((young.inputs, young.young_inputs), (0, 6));
    // One has been overwritten since, and one is new.
    world.put("2026/11/23/00/0", gzip("{\"n\":1}\n"));
    world.put("2026/11/23/05/new", gzip("{\"n\":1}\n"));
    let done = gc(&settings(&world, true, false), None, later(7200)).await.expect("collected");
    assert_eq!((done.inputs, done.changed_inputs), (5, 1));
    let left: Vec<String> = files(&world.src())
        .iter()
        .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(left, ["0", "new"]);
    fs::remove_file(world.src().join("2026/11/23/00/0")).expect("removed");
    let report = world.compact().await;
    assert_eq!((report.objects, report.rows), (1, 1));
    assert_eq!(rows(&world.dst()).len(), 601);
    fs::remove_file(world.src().join("2026/11/23/05/new")).expect("removed");
    // A source that is empty by now is no mistake.
    assert!(world.compact().await.already_done);
}

#[test]
fn the_commands_tell_and_exit_as_scripts_expect() {
    let world = world();
    let (src, dst) = (world.src().display().to_string(), world.dst().display().to_string());
    let missing = compact(&["verify", &dst], &[]);
    assert_eq!(missing.status.code(), Some(2));
    assert_eq!(compact(&["run", &src, &dst], &[]).status.code(), Some(0));
    let sound = compact(&["verify", &dst, "--inputs"], &[]);
    let text = String::from_utf8_lossy(&sound.stdout);
    assert!(sound.status.code() == Some(0) && text.contains("is what its manifests say"), "{text}");
    assert!(text.contains("6 objects read again"), "{text}");
    let orphan = world.dst().join("part-00000-0123456789abcdef.zstd.parquet");
    fs::write(&orphan, "x").expect("written");
    let unsound = compact(&["verify", &dst, "--json"], &[]);
    let report: Value = serde_json::from_slice(&unsound.stdout).expect("JSON");
    assert_eq!((unsound.status.code(), report["orphans"].as_array().map(Vec::len)), (Some(3), Some(1)));
    let young = compact(&["gc", &dst, "--json", "--grace", "1h"], &[]);
    let report: Value = serde_json::from_slice(&young.stdout).expect("JSON");
    assert_eq!((young.status.code(), &report["young_orphans"], &report["orphans"]), (Some(0), &1.into(), &0.into()));
    assert!(orphan.exists());
    assert_eq!(compact(&["gc", &dst, "--grace", "1s"], &[]).status.code(), Some(2));
}
