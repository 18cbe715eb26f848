//! What a share of a plan leaves for the commit: the row groups of its units, and a record of what they are.
//!
//! `_work/<plan>/0-of-4.parts` holds row groups and quarantined lines, one after the other; `0-of-4.json` says where each
//! is. The record is written last: where it is, the share is done. Both are a function of the plan and of the share.

use crate::columns::Table;
use crate::error::Error;
use crate::job::{Job, ObjectRead, UnitRead};
use crate::ledger;
use crate::members::{MemberRows, SeenMember};
use crate::outlet;
use crate::partition::Place;
use crate::plan::Plan;
use crate::row_groups::Fragment;
use crate::shard::Shard;
use crate::spool::{Blob, Part};
use crate::store::{Object, Store};
use alluvial_record::MemberLabel;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;

/// The folder of what shares leave.
pub(crate) const FOLDER: &str = "_work";

/// The version of these files.
const FORMAT: u32 = 3;

/// What a share is.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    format: u32,
    plan: String,
    shard: u32,
    shards: u32,
    /// Bytes of the parts.
    bytes: u64,
    /// Tables that row groups and units refer to: most have the same.
    tables: Vec<Table>,
    units: Vec<UnitRecord>,
}

#[derive(Debug, Serialize, Deserialize)]
struct UnitRecord {
    table: usize,
    fragments: Vec<FragmentRecord>,
    quarantine: Vec<Span>,
    objects: Vec<ObjectRead>,
    /// Their extra fields, and whether they are whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    members: Vec<(String, bool)>,
    quarantined_rows: u64,
    replaced: u64,
    unfit: u64,
    untold: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct FragmentRecord {
    span: Span,
    rows: u64,
    table: usize,
    has_overflow: bool,
    place: Place,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keys: Option<Span>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    members: Vec<MemberRows>,
}

/// The next bytes of the parts.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Span {
    bytes: usize,
    crc32: u32,
}

fn record_name(plan: &str, shard: Shard) -> String {
    format!("{FOLDER}/{plan}/{}-of-{}.json", shard.index(), shard.count())
}

fn parts_name(plan: &str, shard: Shard) -> String {
    format!("{FOLDER}/{plan}/{}-of-{}.parts", shard.index(), shard.count())
}

/// The share whose record has this name.
fn shard_of(name: &str) -> Option<Shard> {
    let (_, file) = name.rsplit_once('/')?;
    let (index, count) = file.strip_suffix(".json")?.split_once("-of-")?;
    Shard::new(index.parse().ok()?, count.parse().ok()?).ok()
}

/// Whether the share is done.
pub(crate) async fn is_done(store: &Store, plan: &Plan, shard: Shard) -> Result<bool, Error> {
    Ok(store.get(&record_name(&plan.id, shard)).await?.is_some())
}

/// Leaves what was read of a share.
///
/// # Errors
/// Those of the destination and of the spool. The share is not done then.
pub(crate) async fn write(job: &Job, plan: &Plan, shard: Shard, units: Vec<UnitRead>) -> Result<(), Error> {
    let store = &job.destination;
    let (outlet, commands) = outlet::channel();
    let (spool, name) = (job.spool.clone(), parts_name(&plan.id, shard));
    let write = tokio::task::spawn_blocking(move || {
        let mut tables = Tables::default();
        let mut file = outlet.create(name);
        let mut append = |blob: &Blob| {
            let bytes = spool.get(blob)?;
            file.write_all(&bytes).map_err(|_| Error::Stopped)?;
            Ok::<_, Error>(Span { bytes: bytes.len(), crc32: crc32fast::hash(&bytes) })
        };
        let units = units.into_iter().map(|unit| record(unit, &mut tables, &mut append));
        let units = units.collect::<Result<Vec<_>, Error>>()?;
        let bytes = file.close(0)?.bytes;
        Ok::<_, Error>((units, tables.0, bytes))
    });
    let (written, (staged, stored)) = tokio::join!(write, outlet::stage_all(store, commands));
    let (units, tables, bytes) = match (written?, stored) {
        (Err(Error::Stopped), Err(error)) | (Err(error), _) | (Ok(_), Err(error)) => return Err(error),
        (Ok(written), Ok(())) => written,
    };
    for staged in &staged {
        store.publish(staged).await?;
    }
    let (format, plan) = (FORMAT, plan.id.clone());
    let name = record_name(&plan, shard);
    let record = Record { format, plan, shard: shard.index(), shards: shard.count(), bytes, tables, units };
    let text = serde_json::to_vec(&record).map_err(|source| Error::Manifest { path: store.uri(&name), source })?;
    store.put(&name, text).await
}

