//! The emulator's journals, as values.

use crate::history::{Fired, Lease, LeaseWrite, Mark, Name, Number, Row};
use crate::producer::payload;
use alluvial_tests::World;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::bufread::MultiGzDecoder;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn millis(line: &Value, name: &str) -> u64 {
    line[name].as_u64().unwrap_or_else(|| panic!("no {name} in {line}"))
}

/// Rows that Firehose accepted, in its order.
pub(crate) async fn rows(world: &World) -> Vec<Row> {
    let members = world.journal("firehose/orders-raw/records").await;
    members.iter().enumerate().flat_map(|(member, line)| rows_of(member, line)).collect()
}

fn rows_of(member: usize, line: &Value) -> Vec<Row> {
    let bytes = STANDARD.decode(text(&line["Data"])).expect("base64");
    let mut lines = String::new();
    MultiGzDecoder::new(bytes.as_slice()).read_to_string(&mut lines).expect("gzip of text");
    lines.lines().map(|row| self::row(millis(line, "TimeMillis"), member, row)).collect()
}

fn row(at: u64, member: usize, line: &str) -> Row {
    let mut json: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    let (key, n) = (text(&json["key"]), json["n"].as_u64().expect("a number"));
    let name = (text(&json["_shard"]), Number::of(&text(&json["_sequence"])));
    // What is not the daemon's own is as it was put.
    json.as_object_mut().expect("an object").retain(|field, _| !field.starts_with('_'));
    let whole = serde_json::from_slice::<Value>(&payload(&key, n)).expect("JSON") == json;
    Row { at, member, name, key, n, whole }
}

/// Writes to leases that were applied, oldest first.
pub(crate) async fn lease_writes(world: &World) -> Vec<LeaseWrite> {
    let writes = world.journal("dynamodb/enricher/history").await;
    writes.iter().filter(|line| line["Error"].is_null()).flat_map(writes_of).collect()
}

fn writes_of(line: &Value) -> impl Iterator<Item = LeaseWrite> {
    line["Items"].as_array().into_iter().flatten().map(|item| LeaseWrite {
        at: millis(line, "TimeMillis"),
        shard: text(&item["Key"]["leaseKey"]["S"]),
        before: lease(&item["Before"]),
        after: lease(&item["After"]),
    })
}

fn lease(item: &Value) -> Option<Lease> {
    let attribute = |name: &str| item[name]["S"].as_str().map(str::to_owned);
    let mark = Mark::of(&attribute("checkpoint")?);
    Some(Lease { owner: attribute("leaseOwner"), handing_over: attribute("checkpointOwner"), mark })
}

/// Faults that took effect, oldest first.
pub(crate) async fn fired(world: &World) -> Vec<Fired> {
    let log = world.journal("faults/log").await;
    log.iter().map(|line| Fired { at: millis(line, "time_millis"), fault: text(&line["fault"]) }).collect()
}

/// The parents of each shard that has some.
pub(crate) async fn parents(world: &World) -> BTreeMap<String, Vec<String>> {
    let mut parents = BTreeMap::new();
    for shard in world.shards().await {
        let of: Vec<String> = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()]
            .into_iter()
            .flatten()
            .map(str::to_owned)
            .collect();
        if !of.is_empty() {
            parents.insert(shard.shard_id().to_owned(), of);
        }
    }
    parents
}

/// The records in the dead-letter store: `<stream>/<shard>/….ndjson`.
pub(crate) fn dead_letters(folder: &Path) -> BTreeSet<Name> {
    let mut names = BTreeSet::new();
    for entry in folder.read_dir().into_iter().flatten() {
        let path = entry.expect("an entry of the folder").path();
        if path.is_dir() {
            names.append(&mut dead_letters(&path));
            continue;
        }
        for line in std::fs::read_to_string(&path).expect("a dead letter").lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            names.insert((text(&line["shard"]), Number::of(&text(&line["sequence"]))));
        }
    }
    names
}
