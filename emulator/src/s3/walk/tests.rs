use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn bucket(keys: &BTreeSet<String>) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(root.path().join("lake/empty/below")).expect("folders without objects");
    for key in keys {
        let path = root.path().join("lake").join(key);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(path, key).expect("an object");
    }
    root
}

fn lines(page: &Page) -> BTreeSet<String> {
    page.objects.iter().filter_map(|object| object.key.clone()).chain(page.groups.iter().cloned()).collect()
}

/// What S3 documents, over all keys at once.
fn model(keys: &BTreeSet<String>, wanted: &Wanted) -> (BTreeSet<String>, Option<String>) {
    let line = |key: &String| {
        let rest = key.strip_prefix(&wanted.prefix)?;
        let group = wanted.delimiter.as_ref().and_then(|delimiter| Some(rest.find(delimiter)? + delimiter.len()));
        Some(group.map_or(key.clone(), |end| format!("{}{}", wanted.prefix, &rest[..end])))
    };
    let all: BTreeSet<_> =
        keys.iter().filter(|key| **key > wanted.after).filter_map(line).filter(|line| *line > wanted.after).collect();
    let page: BTreeSet<_> = all.iter().take(wanted.most).cloned().collect();
    let next = if all.len() > page.len() { page.last().cloned() } else { None };
    (page, next)
}

/// Keys whose folders are named `a` to `c` and whose files are not, so that none is the folder of another.
fn keys() -> impl Strategy<Value = BTreeSet<String>> {
    proptest::collection::btree_set("([abc][-=a]?/){0,3}[-=é]{1,2}", 0..12)
}

#[test]
fn a_prefix_never_leads_out_of_the_bucket() {
    let root = bucket(&BTreeSet::from(["object".to_owned()]));
    fs::create_dir(root.path().join("other")).expect("a bucket");
    fs::write(root.path().join("other/secret"), "").expect("an object");
    for prefix in ["../other/", "/", "./", "a//", "lake/../../other/", "nul\0/", "object/"] {
        let wanted = Wanted { prefix: prefix.to_owned(), most: 10, ..Wanted::default() };
        let page = page(root.path(), "lake", &wanted).unwrap_or_else(|error| panic!("{prefix:?}: {error}"));
        assert!(lines(&page).is_empty(), "{prefix:?}: {page:?}");
    }
}

#[test]
fn a_name_without_a_file_behind_it_is_no_object() {
    let root = bucket(&BTreeSet::from(["kept".to_owned()]));
    std::os::unix::fs::symlink(root.path().join("nothing"), root.path().join("lake/gone")).expect("a link");
    let page = page(root.path(), "lake", &Wanted { most: 10, ..Wanted::default() }).expect("a page");
    assert_eq!(lines(&page), BTreeSet::from(["kept".to_owned()]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn pages_are_those_of_the_model(
        keys in keys(),
        prefix in "([abc][-=a]?/){0,2}[abc-]?",
        delimiter in prop::option::of(prop::sample::select(vec!["/", "-", "a/", "=/", "é"])),
        after in "([abc][-=a]?/?){0,2}",
        most in 0_usize..5,
    ) {
        let root = bucket(&keys);
        let mut wanted = Wanted { prefix, delimiter: delimiter.map(str::to_owned), after, most };
        loop {
            let (expected, next) = model(&keys, &wanted);
            let page = page(root.path(), "lake", &wanted).expect("a page");
            prop_assert_eq!(lines(&page), expected);
            if most == 0 { break }
            prop_assert_eq!(&page.next, &next);
            match page.next {
                Some(next) => wanted.after = next,
                None => break,
            }
        }
    }
}
