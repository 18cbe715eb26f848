//! Rows that came before are left out, wherever in a plan they are.

use crate::cli::compact;
use crate::support::{World, files, gzip, rows};
use alluvial_compactor::{Location, Machine, PlanAt, Settings, Shard, commit_plan, plan, run_share, verify};
use serde_json::{Value, json};
use std::fs;

fn row(n: u64) -> String {
    let (shard, wide) = (n % 2, if n == 77 { "\"x\"".to_owned() } else { n.to_string() });
    format!("{{\"_shard\":\"s{shard}\",\"_sequence\":\"{}\",\"_sub_sequence\":0,\"n\":{n},\"wide\":{wide}}}\n", n / 2)
}

/// Objects of 50 rows; every third one begins with 20 of those before, as after a delivery that was tried again.
fn world() -> World {
    let world = World::new();
    for n in 0..12u64 {
        let repeated = if n % 3 == 2 { 20 } else { 0 };
        let lines: String = (n * 50 - repeated..n * 50 + 50).map(row).collect();
        world.put(&format!("2026/11/23/0{}/{n:02}", n % 4), gzip(lines));
    }
    // Without a position, nothing is told apart.
    world.put("2026/11/23/05/none", gzip("{\"n\":1000}\n{\"n\":1000}\n"));
    world
}

fn settings(world: &World, sort: bool) -> Settings {
    let mut settings = world.settings();
    settings.dedupe = ["_shard", "_sequence", "_sub_sequence"].map(|field| field.parse().expect("a field")).to_vec();
    settings.unit_bytes = 400;
    settings.target_file_bytes = 3000;
    settings.sort = if sort { vec!["n".parse().expect("an order")] } else { Vec::new() };
    settings
}

fn numbers(world: &World) -> Vec<u64> {
    let mut numbers: Vec<u64> = rows(&world.dst()).iter().map(|row| row["n"].as_u64().expect("a number")).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_came_before_is_left_out_in_however_many_shares() {
    for sort in [false, true] {
        let world = world();
        let settings = settings(&world, sort);
        let report = world.try_compact(&settings).await.expect("compacted");
        assert_eq!((report.rows, report.duplicate_rows), (602, 80));
        let expected: Vec<u64> = (0..600).chain([1000, 1000]).collect();
        assert_eq!(numbers(&world), expected);
        let dst = Location::Local(world.dst());
        let sound = verify(&dst, true, &Machine::default(), None, |_| {}).await.expect("verified");
        assert!(sound.is_sound(), "{sound:?}");
        let bytes = || files(&world.dst()).into_iter().map(|file| fs::read(file).expect("a file")).collect::<Vec<_>>();
        let whole = bytes();
        fs::remove_dir_all(world.dst()).expect("removed");
        let at: PlanAt =
            plan(&settings, None, 3).await.expect("planned").plan.expect("a plan").parse().expect("a plan");
        for index in 0..3 {
            let shard = Shard::new(index, 3).expect("a share");
            run_share(&at, shard, &Machine::default(), None, |_| {}).await.expect("run");
        }
        let report = commit_plan(&at, &Machine::default(), None, |_| {}).await.expect("committed");
        assert_eq!((report.rows, report.duplicate_rows), (602, 80));
        assert!(bytes() == whole, "other bytes");
    }
}

#[test]
fn the_position_columns_are_the_default_and_others_may_be_named() {
    let world = world();
    let (src, dst) = (world.src().display().to_string(), world.dst().display().to_string());
    let report = |args: &[&str]| -> Value {
        let output = compact(&[&["run", &src, &dst, "--json"], args].concat(), &[]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        fs::remove_dir_all(world.dst()).expect("removed");
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let counts = |report: &Value| json!([report["rows"], report["duplicate_rows"]]);
    assert_eq!(counts(&report(&[])), json!([682, 0]));
    assert_eq!(counts(&report(&["--dedupe"])), json!([602, 80]));
    assert_eq!(counts(&report(&["--dedupe=n"])), json!([601, 81]));
    assert_eq!(counts(&report(&["--dedupe=_shard", "--partition-by", "none"])), json!([4, 678]));
}
