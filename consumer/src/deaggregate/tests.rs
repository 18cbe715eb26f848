use super::*;
use alluvial_record::aggregate::{Aggregator, Corruption};
use bytes::Bytes;
use proptest::prelude::*;

const SPLIT: Rules = Rules { split: true, hash_keys: None };
const WHOLE: Rules = Rules { split: false, hash_keys: None };

fn at(sequence: u64, sub_sequence: u64) -> Position {
    Position { sequence: sequence.to_string().parse().unwrap(), sub_sequence }
}

fn record(sequence: u64, data: impl Into<Bytes>) -> Record {
    Record {
        position: at(sequence, 0),
        partition_key: "a".into(),
        data: data.into(),
        arrived_millis: 5,
        kind: Kind::Plain,
    }
}

/// User records `0..` with these hash keys; their payload is their index.
fn aggregate(hash_keys: &[u128]) -> Bytes {
    let mut aggregator = Aggregator::new(1 << 20);
    for (index, hash) in hash_keys.iter().enumerate() {
        assert!(aggregator.try_add("key", Some(*hash), index.to_string().as_bytes()));
    }
    aggregator.finish().unwrap()
}

/// A plain record, an aggregate of three, and a plain record.
fn event() -> Vec<Record> {
    vec![record(10, "first"), record(11, aggregate(&[1, 2, 3])), record(12, "last")]
}

fn positions(admitted: &Admitted) -> Vec<Position> {
    admitted.records.iter().map(|record| record.position).collect()
}

#[test]
fn user_records_take_the_place_of_their_aggregate() {
    let admitted = admit(event(), SPLIT, None);
    assert_eq!(positions(&admitted), [at(10, 0), at(11, 0), at(11, 1), at(11, 2), at(12, 0)]);
    let user = &admitted.records[2];
    assert_eq!((&*user.partition_key, &user.data[..], user.arrived_millis), ("key", &b"1"[..], 5));
    let kinds: Vec<_> = admitted.records.iter().map(|record| record.kind).collect();
    assert_eq!(kinds, [Kind::Plain, Kind::User, Kind::User, Kind::User, Kind::Plain]);
    assert_eq!((admitted.misplaced, admitted.last), (0, Some(at(12, 0))));
}

#[test]
fn a_checkpoint_is_resumed_right_after_it() {
    let resumed = |sequence, sub| positions(&admit(event(), SPLIT, Some(at(sequence, sub))));
    // A plain record is done with sub-sequence 0; so is the first user record of an aggregate.
    assert_eq!(resumed(10, 0), [at(11, 0), at(11, 1), at(11, 2), at(12, 0)]);
    assert_eq!(resumed(11, 0), [at(11, 1), at(11, 2), at(12, 0)]);
    assert_eq!(resumed(11, 1), [at(11, 2), at(12, 0)]);
    assert_eq!(resumed(11, 2), [at(12, 0)]);
    assert_eq!(resumed(12, 0), []);
    let nothing = admit(event(), SPLIT, Some(at(12, 0)));
    assert_eq!((nothing.payload_bytes, nothing.held_bytes, nothing.last), (0, 0, None));
}

#[test]
fn only_the_user_records_of_other_shards_are_left_out() {
    let rules = Rules { hash_keys: Some(HashKeyRange { start: 2, end: 3 }), ..SPLIT };
    let admitted = admit(event(), rules, None);
    assert_eq!(positions(&admitted), [at(10, 0), at(11, 1), at(11, 2), at(12, 0)]);
    assert_eq!(admitted.misplaced, 1);
    // What was passed before is not counted again.
    assert_eq!(admit(event(), rules, Some(at(11, 0))).misplaced, 0);
}

#[test]
fn an_event_of_which_nothing_belongs_to_the_shard_is_passed_all_the_same() {
    let rules = Rules { hash_keys: Some(HashKeyRange { start: 9, end: 9 }), ..SPLIT };
    let admitted = admit(vec![record(11, aggregate(&[1, 2, 3]))], rules, None);
    assert_eq!((positions(&admitted), admitted.misplaced), (vec![], 3));
    assert_eq!((admitted.held_bytes, admitted.last), (0, Some(at(11, 2))));
}

