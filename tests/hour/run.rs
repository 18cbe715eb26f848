//! One run: faults, then peace, then proofs.

use crate::checks::{self, Bounds, Violation};
use crate::fleet::{self, CHECKPOINT_INTERVAL, EmulatedClock, Fleet, MAX_WAIT};
use crate::history::{History, Lease, Mark, Number, Put};
use crate::journal;
use crate::producer::put_until;
use crate::script::{FAILOVER, SHARDS, SPEED, Script, clock};
use alluvial_tests::{RawRow, World};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Time for the fleet to deliver everything once the faults are over. The slowest to recover is a subscription that fell silent at
/// the end: 20 s until it is noticed; a worker may take over half of the shards meanwhile.
const LIVENESS: Duration = Duration::from_secs(60);
/// Time for the shares to become even after that.
const BALANCE: Duration = Duration::from_secs(30);
/// Time for faults that the script met in vain: a subscription that is silent for 20 s meets nothing meanwhile.
const MAKE_UP: Duration = Duration::from_secs(30);
/// Time for them to be met before the next try.
const BETWEEN_TRIES: Duration = Duration::from_secs(2);
/// Violations of one rule that are printed.
const MOST_SHOWN: usize = 5;

/// Plays the script, and proves what must hold.
///
/// # Panics
/// When a promise was broken: with the seed, and for each violation the step, the shard and the record.
pub(crate) async fn run(script: &Script) {
    eprintln!("{script}");
    let world = World::start_at_speed(SHARDS, SPEED).await;
    let clock = EmulatedClock::read(&world).await;
    world.set_faults(&script.plan()).await;
    let mut fleet = Fleet::start(&world, clock, script.renew_between());
    let enough = CancellationToken::new();
    let random = fastrand::Rng::with_seed(script.seed);
    let (puts, ()) = tokio::join!(put_until(&world, &clock, random, &enough), async {
        fleet.play(script).await;
        make_up(&world, script).await;
        world.set_faults("").await;
        enough.cancel();
    });
    let healed = Instant::now();
    let mut found = undelivered(&world, &clock, &puts).await;
    eprintln!("{} records; drained {:?} after the last fault", puts.len(), healed.elapsed());
    found.extend(unbalanced(&world, &clock, &fleet.names()).await);
    eprintln!("shares even {:?} after the last fault", healed.elapsed());
    fleet.terminate_all().await;
    world.flush_firehose().await;

    let history = gather(&world, puts, &mut fleet).await;
    found.extend(checks::all(&history, bounds()));
    found.extend(never_met(script, &history, clock.now_millis()));
    let renewals = fleet::renewals(&fleet.logs);
    found.extend((renewals == 0).then(|| asleep("subscriptions are renewed", clock.now_millis(), "renewal")));
    summarise(&history);
    eprintln!("{renewals} subscriptions renewed");
    let report = report(script, clock.began_millis(), &found);
    if !report.is_empty() {
        let logs = keep_logs(&fleet.logs, script.seed);
        panic!("{report}logs of the workers are in {logs}\n");
    }
}

/// The bounds that follow from the settings of the workers, in emulated time.
fn bounds() -> Bounds {
    let emulated = |time: Duration| u64::try_from((time * SPEED).as_millis()).expect("minutes");
    Bounds {
        // One write to a lease may take a third of the failover time.
        checkpoint: emulated(CHECKPOINT_INTERVAL + FAILOVER / 3 + MAX_WAIT),
        failover: emulated(FAILOVER),
        answer: emulated(Duration::from_millis(500)),
    }
}

/// Plays again, one try after the other, the kinds of faults of which none has taken effect. Of the faults of one subscription
/// that another one ends first nothing comes, and which they are is up to the processes' own timing.
async fn make_up(world: &World, script: &Script) {
    let deadline = Instant::now() + MAKE_UP;
    loop {
        let fired = journal::fired(world).await;
        let left = script.never_met(fired.iter().map(|fired| fired.fault.as_str()));
        if left.is_empty() || Instant::now() > deadline {
            return;
        }
        eprintln!("again: {left:?}");
        world.set_faults(&script.plan_again(&left)).await;
        world.expire_subscriptions().await;
        sleep(BETWEEN_TRIES).await;
    }
}

