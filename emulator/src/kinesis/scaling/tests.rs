use super::*;
use proptest::prelude::*;

#[test]
fn doubling_splits_each_shard_and_halving_merges_each_pair() {
    let quarter = 1u128 << 126;
    assert_eq!(uniform([0, 2 * quarter], 4), [Step::Split(quarter), Step::Split(3 * quarter)]);
    assert_eq!(uniform([0, quarter, 2 * quarter, 3 * quarter], 2), [Step::Merge(quarter), Step::Merge(3 * quarter)]);
    assert_eq!(uniform([0, 2 * quarter], 2), []);
}

proptest! {
    #[test]
    fn any_division_becomes_the_even_one(mut starts in proptest::collection::btree_set(any::<u128>(), 0..40), target in 1u32..80) {
        starts.insert(0);
        let mut open = starts.clone();
        for step in uniform(starts, target) {
            match step {
                Step::Split(at) => prop_assert!(open.insert(at), "{at} was a boundary already"),
                Step::Merge(at) => prop_assert!(at != 0 && open.remove(&at), "{at} was no boundary"),
            }
        }
        prop_assert_eq!(open.into_iter().collect::<Vec<_>>(), hash::even_starts(target));
    }
}
