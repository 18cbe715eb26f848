//! What happens to workers.

use crate::speed;
use crate::world::{Outcome, SHARDS, Setup, World, seconds};
use alluvial_benches::{Result, Seen};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Records that lie there before a worker starts.
const BACKLOG: u64 = 400;
/// After shards have moved, all of it must have come to rest.
const CALM: Duration = Duration::from_secs(1);
/// The first shard.
const SHARD: &str = "shardId-000000000000";
/// A shard cannot be subscribed to twice within five seconds, whoever asks: a deploy comes later than that.
///
/// Source: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html>.
const RESUBSCRIBE: Duration = Duration::from_secs(6);
/// A pause that no record interval explains, in seconds.
const PAUSE_SECONDS: f64 = 2.0;
/// The record whose handler fails, among the first of a full batch.
const FAILS_AT: &str = "10";

/// How a worker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Stop,
    Crash,
}

pub(crate) async fn run(name: &'static str, setup: &Setup, round: usize) -> Result<Outcome> {
    let limits = name != "throughput";
    let mut world = World::start(setup, format!("{name}-{round}"), limits).await?;
    match name {
        "latency" => return Box::pin(speed::latency(world)).await,
        "throughput" => return Box::pin(speed::throughput(world, setup.mib)).await,
        _ => world.produce(if name == "exception" { 1_000 } else { BACKLOG }).await?,
    }
    match name {
        "cold" => start(world, false).await,
        "registered" => start(world, true).await,
        "restart" => restart(world).await,
        "stop" => take_over(world, End::Stop, setup.settle).await,
        "crash" => take_over(world, End::Crash, setup.settle).await,
        "split" => split(world).await,
        "silent-stream" => silence(world, "stream").await,
        "silent-connection" => silence(world, "connection").await,
        "exception" => exception(world).await,
        unknown => Err(format!("no scenario {unknown}").into()),
    }
}

/// When each shard first brought a record after `nanos`, in seconds since then: the first shard, and the last one.
fn first_records(seen: &Seen, nanos: u64) -> BTreeMap<&'static str, f64> {
    let mut firsts: BTreeMap<&str, u64> = BTreeMap::new();
    for one in seen.deliveries().iter().filter(|one| one.nanos > nanos) {
        firsts.entry(&one.shard).and_modify(|first| *first = one.nanos.min(*first)).or_insert(one.nanos);
    }
    let since = |first: &u64| seconds(nanos, *first);
    let least = firsts.values().map(since).fold(f64::NAN, f64::min);
    BTreeMap::from([
        ("first record, s", least),
        ("every shard, s", firsts.values().map(since).fold(f64::NAN, f64::max)),
    ])
}

/// From the start of the process to the first records, with records waiting.
async fn start(mut world: World, registered: bool) -> Result<Outcome> {
    if registered {
        let (server, application) = (&world.server, world.application.clone());
        server.register(&mut world.control, &application).await?;
    }
    let began = world.now_nanos()?;
    let _worker = world.reading_worker("a").await?;
    let figures = world.log.look(|seen| first_records(seen, began));
    Ok(world.finish(figures).await?.0)
}

/// The same on the leases of a worker of the same name, which stopped in order.
async fn restart(world: World) -> Result<Outcome> {
    let mut worker = world.reading_worker("a").await?;
    tokio::time::sleep(RESUBSCRIBE).await;
    worker.terminate().await?;
    worker.wait(Duration::from_secs(60)).await?;
    let began = world.now_nanos()?;
    let _worker = world.worker("a", &["log"])?;
    world
        .until("a restarted worker reads every shard", |seen| {
            seen.last().keys().all(|shard| seen.first_after("a", shard, began).is_some())
        })
        .await?;
    let figures = world.log.look(|seen| first_records(seen, began));
    Ok(world.finish(figures).await?.0)
}

