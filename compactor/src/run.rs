//! One run: list, finish what was left, plan, read, write, commit.

use crate::commit;
use crate::complete::complete;
use crate::error::Error;
use crate::job::{self, Job};
use crate::ledger::Ledger;
use crate::list;
use crate::peak::peak_memory;
use crate::plan::{self, Plan};
use crate::recipe::Recipe;
use crate::report::{Phase, Progress, Report};
use crate::settings::Settings;
use crate::store::{Object, Store};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// Compacts every object at the source that no plan has taken, after it has finished the plans that earlier runs left.
///
/// `s3` is needed if one of the locations is in S3. `progress` is called between objects, on the caller's task.
/// Any number of runs may go on at once. Cancel by dropping the future: what is visible by then is whole, or is
/// completed by the next run. Memory: about [`Settings::memory_bytes`].
///
/// # Errors
/// See [`Error`]. A damaged object or a bad row is no error: see [`Report::is_complete`].
pub async fn run(
    settings: &Settings,
    s3: Option<aws_sdk_s3::Client>,
    progress: impl Fn(Progress) + Send + Sync,
) -> Result<Report, Error> {
    settings.check()?;
    let source = Store::open(&settings.src, s3.as_ref())?;
    let destination = Store::open(&settings.dst, s3.as_ref())?;
    Box::pin(Run { settings, source, destination, progress: &progress }.run()).await
}

/// One run.
pub(crate) struct Run<'a, P> {
    pub(crate) settings: &'a Settings,
    pub(crate) source: Store,
    pub(crate) destination: Store,
    pub(crate) progress: &'a P,
}

impl<P: Fn(Progress) + Send + Sync> Run<'_, P> {
    pub(crate) async fn run(&self) -> Result<Report, Error> {
        let started = Instant::now();
        (self.progress)(Progress::begun(Phase::Listing));
        let listing = list::list(&self.source).await?;
        let mut ledger = Ledger::read(&self.destination).await?;
        if listing.objects.is_empty() && ledger.last == 0 {
            return Err(list::no_objects(&self.settings.src, &listing));
        }
        commit::tidy(&self.destination, &ledger).await?;
        let (mut report, skipped) = Box::pin(self.all_plans(&mut ledger, listing.objects)).await?;
        report.source = self.settings.src.to_string();
        report.destination = self.settings.dst.to_string();
        report.skipped_objects = skipped;
        report.hidden_objects = listing.hidden;
        report.peak_memory_bytes = peak_memory();
        report.seconds = started.elapsed().as_secs_f64();
        Ok(report)
    }

    /// Finishes what is left, and makes and finishes a plan for the rest. Also says how many of the objects were taken
    /// before.
    async fn all_plans(&self, ledger: &mut Ledger, objects: Vec<Object>) -> Result<(Report, u64), Error> {
        let mut report: Option<Report> = None;
        loop {
            // Those of other sources stay where they are: what they have taken is not free.
            let (ours, others) = std::mem::take(&mut ledger.pending)
                .into_iter()
                .partition(|(_, plan)| plan.source == self.source.uri(""));
            ledger.pending = others;
            for (number, plan) in &ledger.pending {
                tracing::warn!(plan = number, source = plan.source, "a plan of another source is unfinished");
            }
            let ours: BTreeMap<u64, Plan> = ours;
            for plan in ours.into_values() {
                tracing::info!(plan = plan.number, "finishing a plan that an earlier run has left");
                let number = plan.number;
                let mut done = self.finish(ledger, plan).await?;
                done.resumed.push(number);
                report = Some(add(report, done));
            }
            let (free, skipped) = plan::untaken(objects.clone(), ledger.taken())?;
            if free.is_empty() {
                commit::finish(&self.destination, ledger).await?;
                let nothing = || Report { already_done: true, ..Report::default() };
                return Ok((report.unwrap_or_else(nothing), skipped));
            }
            let source = self.source.uri("");
            let plan = Plan::new(ledger.last + 1, source, Recipe::of(self.settings), free).after(ledger);
            if commit::propose(&self.destination, &plan).await? {
                let done = self.finish(ledger, plan).await?;
                return Ok((add(report, done), skipped));
            }
            // Another run has made a plan of this number: it may have taken some of the objects.
            *ledger = Ledger::read(&self.destination).await?;
        }
    }

    /// Carries out a plan. Where one of its objects is no longer what it was, the plan can never be finished, and is
    /// given up.
    async fn finish(&self, ledger: &mut Ledger, plan: Plan) -> Result<Report, Error> {
        let plan = plan.found_in(&self.source);
        match Box::pin(self.carry_out(ledger, &plan)).await {
            Err(Error::Changed { object }) => {
                let reason = format!("{object} changed after it was planned");
                if commit::give_up(&self.destination, &plan, reason).await? {
                    return Err(Error::Changed { object });
                }
                // Another run had read it in time.
                ledger.refresh(&self.destination).await?;
                let note = format!("plan {} was finished by another run", plan.number);
                Ok(Report { plan: plan.id, warnings: vec![note], ..Report::default() })
            }
            done => done,
        }
    }

    async fn carry_out(&self, ledger: &mut Ledger, plan: &Plan) -> Result<Report, Error> {
        let job = Job::new(&plan.recipe, &self.settings.machine(), self.source.clone(), self.destination.clone())?;
        let (reading, written) = job::read_and_write(&job, plan, self.progress).await?;
        complete(&job, ledger, plan, reading, written, self.progress).await
    }
}

/// What was done so far, and now.
fn add(before: Option<Report>, now: Report) -> Report {
    match before {
        Some(before) => now.after(before),
        None => now,
    }
}

#[cfg(test)]
pub(crate) mod crashes;
