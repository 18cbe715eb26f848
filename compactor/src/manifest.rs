//! What a destination says about itself: JSON files whose keys are a contract.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The folder of manifests and intents.
pub(crate) const FOLDER: &str = "_manifests";

/// Every file of every plan.
pub(crate) const TABLE: &str = "_manifest.json";

/// Written last, as Hadoop's committers do.
pub(crate) const SUCCESS: &str = "_SUCCESS";

/// The version of these formats.
const FORMAT: u32 = 1;

/// One plan that is done: its inputs are consumed, its files are the table's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    pub(crate) plan: String,
    pub(crate) source: String,
    /// Arrow types by column.
    pub(crate) schema: BTreeMap<String, String>,
    pub(crate) rows: u64,
    pub(crate) quarantined_rows: u64,
    pub(crate) quarantined_members: u64,
    /// Where the quarantined rows are, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) quarantine: Option<String>,
    pub(crate) files: Vec<OutputFile>,
    pub(crate) inputs: Vec<ConsumedInput>,
}

/// A Parquet file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutputFile {
    /// Below the destination.
    pub(crate) path: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// An object whose rows are in a plan's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConsumedInput {
    /// An absolute path or an `s3://` URL.
    pub(crate) object: String,
    pub(crate) bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    pub(crate) rows: u64,
    pub(crate) members: u64,
}

/// Written before the first file of a plan becomes visible: if the manifest is missing, these files are not the
/// table's and must go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) plan: String,
    pub(crate) files: Vec<String>,
}

/// The whole table, for readers that do not list folders.
#[derive(Debug, Serialize)]
struct Table<'a> {
    format: u32,
    rows: u64,
    plans: Vec<&'a str>,
    files: Vec<&'a OutputFile>,
}

/// What [`SUCCESS`] says.
#[derive(Debug, Serialize)]
struct Success {
    plans: usize,
    files: usize,
    rows: u64,
}

impl Manifest {
    /// An empty manifest of the present format.
    pub(crate) fn new(plan: String, source: String) -> Self {
        Self { format: FORMAT, plan, source, ..Self::default() }
    }

    /// Its name in the destination.
    pub(crate) fn name(plan: &str) -> String {
        format!("{FOLDER}/{plan}.json")
    }
}

impl Intent {
    /// Its name in the destination.
    pub(crate) fn name(plan: &str) -> String {
        format!("{FOLDER}/{plan}.intent")
    }
}

/// The contents of [`TABLE`] and [`SUCCESS`] for these plans: the same for the same set.
pub(crate) fn table(manifests: &[Manifest]) -> Result<(Vec<u8>, Vec<u8>), serde_json::Error> {
    let mut sorted: Vec<&Manifest> = manifests.iter().collect();
    sorted.sort_unstable_by(|a, b| a.plan.cmp(&b.plan));
    let files: Vec<&OutputFile> = sorted.iter().flat_map(|manifest| &manifest.files).collect();
    let rows = sorted.iter().map(|manifest| manifest.rows).sum();
    let success = Success { plans: sorted.len(), files: files.len(), rows };
    let plans = sorted.iter().map(|manifest| manifest.plan.as_str()).collect();
    Ok((pretty(&Table { format: FORMAT, rows, plans, files })?, pretty(&success)?))
}

/// JSON for people and machines, with a line end.
pub(crate) fn pretty(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(plan: &str, rows: u64) -> Manifest {
        let file = OutputFile { path: format!("{plan}.parquet"), rows, bytes: 9 };
        Manifest { rows, files: vec![file], ..Manifest::new(plan.to_owned(), "src".to_owned()) }
    }

    #[test]
    fn the_table_is_the_same_for_the_same_plans() {
        let one = table(&[manifest("a", 1), manifest("b", 2)]).expect("JSON");
        assert_eq!(one, table(&[manifest("b", 2), manifest("a", 1)]).expect("JSON"));
        let success: serde_json::Value = serde_json::from_slice(&one.1).expect("JSON");
        assert_eq!(success, serde_json::json!({"plans": 2, "files": 2, "rows": 3}));
    }

    #[test]
    fn a_manifest_reads_back() {
        let written = pretty(&manifest("a", 1)).expect("JSON");
        assert_eq!(serde_json::from_slice::<Manifest>(&written).expect("a manifest"), manifest("a", 1));
    }
}
