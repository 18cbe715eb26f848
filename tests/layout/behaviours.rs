//! `docs/behaviours.md` names tests that are there.

use super::sources;
use alluvial_tests::workspace_root;
use std::collections::BTreeSet;

/// The names of all test functions in `text`, property tests included.
fn tests_in(text: &str) -> BTreeSet<&str> {
    let (mut found, mut is_test) = (BTreeSet::new(), false);
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        }
        let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
        let name =
            line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ").and_then(|rest| rest.split('(').next());
        if let Some(name) = name.filter(|_| std::mem::take(&mut is_test)) {
            found.insert(name);
        }
    }
    found
}

/// The second column of a row of a table, its heading left out.
fn tests_of_row(line: &str) -> Option<&str> {
    let cell = line.strip_prefix('|')?.split('|').nth(1)?.trim();
    (cell != "tests" && !cell.starts_with("---")).then_some(cell)
}

#[test]
fn every_behaviour_names_tests_and_every_test_that_is_named_is_there() {
    let mut files = Vec::new();
    sources(workspace_root(), &mut files);
    let texts: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let all: BTreeSet<&str> = texts.iter().flat_map(|text| tests_in(text)).collect();
    let manual = std::fs::read_to_string(workspace_root().join("docs/behaviours.md")).unwrap();
    let rows: Vec<&str> = manual.lines().filter_map(tests_of_row).collect();
    assert!(rows.len() > 50, "{} rows", rows.len());
    for row in rows {
        let names: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "a row without a test: {row:?}");
        let missing: Vec<&&str> = names.iter().filter(|name| !all.contains(**name)).collect();
        assert!(missing.is_empty(), "no test has the name {missing:?}");
    }
}
