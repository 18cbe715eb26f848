//! What must hold whatever was done to the fleet. Pure: a history in, violations out.
//!
//! **Duplicates.** Without faults there are none, and none come from: subscriptions that end, break, fall silent or carry an
//! exception; splits and merges; handoffs and stops by SIGTERM; DynamoDB that throttles or loses answers; batches of which
//! Firehose takes a part. For each shard, the records that were delivered again are at most
//!
//! ```text
//!   Σ over workers that were killed or slept, and read the shard at T:
//!         rows of the shard accepted in [T - W - D, T],
//!         and one member, which was on its way: the largest accepted within W of T, or within W after it woke
//! + Σ over answers of PutRecordBatch that were lost:
//!         rows of the shard in that call
//! ```
//!
//! W, of the workers' settings: a checkpoint interval, the deadline of one write to a lease, and the longest wait of a member.
//! D: how far faults of DynamoDB, at most W apart, reach back from there; no checkpoint could be written meanwhile. T and D come
//! from the log of what was done, the rows from the emulator's journal, so a worker that checkpoints too seldom is found out.

use crate::history::{History, Lease, Mark, Name, Put, Row, Stop};
use std::collections::{BTreeMap, BTreeSet};

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Violation {
    /// The promise, as a short name.
    pub(crate) rule: &'static str,
    /// When, in emulated milliseconds since 1970.
    pub(crate) at: u64,
    pub(crate) shard: String,
    /// The record, or what else it is about.
    pub(crate) record: String,
    pub(crate) detail: String,
}

/// Times that the promises depend on, in milliseconds of emulated time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// W: the longest time from an acceptance to its durable checkpoint.
    pub(crate) checkpoint: u64,
    pub(crate) failover: u64,
    /// The longest time from an acceptance to the log entry that says its answer was lost.
    pub(crate) answer: u64,
}

/// Everything about records and leases.
pub(crate) fn all(history: &History, bounds: Bounds) -> Vec<Violation> {
    let mut found = lost(history);
    found.extend(altered(history));
    found.extend(out_of_order(history));
    found.extend(repeated(history, bounds));
    found.extend(moved_back(history));
    found.extend(checkpointed_too_early(history));
    found.extend(child_before_parent(history));
    found.extend(stolen(history, bounds));
    found.extend(bad_exits(history));
    found
}

fn of_put(rule: &'static str, put: &Put, detail: String) -> Violation {
    let (shard, number) = &put.name;
    let record = format!("{number} (key {}, n {})", put.key, put.n);
    Violation { rule, at: put.at, shard: shard.clone(), record, detail }
}

fn of_row(rule: &'static str, row: &Row, detail: String) -> Violation {
    let (shard, number) = &row.name;
    let record = format!("{number} (key {}, n {})", row.key, row.n);
    Violation { rule, at: row.at, shard: shard.clone(), record, detail }
}

fn of_shard(rule: &'static str, at: u64, shard: &str, record: String, detail: String) -> Violation {
    Violation { rule, at, shard: shard.to_owned(), record, detail }
}

/// INV-2: every record that was acknowledged lies in S3 or in the dead-letter store.
pub(crate) fn lost(history: &History) -> Vec<Violation> {
    let accepted: BTreeSet<&Name> = history.rows.iter().map(|row| &row.name).collect();
    let missing =
        history.puts.iter().filter(|put| !history.stored.contains(&put.name) && !history.dead.contains(&put.name));
    missing
        .map(|put| {
            let how = if accepted.contains(&put.name) {
                "Firehose accepted it, and it is not in S3"
            } else {
                "never delivered"
            };
            of_put("nothing is lost", put, how.into())
        })
        .collect()
}

/// INV-3: every row is a record as it was put.
pub(crate) fn altered(history: &History) -> Vec<Violation> {
    let puts: BTreeMap<&Name, &Put> = history.puts.iter().map(|put| (&put.name, put)).collect();
    let detail = |row: &Row| match puts.get(&row.name) {
        None => Some("nobody put it".to_owned()),
        Some(put) if (&put.key, put.n) != (&row.key, row.n) => Some(format!("was put as key {}, n {}", put.key, put.n)),
        Some(_) if !row.whole => Some("its payload is not what was put".to_owned()),
        Some(_) => None,
    };
    history.rows.iter().filter_map(|row| Some(of_row("rows are what was put", row, detail(row)?))).collect()
}

/// INV-4: the first deliveries of each key are in the order in which they were put.
pub(crate) fn out_of_order(history: &History) -> Vec<Violation> {
    let (mut seen, mut last) = (BTreeSet::new(), BTreeMap::<&str, &Row>::new());
    let mut found = Vec::new();
    for row in history.rows.iter().filter(|row| seen.insert(&row.name)) {
        match last.get(row.key.as_str()) {
            Some(before) if before.n >= row.n => {
                let detail = format!("came after n {} ({} of {})", before.n, before.name.1, before.name.0);
                found.push(of_row("order of a key", row, detail));
            }
            _ => {
                last.insert(&row.key, row);
            }
        }
    }
    found
}

