use super::*;
use proptest::prelude::*;

fn ranges(topology: &Topology) -> Vec<HashRange> {
    topology.open().iter().map(|shard| shard.range()).collect()
}

fn numbers(topology: &Topology) -> Vec<u32> {
    topology.open().iter().map(|shard| shard.number()).collect()
}

#[test]
fn a_split_closes_the_parent_and_names_its_children() {
    let mut topology = Topology::new(2, 0, 1_000);
    topology.split(0, 1 << 126, 5_000).unwrap();
    assert_eq!(numbers(&topology), [2, 3, 1]);
    let closure = topology.get(0).unwrap().closure().unwrap();
    let children: Vec<_> =
        closure.children.iter().map(|child| (child.shard_id.as_str(), child.parent_shards.as_slice())).collect();
    let parent = ["shardId-000000000000".to_owned()];
    assert_eq!(children, [("shardId-000000000002", parent.as_slice()), ("shardId-000000000003", &parent)]);
    assert_eq!(topology.split(0, 1, 6_000), Err(Refusal::Closed(0)));
    assert_eq!(topology.split(9, 1, 6_000), Err(Refusal::Unknown(9)));
    assert!(matches!(topology.split(2, 0, 6_000), Err(Refusal::Outside(_))));
}

#[test]
fn a_merge_has_two_parents_that_tell_of_one_child() {
    let mut topology = Topology::new(3, 0, 1_000);
    assert_eq!(topology.merge(0, 2, 2_000), Err(Refusal::Apart));
    assert_eq!(topology.merge(0, 0, 2_000), Err(Refusal::Apart));
    topology.merge(2, 1, 2_000).unwrap();
    assert_eq!(numbers(&topology), [0, 3]);
    let child = topology.get(3).unwrap().describe();
    assert_eq!(child.parent_shard_id.as_deref(), Some("shardId-000000000002"));
    assert_eq!(child.adjacent_parent_shard_id.as_deref(), Some("shardId-000000000001"));
    for parent in [1, 2] {
        assert_eq!(topology.get(parent).unwrap().closure().unwrap().children, [topology.get(3).unwrap().as_child()]);
    }
}

#[test]
fn shards_expire_some_time_after_they_close() {
    let mut topology = Topology::new(1, 0, 1_000);
    topology.split(0, 5, 2_000).unwrap();
    assert!(!topology.has_expired(2_000) && topology.has_expired(2_001));
    topology.drop_expired(2_001);
    assert_eq!(topology.all().map(|shard| shard.number()).collect::<Vec<_>>(), [1, 2]);
}

proptest! {
    #[test]
    fn any_resharding_keeps_the_key_space_whole_and_numbers_above_the_parents(
        count in 1u32..6,
        acts in proptest::collection::vec((any::<bool>(), any::<u128>(), 1u32..9), 0..12),
        key: u128,
    ) {
        let mut topology = Topology::new(count, 0, 1_000);
        for (scale, at, target) in acts {
            if scale {
                topology.scale(target, 1_000).unwrap();
                prop_assert_eq!(ranges(&topology), even_ranges(target));
            } else {
                let holder = topology.holder(at).unwrap();
                let refused = topology.split(holder, at, 1_000).is_err();
                prop_assert!(!refused || topology.open()[topology.route(at)].range().start == at);
            }
            let open = ranges(&topology);
            prop_assert_eq!((open[0].start, open[open.len() - 1].end), (0, u128::MAX));
            prop_assert!(open.windows(2).all(|pair| pair[0].end + 1 == pair[1].start));
            let taker = topology.open()[topology.route(key)].range();
            prop_assert!(taker.start <= key && key <= taker.end);
        }
        for shard in topology.all() {
            for child in shard.closure().iter().flat_map(|closure| &closure.children) {
                let child = topology.get(wire::parse_shard_id(&child.shard_id).unwrap()).unwrap();
                let end = shard.describe().sequence_number_range.ending_sequence_number.unwrap();
                prop_assert!(end < child.describe().sequence_number_range.starting_sequence_number);
            }
        }
    }
}
