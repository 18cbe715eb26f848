//! What lies at the source.

use crate::error::Error;
use crate::location::Location;
use crate::store::{Object, Store};

/// The objects at the source, by name.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) objects: Vec<Object>,
    /// Objects passed over because a part of their name begins with `_` or `.`, as Hive's readers do.
    pub(crate) hidden: u64,
}

/// Lists the source.
///
/// # Errors
/// [`Error::Usage`] where it does not exist.
pub(crate) async fn list(store: &Store) -> Result<Listing, Error> {
    let all = store.list("").await?;
    let listed = all.len();
    let mut objects: Vec<Object> = all.into_iter().filter(|object| !is_hidden(&object.name)).collect();
    objects.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let hidden = (listed - objects.len()) as u64;
    Ok(Listing { objects, hidden })
}

/// What is wrong with a source that has nothing, and never had.
pub(crate) fn no_objects(source: &Location, listing: &Listing) -> Error {
    let hidden = match listing.hidden {
        0 => String::new(),
        hidden => format!(" ({hidden} with a name that begins with _ or . were passed over)"),
    };
    Error::Usage(format!("{source}: there are no objects{hidden}; is the prefix right?"))
}

fn is_hidden(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with(['_', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_names_are_those_of_hive() {
        for hidden in ["_SUCCESS", ".crc", "a/_tmp/b", "a/.b"] {
            assert!(is_hidden(hidden), "{hidden}");
        }
        for shown in ["a", "a/b_c", "raw2026/11/23/05/orders-1-2026-11-23-05-00-00-abc"] {
            assert!(!is_hidden(shown), "{shown}");
        }
    }

    #[tokio::test]
    async fn folders_are_listed_recursively_and_sorted() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b/2", "b/1", "a", "_x", "b/.y"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, name).expect("a file");
        }
        let location = crate::Location::Local(folder.path().to_owned());
        let listing = list(&Store::open(&location, None).expect("a store")).await.expect("a listing");
        let names: Vec<&str> = listing.objects.iter().map(|object| object.name.as_str()).collect();
        assert_eq!(names, ["a", "b/1", "b/2"]);
        assert_eq!(listing.hidden, 2);
        let missing = crate::Location::Local(folder.path().join("missing"));
        let error = list(&Store::open(&missing, None).expect("a store")).await.expect_err("an error");
        assert_eq!(error.kind(), crate::ErrorKind::Usage);
    }
}