/// From the end of one of two workers to the other one's first records of its shards.
async fn take_over(world: World, end: End, settle: Duration) -> Result<Outcome> {
    let mut first = world.reading_worker("a").await?;
    let _second = world.worker("b", &["log"])?;
    // A worker that leaves all shards to the first one is ready too, after this time.
    if world.log.within(settle, |seen| seen.held_by("b") >= SHARDS / 2).await? {
        tokio::time::sleep(CALM).await;
    }
    let at = world.now_nanos()?;
    let orphaned: Vec<Arc<str>> = world.log.look(|seen| {
        let of_first = seen.last().values().filter(|last| *last.worker == *"a");
        of_first.map(|last| Arc::clone(&last.shard)).collect()
    });
    match end {
        End::Stop => first.terminate().await?,
        End::Crash => first.kill()?,
    }
    let taken = |seen: &Seen| orphaned.iter().filter_map(|shard| seen.first_after("b", shard, at)).collect::<Vec<_>>();
    world.until("a worker takes over", |seen| taken(seen).len() == orphaned.len()).await?;
    let figures = world.log.look(|seen| {
        let (taken, moved) = (taken(seen), longest_move(seen, at));
        let since = |extreme: Option<&u64>| extreme.map(|nanos| seconds(at, *nanos));
        let figures = [
            ("first shard, s", since(taken.iter().min())),
            ("every shard, s", since(taken.iter().max())),
            ("planned move before, s", moved),
        ];
        figures.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    });
    Ok(world.finish(figures).await?.0)
}

/// The longest pause of a shard that went from one worker to the other before `at`, if one did.
fn longest_move(seen: &Seen, at: u64) -> Option<f64> {
    let pause = |shard: &Arc<str>| {
        let began = seen.first_after("b", shard, 0).filter(|began| *began < at)?;
        let of_first = |one: &&_| is_before(one, "a", shard, began);
        Some(seconds(seen.deliveries().iter().filter(of_first).map(|one| one.nanos).max()?, began))
    };
    seen.last().keys().filter_map(pause).max_by(f64::total_cmp)
}

fn is_before(one: &alluvial_benches::Delivery, worker: &str, shard: &str, nanos: u64) -> bool {
    *one.worker == *worker && *one.shard == *shard && one.nanos < nanos
}

/// From a split to the first records of both children.
async fn split(mut world: World) -> Result<Outcome> {
    let _worker = world.reading_worker("a").await?;
    tokio::time::sleep(CALM).await;
    let (children, at) = world.split(SHARD).await?;
    let firsts = |seen: &Seen| children.iter().filter_map(|child| seen.first_after("a", child, 0)).collect::<Vec<_>>();
    world.until("the children of a split are read", |seen| firsts(seen).len() == children.len()).await?;
    let last = world.log.look(|seen| firsts(seen).into_iter().max().ok_or("no children"))?;
    Ok(world.finish(BTreeMap::from([("children's first records, s", seconds(at, last))])).await?.0)
}

/// A subscription, or the connection that it is on, goes silent in the middle, and stays open.
async fn silence(world: World, scope: &str) -> Result<Outcome> {
    let plan = format!(
        "[[fault]]\non = {{ service = \"kinesis\", operation = \"SubscribeToShard\", shard = \"{SHARD}\" }}\n\
         when = {{ nth = 1 }}\neffect = {{ stall = {{ scope = \"{scope}\", after_events = 100 }} }}\n"
    );
    world.server.set_faults(&plan).await?;
    let _worker = world.reading_worker("a").await?;
    world.until("a silent subscription is replaced", |seen| longest_pause(seen, Some(SHARD)) > PAUSE_SECONDS).await?;
    let log = world.log.clone();
    let mut outcome = world.finish(BTreeMap::new()).await?.0;
    outcome.figures.insert("pause, s", log.look(|seen| longest_pause(seen, None)));
    Ok(outcome)
}

/// The longest time between two records of one shard, of all of them if none is named.
fn longest_pause(seen: &Seen, shard: Option<&str>) -> f64 {
    let (mut last, mut longest) = (BTreeMap::<&str, u64>::new(), 0.0);
    for one in seen.deliveries().iter().filter(|one| shard.is_none_or(|shard| *one.shard == *shard)) {
        if let Some(before) = last.insert(&one.shard, one.nanos) {
            longest = f64::max(longest, seconds(before, one.nanos));
        }
    }
    longest
}

/// A handler fails once, at one record of a full batch.
async fn exception(world: World) -> Result<Outcome> {
    let _worker = world.worker("a", &["log", FAILS_AT])?;
    world.until("records come", |seen| seen.unique() > 0).await?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let log = world.log.clone();
    let mut outcome = world.finish(BTreeMap::new()).await?.0;
    outcome.figures.insert("pause, s", log.look(|seen| longest_pause(seen, None)));
    Ok(outcome)
}