/// INV-5: see the module.
pub(crate) fn repeated(history: &History, bounds: Bounds) -> Vec<Violation> {
    let mut rows: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    history.rows.iter().for_each(|row| rows.entry(&row.name.0).or_default().push(row));
    let excess = rows.iter().filter_map(|(shard, rows)| {
        let mut seen = BTreeSet::new();
        let again: Vec<&&Row> = rows.iter().filter(|row| !seen.insert(&row.name)).collect();
        let bound = bound(history, bounds, shard, rows);
        // The first one past the bound.
        let row = again.get(bound)?;
        Some(of_row(
            "duplicates within their bound",
            row,
            format!("{} delivered again, at most {bound} explained", again.len()),
        ))
    });
    excess.collect()
}

/// The bound for one shard, whose rows these are.
pub(crate) fn bound(history: &History, bounds: Bounds, shard: &str, rows: &[&Row]) -> usize {
    let mut members: BTreeMap<usize, (u64, usize)> = BTreeMap::new();
    let mut calls: BTreeMap<u64, usize> = BTreeMap::new();
    for row in rows {
        members.entry(row.member).or_insert((row.at, 0)).1 += 1;
        *calls.entry(row.at).or_default() += 1;
    }
    // The member that was on its way was accepted about then, or when the worker woke.
    let largest_member = |from: u64, until: u64| {
        let accepted = members.values().filter(|(at, _)| (from..=until).contains(at));
        accepted.map(|(_, rows)| *rows).max().unwrap_or(0)
    };
    let on_its_way = |stop: &Stop| {
        let stopped = largest_member(stop.from.saturating_sub(bounds.checkpoint), stop.from + bounds.checkpoint);
        let woke = stop.until.map_or(0, |at| largest_member(at, at + bounds.checkpoint));
        stopped.max(woke)
    };
    let reads = |worker: &str, at| history.leases_at(at).get(shard).is_some_and(|lease| lease.reader() == Some(worker));
    let stops = history.stops.iter().filter(|stop| reads(&stop.worker, stop.from)).map(|stop| {
        let since = uncheckpointed_since(history, bounds, stop.from);
        rows.iter().filter(|row| (since..=stop.from).contains(&row.at)).count() + on_its_way(stop)
    });
    let lost_answers = history.fired.iter().filter(|fired| fired.fault.ends_with("put-answer-lost")).map(|fired| {
        let calls = calls.range(fired.at.saturating_sub(bounds.answer)..=fired.at);
        calls.map(|(_, rows)| *rows).max().unwrap_or(0)
    });
    stops.sum::<usize>() + lost_answers.sum::<usize>()
}

/// T - W - D.
fn uncheckpointed_since(history: &History, bounds: Bounds, at: u64) -> u64 {
    let mut since = at.saturating_sub(bounds.checkpoint);
    let of_dynamodb = |fault: &str| fault.ends_with("throttled") || fault.ends_with("lease-answer-lost");
    for fired in history.fired.iter().rev().filter(|fired| fired.at <= at && of_dynamodb(&fired.fault)) {
        if fired.at >= since {
            since = since.min(fired.at.saturating_sub(bounds.checkpoint));
        }
    }
    since
}

/// INV-7: the checkpoint of a shard never moves back.
pub(crate) fn moved_back(history: &History) -> Vec<Violation> {
    let mut reached: BTreeMap<&str, &Mark> = BTreeMap::new();
    let mut found = Vec::new();
    for write in &history.lease_writes {
        let Some(Lease { mark, .. }) = &write.after else { continue };
        let before = reached.entry(&write.shard).or_insert(mark);
        if mark < *before {
            let detail = format!("moved back from {before}");
            found.push(of_shard("checkpoints are monotonic", write.at, &write.shard, mark.to_string(), detail));
        }
        *before = mark.max(*before);
    }
    found
}

