//! The layout that the design gives: crate edges, sizes of files, and one TLS stack.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is a test that failed")]

mod behaviours;

use alluvial_tests::workspace_root;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Which crates of ours each crate may depend on (docs/ARCHITECTURE.md).
const EDGES: [(&str, &[&str]); 10] = [
    ("record", &[]),
    ("runtime", &[]),
    ("consumer", &["record", "runtime"]),
    ("enrich", &["consumer", "record", "runtime"]),
    ("compactor", &["record", "runtime"]),
    ("loadgen", &["record", "runtime"]),
    ("emulator", &[]),
    ("daemon", &["record", "runtime", "consumer", "enrich", "compactor", "loadgen", "emulator"]),
    ("tests", &["record", "runtime", "consumer", "enrich", "compactor", "loadgen", "emulator", "daemon"]),
    ("benches", &["record", "runtime", "consumer", "enrich", "compactor", "loadgen", "emulator", "daemon"]),
];

/// Lines of a source file, inline tests not counted.
const MOST_LINES: usize = 600;

fn manifest(folder: &str) -> toml::Table {
    let path = workspace_root().join(folder).join("Cargo.toml");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).parse().unwrap()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

#[test]
fn crates_depend_only_on_what_the_design_allows() {
    for (crate_name, allowed) in EDGES {
        let manifest = manifest(crate_name);
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let names = manifest.get(section).and_then(|table| table.as_table()).into_iter().flatten();
            for dependency in names.filter_map(|(name, _)| name.strip_prefix("alluvial-")) {
                assert!(allowed.contains(&dependency), "{crate_name} may not depend on {dependency} ({section})");
            }
        }
    }
}

#[test]
fn every_member_of_the_workspace_has_an_edge_list_and_the_shared_lints() {
    let root = manifest(".");
    let members: BTreeSet<&str> =
        root["workspace"]["members"].as_array().unwrap().iter().map(|member| member.as_str().unwrap()).collect();
    assert_eq!(members, EDGES.iter().map(|(name, _)| *name).collect());
    for member in members {
        let manifest = manifest(member);
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{member}");
        assert_eq!(manifest["package"]["name"].as_str(), Some(format!("alluvial-{member}").as_str()));
    }
}

#[test]
fn record_has_no_io_no_runtime_and_no_sdk() {
    let manifest = manifest("record");
    let names: Vec<&String> = manifest["dependencies"].as_table().unwrap().keys().collect();
    assert!(names.iter().all(|name| !name.starts_with("aws-") && !name.starts_with("tokio")), "{names:?}");
}

#[test]
fn there_is_one_tls_stack_and_no_old_http() {
    let lock: toml::Table = std::fs::read_to_string(workspace_root().join("Cargo.lock")).unwrap().parse().unwrap();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        versions.entry(package["name"].as_str().unwrap()).or_default().push(package["version"].as_str().unwrap());
    }
    let of = |name: &str| versions.get(name).cloned().unwrap_or_default();
    for unwanted in ["openssl", "openssl-sys", "native-tls", "aws-lc-rs", "aws-lc-sys", "s2n-tls"] {
        assert!(of(unwanted).is_empty(), "{unwanted} is in the tree beside rustls with ring");
    }
    assert!(of("hyper").iter().all(|version| version.starts_with("1.")), "{:?}", of("hyper"));
    for version in of("h2") {
        let parts: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
        assert!(parts >= vec![0, 4, 19], "h2 {version}: 0.4.19 is the first that counts unread frames fairly");
    }
}

#[test]
fn no_source_file_has_outgrown_one_idea() {
    let mut files = Vec::new();
    sources(workspace_root(), &mut files);
    assert!(files.len() > 50, "the sources were not found");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.split("\n#[cfg(test)]\nmod ").next().unwrap().lines().count();
        let tests = file.ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests");
        assert!(tests || lines <= MOST_LINES, "{}: {lines} lines without tests; split it", file.display());
    }
}

#[test]
fn crate_roots_are_docs_and_exports_only() {
    for (crate_name, _) in EDGES {
        let path = workspace_root().join(crate_name).join("src/lib.rs");
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let logic = text
            .lines()
            .find(|line| line.starts_with("fn ") || line.starts_with("pub fn ") || line.starts_with("impl"));
        assert_eq!(logic, None, "{}", path.display());
        assert!(text.starts_with("//!"), "{} says nothing about the crate", path.display());
    }
}
