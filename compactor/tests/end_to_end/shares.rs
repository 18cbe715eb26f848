//! A plan in shares: the same files whatever their number, and whatever was killed on the way.

use crate::cli::compact;
use crate::support::{World, files, gzip, rows};
use alluvial_compactor::{Machine, PlanAt, Report, Settings, Shard, commit_plan, plan, run_share};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Objects of several hours, with columns that widen and appear, a damaged member and rows that are none.
fn world() -> World {
    world_of(true)
}

fn world_of(drift: bool) -> World {
    let world = World::new();
    for n in 0..40u64 {
        let late = match n {
            n if !drift => format!("\"wide\":{n},"),
            7 => "\"wide\":1.5,".to_owned(),
            23 => format!("\"wide\":{{\"x\":[{n},\"{n}\"]}},"),
            31 => "\"only\":true,".to_owned(),
            n => format!("\"wide\":{n},"),
        };
        let lines: String =
            (0..50).map(|row| format!("{{{late}\"n\":{},\"site\":\"s{}\"}}\n", n * 50 + row, n % 3)).collect();
        let mut object = gzip(lines);
        if n == 13 {
            object.extend(gzip("{\"n\":\n{\"n\":-1}\n"));
        }
        if n == 29 {
            let mut damaged = gzip("{\"n\":-2}\n");
            let crc = damaged.len() - 8;
            damaged[crc] ^= 1;
            object.extend(damaged);
        }
        world.put(&format!("2026/11/23/{:02}/{n:02}", n % 7), object);
    }
    world
}

/// Every file of the destination but the plans' own, which name the folder.
fn content(dst: &Path) -> BTreeMap<String, Vec<u8>> {
    fn collect(folder: &Path, root: &Path, all: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, root, all);
            } else {
                let name = path.strip_prefix(root).expect("below").display().to_string();
                all.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    let mut all = BTreeMap::new();
    collect(dst, dst, &mut all);
    all
}

fn settings(world: &World, by: &str, sort: bool) -> Settings {
    let mut settings = world.settings();
    settings.partition_by = vec![by.parse().expect("what to partition by")];
    settings.unit_bytes = 700;
    settings.target_file_bytes = 4000;
    settings.sort = if sort { vec!["n:desc".parse().expect("an order")] } else { Vec::new() };
    settings
}