/// INV-1: when a checkpoint is written, Firehose has accepted every record up to it, or it is a dead letter.
pub(crate) fn checkpointed_too_early(history: &History) -> Vec<Violation> {
    let mut accepted: BTreeMap<&Name, u64> = BTreeMap::new();
    for row in &history.rows {
        accepted.entry(&row.name).or_insert(row.at);
    }
    let mut puts: BTreeMap<&str, Vec<&Put>> = BTreeMap::new();
    history.puts.iter().filter(|put| !history.dead.contains(&put.name)).for_each(|put| {
        puts.entry(&put.name.0).or_default().push(put);
    });
    puts.values_mut().for_each(|puts| puts.sort_by_key(|put| put.name.1.clone()));
    let mut found = Vec::new();
    for write in &history.lease_writes {
        let (Some(after), Some(puts)) = (&write.after, puts.get_mut(write.shard.as_str())) else { continue };
        // What a checkpoint has passed was looked at when it did; checkpoints that move back are another rule's.
        let passed = puts.partition_point(|put| Mark::At(put.name.1.clone()) <= after.mark);
        for put in puts.drain(..passed) {
            match accepted.get(&put.name) {
                Some(at) if *at <= write.at => {}
                later => {
                    let when = later.map_or("never".into(), |at| format!("{} ms later", at - write.at));
                    let record = format!("{} (key {}, n {})", put.name.1, put.key, put.n);
                    let detail = format!("checkpoint {} was written, the record accepted {when}", after.mark);
                    found.push(of_shard("no early checkpoint", write.at, &write.shard, record, detail));
                }
            }
        }
    }
    found
}

/// INV-6: the first row of a shard is accepted after every parent's end is checkpointed.
pub(crate) fn child_before_parent(history: &History) -> Vec<Violation> {
    let mut ended: BTreeMap<&str, u64> = BTreeMap::new();
    for write in &history.lease_writes {
        if write.after.as_ref().is_some_and(|lease| lease.mark == Mark::End) {
            ended.entry(&write.shard).or_insert(write.at);
        }
    }
    let mut seen = BTreeSet::new();
    let first_rows = history.rows.iter().filter(|row| seen.insert(&row.name.0));
    let early = first_rows.flat_map(|row| {
        let parents = history.parents.get(&row.name.0).into_iter().flatten();
        let unfinished = parents.filter(|parent| ended.get(parent.as_str()).is_none_or(|at| *at > row.at));
        unfinished.map(move |parent| of_row("parents before children", row, format!("before the end of {parent}")))
    });
    early.collect()
}

/// No lease is taken from a worker that is awake: what is not handed over was a worker's that was killed, slept or stopped.
pub(crate) fn stolen(history: &History, bounds: Bounds) -> Vec<Violation> {
    let explained = |worker: &str, at: u64| {
        let stopped = history.stops.iter().any(|stop| {
            stop.worker == worker && stop.from <= at && stop.until.is_none_or(|until| at <= until + bounds.failover)
        });
        stopped || history.exits.iter().any(|exit| exit.worker == worker && exit.at <= at)
    };
    let taken = history.lease_writes.iter().filter_map(|write| {
        let (before, after) = (write.before.as_ref()?, write.after.as_ref()?);
        let (reader, next) = (before.reader()?, after.reader()?);
        let handed_over = before.handing_over.is_some() && before.owner.as_deref() == Some(next);
        let taken = reader != next && !handed_over && !explained(reader, write.at);
        taken.then(|| {
            let detail = format!("{next} took the lease of {reader}, which was awake");
            of_shard("leases of the living", write.at, &write.shard, before.mark.to_string(), detail)
        })
    });
    taken.collect()
}

/// INV-13: SIGTERM ends a worker within 25 s, with exit code 0.
pub(crate) fn bad_exits(history: &History) -> Vec<Violation> {
    let bad = history.exits.iter().filter(|exit| exit.code != Some(0)).map(|exit| {
        let detail = exit
            .code
            .map_or("still there 25 s after SIGTERM, or ended by a signal".into(), |code| format!("exit code {code}"));
        of_shard("exit 0 on SIGTERM", exit.at, "all of its shards", exit.worker.clone(), detail)
    });
    bad.collect()
}

/// INV-12: every lease that is not done has a worker, and no two workers' shares differ by more than one.
pub(crate) fn unfair(leases: &BTreeMap<&str, &Lease>, workers: &[String], at: u64) -> Vec<Violation> {
    let open = || leases.iter().filter(|(_, lease)| lease.mark != Mark::End);
    let mut shares: BTreeMap<&str, usize> = workers.iter().map(|worker| (worker.as_str(), 0)).collect();
    let mut found = Vec::new();
    for (shard, lease) in open() {
        let share =
            lease.owner.as_deref().filter(|_| lease.handing_over.is_none()).and_then(|owner| shares.get_mut(owner));
        match share {
            Some(share) => *share += 1,
            None => found.push(of_shard(
                "every lease has a worker",
                at,
                shard,
                lease.mark.to_string(),
                format!("{lease:?}"),
            )),
        }
    }
    let (least, most) = (shares.values().min().copied(), shares.values().max().copied());
    if most.unwrap_or(0) > least.unwrap_or(0) + 1 {
        let shards: Vec<&str> = open().map(|(shard, _)| *shard).collect();
        found.push(of_shard("fair shares", at, &shards.join(", "), "all".into(), format!("{shares:?}")));
    }
    found
}

#[cfg(test)]
mod tests;
