//! A plan that is carried out in shares, by several processes or machines: plan, run every share, commit.

use crate::commit;
use crate::complete::complete;
use crate::error::Error;
use crate::job::{self, Job, Reading, Unit};
use crate::ledger::{self, Ledger};
use crate::list;
use crate::location::Location;
use crate::manifest::Manifest;
use crate::parts;
use crate::peak::peak_memory;
use crate::plan::{self, Plan};
use crate::recipe::Recipe;
use crate::report::{Phase, Progress, Report};
use crate::settings::{Machine, Settings};
use crate::shard::Shard;
use crate::store::Store;
use aws_sdk_s3::Client;
use serde::Serialize;
use std::fmt;
use std::str::FromStr;
use tokio::time::Instant;

/// Where a plan is: `DST/_plans/00000001.json`; or `DST`, for the first plan there that is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanAt {
    /// The destination.
    pub dst: Location,
    /// The plan's number.
    pub number: Option<u64>,
}

/// A plan to be carried out. The JSON keys are a contract.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// Where the plan is, as `--plan` takes it. `None` if there is nothing to do.
    pub plan: Option<String>,
    /// It was made by an earlier run.
    pub resumed: bool,
    /// Where the objects are.
    pub source: String,
    /// Where the files will be.
    pub destination: String,
    /// Objects in the plan.
    pub objects: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Objects that earlier plans have taken.
    pub skipped_objects: u64,
    /// Objects passed over because a part of their name begins with `_` or `.`.
    pub hidden_objects: u64,
    /// Its shares.
    pub shares: Vec<PlannedShare>,
}

/// A share of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedShare {
    /// As `--shard` takes it.
    pub shard: String,
    /// Objects in it.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a share did. The JSON keys are a contract.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ShareReport {
    /// The plan's number; `None` where no plan was to be done.
    pub plan: Option<u64>,
    /// As `--shard` takes it.
    pub shard: String,
    /// The share, or the whole plan, was done before.
    pub already_done: bool,
    /// Objects that were read.
    pub objects: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Rows that were read.
    pub rows: u64,
    /// Rows that are quarantined.
    pub quarantined_rows: u64,
    /// Damaged ranges of objects.
    pub quarantined_members: u64,
    /// The most resident memory that the process has had; `None` where the system does not say.
    pub peak_memory_bytes: Option<u64>,
    /// How long it took.
    pub seconds: f64,
}

/// Finds a plan that is not done, or makes one of the objects that no plan has taken; and says how `shards` shares of it
/// would be.
///
/// # Errors
/// As for [`crate::run`].
pub async fn plan(settings: &Settings, s3: Option<Client>, shards: u32) -> Result<Planned, Error> {
    settings.check()?;
    Shard::new(0, shards)?;
    let source = Store::open(&settings.src, s3.as_ref())?;
    let store = Store::open(&settings.dst, s3.as_ref())?;
    let listing = list::list(&source).await?;
    let root = source.uri("");
    let planned = |plan: Option<&Plan>, resumed, skipped| Planned {
        plan: plan.map(|plan| PlanAt { dst: settings.dst.clone(), number: Some(plan.number) }.to_string()),
        resumed,
        source: settings.src.to_string(),
        destination: settings.dst.to_string(),
        objects: plan.map_or(0, |plan| plan.inputs.len() as u64),
        bytes_in: plan.map_or(0, Plan::bytes),
        skipped_objects: skipped,
        hidden_objects: listing.hidden,
        shares: plan.map(|plan| shares(plan, shards)).unwrap_or_default(),
    };
    loop {
        let ledger = Ledger::read(&store).await?;
        if listing.objects.is_empty() && ledger.last == 0 {
            return Err(list::no_objects(&settings.src, &listing));
        }
        commit::tidy(&store, &ledger).await?;
        let (free, skipped) = plan::untaken(listing.objects.clone(), ledger.taken())?;
        if let Some(pending) = ledger.pending.values().find(|plan| plan.source == root) {
            return Ok(planned(Some(pending), true, skipped));
        }
        if free.is_empty() {
            return Ok(planned(None, false, skipped));
        }
        let plan = Plan::new(ledger.last + 1, root.clone(), Recipe::of(settings), free).after(&ledger);
        if commit::propose(&store, &plan).await? {
            return Ok(planned(Some(&plan), false, skipped));
        }
    }
}

