//! Proves that a table is what its manifests say, by reading all of it again.

use crate::error::Error;
use crate::gc::Known;
use crate::job::{self, Job};
use crate::ledger::Ledger;
use crate::location::Location;
use crate::manifest::{self, Manifest, OutputFile};
use crate::plan::{self, Plan};
use crate::report::{Phase, Progress};
use crate::settings::Machine;
use crate::store::{Object, Store};
use crate::table;
use aws_sdk_s3::Client;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::PathBuf;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What was found. The JSON keys are a contract.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct VerifyReport {
    /// The table.
    pub destination: String,
    /// Plans that are done.
    pub plans: u64,
    /// Plans that are not done yet: no fault.
    pub unfinished_plans: u64,
    /// Files that were read in full.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that were read again, with `--inputs`.
    pub inputs: u64,
    /// Objects that are no longer there: no fault.
    pub removed_inputs: u64,
    /// Files that no plan refers to: `compact gc` removes them. A reader that lists folders reads them.
    pub orphans: Vec<String>,
    /// What is wrong.
    pub faults: Vec<VerifyFault>,
    /// How long it took.
    pub seconds: f64,
}

/// Something that is not what a manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyFault {
    /// The object's full name.
    pub object: String,
    /// What is wrong with it.
    pub fault: String,
}

impl VerifyReport {
    /// Whether the table is what it says it is.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty() && self.orphans.is_empty()
    }
}

/// Reads the table at `dst` again: every file's size, CRC-32, pages and rows; that no object is in two plans; that the
/// rows of a plan's objects are those of its files; and the summary. With `inputs`, the objects that are still there are
/// read again too, with the CRCs of their members, and their rows counted.
///
/// `progress` counts files. Files lie in `machine.spool_dir` one a thread while they are read.
///
/// # Errors
/// Those of the stores. What is wrong with the table is in the report.
pub async fn verify(
    dst: &Location,
    inputs: bool,
    machine: &Machine,
    s3: Option<Client>,
    progress: impl Fn(Progress) + Send + Sync,
) -> Result<VerifyReport, Error> {
    let started = Instant::now();
    machine.check()?;
    let store = Store::open(dst, s3.as_ref())?;
    let ledger = Ledger::read(&store).await?;
    if ledger.last == 0 && ledger.done().is_empty() {
        return Err(Error::Usage(format!("{dst} is no table yet; compact run SRC {dst} makes one")));
    }
    let report = VerifyReport {
        destination: dst.to_string(),
        plans: ledger.done().len() as u64,
        unfinished_plans: ledger.pending.len() as u64,
        ..VerifyReport::default()
    };
    let there = store.list("").await?.into_iter().map(|object| (object.name, object.bytes)).collect();
    let mut verifier = Verifier { store, s3, machine, there, report };
    verifier.summary(&ledger).await?;
    verifier.plans(&ledger).await?;
    verifier.files(&ledger, &progress).await?;
    verifier.orphans(&ledger);
    if inputs {
        for manifest in ledger.done() {
            verifier.inputs(manifest, &progress).await?;
        }
    }
    verifier.report.seconds = started.elapsed().as_secs_f64();
    Ok(verifier.report)
}

struct Verifier<'a> {
    store: Store,
    s3: Option<Client>,
    machine: &'a Machine,
    /// Sizes of all objects of the destination, by name.
    there: BTreeMap<String, u64>,
    report: VerifyReport,
}