fn record(
    unit: UnitRead,
    tables: &mut Tables,
    append: &mut impl FnMut(&Blob) -> Result<Span, Error>,
) -> Result<UnitRecord, Error> {
    let fragments = unit.fragments.into_iter().map(|fragment| {
        let span = append(&fragment.blob)?;
        let keys = fragment.keys.as_ref().map(&mut *append).transpose()?;
        let Fragment { rows, table, has_overflow, place, members, .. } = fragment;
        Ok(FragmentRecord { span, rows, table: tables.index(table), has_overflow, place, keys, members })
    });
    Ok(UnitRecord {
        fragments: fragments.collect::<Result<_, Error>>()?,
        quarantine: unit.quarantine.iter().map(append).collect::<Result<_, Error>>()?,
        table: tables.index(unit.table),
        objects: unit.objects,
        members: unit.members.iter().map(|member| (member.label.to_text(), member.whole)).collect(),
        quarantined_rows: unit.quarantined_rows,
        replaced: unit.replaced,
        unfit: unit.unfit,
        untold: unit.untold,
    })
}

#[derive(Debug, Default)]
struct Tables(Vec<Table>);

impl Tables {
    /// Where the table is. Of row groups that follow each other most have the same, so the last is looked at first.
    fn index(&mut self, table: Table) -> usize {
        if let Some(at) = self.0.iter().rposition(|known| *known == table) {
            return at;
        }
        self.0.push(table);
        self.0.len() - 1
    }
}

/// What all shares have left, in the plan's order.
///
/// # Errors
/// [`Error::Usage`] with the shares that are missing; [`Error::Share`] where one is not what it must be.
pub(crate) async fn read(store: &Store, plan: &Plan, expected_units: usize) -> Result<Vec<UnitRead>, Error> {
    let there = store.list(&format!("{FOLDER}/{}", plan.id)).await?;
    let shards: BTreeSet<Shard> = there.iter().filter_map(|object| shard_of(&object.name)).collect();
    let count = complete(&shards).map_err(|missing| Error::Usage(format!("plan {}: {missing}", plan.number)))?;
    let mut units = Vec::new();
    for index in 0..count {
        units.extend(read_share(store, plan, Shard::new(index, count)?).await?);
    }
    let objects: usize = units.iter().map(|unit: &UnitRead| unit.objects.len()).sum();
    if units.len() == expected_units && objects == plan.inputs.len() {
        return Ok(units);
    }
    let path = store.uri(&format!("{FOLDER}/{}", plan.id));
    Err(Error::Share { path, fault: "the shares together are not the plan" })
}

/// Of how many shares all are there; or which are missing.
fn complete(shards: &BTreeSet<Shard>) -> Result<u32, String> {
    let counts: BTreeSet<u32> = shards.iter().map(|shard| shard.count()).collect();
    let of = |count: u32| shards.iter().filter(|shard| shard.count() == count).count() as u64;
    if let Some(count) = counts.iter().copied().find(|count| of(*count) == u64::from(*count)) {
        return Ok(count);
    }
    let Some(count) = counts.into_iter().max_by_key(|count| of(*count)) else {
        return Err("no share of it is done; run compact run --plan PLAN --shard 0/1 first".to_owned());
    };
    let missing = (0..count).filter_map(|index| Shard::new(index, count).ok()).filter(|shard| !shards.contains(shard));
    let some: Vec<String> = missing.take(10).map(|shard| shard.to_string()).collect();
    let done = of(count);
    Err(format!("{done} of {count} shares are done; missing: {}; run compact run --plan PLAN --shard", some.join(", ")))
}

