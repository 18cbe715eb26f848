//! Removes what is of no use any more: files that no plan refers to, and, when asked, objects that are compacted.

use crate::error::Error;
use crate::ledger::Ledger;
use crate::location::Location;
use crate::parts;
use crate::store::{Object, Store};
use crate::{commit, plan};
use aws_sdk_s3::Client;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

/// What may be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcSettings {
    /// The table.
    pub dst: Location,
    /// What was written less than this before now stays.
    pub grace: Duration,
    /// Remove the objects of plans that were committed so long ago.
    pub inputs: bool,
    /// Say what would be removed, and remove nothing.
    pub dry_run: bool,
}

/// What was removed, or would be. The JSON keys are a contract.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GcReport {
    /// The table.
    pub destination: String,
    /// Nothing was removed.
    pub dry_run: bool,
    /// Files that no plan refers to: those of plans that were given up, and what shares left.
    pub orphans: u64,
    /// Their bytes.
    pub orphan_bytes: u64,
    /// The first of them.
    pub orphan_names: Vec<String>,
    /// Such files that stay, as they are younger than the grace.
    pub young_orphans: u64,
    /// Uploads to S3 that were never completed.
    pub uploads: u64,
    /// Objects whose rows are in the table.
    pub inputs: u64,
    /// Their bytes.
    pub input_bytes: u64,
    /// Such objects that stay, as their plan was committed less than the grace ago.
    pub young_inputs: u64,
    /// Objects that stay, because they are no longer what was compacted.
    pub changed_inputs: u64,
}

/// Orphans that a report names.
const NAMED: usize = 100;

/// Removes what is of no use at `now`, but for what is younger than the grace.
///
/// Never removed: a file of a plan that is done or that is yet to be, a manifest, a plan; an object of a plan that is
/// not done; anything whose name is not one that this program gives. May go on beside runs.
///
/// # Errors
/// Those of the stores. Removing is begun anew by the next call.
pub async fn gc(settings: &GcSettings, s3: Option<Client>, now: SystemTime) -> Result<GcReport, Error> {
    let store = Store::open(&settings.dst, s3.as_ref())?;
    // Before the files: of a plan that is made in between, all are younger than any grace.
    let ledger = Ledger::read(&store).await?;
    if !settings.dry_run {
        commit::tidy(&store, &ledger).await?;
    }
    let mut report =
        GcReport { destination: settings.dst.to_string(), dry_run: settings.dry_run, ..GcReport::default() };
    let old = |object: &Object| is_old(object.modified, settings.grace, now);
    let known = Known::new(&ledger);
    for object in store.list("").await?.into_iter().filter(|object| known.is_orphan(&object.name)) {
        if !old(&object) {
            report.young_orphans += 1;
            continue;
        }
        report.orphans += 1;
        report.orphan_bytes += object.bytes;
        if report.orphan_names.len() < NAMED {
            report.orphan_names.push(object.name.clone());
        }
        if !settings.dry_run {
            store.delete(&object.name).await?;
        }
    }
    let before = now.checked_sub(settings.grace).unwrap_or(SystemTime::UNIX_EPOCH);
    report.uploads = store.abort_uploads(before, settings.dry_run).await?;
    if settings.inputs {
        remove_inputs(settings, s3.as_ref(), &store, &ledger, now, &mut report).await?;
    }
    Ok(report)
}

/// Of an unknown time, nothing is old.
fn is_old(modified: Option<SystemTime>, grace: Duration, now: SystemTime) -> bool {
    modified.and_then(|modified| now.duration_since(modified).ok()).is_some_and(|age| age >= grace)
}

/// Names that plans refer to.
pub(crate) struct Known {
    files: BTreeSet<String>,
    /// Of plans that are not done.
    pending: BTreeSet<String>,
}

impl Known {
    pub(crate) fn new(ledger: &Ledger) -> Self {
        let done = ledger.done();
        let files = done.iter().flat_map(|manifest| manifest.files.iter().map(|file| &file.path));
        let quarantines = done.iter().filter_map(|manifest| manifest.quarantine.as_ref());
        let pending = ledger.pending.values().map(|plan| plan.id.clone());
        Self { files: files.chain(quarantines).cloned().collect(), pending: pending.collect() }
    }

