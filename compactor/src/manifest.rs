//! What a destination says about itself: JSON files whose keys are a contract.

use crate::members::Covered;
use crate::table::TableSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The folder of manifests.
pub(crate) const FOLDER: &str = "_manifests";

/// Every file of every plan that is done.
pub(crate) const TABLE: &str = "_manifest.json";

/// Written last, as Hadoop's committers do.
pub(crate) const SUCCESS: &str = "_SUCCESS";

/// The version of these formats.
const FORMAT: u32 = 1;

/// What became of a plan. Of all that is written about a plan, this decides: it is written once, by whoever is first.
/// Either the plan is done, its inputs are consumed, and its files are the table's; or it is given up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    /// The plan's number.
    #[serde(default)]
    pub(crate) number: u64,
    pub(crate) plan: String,
    /// Why the plan is given up, if it is: then all of its inputs are free, and none of its files is the table's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) given_up: Option<String>,
    pub(crate) source: String,
    /// Arrow types by column.
    pub(crate) schema: BTreeMap<String, String>,
    /// The columns and partitions of the files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) table: Option<TableSchema>,
    /// In the files.
    pub(crate) rows: u64,
    /// Rows of the inputs that are left out, because they came before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) duplicate_rows: u64,
    pub(crate) quarantined_rows: u64,
    pub(crate) quarantined_members: u64,
    /// Where the quarantined rows are, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) quarantine: Option<String>,
    /// Which records the labelled members of the inputs cover, where repeated ones are left out.
    #[serde(default, skip_serializing_if = "Covered::is_empty")]
    pub(crate) covered: Covered,
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
    /// CRC-32 of the whole file, as gzip's, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) crc32: Option<String>,
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

/// Written before the first file of a plan becomes visible: if the plan is given up after all, these must go.
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

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Manifest {
    /// An empty manifest of the present format.
    pub(crate) fn new(number: u64, plan: String, source: String) -> Self {
        Self { format: FORMAT, number, plan, source, ..Self::default() }
    }

    /// Its name in the destination.
    pub(crate) fn name(plan: &str) -> String {
        format!("{FOLDER}/{plan}.json")
    }

    /// Whether its files are the table's.
    pub(crate) fn is_done(&self) -> bool {
        self.given_up.is_none()
    }
}

impl Intent {
    /// Its name in the destination.
    pub(crate) fn name(number: u64) -> String {
        format!("{}/{number:08}.intent", crate::plan::FOLDER)
    }

    /// The number of the plan whose intent has this name.
    pub(crate) fn number_of(name: &str) -> Option<u64> {
        let digits = name.strip_prefix(crate::plan::FOLDER)?.strip_prefix('/')?.strip_suffix(".intent")?;
        digits.parse().ok().filter(|number| Self::name(*number) == name)
    }
}

/// The contents of [`TABLE`] and [`SUCCESS`] for these plans: the same for the same set. They come in the order of their
/// numbers.
pub(crate) fn table(done: &[&Manifest]) -> Result<(Vec<u8>, Vec<u8>), serde_json::Error> {
    let files: Vec<&OutputFile> = done.iter().flat_map(|manifest| &manifest.files).collect();
    let rows = done.iter().map(|manifest| manifest.rows).sum();
    let success = Success { plans: done.len(), files: files.len(), rows };
    let plans = done.iter().map(|manifest| manifest.plan.as_str()).collect();
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

    fn manifest(number: u64, plan: &str, rows: u64) -> Manifest {
        let crc32 = Some("0a1b2c3d".to_owned());
        let file = OutputFile { path: format!("{plan}.parquet"), rows, bytes: 9, crc32 };
        Manifest { rows, files: vec![file], ..Manifest::new(number, plan.to_owned(), "src".to_owned()) }
    }

    #[test]
    fn the_table_has_the_files_of_all_plans() {
        let (table, success) = table(&[&manifest(1, "b", 1), &manifest(2, "a", 2)]).expect("JSON");
        let table: serde_json::Value = serde_json::from_slice(&table).expect("JSON");
        assert_eq!(table["plans"], serde_json::json!(["b", "a"]));
        assert_eq!((&table["rows"], &table["files"][1]["crc32"]), (&3.into(), &"0a1b2c3d".into()));
        let success: serde_json::Value = serde_json::from_slice(&success).expect("JSON");
        assert_eq!(success, serde_json::json!({"plans": 2, "files": 2, "rows": 3}));
    }

    #[test]
    fn a_manifest_reads_back() {
        let written = pretty(&manifest(3, "a", 1)).expect("JSON");
        assert_eq!(serde_json::from_slice::<Manifest>(&written).expect("a manifest"), manifest(3, "a", 1));
    }
}
