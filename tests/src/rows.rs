//! The rows that came out, from the raw objects.

use flate2::bufread::MultiGzDecoder;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

/// A record's name: shard and sequence number.
pub type Name = (String, String);

/// A row of a raw object.
#[derive(Debug, Clone)]
pub struct RawRow {
    /// The record that it was made of.
    pub name: Name,
    /// The row.
    pub json: serde_json::Value,
}

impl RawRow {
    /// All rows below `raw`, in the order in which Firehose took them.
    pub fn read_all(raw: &Path) -> Vec<Self> {
        let mut files = Vec::new();
        collect(raw, &mut files);
        files.sort_by_key(|path| path.metadata().unwrap().modified().unwrap());
        files.iter().flat_map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Vec<Self> {
        let lines = BufReader::new(MultiGzDecoder::new(BufReader::new(File::open(path).unwrap()))).lines();
        lines
            .map(|line| {
                let json: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
                let text = |name: &str| json[name].as_str().unwrap().to_owned();
                Self { name: (text("_shard"), text("_sequence")), json }
            })
            .collect()
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

/// How often each record occurs.
pub fn names(rows: &[RawRow]) -> BTreeMap<Name, u64> {
    let mut counts = BTreeMap::new();
    rows.iter().for_each(|row| *counts.entry(row.name.clone()).or_default() += 1);
    counts
}
