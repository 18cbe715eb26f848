//! What a run would do.

use crate::error::Error;
use crate::ledger::Ledger;
use crate::list;
use crate::partition::PartitionBy;
use crate::plan::{self, Plan};
use crate::recipe::Recipe;
use crate::settings::Settings;
use crate::store::Store;
use serde::Serialize;
use std::collections::BTreeSet;

/// What a run would do. The JSON keys are a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// Nothing was read or written: always true, so that no script takes this for a report.
    pub dry_run: bool,
    /// Where the objects are.
    pub source: String,
    /// Where the files would go.
    pub destination: String,
    /// Objects to compact.
    pub objects: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Objects that earlier runs have compacted, or have planned to.
    pub skipped_objects: u64,
    /// Plans that earlier runs have left, and that a run would finish first.
    pub unfinished_plans: u64,
    /// Objects passed over because a part of their name begins with `_` or `.`.
    pub hidden_objects: u64,
    /// What rows are partitioned by.
    pub partition_by: Vec<String>,
    /// Hours in the objects' keys, the objects without one as another; `None` where rows decide their partition.
    pub partitions: Option<u64>,
    /// Files, about: as if Parquet were as small as gzip.
    pub files_about: u64,
    /// Threads that would work.
    pub threads: u64,
    /// Memory to use, about.
    pub memory_bytes: u64,
}

/// Says what a run with these settings would do. Reads names and manifests alone, and writes nothing.
///
/// # Errors
/// As for [`crate::run`].
pub async fn preview(settings: &Settings, s3: Option<aws_sdk_s3::Client>) -> Result<Preview, Error> {
    settings.check()?;
    let source = Store::open(&settings.src, s3.as_ref())?;
    let destination = Store::open(&settings.dst, s3.as_ref())?;
    let listing = list::list(&source).await?;
    let ledger = Ledger::read(&destination).await?;
    let pending = ledger.pending.len() as u64;
    let (free, skipped) = plan::untaken(listing.objects, ledger.taken())?;
    let plan = Plan::new(ledger.last + 1, source.uri(""), Recipe::of(settings), free);
    let by_key = settings.partition_by.iter().all(|by| matches!(by, PartitionBy::Key(_)));
    let hours: BTreeSet<_> = plan.inputs.iter().map(|input| input.hour).collect();
    let partitions = if settings.partition_by.is_empty() { 1 } else { hours.len() as u64 };
    let target = settings.target_file_bytes.max(1) as u64;
    let files = plan.bytes().div_ceil(target).max(if by_key { partitions } else { 1 });
    Ok(Preview {
        dry_run: true,
        source: settings.src.to_string(),
        destination: settings.dst.to_string(),
        objects: plan.inputs.len() as u64,
        bytes_in: plan.bytes(),
        skipped_objects: skipped,
        unfinished_plans: pending,
        hidden_objects: listing.hidden,
        partition_by: settings.partition_by.iter().map(ToString::to_string).collect(),
        partitions: by_key.then_some(partitions),
        files_about: if plan.inputs.is_empty() { 0 } else { files },
        threads: settings.threads as u64,
        memory_bytes: settings.memory_bytes as u64,
    })
}
