//! Makes a plan's files the table's, all or none.
//!
//! Order of writes: files are staged; the intent names them; they are published; the manifest makes them count; the
//! table's summary and `_SUCCESS` follow; the intent goes. Whoever comes after a crash finds the intent, and from the
//! manifest's presence knows whether its files stay or go.

use crate::error::Error;
use crate::manifest::{self, Intent, Manifest};
use crate::store::{Staged, Store};
use serde::de::DeserializeOwned;

/// Reads what is done, and takes back what a crashed run had begun to publish.
///
/// One compactor at a time: the files of another one that is publishing right now would be taken back too.
pub(crate) async fn recover(store: &Store) -> Result<Vec<Manifest>, Error> {
    let done = done(store).await?;
    let mut intents: Vec<Intent> = Vec::new();
    for object in store.list(manifest::FOLDER).await? {
        if object.name.ends_with(".intent") {
            intents.extend(read(store, &object.name).await?);
        }
    }
    for intent in intents {
        if !done.iter().any(|manifest| manifest.plan == intent.plan) {
            tracing::warn!(plan = intent.plan, "an earlier run stopped while it was publishing: removing its files");
            for file in &intent.files {
                store.delete(file).await?;
            }
        }
        store.delete(&Intent::name(&intent.plan)).await?;
    }
    store.clear_staging().await?;
    Ok(done)
}

/// Reads what is done, and changes nothing.
pub(crate) async fn done(store: &Store) -> Result<Vec<Manifest>, Error> {
    let mut done: Vec<Manifest> = Vec::new();
    for object in store.list(manifest::FOLDER).await? {
        if object.name.ends_with(".json") {
            done.extend(read(store, &object.name).await?);
        }
    }
    Ok(done)
}

async fn read<T: DeserializeOwned>(store: &Store, name: &str) -> Result<Option<T>, Error> {
    let Some(bytes) = store.get(name).await? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|source| Error::Manifest { path: store.uri(name), source })
}

/// Publishes `staged` as the files of `manifest`, which `done` lacks.
///
/// On an error, the intent stays where it is: the next run decides.
pub(crate) async fn commit(
    store: &Store,
    staged: &[Staged],
    manifest: Manifest,
    mut done: Vec<Manifest>,
) -> Result<(), Error> {
    let plan = manifest.plan.clone();
    let intent = Intent { plan: plan.clone(), files: staged.iter().map(|staged| staged.name.clone()).collect() };
    put(store, &Intent::name(&plan), &intent).await?;
    for staged in staged {
        store.publish(staged).await?;
    }
    put(store, &Manifest::name(&plan), &manifest).await?;
    done.push(manifest);
    finish(store, &done).await?;
    store.delete(&Intent::name(&plan)).await?;
    store.clear_staging().await
}

/// Writes the table's summary and `_SUCCESS`, unless they say all of this already.
pub(crate) async fn finish(store: &Store, done: &[Manifest]) -> Result<(), Error> {
    let encoded = |source| Error::Manifest { path: store.uri(manifest::TABLE), source };
    let (table, success) = manifest::table(done).map_err(encoded)?;
    let same = store.get(manifest::TABLE).await?.as_ref() == Some(&table)
        && store.get(manifest::SUCCESS).await?.as_ref() == Some(&success);
    if !same {
        store.put(manifest::TABLE, table).await?;
        store.put(manifest::SUCCESS, success).await?;
    }
    Ok(())
}

async fn put(store: &Store, name: &str, value: &impl serde::Serialize) -> Result<(), Error> {
    let text = manifest::pretty(value).map_err(|source| Error::Manifest { path: store.uri(name), source })?;
    store.put(name, text).await
}

#[cfg(test)]
mod tests;
