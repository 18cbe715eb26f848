//! Members whose records others have are left out, by the labels that the daemon gives them.

use crate::cli::compact;
use crate::support::{World, files, gzip, rows};
use alluvial_compactor::{Location, Machine, PlanAt, Settings, Shard, commit_plan, plan, run_share, verify};
use alluvial_record::{MemberLabel, Position};
use flate2::{Compression, GzBuilder};
use std::fs;
use std::io::Write as _;

fn at(number: u64) -> Position {
    Position { sequence: (number + 100).to_string().parse().expect("a number"), sub_sequence: 0 }
}

/// The member of records `after + 1` to `last`, every seventh of which left no row.
fn member(shard: &str, after: u64, last: u64) -> Vec<u8> {
    labelled(shard, after, last, Some(at(after)))
}

/// As a lane's first one, which knows of none before it.
fn first(shard: &str, after: u64, last: u64) -> Vec<u8> {
    labelled(shard, after, last, None)
}

fn is_row(n: &u64) -> bool {
    !n.is_multiple_of(7)
}

fn labelled(shard: &str, after: u64, last: u64, known: Option<Position>) -> Vec<u8> {
    let numbers: Vec<u64> = (after + 1..=last).filter(is_row).collect();
    let label = MemberLabel {
        application: "app".into(),
        stream: "orders".into(),
        shard: shard.into(),
        after: known,
        first: at(after + 1),
        last: at(last),
        rows: numbers.len() as u64,
    };
    let mut member = GzBuilder::new().extra(label.to_extra()).write(Vec::new(), Compression::fast());
    for n in numbers {
        writeln!(member, "{{\"shard\":\"{shard}\",\"n\":{n},\"site\":\"s{}\"}}", n % 3).expect("memory");
    }
    member.finish().expect("memory")
}

/// Two members came twice, and the one in flight when its reader was cut off was cut otherwise by the next.
fn world() -> World {
    let world = World::new();
    world.put("2026/11/23/05/a", [member("0", 0, 10), member("0", 10, 20), member("1", 0, 9)].concat());
    world.put(
        "2026/11/23/05/b",
        [member("0", 10, 20), member("1", 0, 9), gzip("{\"n\":1000}\n{\"n\":1000}\n")].concat(),
    );
    world.put("2026/11/23/05/c", [member("0", 20, 30), member("1", 9, 12)].concat());
    world.put("2026/11/23/06/d", [first("0", 20, 26), member("0", 26, 40)].concat());
    world
}

fn settings(world: &World, by: &str) -> Settings {
    let mut settings = world.settings();
    settings.dedupe_members = true;
    settings.unit_bytes = 1;
    settings.partition_by = vec![by.parse().expect("what to partition by")];
    settings
}

fn numbers(world: &World, shard: &str) -> Vec<u64> {
    let rows = rows(&world.dst());
    let of_shard = rows.iter().filter(|row| row["shard"].as_str().unwrap_or("none") == shard);
    let mut numbers: Vec<u64> = of_shard.map(|row| row["n"].as_u64().expect("a number")).collect();
    numbers.sort_unstable();
    numbers
}

async fn check_sound(world: &World) {
    let dst = Location::Local(world.dst());
    let sound = verify(&dst, true, &Machine::default(), None, |_| {}).await.expect("verified");
    assert!(sound.is_sound(), "{sound:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_is_there_once_within_a_plan_and_across_plans() {
    for by in ["key", "site"] {
        let world = world();
        let settings = settings(&world, by);
        let report = world.try_compact(&settings).await.expect("compacted");
        assert_eq!((report.duplicate_members, report.overlapping_members), (3, 0));
        assert_eq!(report.duplicate_rows, (11..=30).chain(1..=9).filter(is_row).count() as u64);
        assert_eq!(numbers(&world, "0"), (1..=40).filter(is_row).collect::<Vec<_>>());
        assert_eq!(numbers(&world, "1"), (1..=12).filter(is_row).collect::<Vec<_>>());
        assert_eq!(numbers(&world, "none"), [1000, 1000]);
        check_sound(&world).await;

        // Late, and again; and then one of which something is there already, but not how much.
        world.put("2026/11/23/07/e", [member("0", 40, 50), member("0", 0, 10), first("0", 27, 38)].concat());
        let report = world.try_compact(&settings).await.expect("compacted");
        assert_eq!((report.duplicate_members, report.overlapping_members), (2, 0));
        assert_eq!(numbers(&world, "0"), (1..=50).filter(is_row).collect::<Vec<_>>());
        world.put("2026/11/23/08/f", [first("0", 44, 52), first("0", 60, 70)].concat());
        let report = world.try_compact(&settings).await.expect("compacted");
        assert_eq!((report.duplicate_members, report.overlapping_members, report.duplicate_rows), (0, 1, 0));
        let expected = (1..=50).chain(45..=52).chain(61..=70).filter(is_row).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(numbers(&world, "0").into_iter().collect::<std::collections::BTreeSet<_>>(), expected);
        check_sound(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_leave_the_same_members_out() {
    let world = world();
    let settings = settings(&world, "key");
    world.try_compact(&settings).await.expect("compacted");
    let bytes = || files(&world.dst()).into_iter().map(|file| fs::read(file).expect("a file")).collect::<Vec<_>>();
    let whole = bytes();
    fs::remove_dir_all(world.dst()).expect("removed");
    let plan: PlanAt = plan(&settings, None, 3).await.expect("planned").plan.expect("a plan").parse().expect("a plan");
    for index in 0..3 {
        let shard = Shard::new(index, 3).expect("a share");
        run_share(&plan, shard, &Machine::default(), None, |_| {}).await.expect("run");
    }
    let report = commit_plan(&plan, &Machine::default(), None, |_| {}).await.expect("committed");
    assert_eq!(report.duplicate_members, 3);
    assert!(bytes() == whole, "other bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_members_cover_nothing() {
    let world = World::new();
    let mut damaged = member("0", 0, 10);
    let crc = damaged.len() - 8;
    damaged[crc] ^= 1;
    let cut = member("0", 10, 20);
    world.put("2026/11/23/05/a", [damaged, cut[..cut.len() - 12].to_vec()].concat());
    world.put("2026/11/23/05/b", [member("0", 0, 10), member("0", 10, 20)].concat());
    let report = world.try_compact(&settings(&world, "key")).await.expect("compacted");
    assert_eq!((report.quarantined_members, report.duplicate_members), (2, 1));
    assert_eq!(numbers(&world, "0"), (1..=20).filter(is_row).collect::<Vec<_>>());
}

#[test]
fn labels_are_looked_at_when_asked() {
    for (options, duplicates) in [(vec![], 0), (vec!["--dedupe-members"], 3)] {
        let world = world();
        let (src, dst) = (world.src().display().to_string(), world.dst().display().to_string());
        let output = compact(&[["run", &src, &dst, "--json"].as_slice(), &options].concat(), &[]);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(report["duplicate_members"], duplicates);
    }
}
