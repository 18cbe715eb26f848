//! Each row once, however often and with whatever accidents `compact` runs.

use crate::support::{World, files, gzip, rows};
use alluvial_compactor::{Error, ErrorKind, Phase};
use serde_json::json;
use std::fs;
use tokio::sync::Notify;

fn row(n: u64) -> Vec<u8> {
    gzip(format!("{{\"n\":{n}}}\n"))
}

fn numbers(world: &World) -> Vec<u64> {
    let mut numbers: Vec<u64> = rows(&world.dst()).iter().map(|row| row["n"].as_u64().expect("a number")).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn a_second_run_adds_nothing() {
    let world = World::with(row(1));
    let first = world.compact().await;
    let before = files(&world.dst());
    let second = world.compact().await;
    assert!(!first.already_done && second.already_done);
    assert_eq!((second.rows, second.objects, second.skipped_objects), (0, 0, 1));
    assert_eq!(files(&world.dst()), before);
}

#[tokio::test]
async fn a_late_object_is_added_beside() {
    let world = World::with(row(1));
    world.compact().await;
    world.put("2026/11/23/05/late", row(2));
    let report = world.compact().await;
    assert_eq!((report.objects, report.skipped_objects, report.rows), (1, 1, 1));
    assert_eq!(numbers(&world), [1, 2]);
    let success: serde_json::Value =
        serde_json::from_slice(&fs::read(world.dst().join("_SUCCESS")).expect("a file")).expect("JSON");
    assert_eq!(success, json!({"plans": 2, "files": 2, "rows": 2}));
}

#[tokio::test]
async fn the_same_inputs_give_the_same_files() {
    let world = World::new();
    for n in 0..20 {
        world.put(&format!("2026/11/23/0{}/{n}", n % 3), row(n));
    }
    world.compact().await;
    let read =
        || files(&world.dst()).into_iter().map(|file| (fs::read(&file).expect("a file"), file)).collect::<Vec<_>>();
    let first = read();
    fs::remove_dir_all(world.dst()).expect("removed");
    let settings = alluvial_compactor::Settings { threads: 7, ..world.settings() };
    world.try_compact(&settings).await.expect("compacted");
    assert!(first == read(), "other names or other bytes");
}

#[tokio::test]
async fn an_overwritten_object_is_refused() {
    let world = World::with(row(1));
    world.compact().await;
    world.put("2026/11/23/05/orders-1-2026-11-23-05-00-00-a", gzip("{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n"));
    let error = world.try_compact(&world.settings()).await.expect_err("refused");
    assert!(matches!(error, Error::Overwritten { .. }) && error.kind() == ErrorKind::Usage, "{error}");
    assert_eq!(numbers(&world), [1]);
}

#[tokio::test]
async fn a_run_is_a_task_like_any_other() {
    let world = World::with(row(1));
    let settings = world.settings();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { alluvial_compactor::run(&settings, None, |_| {}).await });
    let report = tasks.join_next().await.expect("a task").expect("no panic").expect("compacted");
    assert_eq!(report.rows, 1);
}

/// Drops a run when it reaches `phase`, then runs again.
async fn interrupted_at(phase: Phase) {
    let world = World::new();
    for n in 0..10 {
        world.put(&format!("2026/11/23/0{}/{n}", n % 3), row(n));
    }
    let reached = Notify::new();
    let settings = world.settings();
    let run = alluvial_compactor::run(&settings, None, |progress| {
        if progress.phase == phase {
            reached.notify_one();
        }
    });
    tokio::select! {
        biased;
        () = reached.notified() => {}
        result = run => panic!("the run was not interrupted: {result:?}"),
    }
    assert!(!world.dst().join("_SUCCESS").exists());
    world.put("2026/11/23/05/late", row(10));
    let report = world.compact().await;
    assert!(report.is_complete());
    assert_eq!(numbers(&world), (0..=10).collect::<Vec<_>>());
    assert!(!world.dst().join("_tmp").exists());
}

#[tokio::test]
async fn a_run_that_was_interrupted_leaves_each_row_once_for_the_next() {
    for phase in [Phase::Reading, Phase::Writing, Phase::Committing] {
        interrupted_at(phase).await;
    }
}

#[tokio::test]
async fn a_source_without_objects_is_a_usage_error() {
    let world = World::new();
    let error = world.try_compact(&world.settings()).await.expect_err("an error");
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("there are no objects"), "{error}");
    world.put("_SUCCESS", "");
    let error = world.try_compact(&world.settings()).await.expect_err("an error");
    assert!(error.to_string().contains("1 with a name that begins with"), "{error}");
}