fn shares(plan: &Plan, count: u32) -> Vec<PlannedShare> {
    let units = job::cut(plan);
    let all = (0..count).filter_map(|index| Shard::new(index, count).ok());
    all.map(|shard| {
        let units = of_shard(plan, &units, shard);
        PlannedShare {
            shard: shard.to_string(),
            objects: units.iter().map(|unit| unit.inputs(plan).len() as u64).sum(),
            bytes: units.iter().map(|unit| unit.bytes(plan)).sum(),
        }
    })
    .collect()
}

fn of_shard<'a>(plan: &Plan, units: &'a [Unit], shard: Shard) -> &'a [Unit] {
    let bytes: Vec<u64> = units.iter().map(|unit| unit.bytes(plan)).collect();
    units.get(shard.part(&bytes)).unwrap_or_default()
}

/// Reads one share of a plan, and leaves its row groups for [`commit_plan`]. Once it has, doing it again does nothing.
///
/// # Errors
/// See [`Error`]. Where an object is no longer what it was, the whole plan is given up.
pub async fn run_share(
    at: &PlanAt,
    shard: Shard,
    machine: &Machine,
    s3: Option<Client>,
    progress: impl Fn(Progress) + Send + Sync,
) -> Result<ShareReport, Error> {
    machine.check()?;
    let store = Store::open(&at.dst, s3.as_ref())?;
    Box::pin(share(at, shard, machine, store, |source| Store::open(source, s3.as_ref()), &progress)).await
}

