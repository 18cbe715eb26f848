//! A page of a bucket's listing, read from its folder in the order of the keys. It starts at the prefix's folder, goes
//! around what comes before the page or is in a group already, and stops behind it.
//!
//! A folder's name is sorted with its `/`, which puts the keys below it where S3's order of UTF-8 bytes has them.

use super::layout::{Files, check_key};
use s3s::dto::{Object, Timestamp};
use std::fs;
use std::io;
use std::path::Path;

/// What to list.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// What keys begin with.
    pub(super) prefix: String,
    /// Keys with this behind the prefix are shown as one group, which ends in it. Never empty.
    pub(super) delimiter: Option<String>,
    /// Keys and groups up to this one are left out.
    pub(super) after: String,
    /// Keys and groups of a page.
    pub(super) most: usize,
}

/// A page of a listing.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Objects in the order of their keys. One whose ETag must be computed, because a person put the file there or its
    /// name is too long for a sidecar, comes without.
    pub(super) objects: Vec<Object>,
    /// Common prefixes in order.
    pub(super) groups: Vec<String>,
    /// The last key or group, if there are more behind it.
    pub(super) next: Option<String>,
}

/// Reads a page of `bucket` below `root`. Objects that are deleted meanwhile may be in it or not.
///
/// # Errors
/// The file system's.
pub(super) fn page(root: &Path, bucket: &str, wanted: &Wanted) -> io::Result<Page> {
    let start = wanted.prefix.rfind('/').and_then(|slash| wanted.prefix.get(..=slash)).unwrap_or_default();
    // A prefix that no key can have is not looked for: as a path it may lead out of the bucket.
    if wanted.most == 0 || !(start.is_empty() || check_key(start).is_ok()) {
        return Ok(Page::default());
    }
    let mut walk = Walk { root, bucket, wanted, page: Page::default(), last: String::new() };
    walk.enter(start)?;
    Ok(walk.page)
}

struct Walk<'a> {
    root: &'a Path,
    bucket: &'a str,
    wanted: &'a Wanted,
    page: Page,
    /// The last key or group of the page.
    last: String,
}

impl Walk<'_> {
    /// Goes through the folder whose path in the bucket is `base`, empty or with a `/` at its end.
    fn enter(&mut self, base: &str) -> io::Result<()> {
        for name in names(&self.root.join(self.bucket).join(base))? {
            let key = format!("{base}{name}");
            if self.page.next.is_some() {
                break;
            }
            if !self.is_due(&key) {
                continue;
            }
            if key.ends_with('/') {
                self.enter(&key)?;
            } else {
                self.take(key)?;
            }
        }
        Ok(())
    }

    /// Whether the key, or any key below the folder, may be new to the page.
    fn is_due(&self, key: &str) -> bool {
        let Wanted { prefix, after, .. } = self.wanted;
        let folder = key.ends_with('/');
        let in_prefix = key.starts_with(prefix) || (folder && prefix.starts_with(key));
        let behind = key > after.as_str() || (folder && after.starts_with(key));
        let fresh = |group: &str| group > after.as_str() && self.page.groups.last().is_none_or(|last| last != group);
        in_prefix && behind && self.group(key).is_none_or(fresh)
    }

    /// The group that the key falls into.
    fn group<'k>(&self, key: &'k str) -> Option<&'k str> {
        let rest = key.strip_prefix(&self.wanted.prefix)?;
        let delimiter = self.wanted.delimiter.as_deref()?;
        key.get(..self.wanted.prefix.len() + rest.find(delimiter)? + delimiter.len())
    }

    /// Adds the object, or its group, to the page; or finds that the page is full.
    fn take(&mut self, key: String) -> io::Result<()> {
        if self.page.objects.len() + self.page.groups.len() >= self.wanted.most {
            self.page.next = Some(std::mem::take(&mut self.last));
        } else if let Some(group) = self.group(&key).map(str::to_owned) {
            self.last.clone_from(&group);
            self.page.groups.push(group);
        } else if let Some(object) = self.describe(&key)? {
            self.page.objects.push(object);
            self.last = key;
        }
        Ok(())
    }

    fn describe(&self, key: &str) -> io::Result<Option<Object>> {
        let files = Files::of(self.root, self.bucket, key);
        let Some(found) = unless_gone(fs::metadata(&files.data))?.filter(fs::Metadata::is_file) else {
            return Ok(None);
        };
        Ok(Some(Object {
            key: Some(key.to_owned()),
            size: i64::try_from(found.len()).ok(),
            last_modified: Some(Timestamp::from(found.modified()?)),
            e_tag: files.stored_etag(),
            ..Object::default()
        }))
    }
}

/// The names in a folder in the order of keys, those of folders with a `/`. A folder that is gone has none.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in unless_gone(fs::read_dir(folder))?.into_iter().flatten() {
        let Some(entry) = unless_gone(entry)? else { continue };
        let Some(kind) = unless_gone(entry.file_type())? else { continue };
        // A name that is no UTF-8 is no key.
        let Ok(mut name) = entry.file_name().into_string() else { continue };
        if kind.is_dir() {
            name.push('/');
        }
        names.push(name);
    }
    names.sort_unstable();
    Ok(names)
}

/// What was found, or `None` if it was deleted since its name was read.
fn unless_gone<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        found => found.map(Some),
    }
}

#[cfg(test)]
mod tests;
