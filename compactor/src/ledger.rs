//! What a destination knows of plans: which there are, and what became of them.

use crate::error::Error;
use crate::manifest::{self, Intent, Manifest};
use crate::members::Covered;
use crate::parts;
use crate::plan::{self, Plan, Taken};
use crate::store::{Store, Version};
use crate::table::TableSchema;
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};

/// Small objects that are read at once.
const READS: usize = 32;

/// What is known of all plans, when it was read.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By name: what became of plans.
    outcomes: BTreeMap<String, Manifest>,
    /// By number: plans of which nothing has become yet.
    pub(crate) pending: BTreeMap<u64, Plan>,
    /// Numbers of plans with an outcome, of which something is to be removed.
    pub(crate) untidy: BTreeSet<u64>,
    /// Plans with an outcome of which shares have left something.
    pub(crate) worked: BTreeSet<String>,
    /// The highest number of a plan.
    pub(crate) last: u64,
}

impl Ledger {
    /// Reads what there is.
    ///
    /// # Errors
    /// [`Error::Manifest`] where a file is none of ours.
    pub(crate) async fn read(store: &Store) -> Result<Self, Error> {
        let mut ledger = Self::default();
        // Plans first: of one that is made and done in between, the outcome is seen then.
        let (mut numbers, mut intents) = (BTreeSet::new(), BTreeSet::new());
        for object in store.list(plan::FOLDER).await? {
            numbers.extend(Plan::number_of(&object.name));
            intents.extend(Intent::number_of(&object.name));
        }
        let work = store.list(parts::FOLDER).await?;
        ledger.refresh(store).await?;
        let worked = work.iter().filter_map(|object| parts::plan_of(&object.name));
        ledger.worked =
            worked.filter(|plan| ledger.outcomes.contains_key(&Manifest::name(plan))).map(str::to_owned).collect();
        let known: BTreeSet<u64> = ledger.outcomes.values().map(|outcome| outcome.number).collect();
        ledger.last = numbers.iter().chain(&known).max().copied().unwrap_or(0);
        ledger.untidy = intents.intersection(&known).copied().collect();
        let pending: Vec<_> = numbers.difference(&known).map(|number| pending(store, *number)).collect();
        let pending: Vec<Option<Plan>> = futures_util::stream::iter(pending).buffered(READS).try_collect().await?;
        ledger.pending = pending.into_iter().flatten().map(|plan| (plan.number, plan)).collect();
        Ok(ledger)
    }

    /// Reads what has become of plans since.
    pub(crate) async fn refresh(&mut self, store: &Store) -> Result<(), Error> {
        let listed = store.list(manifest::FOLDER).await?;
        let names: Vec<String> = listed
            .into_iter()
            .map(|object| object.name)
            .filter(|name| name.ends_with(".json") && !self.outcomes.contains_key(name))
            .collect();
        let read: Vec<_> = names.into_iter().map(|name| outcome(store, name)).collect();
        let read: Vec<_> = futures_util::stream::iter(read).buffered(READS).try_collect().await?;
        self.outcomes.extend(read.into_iter().flatten());
        Ok(())
    }

    /// Plans that are done, by number.
    pub(crate) fn done(&self) -> Vec<&Manifest> {
        let mut done: Vec<&Manifest> = self.outcomes.values().filter(|manifest| manifest.is_done()).collect();
        done.sort_by(|a, b| (a.number, &a.plan).cmp(&(b.number, &b.plan)));
        done
    }

    /// What became of the plan of this number.
    pub(crate) fn outcome(&self, number: u64) -> Option<&Manifest> {
        self.outcomes.values().find(|outcome| outcome.number == number)
    }

    /// What plans have taken: those that are done, and those that are yet to be.
    pub(crate) fn taken(&self) -> impl Iterator<Item = Taken<'_>> {
        let consumed = self.outcomes.values().filter(|manifest| manifest.is_done()).flat_map(|manifest| {
            manifest.inputs.iter().map(|input| Taken {
                plan: &manifest.plan,
                object: &input.object,
                bytes: input.bytes,
                etag: input.etag.as_deref(),
            })
        });
        consumed.chain(self.pending.values().flat_map(Plan::taken))
    }

    /// What labelled members of done plans cover.
    pub(crate) fn covered(&self) -> Covered {
        self.done().into_iter().fold(Covered::default(), |all, manifest| all.with(&manifest.covered))
    }

    /// The table that the files of all done plans make.
    pub(crate) fn table(&self) -> Option<TableSchema> {
        let tables = self.done().into_iter().filter_map(|manifest| manifest.table.clone());
        tables.reduce(|all, table| all.with(&table))
    }
}

async fn pending(store: &Store, number: u64) -> Result<Option<Plan>, Error> {
    let name = Plan::name(number);
    match store.get(&name).await? {
        Some(Version { bytes, .. }) => Plan::from_json(&bytes, &store.uri(&name)).map(Some),
        None => Ok(None),
    }
}

async fn outcome(store: &Store, name: String) -> Result<Option<(String, Manifest)>, Error> {
    let outcome: Option<Manifest> = read(store, &name).await?;
    Ok(outcome.map(|outcome| (name, outcome)))
}

/// A JSON file of ours, if it is there.
pub(crate) async fn read<T: DeserializeOwned>(store: &Store, name: &str) -> Result<Option<T>, Error> {
    let Some(Version { bytes, .. }) = store.get(name).await? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|source| Error::Manifest { path: store.uri(name), source })
}