#[test]
fn a_corrupt_aggregate_is_handed_out_whole_and_says_why() {
    let mut data = aggregate(&[1, 2, 3]).to_vec();
    data[10] ^= 1;
    let admitted = admit(vec![record(11, data.clone()), record(12, aggregate(&[1]))], SPLIT, None);
    assert_eq!(positions(&admitted), [at(11, 0), at(12, 0)]);
    assert_eq!(admitted.records[0].kind, Kind::Corrupt(Corruption::WrongDigest));
    assert_eq!(admitted.records[0].data, data);
    assert_eq!(admitted.records[1].kind, Kind::User, "the digest of one is not taken for that of another");
}

#[test]
fn memory_is_counted_once_for_the_buffer_that_is_kept() {
    let data = aggregate(&[1, 2, 3]);
    let buffer = data.len();
    let admitted = admit(vec![record(11, data)], SPLIT, Some(at(11, 0)));
    assert_eq!(admitted.held_bytes, buffer + 2 * size_of::<Record>());
    assert_eq!(admitted.payload_bytes, 2 * ("key".len() + 1));
}

#[test]
fn switched_off_an_aggregate_is_whole_and_done_at_its_last_user_record() {
    let admitted = admit(event(), WHOLE, None);
    assert_eq!(positions(&admitted), [at(10, 0), at(11, 2), at(12, 0)]);
    assert_eq!(admitted.records[1].kind, Kind::Aggregate);
    // A checkpoint of a client that splits: what it has not done comes again, whole.
    assert_eq!(positions(&admit(event(), WHOLE, Some(at(11, 1)))), [at(11, 2), at(12, 0)]);
    assert_eq!(positions(&admit(event(), WHOLE, Some(at(11, 2)))), [at(12, 0)]);
    assert_eq!(positions(&admit(event(), SPLIT, Some(at(11, 2)))), [at(12, 0)], "and the other way round");
}

#[test]
fn an_aggregate_of_nothing_hands_out_nothing() {
    // A table with a key, and no records. The digest is that of the message, made with another MD5.
    let digest = [0x6d, 0x44, 0x22, 0x0b, 0x0e, 0xea, 0xc8, 0xbc, 0xfd, 0x28, 0xa2, 0x81, 0x07, 0xa9, 0x6f, 0xf4];
    let data = [&MAGIC[..], b"\x0a\x01k", &digest].concat();
    let admitted = admit(vec![record(11, data)], SPLIT, None);
    assert!(admitted.records.is_empty(), "{:?}", admitted.records);
    assert_eq!((admitted.misplaced, admitted.last), (0, Some(at(11, 0))));
}

proptest! {
    /// Wherever a worker stops, and however often, every user record of the shard is handed out once.
    #[test]
    fn stops_anywhere_lose_and_repeat_nothing(
        sizes in prop::collection::vec(0_usize..6, 1..8),
        stops in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        end in 0_u128..6,
    ) {
        let events = || -> Vec<Record> {
            (10..).zip(&sizes).map(|(sequence, size)| match size {
                0 => record(sequence, "plain"),
                size => record(sequence, aggregate(&(0..*size as u128).collect::<Vec<_>>())),
            }).collect()
        };
        let rules = Rules { hash_keys: Some(HashKeyRange { start: 0, end }), ..SPLIT };
        let wanted = positions(&admit(events(), rules, None));
        let (mut seen, mut passed) = (Vec::new(), None);
        for stop in stops {
            let mut rest = positions(&admit(events(), rules, passed));
            rest.truncate(stop.index(rest.len() + 1));
            passed = rest.last().copied().or(passed);
            seen.extend(rest);
        }
        seen.extend(positions(&admit(events(), rules, passed)));
        prop_assert_eq!(seen, wanted);
    }
}
