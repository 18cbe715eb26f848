//! A source and a destination in a temporary folder, and a reader of what was written.

use alluvial_compactor::{Error, Location, Report, Settings};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A gzip member.
pub(crate) fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    gzip_at(6, text)
}

/// A gzip member of this level; 0 stores the text.
pub(crate) fn gzip_at(level: u32, text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(text.as_ref()).expect("memory");
    encoder.finish().expect("memory")
}

/// A source and a destination.
pub(crate) struct World {
    folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("raw")).expect("a folder");
        Self { folder }
    }

    /// With one object.
    pub(crate) fn with(object: impl AsRef<[u8]>) -> Self {
        let world = Self::new();
        world.put("2026/11/23/05/orders-1-2026-11-23-05-00-00-a", object);
        world
    }

    pub(crate) fn put(&self, key: &str, object: impl AsRef<[u8]>) {
        let path = self.src().join(key);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, object).expect("an object");
    }

    pub(crate) fn src(&self) -> PathBuf {
        self.folder.path().join("raw")
    }

    pub(crate) fn dst(&self) -> PathBuf {
        self.folder.path().join("parquet")
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings { threads: 2, ..Settings::new(Location::Local(self.src()), Location::Local(self.dst())) }
    }

    pub(crate) async fn compact(&self) -> Report {
        self.try_compact(&self.settings()).await.expect("compacted")
    }

    pub(crate) async fn try_compact(&self, settings: &Settings) -> Result<Report, Error> {
        alluvial_compactor::run(settings, None, |_| {}).await
    }

    /// Compacts, and reads all rows back, sorted by their text.
    pub(crate) async fn rows(&self) -> (Report, Vec<Value>) {
        let report = self.compact().await;
        let rows = rows(&self.dst());
        assert_eq!(report.rows, rows.len() as u64, "the report counts other rows than the files hold");
        (report, rows)
    }

    /// The lines of all quarantine files.
    pub(crate) fn quarantine(&self) -> Vec<Value> {
        let Ok(entries) = fs::read_dir(self.dst().join("_quarantine")) else { return Vec::new() };
        let text: String =
            entries.map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("a file")).collect();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// Every Parquet file that a reader of the table would see, sorted.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.expect("an entry").path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(['_', '.']));
        if path.is_dir() && !hidden {
            found.extend(files(&path));
        } else if !hidden {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// All batches of a table.
pub(crate) fn batches(folder: &Path) -> Vec<RecordBatch> {
    files(folder).iter().flat_map(|file| batches_of(file)).collect()
}

/// All batches of a file.
pub(crate) fn batches_of(file: &Path) -> Vec<RecordBatch> {
    let file = fs::File::open(file).expect("a file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").build().expect("Parquet");
    reader.map(|batch| batch.expect("a batch")).collect()
}

/// All rows of a table, null fields left out, sorted by their text.
pub(crate) fn rows(folder: &Path) -> Vec<Value> {
    let mut rows: Vec<Value> = batches(folder).iter().flat_map(rows_of).collect();
    rows.sort_by_key(Value::to_string);
    rows
}

/// All rows of a file, in their order.
pub(crate) fn rows_of_file(file: &Path) -> Vec<Value> {
    batches_of(file).iter().flat_map(rows_of).collect()
}

fn rows_of(batch: &RecordBatch) -> Vec<Value> {
    let schema = batch.schema();
    let columns = || schema.fields().iter().zip(batch.columns());
    let row = |at| members(columns().map(|(field, column)| (field.name().clone(), cell(column, at))));
    (0..batch.num_rows()).map(row).collect()
}

fn members(fields: impl Iterator<Item = (String, Value)>) -> Value {
    Value::Object(fields.filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
}

fn cell(array: &dyn Array, at: usize) -> Value {
    if array.is_null(at) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(at).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(at).into(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(at).into(),
        DataType::Utf8 => array.as_string::<i32>().value(at).into(),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            members(fields.iter().zip(columns).map(|(field, column)| (field.name().clone(), cell(column, at))))
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(at);
            (0..items.len()).map(|item| cell(&items, item)).collect()
        }
        other => panic!("a column of type {other}"),
    }
}
