//! The README's terminal blocks are true: each command of a `console` block is run, in order, and prints what is shown.
//!
//! Numbers may differ, and `…` stands for any lines. `cargo run --release --` runs the binary of this build.

use alluvial_tests::{bin, workspace_root};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// A command and the lines shown below it.
struct Shown {
    command: String,
    output: Vec<String>,
}

fn shown(readme: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            line if inside => match line.strip_prefix("$ ") {
                Some(command) => all.push(Shown { command: command.to_owned(), output: Vec::new() }),
                None => all.last_mut().expect("a block starts with a command").output.push(line.to_owned()),
            },
            _ => {}
        }
    }
    all
}

/// A line with every number as `0`, every run of spaces as one, and no folder names.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    for word in line.split_whitespace() {
        // Folders and the ids of plans, which are a function of the inputs' paths and times, differ from place to place.
        let word = if word.contains("alluvial-demo") || word.contains(".zstd.parquet") { "PATH" } else { word };
        let mut number = false;
        for character in word.chars() {
            let digit = character.is_ascii_digit() || (number && matches!(character, ',' | '.'));
            if !digit {
                shape.push(character);
            } else if !number {
                shape.push('0');
            }
            number = digit;
        }
        shape.push(' ');
    }
    shape
}

/// True when `found` is what `wanted` shows.
fn matches(wanted: &[String], found: &[String]) -> bool {
    match wanted.split_first() {
        None => found.is_empty(),
        Some((any, rest)) if any == "…" => (0..=found.len()).any(|skipped| matches(rest, &found[skipped..])),
        Some((line, rest)) => found.split_first().is_some_and(|(first, more)| line == first && matches(rest, more)),
    }
}

fn shapes(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .map(|line| if line == "…" { line.clone() } else { shape(line) })
        .filter(|line| !line.trim().is_empty())
        .collect()
}

/// A `cargo` that runs the binary of this build.
fn write_shim(folder: &Path) {
    let path = folder.join("cargo");
    std::fs::write(
        &path,
        "#!/bin/sh\nif [ \"$1 $2 $3\" != 'run --release --' ]; then exit 64; fi\nshift 3\nexec alluvial \"$@\"\n",
    )
    .unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn every_terminal_block_of_the_readme_prints_what_it_shows() {
    let readme = std::fs::read_to_string(workspace_root().join("README.md")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let shims = tempfile::tempdir().unwrap();
    write_shim(shims.path());
    let binaries = bin("alluvial").parent().unwrap().to_path_buf();
    let path = format!("{}:{}:{}", shims.path().display(), binaries.display(), std::env::var("PATH").unwrap());
    let commands = shown(&readme);
    assert!(commands.len() >= 5, "the blocks were not found");
    for Shown { command, output } in commands {
        let ran =
            Command::new("sh").args(["-c", &command]).current_dir(dir.path()).env("PATH", &path).output().unwrap();
        let stdout = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "`{command}`: {stdout}{}", String::from_utf8_lossy(&ran.stderr));
        let found: Vec<String> = stdout.lines().map(str::to_owned).collect();
        assert!(
            matches(&shapes(&output), &shapes(&found)),
            "`{command}` printed\n{stdout}\nthe README shows\n{}",
            output.join("\n")
        );
    }
}

#[test]
fn the_readme_names_the_command_that_runs_the_tests_and_so_does_ci() {
    let root = workspace_root();
    let command = "cargo test --workspace";
    for file in ["README.md", ".ci/run", "CONTRIBUTING.md"] {
        assert!(std::fs::read_to_string(root.join(file)).unwrap().contains(command), "{file}");
    }
}

#[test]
fn a_line_that_differs_in_more_than_numbers_is_noticed() {
    let lines = |text: &[&str]| text.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let wanted = shapes(&lines(&["a 1,000 ms", "…", "end 3"]));
    assert!(matches(&wanted, &shapes(&lines(&["a  7 ms", "x", "y", "end 12"]))));
    assert!(!matches(&wanted, &shapes(&lines(&["a 7 s", "end 12"]))));
    assert!(!matches(&wanted, &shapes(&lines(&["a 7 ms", "x"]))));
}