async fn in_shares(settings: &Settings, count: u32) -> Report {
    let planned = plan(settings, None, count).await.expect("planned");
    assert_eq!(planned.shares.len(), count as usize);
    assert_eq!(planned.shares.iter().map(|share| share.objects).sum::<u64>(), planned.objects);
    let at: PlanAt = planned.plan.expect("a plan").parse().expect("a plan");
    // Another machine each, and in no order.
    for index in (0..count).rev() {
        let machine = Machine {
            threads: 1 + index as usize % 3,
            memory_bytes: (64 + index as usize) << 20,
            ..Machine::default()
        };
        let shard = Shard::new(index, count).expect("a share");
        let report = run_share(&at, shard, &machine, None, |_| {}).await.expect("run");
        assert!(!report.already_done);
        assert!(run_share(&at, shard, &machine, None, |_| {}).await.expect("run").already_done);
    }
    commit_plan(&at, &Machine::default(), None, |_| {}).await.expect("committed")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_gives_the_same_bytes_in_however_many_shares() {
    // Without drift, the whole plan's files are written while it is read.
    for (by, sort, drift) in [("key", false, true), ("key", false, false), ("site", true, true)] {
        let world = world_of(drift);
        let settings = settings(&world, by, sort);
        let whole = world.try_compact(&settings).await.expect("compacted");
        let expected = content(&world.dst());
        assert!(expected.len() > 10, "{:?}", expected.keys());
        assert_eq!((whole.rows, whole.quarantined_rows, whole.quarantined_members), (2000, 1, 1));
        for count in [1, 2, 5, 60] {
            fs::remove_dir_all(world.dst()).expect("removed");
            let report = in_shares(&settings, count).await;
            assert_eq!((report.rows, report.quarantined_rows, report.members), (2000, 1, whole.members));
            assert_eq!(
                (&report.schema, &report.losses, &report.warnings),
                (&whole.schema, &whole.losses, &whole.warnings)
            );
            let found = content(&world.dst());
            assert_eq!(
                found.keys().collect::<Vec<_>>(),
                expected.keys().collect::<Vec<_>>(),
                "{count} shares, by {by}"
            );
            let other: Vec<&String> =
                expected.iter().filter(|(name, bytes)| found.get(*name) != Some(bytes)).map(|(name, _)| name).collect();
            assert!(other.is_empty(), "{count} shares, by {by}: other bytes in {other:?}");
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn report(args: &[&str], environment: &[(&str, &str)]) -> Value {
    let output = compact(args, environment);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{args:?}: {:?} {stderr}", output.status);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}"))
}

#[test]
fn shares_run_anywhere_as_batch_asks_and_a_missing_one_is_named() {
    let world = world();
    let (src, dst) = (text(&world.src()), text(&world.dst()));
    let planned = report(&["plan", &src, &dst, "--shards", "3", "--json"], &[]);
    let at = planned["plan"].as_str().expect("a plan");
    assert_eq!((at, &planned["resumed"]), (format!("{dst}/_plans/00000001.json").as_str(), &false.into()));
    assert_eq!(planned["shares"][2]["shard"], "2/3");
    // A plan that is there is given again.
    let again = report(&["plan", &src, &dst, "--json"], &[]);
    assert_eq!((&again["plan"], &again["resumed"]), (&planned["plan"], &true.into()));

    let batch = |index| [("AWS_BATCH_JOB_ARRAY_INDEX", index), ("AWS_BATCH_JOB_ARRAY_SIZE", "3")];
    let first = report(&["run", "--plan", at, "--json"], &batch("0"));
    assert_eq!((&first["shard"], &first["plan"]), (&"0/3".into(), &1.into()));
    let third = report(&["run", "--plan", &dst, "--shard", "2/3", "--json"], &[]);
    assert_eq!(third["shard"], "2/3");
    let early = compact(&["commit", at], &[]);
    assert_eq!(early.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&early.stderr).contains("2 of 3 shares are done; missing: 1/3"));
    report(&["run", "--plan", at, "--json"], &batch("1"));
    let done = report(&["commit", at, "--json"], &[]);
    assert_eq!((&done["rows"], &done["quarantined_rows"]), (&2000.into(), &1.into()));
    assert_eq!(rows(&world.dst()).len(), 2000);
    assert!(!world.dst().join("_work").join(done["plan"].as_str().expect("a plan")).join("0-of-3.json").exists());

    // All of it again does nothing.
    for args in [&["commit", at, "--json"][..], &["commit", &dst, "--json"], &["run", "--plan", at, "--json"]] {
        assert_eq!(report(args, &[])["already_done"], true, "{args:?}");
    }
    assert_eq!(report(&["plan", &src, &dst, "--json"], &[])["plan"], Value::Null);
    assert_eq!(report(&["run", &src, &dst, "--json"], &[])["already_done"], true);
}

#[test]
fn a_share_that_is_killed_is_run_again_and_the_bytes_are_the_same() {
    let world = world();
    let (src, dst) = (text(&world.src()), text(&world.dst()));
    report(&["run", &src, &dst, "--json"], &[]);
    let expected = content(&world.dst());
    fs::remove_dir_all(world.dst()).expect("removed");
    report(&["plan", &src, &dst, "--json"], &[]);
    let share = |shard: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_compact"));
        command.args(["run", "--plan", &dst, "--shard", shard]).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("the binary runs")
    };
    for lines in 1..=4 {
        let mut child = share("0/2");
        let stderr = child.stderr.take().expect("piped");
        // Killed within the reading, at another moment each time.
        BufReader::new(stderr).lines().take(lines).for_each(drop);
        child.kill().expect("killed");
        child.wait().expect("waited for");
    }
    for shard in ["0/2", "1/2"] {
        assert!(share(shard).wait_with_output().expect("waited for").status.success());
    }
    report(&["commit", &dst, "--json"], &[]);
    assert!(content(&world.dst()) == expected, "other files or other bytes");
}