    /// Whether this is one of our files, and nobody's.
    pub(crate) fn is_orphan(&self, name: &str) -> bool {
        let Some(plan) = plan_of(name) else { return false };
        !self.files.contains(name) && !self.pending.iter().any(|pending| pending.starts_with(plan))
    }
}

/// The plan that a file of this name belongs to, or the first half of its name. `None` for what we do not write, or
/// never remove.
fn plan_of(name: &str) -> Option<&str> {
    let is_hex = |text: &&str, digits: usize| {
        text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    if let Some(plan) = parts::plan_of(name) {
        return Some(plan).filter(|plan| is_hex(plan, 32));
    }
    if let Some(file) = name.strip_prefix("_quarantine/") {
        return file.strip_suffix(".ndjson").filter(|plan| is_hex(plan, 32));
    }
    let file = name.rsplit('/').next()?.strip_prefix("part-")?.strip_suffix(".zstd.parquet")?;
    let (number, plan) = file.split_once('-')?;
    (number.len() >= 5 && number.bytes().all(|byte| byte.is_ascii_digit()))
        .then_some(plan)
        .filter(|plan| is_hex(plan, 16))
}

async fn remove_inputs(
    settings: &GcSettings,
    s3: Option<&Client>,
    store: &Store,
    ledger: &Ledger,
    now: SystemTime,
    report: &mut GcReport,
) -> Result<(), Error> {
    let outcomes = store.list(crate::manifest::FOLDER).await?;
    let committed: BTreeMap<String, Option<SystemTime>> =
        outcomes.into_iter().map(|object| (object.name, object.modified)).collect();
    let mut sources: BTreeMap<&str, (Store, HashMap<String, Object>)> = BTreeMap::new();
    for manifest in ledger.done() {
        let name = crate::manifest::Manifest::name(&manifest.plan);
        let old = is_old(committed.get(&name).copied().flatten(), settings.grace, now);
        if !sources.contains_key(manifest.source.as_str()) {
            let source = Store::open(&manifest.source.parse()?, s3)?;
            let objects = source.list("").await?.into_iter().map(|object| (object.uri.clone(), object)).collect();
            sources.insert(&manifest.source, (source, objects));
        }
        let Some((source, objects)) = sources.get(manifest.source.as_str()) else { continue };
        for input in &manifest.inputs {
            let Some(object) = objects.get(&input.object) else { continue };
            let same = object.bytes == input.bytes && plan::same_etag(input.etag.as_deref(), object.etag.as_deref());
            match (same, old) {
                (false, _) => report.changed_inputs += 1,
                (true, false) => report.young_inputs += 1,
                (true, true) => {
                    report.inputs += 1;
                    report.input_bytes += object.bytes;
                    if !settings.dry_run {
                        source.delete(&object.name).await?;
                    }
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_we_give_are_ours_to_remove() {
        let plan = "0123456789abcdef0123456789abcdef";
        for (name, known) in [
            ("dt=1/part-00000-0123456789abcdef.zstd.parquet", Some("0123456789abcdef")),
            ("part-123456-0123456789abcdef.zstd.parquet", Some("0123456789abcdef")),
            ("_quarantine/0123456789abcdef0123456789abcdef.ndjson", Some(plan)),
            ("_work/0123456789abcdef0123456789abcdef/0-of-2.parts", Some(plan)),
            ("_manifests/0123456789abcdef0123456789abcdef.json", None),
            ("_plans/00000001.json", None),
            ("_manifest.json", None),
            ("dt=1/part-00000-0123456789abcdeg.zstd.parquet", None),
            ("dt=1/part-00000-0123456789abcdef.snappy.parquet", None),
            ("dt=1/part-x-0123456789abcdef.zstd.parquet", None),
            ("theirs.parquet", None),
        ] {
            assert_eq!(plan_of(name), known, "{name}");
        }
    }

    #[test]
    fn what_has_no_time_or_one_to_come_is_not_old() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let grace = Duration::from_secs(100);
        assert!(is_old(at(900), grace, now));
        assert!(!is_old(at(901), grace, now) && !is_old(at(2000), grace, now) && !is_old(None, grace, now));
    }
}
