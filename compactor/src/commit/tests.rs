use super::*;
use crate::Location;
use crate::manifest::OutputFile;
use bytes::Bytes;
use std::path::Path;

async fn stage(store: &Store, name: &str) -> Staged {
    let mut upload = store.create(name.to_owned()).await.expect("an upload");
    upload.write(Bytes::from_static(b"rows")).await.expect("written");
    upload.stage().await.expect("staged")
}

fn manifest(plan: &str, file: &str) -> Manifest {
    let files = vec![OutputFile { path: file.to_owned(), rows: 1, bytes: 4 }];
    Manifest { rows: 1, files, ..Manifest::new(plan.to_owned(), "src".to_owned()) }
}

fn open(folder: &Path) -> Store {
    Store::open(&Location::Local(folder.to_owned()), None).expect("a store")
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_commit_leaves_its_files_and_their_manifests_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let staged = stage(&store, "dt=1/part").await;
    assert!(!folder.path().join("dt=1").exists(), "visible before the commit");
    commit(&store, &[staged], manifest("p", "dt=1/part"), Vec::new()).await.expect("committed");
    assert_eq!(names(folder.path()), ["_SUCCESS", "_manifest.json", "_manifests", "dt=1"]);
    assert_eq!(names(&folder.path().join("_manifests")), ["p.json"]);
    assert_eq!(recover(&store).await.expect("manifests"), [manifest("p", "dt=1/part")]);
}

#[tokio::test]
async fn what_a_crash_had_published_is_taken_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let (first, second) = (stage(&store, "dt=1/part").await, stage(&store, "dt=2/part").await);
    let intent = Intent { plan: "p".to_owned(), files: vec![first.name.clone(), second.name.clone()] };
    put(&store, &Intent::name("p"), &intent).await.expect("written");
    store.publish(&first).await.expect("published");
    // The crash: the second file, the manifest and `_SUCCESS` are missing.
    assert!(recover(&store).await.expect("manifests").is_empty());
    assert!(names(&folder.path().join("dt=1")).is_empty());
    assert!(names(&folder.path().join("_manifests")).is_empty());
    assert!(!folder.path().join("_tmp").exists());
}

#[tokio::test]
async fn a_crash_after_the_manifest_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let staged = stage(&store, "part").await;
    commit(&store, &[staged], manifest("p", "part"), Vec::new()).await.expect("committed");
    let intent = Intent { plan: "p".to_owned(), files: vec!["part".to_owned()] };
    put(&store, &Intent::name("p"), &intent).await.expect("written");
    store.delete(manifest::SUCCESS).await.expect("deleted");
    let done = recover(&store).await.expect("manifests");
    finish(&store, &done).await.expect("finished");
    assert!(folder.path().join("part").exists());
    assert!(folder.path().join("_SUCCESS").exists());
    assert_eq!(names(&folder.path().join("_manifests")), ["p.json"]);
}

#[tokio::test]
async fn a_manifest_of_another_program_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    store.put(&Manifest::name("x"), b"{}".to_vec()).await.expect("written");
    assert!(matches!(recover(&store).await, Err(Error::Manifest { .. })));
}
