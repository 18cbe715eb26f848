use super::*;
use crate::Location;
use crate::manifest::OutputFile;
use crate::plan::tests::{object, plan};
use bytes::Bytes;
use std::path::Path;

async fn stage(store: &Store, name: &str) -> Staged {
    let mut upload = store.create(name.to_owned()).await.expect("an upload");
    upload.write(Bytes::from_static(b"rows")).await.expect("written");
    upload.stage().await.expect("staged")
}

fn manifest(plan: &Plan, file: &str) -> Manifest {
    let files = vec![OutputFile { path: file.to_owned(), rows: 1, bytes: 4, crc32: None }];
    Manifest { rows: 1, files, ..Manifest::new(plan.number, plan.id.clone(), plan.source.clone()) }
}

fn open(folder: &Path) -> Store {
    Store::open(&Location::Local(folder.to_owned()), None).expect("a store")
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name != "_tmp").collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_commit_leaves_its_files_and_their_manifests_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let plan = plan(1, vec![object("a", 1)]);
    assert!(propose(&store, &plan).await.expect("proposed"));
    let staged = stage(&store, "dt=1/part").await;
    assert!(!folder.path().join("dt=1").exists(), "visible before the commit");
    let manifest = manifest(&plan, "dt=1/part");
    commit(&store, &mut Ledger::default(), &plan, &[staged], &manifest).await.expect("committed");
    assert_eq!(names(folder.path()), ["_SUCCESS", "_manifest.json", "_manifests", "_plans", "dt=1"]);
    assert_eq!(names(&folder.path().join("_plans")), ["00000001.json"]);
    assert_eq!(names(&folder.path().join("_manifests")), [format!("{}.json", plan.id)]);
    let ledger = Ledger::read(&store).await.expect("a ledger");
    assert_eq!((ledger.done(), ledger.last, ledger.pending.len()), (vec![&manifest], 1, 0));
}

#[tokio::test]
async fn of_two_that_propose_a_plan_of_one_number_one_makes_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let (mine, yours) = (plan(1, vec![object("a", 1)]), plan(1, vec![object("b", 1)]));
    assert!(propose(&store, &mine).await.expect("proposed"));
    assert!(!propose(&store, &yours).await.expect("proposed"));
    // As after an answer that was lost.
    assert!(propose(&store, &mine).await.expect("proposed"));
    let ledger = Ledger::read(&store).await.expect("a ledger");
    assert_eq!(ledger.pending.into_values().collect::<Vec<_>>(), [mine]);
}

#[tokio::test]
async fn a_plan_that_is_given_up_takes_its_files_back_and_cannot_be_committed() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let plan = plan(1, vec![object("a", 1)]);
    propose(&store, &plan).await.expect("proposed");
    let (first, second) = (stage(&store, "dt=1/part").await, stage(&store, "dt=2/part").await);
    let files = vec![first.name.clone(), second.name.clone()];
    put(&store, &Intent::name(1), &Intent { plan: plan.id.clone(), files }).await.expect("written");
    store.publish(&first).await.expect("published");
    assert!(give_up(&store, &plan, "a changed".to_owned()).await.expect("given up"));
    assert!(names(&folder.path().join("dt=1")).is_empty());
    let manifest = manifest(&plan, "dt=2/part");
    let late = commit(&store, &mut Ledger::default(), &plan, &[second], &manifest).await;
    assert!(matches!(late, Err(Error::GivenUp { number: 1, .. })), "{late:?}");
    assert!(names(&folder.path().join("dt=2")).is_empty());
    assert_eq!(names(&folder.path().join("_plans")), ["00000001.json"]);
    let ledger = Ledger::read(&store).await.expect("a ledger");
    assert_eq!((ledger.taken().count(), ledger.last, ledger.pending.len()), (0, 1, 0));
}

#[tokio::test]
async fn a_plan_that_is_done_cannot_be_given_up_or_committed_otherwise() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let plan = plan(1, vec![object("a", 1)]);
    let staged = stage(&store, "part").await;
    let manifest = manifest(&plan, "part");
    commit(&store, &mut Ledger::default(), &plan, &[staged], &manifest).await.expect("committed");
    assert!(!give_up(&store, &plan, "late".to_owned()).await.expect("refused"));
    assert!(folder.path().join("part").exists());
    commit(&store, &mut Ledger::default(), &plan, &[], &manifest).await.expect("the same again");
    let other = Manifest { rows: 2, ..manifest };
    let diverged = commit(&store, &mut Ledger::default(), &plan, &[], &other).await;
    assert!(matches!(diverged, Err(Error::Diverged { .. })), "{diverged:?}");
}

#[tokio::test]
async fn a_summary_that_another_run_has_written_in_between_is_written_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 1..=20 {
        let store = open(folder.path());
        tasks.spawn(async move {
            let plan = plan(number, vec![object(&number.to_string(), 1)]);
            let name = format!("part-{number}");
            let staged = stage(&store, &name).await;
            commit(&store, &mut Ledger::default(), &plan, &[staged], &manifest(&plan, &name)).await
        });
    }
    while let Some(committed) = tasks.join_next().await {
        committed.expect("no panic").expect("committed");
    }
    let summary = store.get(manifest::TABLE).await.expect("read").expect("a summary");
    let summary: serde_json::Value = serde_json::from_slice(&summary.bytes).expect("JSON");
    assert_eq!((&summary["rows"], summary["plans"].as_array().map(Vec::len)), (&20.into(), Some(20)));
}

#[tokio::test]
async fn a_manifest_of_another_program_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    store.put(&Manifest::name("x"), b"{}".to_vec()).await.expect("written");
    assert!(matches!(Ledger::read(&store).await, Err(Error::Manifest { .. })));
}
