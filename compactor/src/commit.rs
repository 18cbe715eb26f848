//! Makes a plan's files the table's, all or none; or gives the plan up.
//!
//! Order of writes: files are staged; the intent names them; they are published; the manifest, which is only written if
//! no other is there, makes them count; the table's summary follows; the intent goes. Files and manifest are a function
//! of the plan, so whoever finds a plan without an outcome does all of it again, and meets what is there already. Two
//! that do it at once write the same.

use crate::error::Error;
use crate::ledger::{self, Ledger};
use crate::manifest::{self, Intent, Manifest};
use crate::parts;
use crate::plan::Plan;
use crate::store::{Staged, Store};
use crate::table;
use futures_util::{StreamExt as _, TryStreamExt as _};

/// Files that are published at once: a reader that lists folders sees them come.
const PUBLISHED_AT_ONCE: usize = 16;

/// Times that a summary is written anew because another run has written it in between.
const SUMMARIES: usize = 100;

/// Makes `plan`, unless another run has made the plan of this number. Whether it is there now.
pub(crate) async fn propose(store: &Store, plan: &Plan) -> Result<bool, Error> {
    let name = Plan::name(plan.number);
    let text = plan.to_json().map_err(|source| Error::Manifest { path: store.uri(&name), source })?;
    if store.swap(&name, None, text.clone()).await? {
        return Ok(true);
    }
    // Another one has proposed the same, or the answer to our own writing was lost.
    Ok(store.get(&name).await?.is_some_and(|there| there.bytes == text))
}

/// Publishes `staged` as the files of `plan`, for which `manifest` speaks.
///
/// # Errors
/// [`Error::GivenUp`] where another run has given the plan up; nothing of it is visible then. After any other error, the
/// next run goes on.
pub(crate) async fn commit(
    store: &Store,
    ledger: &mut Ledger,
    plan: &Plan,
    staged: &[Staged],
    manifest: &Manifest,
) -> Result<(), Error> {
    let files = staged.iter().map(|staged| staged.name.clone()).collect();
    put(store, &Intent::name(plan.number), &Intent { plan: plan.id.clone(), files }).await?;
    let published: Vec<_> = staged.iter().map(|staged| store.publish(staged)).collect();
    futures_util::stream::iter(published).buffer_unordered(PUBLISHED_AT_ONCE).try_collect::<Vec<()>>().await?;
    match decide(store, manifest).await? {
        // What became of the plan is what we would have made of it.
        None => {}
        Some(Manifest { given_up: Some(reason), .. }) => {
            take_back(store, plan.number).await?;
            return Err(Error::GivenUp { number: plan.number, reason });
        }
        Some(_) => return Err(Error::Diverged { plan: plan.id.clone() }),
    }
    finish(store, ledger).await?;
    store.delete(&Intent::name(plan.number)).await
}

/// Gives `plan` up, so that its inputs are free again. Whether it is: another run may have done it meanwhile.
///
/// # Errors
/// Those of the store; the next run goes on with what is left to remove.
pub(crate) async fn give_up(store: &Store, plan: &Plan, reason: String) -> Result<bool, Error> {
    let given_up = Some(reason);
    let manifest = Manifest { given_up, ..Manifest::new(plan.number, plan.id.clone(), plan.source.clone()) };
    let there = decide(store, &manifest).await?;
    if there.is_some_and(|there| there.is_done()) {
        return Ok(false);
    }
    take_back(store, plan.number).await?;
    Ok(true)
}

/// Says what becomes of a plan, unless that is decided already: then what it is, if it is something else.
async fn decide(store: &Store, manifest: &Manifest) -> Result<Option<Manifest>, Error> {
    let name = Manifest::name(&manifest.plan);
    let text = manifest::pretty(manifest).map_err(|source| Error::Manifest { path: store.uri(&name), source })?;
    if store.swap(&name, None, text).await? {
        return Ok(None);
    }
    let there: Option<Manifest> = ledger::read(store, &name).await?;
    Ok(there.filter(|there| there != manifest))
}

/// Removes what plans with an outcome have left.
pub(crate) async fn tidy(store: &Store, ledger: &Ledger) -> Result<(), Error> {
    for number in &ledger.untidy {
        match ledger.outcome(*number) {
            Some(outcome) if outcome.is_done() => store.delete(&Intent::name(*number)).await?,
            Some(_) => take_back(store, *number).await?,
            None => {}
        }
    }
    for plan in &ledger.worked {
        parts::remove(store, plan).await?;
    }
    store.clear_staging().await
}

/// Removes what a plan that is given up has published; its intent goes last, as it names the files.
async fn take_back(store: &Store, number: u64) -> Result<(), Error> {
    let name = Intent::name(number);
    if let Some(Intent { files, .. }) = ledger::read(store, &name).await? {
        tracing::warn!(plan = number, files = files.len(), "removing the files of a plan that was given up");
        for file in files {
            store.delete(&file).await?;
        }
        store.delete(&name).await?;
    }
    Ok(())
}

/// Writes the table's schema, its summary and `_SUCCESS`, unless they say all of this already.
///
/// Each is replaced only if it is still what it was before the manifests were looked at. So what is written last knows
/// all manifests that were there when any was written.
pub(crate) async fn finish(store: &Store, ledger: &mut Ledger) -> Result<(), Error> {
    let names = [table::NAME, manifest::TABLE, manifest::SUCCESS];
    'again: for _ in 0..SUMMARIES {
        let mut there = Vec::with_capacity(names.len());
        for name in names {
            there.push(store.get(name).await?);
        }
        ledger.refresh(store).await?;
        let encoded = |source| Error::Manifest { path: store.uri(manifest::TABLE), source };
        let (summary, success) = manifest::table(&ledger.done()).map_err(encoded)?;
        let schema = ledger.table().map(|table| manifest::pretty(&table)).transpose().map_err(encoded)?;
        for ((name, there), text) in names.into_iter().zip(there).zip([schema, Some(summary), Some(success)]) {
            let Some(text) = text.filter(|text| there.as_ref().is_none_or(|there| there.bytes != *text)) else {
                continue;
            };
            if !store.swap(name, there.as_ref(), text).await? {
                continue 'again;
            }
        }
        return Ok(());
    }
    Err(Error::Contended { path: store.uri(manifest::TABLE) })
}

async fn put(store: &Store, name: &str, value: &impl serde::Serialize) -> Result<(), Error> {
    let text = manifest::pretty(value).map_err(|source| Error::Manifest { path: store.uri(name), source })?;
    store.put(name, text).await
}

#[cfg(test)]
mod tests;