#[test]
fn processes_of_one_machine_do_all_of_it_in_one_command() {
    let world = world();
    let (src, dst) = (text(&world.src()), text(&world.dst()));
    let output = compact(&["run", &src, &dst, "--local", "3", "--json"], &[]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    let done: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!((&done["rows"], &done["objects"], &done["skipped_objects"]), (&2000.into(), &40.into(), &0.into()));
    for line in ["[0/3] reading", "[1/3] reading", "[2/3] reading"] {
        assert!(stderr.contains(line), "{stderr}");
    }
    let parallel = content(&world.dst());
    fs::remove_dir_all(world.dst()).expect("removed");
    report(&["run", &src, &dst, "--json"], &[]);
    assert!(content(&world.dst()) == parallel, "other files or other bytes");
    let again = report(&["run", &src, &dst, "--local", "2", "--json"], &[]);
    assert_eq!((&again["already_done"], &again["skipped_objects"]), (&true.into(), &40.into()));
}

#[test]
fn what_a_share_has_left_and_has_been_damaged_is_told_and_the_share_is_run_again() {
    let world = world();
    let (src, dst) = (text(&world.src()), text(&world.dst()));
    report(&["plan", &src, &dst, "--json"], &[]);
    for shard in ["0/2", "1/2"] {
        report(&["run", "--plan", &dst, "--shard", shard, "--json"], &[]);
    }
    let work =
        fs::read_dir(world.dst().join("_work")).expect("a folder").next().expect("a plan").expect("an entry").path();
    let damages: [fn(&Path); 2] = [
        |parts| fs::remove_file(parts).expect("removed"),
        |parts| {
            let mut bytes = fs::read(parts).expect("a file");
            bytes[100] ^= 1;
            fs::write(parts, bytes).expect("written");
        },
    ];
    for damage in damages {
        damage(&work.join("1-of-2.parts"));
        let failed = compact(&["commit", &dst], &[]);
        let stderr = String::from_utf8_lossy(&failed.stderr);
        assert_eq!(failed.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("remove the .json and the .parts of this share"), "{stderr}");
        fs::remove_file(work.join("1-of-2.json")).expect("removed");
        fs::remove_file(work.join("1-of-2.parts")).ok();
        report(&["run", "--plan", &dst, "--shard", "1/2", "--json"], &[]);
    }
    assert_eq!(report(&["commit", &dst, "--json"], &[])["rows"], 2000);
}

#[test]
fn settings_that_the_plan_has_fixed_are_refused_beside_it() {
    let world = world();
    let (src, dst) = (text(&world.src()), text(&world.dst()));
    report(&["plan", &src, &dst, "--sort", "n", "--json"], &[]);
    for extra in [&["--sort", "n"][..], &["--zstd-level", "9"], &["--partition-by", "site"]] {
        let args = [&["run", "--plan", &dst][..], extra].concat();
        let output = compact(&args, &[]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("the plan says what the files are like"), "{stderr}");
    }
    let missing = compact(&["run", "--plan", &format!("{dst}/_plans/00000009.json")], &[]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("there is no such plan"));
}

#[test]
fn what_an_unfinished_plan_of_another_source_has_taken_is_not_taken_again() {
    let world = world();
    let (src, dst) = (text(&world.src()), text(&world.dst()));
    report(&["plan", &src, &dst, "--json"], &[]);
    world.put("2026/11/23/03/late", gzip("{\"n\":7000}\n"));
    let below = text(&world.src().join("2026/11/23/03"));
    let part = report(&["run", &below, &dst, "--json"], &[]);
    assert_eq!((&part["objects"], &part["rows"]), (&1.into(), &1.into()));
    let again = report(&["run", &below, &dst, "--json"], &[]);
    assert_eq!(again["already_done"], true);
    let rest = report(&["run", &src, &dst, "--json"], &[]);
    assert_eq!((&rest["resumed"], &rest["rows"]), (&json!([1]), &2000.into()));
    assert_eq!(rows(&world.dst()).len(), 2001);
}

#[test]
fn an_object_that_changes_between_plan_and_share_gives_the_plan_up() {
    let world = world();
    let (src, dst) = (text(&world.src()), text(&world.dst()));
    report(&["plan", &src, &dst, "--json"], &[]);
    report(&["run", "--plan", &dst, "--shard", "0/2", "--json"], &[]);
    world.put("2026/11/23/06/34", gzip("{\"n\":5}\n"));
    let changed = compact(&["run", "--plan", &dst, "--shard", "1/2"], &[]);
    let stderr = String::from_utf8_lossy(&changed.stderr);
    assert_eq!(changed.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("changed after it was planned; its plan is given up"), "{stderr}");
    let commit = compact(&["commit", &format!("{dst}/_plans/00000001.json")], &[]);
    assert!(String::from_utf8_lossy(&commit.stderr).contains("plan 1 was given up"));
    let done = report(&["run", &src, &dst, "--json"], &[]);
    assert_eq!((&done["objects"], &done["rows"]), (&40.into(), &(2000 - 49).into()));
    assert!(
        !world.dst().join("_work").exists()
            || fs::read_dir(world.dst().join("_work"))
                .expect("a folder")
                .all(|entry| { fs::read_dir(entry.expect("an entry").path()).expect("a folder").next().is_none() })
    );
    assert_eq!(files(&world.dst()).len(), 7);
    assert_eq!(json!(rows(&world.dst()).len()), done["rows"]);
}
