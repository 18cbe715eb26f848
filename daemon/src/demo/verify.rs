//! The check: every record that was put against the rows in Parquet, the dead letters, and the order of the raw objects.

use super::scene;
use super::truth::{Name, Truth};
use alluvial_runtime::exit::Failure;
use arrow_array::cast::AsArray as _;
use flate2::bufread::MultiGzDecoder;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the check found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Rows in Parquet.
    pub(super) rows: u64,
    /// Records that are neither in Parquet nor in the dead-letter store.
    pub(super) missing: u64,
    /// Rows beyond the first of a record, and records that are both a row and a dead letter.
    pub(super) duplicated: u64,
    /// Rows of records that nobody put.
    pub(super) unknown: u64,
    /// Records of a partition key that were first delivered after a later one of that key.
    pub(super) order_violations: u64,
    /// Rows of raw objects that were put, and whose order was looked at.
    pub(super) order_checked: u64,
}

/// Where a row or a dead letter comes from.
#[derive(Deserialize)]
struct Position {
    #[serde(alias = "_shard")]
    shard: String,
    #[serde(alias = "_sequence")]
    sequence: String,
}

fn failed(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::internal(format!("check: {}: {error}", path.display()))
}

/// Compares what lies in `dir` with what was put.
pub(super) fn verify(dir: &Path, truth: &Truth) -> Result<Verdict, Failure> {
    let truth = truth.records();
    let mut seen: HashMap<Name, u64> = HashMap::with_capacity(truth.len());
    let mut rows = 0;
    for file in files(&dir.join("parquet"), |path| path.extension().is_some_and(|extension| extension == "parquet"))? {
        rows += read_parquet(&file, &mut seen)?;
    }
    for file in files(&dir.join("dead-letters"), |_| true)? {
        for line in BufReader::new(File::open(&file).map_err(|error| failed(&file, error))?).lines() {
            let line = line.map_err(|error| failed(&file, error))?;
            let position: Position = serde_json::from_str(&line).map_err(|error| failed(&file, error))?;
            *seen.entry((position.shard.into(), position.sequence)).or_default() += 1;
        }
    }
    let (order_violations, order_checked) = order(&dir.join("s3").join(scene::BUCKET).join(scene::RAW_PREFIX), &truth)?;
    Ok(Verdict { rows, order_violations, order_checked, ..compare(&truth, &seen) })
}

/// Counts what is missing, repeated or foreign.
fn compare(truth: &HashMap<Name, u64>, seen: &HashMap<Name, u64>) -> Verdict {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    Verdict {
        missing: count(truth.keys().filter(|name| !seen.contains_key(*name)).count()),
        duplicated: seen.values().map(|times| times.saturating_sub(1)).sum(),
        unknown: count(seen.keys().filter(|name| !truth.contains_key(*name)).count()),
        ..Verdict::default()
    }
}

/// All files below `root` that `wanted` takes, oldest first; none when there is no such folder.
fn files(root: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>, Failure> {
    let (mut folders, mut found) = (vec![root.to_path_buf()], Vec::new());
    while let Some(folder) = folders.pop() {
        let Ok(entries) = folder.read_dir() else { continue };
        for entry in entries {
            let path = entry.map_err(|error| failed(&folder, error))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if wanted(&path) {
                let modified = path.metadata().and_then(|metadata| metadata.modified());
                found.push((modified.map_err(|error| failed(&path, error))?, path));
            }
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Adds the positions of the rows in a file; returns how many rows it has.
fn read_parquet(path: &Path, seen: &mut HashMap<Name, u64>) -> Result<u64, Failure> {
    let file = File::open(path).map_err(|error| failed(path, error))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| failed(path, error))?;
    let columns = ProjectionMask::columns(builder.parquet_schema(), ["_shard", "_sequence"]);
    let reader = builder.with_projection(columns).build().map_err(|error| failed(path, error))?;
    let (mut rows, mut shards) = (0, HashMap::<String, Arc<str>>::new());
    for batch in reader {
        let batch = batch.map_err(|error| failed(path, error))?;
        let column = |name: &str| {
            let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
            column.ok_or_else(|| failed(path, format!("no text column {name}")))
        };
        for (shard, sequence) in column("_shard")?.iter().zip(column("_sequence")?.iter()) {
            let shard = shard.unwrap_or_default();
            let shard = shards.entry(shard.to_owned()).or_insert_with(|| shard.into());
            *seen.entry((Arc::clone(shard), sequence.unwrap_or_default().to_owned())).or_default() += 1;
            rows += 1;
        }
    }
    Ok(rows)
}

/// Reads the raw objects as Firehose wrote them, one after the other, and counts records that came after a later one of
/// their partition key; returns those, and the rows looked at.
fn order(raw: &Path, truth: &HashMap<Name, u64>) -> Result<(u64, u64), Failure> {
    let mut last: HashMap<u64, alluvial_record::SequenceNumber> = HashMap::new();
    let (mut violations, mut checked) = (0, 0);
    for file in files(raw, |_| true)? {
        let reader = MultiGzDecoder::new(BufReader::new(File::open(&file).map_err(|error| failed(&file, error))?));
        for line in BufReader::new(reader).lines() {
            let line = line.map_err(|error| failed(&file, error))?;
            let position: Position = serde_json::from_str(&line).map_err(|error| failed(&file, error))?;
            let sequence = position.sequence.parse().map_err(|error| failed(&file, error))?;
            let Some(key) = truth.get(&(position.shard.into(), position.sequence)) else { continue };
            checked += 1;
            match last.get_mut(key) {
                Some(before) if *before > sequence => violations += 1,
                Some(before) => *before = sequence,
                None => {
                    last.insert(*key, sequence);
                }
            }
        }
    }
    Ok((violations, checked))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(sequence: &str) -> Name {
        ("shardId-000000000000".into(), sequence.into())
    }

    #[test]
    fn a_missing_a_repeated_and_a_foreign_row_are_each_found() {
        let truth: HashMap<Name, u64> = ["1", "2", "3"].map(|sequence| (name(sequence), 0)).into();
        let seen: HashMap<Name, u64> = [(name("1"), 1), (name("2"), 3), (name("9"), 1)].into();
        let verdict = compare(&truth, &seen);
        assert_eq!((verdict.missing, verdict.duplicated, verdict.unknown), (1, 2, 1));
    }

    #[test]
    fn a_record_after_a_later_one_of_its_key_is_a_violation() {
        use std::io::Write as _;
        let dir = tempfile::tempdir().unwrap();
        let truth: HashMap<Name, u64> = [(name("1"), 7), (name("2"), 8), (name("3"), 7)].into();
        let member = |sequences: &[&str]| {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            for sequence in sequences {
                writeln!(gzip, "{{\"_shard\":\"shardId-000000000000\",\"_sequence\":\"{sequence}\"}}").unwrap();
            }
            gzip.finish().unwrap()
        };
        std::fs::write(dir.path().join("a"), [member(&["3", "2"]), member(&["1"])].concat()).unwrap();
        assert_eq!(order(dir.path(), &truth).unwrap(), (1, 3), "2 may come after 3: it has another key");
    }
}