async fn read_share(store: &Store, plan: &Plan, shard: Shard) -> Result<Vec<UnitRead>, Error> {
    let name = record_name(&plan.id, shard);
    let wrong = |fault| Error::Share { path: store.uri(&name), fault };
    let record: Option<Record> = ledger::read(store, &name).await?;
    let record = record.ok_or_else(|| wrong("it has just been removed"))?;
    if record.format != FORMAT {
        return Err(wrong("another version of this program wrote it"));
    }
    if (record.plan.as_str(), record.shard, record.shards) != (&plan.id, shard.index(), shard.count()) {
        return Err(wrong("it is not what its name says"));
    }
    let name = parts_name(&plan.id, shard);
    let uri = store.uri(&name);
    let object = Arc::new(Object { name, uri, bytes: record.bytes, etag: None, modified: None });
    let mut offset = 0;
    let mut blob = |span: Span| {
        let part = Part { store: store.clone(), object: Arc::clone(&object), offset, crc32: span.crc32 };
        offset += span.bytes as u64;
        Blob::stored(part, span.bytes)
    };
    let table = |at: usize| record.tables.get(at).cloned().ok_or_else(|| wrong("a table is missing"));
    let units = record.units.into_iter().map(|unit| {
        let fragments = unit.fragments.into_iter().map(|fragment| {
            let FragmentRecord { span, rows, has_overflow, place, keys, members, .. } = fragment;
            let (table, dropped) = (table(fragment.table)?, Arc::new([]));
            let (blob, keys) = (blob(span), keys.map(&mut blob));
            Ok(Fragment { blob, rows, table, has_overflow, place, keys, members, dropped })
        });
        let fragments = fragments.collect::<Result<_, Error>>()?;
        let members = unit.members.into_iter().map(|(text, whole)| {
            let label = MemberLabel::from_text(&text).ok_or_else(|| wrong("a member's label is damaged"))?;
            Ok(SeenMember { label, whole })
        });
        Ok(UnitRead {
            members: members.collect::<Result<_, Error>>()?,
            fragments,
            quarantine: unit.quarantine.into_iter().map(&mut blob).collect(),
            table: table(unit.table)?,
            objects: unit.objects,
            quarantined_rows: unit.quarantined_rows,
            replaced: unit.replaced,
            unfit: unit.unfit,
            untold: unit.untold,
        })
    });
    units.collect()
}

/// Removes what the shares of a plan have left, which is of no use once the plan has an outcome.
pub(crate) async fn remove(store: &Store, plan: &str) -> Result<(), Error> {
    for object in store.list(&format!("{FOLDER}/{plan}")).await? {
        store.delete(&object.name).await?;
    }
    Ok(())
}

/// The plan that an object of this name belongs to.
pub(crate) fn plan_of(name: &str) -> Option<&str> {
    name.strip_prefix(FOLDER)?.strip_prefix('/')?.split_once('/').map(|(plan, _)| plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_shares_are_named() {
        let shards = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a share")).collect::<BTreeSet<_>>();
        assert_eq!(complete(&shards(&["0/2", "1/2", "0/3"])), Ok(2));
        let missing = complete(&shards(&["0/3", "2/3", "0/2"])).expect_err("missing");
        assert!(missing.starts_with("2 of 3 shares are done; missing: 1/3;"), "{missing}");
        assert!(complete(&shards(&[])).expect_err("missing").contains("no share of it is done"));
    }

    #[test]
    fn names_tell_plan_and_share() {
        let shard = "3/14".parse().expect("a share");
        assert_eq!(shard_of(&record_name("p", shard)), Some(shard));
        assert_eq!(plan_of(&record_name("p", shard)), Some("p"));
        assert_eq!(shard_of(&parts_name("p", shard)), None);
    }
}