impl Verifier<'_> {
    fn fault(&mut self, object: String, fault: impl Into<String>) {
        self.report.faults.push(VerifyFault { object, fault: fault.into() });
    }

    /// The summary says what the manifests say.
    async fn summary(&mut self, ledger: &Ledger) -> Result<(), Error> {
        let encoded = |source| Error::Manifest { path: self.store.uri(manifest::TABLE), source };
        let (summary, success) = manifest::table(&ledger.done()).map_err(encoded)?;
        let schema = ledger.table().map(|table| manifest::pretty(&table)).transpose().map_err(encoded)?;
        let expected = [(manifest::TABLE, Some(summary)), (manifest::SUCCESS, Some(success)), (table::NAME, schema)];
        for (name, expected) in expected {
            let Some(expected) = expected.filter(|_| !ledger.done().is_empty()) else { continue };
            if self.store.get(name).await?.is_none_or(|there| there.bytes != expected) {
                self.fault(
                    self.store.uri(name),
                    "does not say what the manifests say; compact run brings it up to date",
                );
            }
        }
        Ok(())
    }

    /// Plans and manifests agree, and no object is in two of them.
    async fn plans(&mut self, ledger: &Ledger) -> Result<(), Error> {
        let mut taken: HashMap<&str, &str> = HashMap::new();
        for manifest in ledger.done() {
            let uri = self.store.uri(&Manifest::name(&manifest.plan));
            for input in &manifest.inputs {
                if let Some(other) = taken.insert(&input.object, &manifest.plan) {
                    self.fault(input.object.clone(), format!("is in plan {other} and in plan {}", manifest.plan));
                }
            }
            let read: u64 = manifest.inputs.iter().map(|input| input.rows).sum();
            let written: u64 = manifest.files.iter().map(|file| file.rows).sum();
            if read != manifest.rows + manifest.duplicate_rows || written != manifest.rows {
                let rows = manifest.rows;
                self.fault(uri.clone(), format!("{read} rows were read and {written} written, of {rows}"));
            }
            // Manifests of a version without plans have no number.
            if manifest.number > 0 {
                self.plan(manifest, uri).await?;
            }
        }
        Ok(())
    }

    async fn plan(&mut self, manifest: &Manifest, uri: String) -> Result<(), Error> {
        let name = Plan::name(manifest.number);
        let path = self.store.uri(&name);
        let Some(text) = self.store.get(&name).await? else {
            self.fault(path, "is missing, though its manifest is there");
            return Ok(());
        };
        let plan = match Plan::from_json_when_done(&text.bytes, &path) {
            Ok(plan) => plan,
            Err(error) => {
                self.fault(path, alluvial_runtime::exit::chain(&error));
                return Ok(());
            }
        };
        let planned = plan.inputs.iter().map(|input| (&input.object.uri, input.object.bytes, &input.object.etag));
        let consumed = manifest.inputs.iter().map(|input| (&input.object, input.bytes, &input.etag));
        if plan.id != manifest.plan || !planned.eq(consumed) {
            self.fault(uri, format!("has other objects than plan {}", plan.number));
        }
        Ok(())
    }

    /// Every file is what its manifest says.
    async fn files(&mut self, ledger: &Ledger, progress: &impl Fn(Progress)) -> Result<(), Error> {
        let done = ledger.done();
        let mut files = done.iter().flat_map(|manifest| manifest.files.iter().map(move |file| (*manifest, file)));
        let total: Vec<u64> = files.clone().map(|(_, file)| file.bytes).collect();
        let mut at = Progress::begun(Phase::Verifying);
        (at.total_objects, at.total_bytes) = (total.len() as u64, total.iter().sum());
        progress(at);
        let mut tasks = JoinSet::new();
        loop {
            while tasks.len() < self.machine.threads
                && let Some((manifest, file)) = files.next()
            {
                let fault = match self.there.get(&file.path) {
                    Some(bytes) if *bytes == file.bytes => None,
                    Some(bytes) => Some(format!("has {bytes} bytes; the manifest says {}", file.bytes)),
                    None => Some("is missing".to_owned()),
                };
                if let Some(fault) = fault {
                    self.fault(self.store.uri(&file.path), fault);
                    continue;
                }
                let short = manifest.plan.get(..16).unwrap_or(&manifest.plan).to_owned();
                let (store, folder) = (self.store.clone(), self.machine.spool_dir.clone());
                let (file, schema) = (file.clone(), manifest.schema.clone());
                tasks.spawn(async move {
                    let found = check_file(&store, &file, folder, short, schema).await?;
                    Ok::<_, Error>((store.uri(&file.path), file, found))
                });
            }
            let Some(checked) = tasks.join_next().await else { return Ok(()) };
            let (uri, file, found) = checked??;
            found.into_iter().for_each(|fault| self.fault(uri.clone(), fault));
            self.report.files += 1;
            self.report.rows += file.rows;
            self.report.bytes += file.bytes;
            (at.objects, at.bytes, at.rows) = (at.objects + 1, at.bytes + file.bytes, at.rows + file.rows);
            progress(at);
        }
    }

    /// Files that look like ours, and are in no manifest.
    fn orphans(&mut self, ledger: &Ledger) {
        let known = Known::new(ledger);
        self.report.orphans = self.there.keys().filter(|name| known.is_orphan(name)).cloned().collect();
    }

    /// The objects of a plan that are still there give the rows that the manifest says.
    async fn inputs(&mut self, manifest: &Manifest, progress: &impl Fn(Progress)) -> Result<(), Error> {
        let source = Store::open(&manifest.source.parse()?, self.s3.as_ref())?;
        let name = Plan::name(manifest.number);
        let Some(text) = self.store.get(&name).await? else { return Ok(()) };
        let Ok(mut plan) = Plan::from_json_when_done(&text.bytes, &name).map(|plan| plan.found_in(&source)) else {
            return Ok(());
        };
        let there = source.list("").await.or_else(|error| match error {
            // All of the folder is gone.
            Error::Usage(_) => Ok(Vec::new()),
            error => Err(error),
        })?;
        let there: BTreeMap<String, Object> = there.into_iter().map(|object| (object.uri.clone(), object)).collect();
        let expected: HashMap<&str, _> =
            manifest.inputs.iter().map(|input| (input.object.as_str(), (input.rows, input.members))).collect();
        let before = plan.inputs.len();
        plan.inputs.retain(|input| there.contains_key(&input.object.uri));
        self.report.removed_inputs += (before - plan.inputs.len()) as u64;
        for input in &mut plan.inputs {
            let Some(object) = there.get(&input.object.uri) else { continue };
            if object.bytes != input.object.bytes
                || !plan::same_etag(object.etag.as_deref(), input.object.etag.as_deref())
            {
                self.fault(object.uri.clone(), "is no longer what was compacted");
            }
            // It is read as it is.
            input.object = object.clone();
        }
        let job = Job::new(&plan.recipe, self.machine, source, self.store.clone())?;
        let units = job::read(&job, &plan, &job::cut(&plan), progress).await?;
        for (input, read) in plan.inputs.iter().zip(units.iter().flat_map(|unit| &unit.objects)) {
            self.report.inputs += 1;
            let uri = &input.object.uri;
            if let Some((rows, members)) =
                expected.get(uri.as_str()).filter(|counts| **counts != (read.rows, read.members))
            {
                let fault = format!(
                    "has {} rows in {} members; the manifest says {rows} in {members}",
                    read.rows, read.members
                );
                self.fault(uri.clone(), fault);
            }
        }
        Ok(())
    }
}