async fn share(
    at: &PlanAt,
    shard: Shard,
    machine: &Machine,
    store: Store,
    open: impl FnOnce(&Location) -> Result<Store, Error>,
    progress: &impl Fn(Progress),
) -> Result<ShareReport, Error> {
    let started = Instant::now();
    let before = || ShareReport { shard: shard.to_string(), already_done: true, ..ShareReport::default() };
    let Some(plan) = at.find(&store).await? else { return Ok(before()) };
    if parts::is_done(&store, &plan, shard).await? {
        return Ok(ShareReport { plan: Some(plan.number), ..before() });
    }
    let source = open(&plan.source.parse()?)?;
    let plan = plan.found_in(&source);
    let job = Job::new(&plan.recipe, machine, source, store)?;
    let units = job::cut(&plan);
    let share = of_shard(&plan, &units, shard);
    let read = match job::read(&job, &plan, share, progress).await {
        Err(Error::Changed { object }) => {
            let reason = format!("{object} changed after it was planned");
            if commit::give_up(&job.destination, &plan, reason).await? {
                return Err(Error::Changed { object });
            }
            return Ok(ShareReport { plan: Some(plan.number), ..before() });
        }
        read => read?,
    };
    let objects = || read.iter().flat_map(|unit| &unit.objects);
    let mut report = ShareReport {
        plan: Some(plan.number),
        shard: shard.to_string(),
        already_done: false,
        objects: objects().count() as u64,
        bytes_in: share.iter().map(|unit| unit.bytes(&plan)).sum(),
        rows: objects().map(|object| object.rows).sum(),
        quarantined_rows: read.iter().map(|unit| unit.quarantined_rows).sum(),
        quarantined_members: objects().map(|object| object.losses.len() as u64).sum(),
        peak_memory_bytes: None,
        seconds: 0.0,
    };
    progress(Progress::begun(Phase::Writing));
    parts::write(&job, &plan, shard, read).await?;
    report.peak_memory_bytes = peak_memory();
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Makes the files of a plan of which all shares are done, and commits them.
///
/// # Errors
/// [`Error::Usage`] with the shares that are missing; else see [`Error`].
pub async fn commit_plan(
    at: &PlanAt,
    machine: &Machine,
    s3: Option<Client>,
    progress: impl Fn(Progress) + Send + Sync,
) -> Result<Report, Error> {
    machine.check()?;
    Box::pin(commit_shares(at, machine, Store::open(&at.dst, s3.as_ref())?, &progress)).await
}

async fn commit_shares(
    at: &PlanAt,
    machine: &Machine,
    store: Store,
    progress: &impl Fn(Progress),
) -> Result<Report, Error> {
    let started = Instant::now();
    let mut ledger = Ledger::read(&store).await?;
    commit::tidy(&store, &ledger).await?;
    let mut report = match at.find(&store).await? {
        None => {
            commit::finish(&store, &mut ledger).await?;
            Report { already_done: true, ..Report::default() }
        }
        Some(plan) => {
            // What is read is what the shares have left; the source is not looked at.
            let job = Job::new(&plan.recipe, machine, store.clone(), store.clone())?;
            let units = parts::read(&store, &plan, job::cut(&plan).len()).await?;
            let reading = Reading::new(&plan.recipe, units)?;
            let report = complete(&job, &mut ledger, &plan, reading, None, progress).await?;
            parts::remove(&store, &plan.id).await?;
            Report { source: plan.source, ..report }
        }
    };
    report.destination = at.dst.to_string();
    report.peak_memory_bytes = peak_memory();
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

impl PlanAt {
    /// The plan, unless it is done, or there is none that is not.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no plan of the number; [`Error::GivenUp`].
    async fn find(&self, store: &Store) -> Result<Option<Plan>, Error> {
        let Some(number) = self.number else {
            return Ok(Ledger::read(store).await?.pending.into_values().next());
        };
        let name = Plan::name(number);
        let Some(there) = store.get(&name).await? else {
            return Err(Error::Usage(format!("{}: there is no such plan; compact plan makes one", store.uri(&name))));
        };
        let plan = Plan::from_json(&there.bytes, &store.uri(&name))?;
        match ledger::read::<Manifest>(store, &Manifest::name(&plan.id)).await? {
            None => Ok(Some(plan)),
            Some(Manifest { given_up: Some(reason), .. }) => Err(Error::GivenUp { number, reason }),
            Some(_) => Ok(None),
        }
    }

    /// Whether an S3 client is needed to carry it out: the plan's objects may lie in S3 where its destination does not.
    ///
    /// # Errors
    /// The plan cannot be read.
    pub async fn needs_s3(&self) -> Result<bool, Error> {
        if self.dst.is_s3() {
            return Ok(true);
        }
        let plan = self.find(&Store::open(&self.dst, None)?).await?;
        Ok(plan.is_some_and(|plan| plan.source.parse::<Location>().is_ok_and(|source| source.is_s3())))
    }
}

impl FromStr for PlanAt {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = text.rsplit_once(plan::FOLDER).and_then(|(root, file)| {
            let number = Plan::number_of(&format!("{}{file}", plan::FOLDER))?;
            Some((root.strip_suffix('/').unwrap_or(root), number))
        });
        match found {
            Some((root, number)) => {
                let root = if root.is_empty() { "." } else { root };
                Ok(Self { dst: root.parse()?, number: Some(number) })
            }
            None => Ok(Self { dst: text.parse()?, number: None }),
        }
    }
}

impl fmt::Display for PlanAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "{}/{}", self.dst, Plan::name(number)),
            None => self.dst.fmt(f),
        }
    }
}

#[cfg(test)]
mod crashes;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_named_by_file_or_destination() {
        for (text, number) in [
            ("s3://lake/orders/_plans/00000012.json", Some(12)),
            ("out/_plans/00000001.json", Some(1)),
            ("s3://lake/orders", None),
            ("out", None),
        ] {
            let at: PlanAt = text.parse().expect("a plan");
            assert_eq!((at.number, at.to_string()), (number, text.to_owned()));
        }
        let at: PlanAt = "_plans/00000002.json".parse().expect("a plan");
        assert_eq!(at, PlanAt { dst: ".".parse().expect("a location"), number: Some(2) });
    }
}