/// Waits until every shard is checkpointed at its last record; what is not by the deadline is a violation.
async fn undelivered(world: &World, clock: &EmulatedClock, puts: &[Put]) -> Vec<Violation> {
    let mut last: BTreeMap<&str, &Put> = BTreeMap::new();
    puts.iter().for_each(|put| {
        let known = last.entry(&put.name.0).or_insert(put);
        if known.name.1 < put.name.1 {
            *known = put;
        }
    });
    let deadline = Instant::now() + LIVENESS;
    loop {
        let leases = fleet::leases(world).await;
        // A row is deleted only when its shard is done; that this is true is shown by what lies in S3.
        let left: Vec<_> = last
            .values()
            .filter_map(|put| Some((*put, leases.get(&put.name.0)?)))
            .filter(|(put, lease)| lease.mark < Mark::At(put.name.1.clone()))
            .collect();
        if left.is_empty() || Instant::now() > deadline {
            let violation = |(put, lease): (&Put, &Lease)| Violation {
                rule: "all is delivered within 60 s of the last fault",
                at: clock.now_millis(),
                shard: put.name.0.clone(),
                record: put.name.1.to_string(),
                detail: format!("the last record of the shard; its lease is at {lease:?}"),
            };
            return left.into_iter().map(violation).collect();
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until the shares are even; those that are not by the deadline are violations.
async fn unbalanced(world: &World, clock: &EmulatedClock, workers: &[String]) -> Vec<Violation> {
    let deadline = Instant::now() + BALANCE;
    loop {
        let leases = fleet::leases(world).await;
        let leases = leases.iter().map(|(shard, lease)| (shard.as_str(), lease)).collect();
        let found = checks::unfair(&leases, workers, clock.now_millis());
        if found.is_empty() || Instant::now() > deadline {
            return found;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

async fn gather(world: &World, puts: Vec<Put>, fleet: &mut Fleet<'_>) -> History {
    let stored = RawRow::read_all(&world.raw());
    History {
        puts,
        rows: journal::rows(world).await,
        stored: stored.into_iter().map(|row| (row.name.0, Number::of(&row.name.1))).collect(),
        dead: journal::dead_letters(&world.dead_letters()),
        lease_writes: journal::lease_writes(world).await,
        parents: journal::parents(world).await,
        stops: std::mem::take(&mut fleet.stops),
        exits: std::mem::take(&mut fleet.exits),
        fired: journal::fired(world).await,
    }
}

/// The test is awake: every kind of fault took effect.
fn never_met(script: &Script, history: &History, at: u64) -> Vec<Violation> {
    let never = script.never_met(history.fired.iter().map(|fired| fired.fault.as_str()));
    never.into_iter().map(|kind| asleep("every kind of fault is met", at, kind)).collect()
}

/// Something that must happen, and did not.
fn asleep(rule: &'static str, at: u64, what: &str) -> Violation {
    let detail = "took no effect in the whole run".into();
    Violation { rule, at, shard: "none".into(), record: what.to_owned(), detail }
}

fn summarise(history: &History) {
    let delivered: BTreeSet<_> = history.rows.iter().map(|row| &row.name).collect();
    let mut rows: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    history.rows.iter().for_each(|row| rows.entry(&row.name.0).or_default().push(row));
    let bound: usize = rows.iter().map(|(shard, rows)| checks::bound(history, bounds(), shard, rows)).sum();
    let mut fired: BTreeMap<&str, u64> = BTreeMap::new();
    for fault in &history.fired {
        *fired.entry(fault.fault.split_once(": ").map_or("", |(_, kind)| kind)).or_default() += 1;
    }
    eprintln!(
        "{} put, {} delivered, {} again (bound {bound}), {} shards, {} stops, {} exits, {} writes to leases\nfaults: {fired:?}",
        history.puts.len(),
        delivered.len(),
        history.rows.len() - delivered.len(),
        rows.len(),
        history.stops.len(),
        history.exits.len(),
        history.lease_writes.len(),
    );
}

/// All violations in words; empty if there are none.
fn report(script: &Script, began_millis: u64, found: &[Violation]) -> String {
    let mut rules: BTreeMap<&str, Vec<&Violation>> = BTreeMap::new();
    found.iter().for_each(|violation| rules.entry(violation.rule).or_default().push(violation));
    let mut report = String::new();
    for (rule, violations) in rules {
        report += &format!("HOUR_SEED={}: {rule}: {} times\n", script.seed, violations.len());
        for violation in violations.into_iter().take(MOST_SHOWN) {
            let at = Duration::from_millis(violation.at.saturating_sub(began_millis));
            let step = script.step_before(at).map_or("before the first step".into(), |step| {
                format!("after step {step} ({:?})", script.steps[step].what)
            });
            let Violation { shard, record, detail, .. } = violation;
            report += &format!("  {} {step}: {shard}, record {record}: {detail}\n", clock(at));
        }
    }
    report
}

/// Writes the logs where they outlive the run.
fn keep_logs(logs: &BTreeMap<String, String>, seed: u64) -> String {
    let folder = std::env::temp_dir().join(format!("alluvial-hour-{seed}"));
    std::fs::create_dir_all(&folder).expect("a folder for logs");
    for (worker, log) in logs {
        std::fs::write(folder.join(format!("{worker}.log")), log).expect("a log is written");
    }
    folder.display().to_string()
}