/// What is wrong with a file.
async fn check_file(
    store: &Store,
    file: &OutputFile,
    folder: PathBuf,
    plan: String,
    schema: BTreeMap<String, String>,
) -> Result<Vec<String>, Error> {
    let object =
        Object { name: file.path.clone(), uri: store.uri(&file.path), bytes: file.bytes, etag: None, modified: None };
    let failed = |error| Error::io("write a temporary file in", &folder, error);
    let mut copy = tempfile::tempfile_in(&folder).map_err(failed)?;
    let mut crc = crc32fast::Hasher::new();
    let mut at = 0;
    while at < file.bytes {
        let to = file.bytes.min(at + store.range_bytes());
        let bytes = match store.range(&object, at..to).await {
            Err(Error::Changed { .. }) => return Ok(vec!["changed while it was read".to_owned()]),
            read => read?.0,
        };
        crc.update(&bytes);
        copy = tokio::task::spawn_blocking(move || copy.write_all(&bytes).map(|()| copy)).await?.map_err(failed)?;
        at = to;
    }
    let mut faults = Vec::new();
    let crc = format!("{:08x}", crc.finalize());
    if file.crc32.as_ref().is_some_and(|expected| *expected != crc) {
        faults.push(format!("has CRC-32 {crc}; the manifest says {}", file.crc32.as_deref().unwrap_or_default()));
    }
    let rows = file.rows;
    faults.extend(tokio::task::spawn_blocking(move || check_parquet(copy, rows, &plan, &schema)).await?);
    Ok(faults)
}

/// Reads all values of a Parquet file.
fn check_parquet(mut file: File, rows: u64, plan: &str, schema: &BTreeMap<String, String>) -> Vec<String> {
    let read = || -> Result<Vec<String>, Box<dyn std::error::Error>> {
        file.rewind()?;
        let mut faults = Vec::new();
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let columns: BTreeMap<String, String> = builder
            .schema()
            .fields()
            .iter()
            .map(|field| (field.name().clone(), field.data_type().to_string()))
            .collect();
        if columns != *schema {
            faults.push("has other columns than the manifest says".to_owned());
        }
        let keys = builder.metadata().file_metadata().key_value_metadata();
        let of_plan =
            |key: &parquet::file::metadata::KeyValue| key.key == "alluvial.plan" && key.value.as_deref() == Some(plan);
        if !keys.is_some_and(|keys| keys.iter().any(of_plan)) {
            faults.push(format!("does not say that it is of plan {plan}"));
        }
        let mut found = 0;
        for batch in builder.build()? {
            found += batch?.num_rows() as u64;
        }
        if found != rows {
            faults.push(format!("has {found} rows; the manifest says {rows}"));
        }
        Ok(faults)
    };
    read().unwrap_or_else(|error| vec![format!("cannot be read: {error}")])
}
