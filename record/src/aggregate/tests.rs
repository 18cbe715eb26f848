use super::*;
use proptest::prelude::*;

type Given = (String, Option<u128>, Vec<u8>);

fn packed(records: &[Given]) -> Bytes {
    let mut aggregator = Aggregator::new(usize::MAX);
    assert!(records.iter().all(|(key, hash, data)| aggregator.try_add(key, *hash, data)));
    aggregator.finish().unwrap_or_default()
}

/// `message` as an aggregate, with the right MD5.
fn sealed(message: &[u8]) -> Bytes {
    [&MAGIC[..], message, &md5::digest(message)].concat().into()
}

fn aggregate(data: &Bytes) -> Aggregate {
    match decode(data) {
        Decoded::Aggregate(aggregate) => aggregate,
        other => panic!("{other:?}"),
    }
}

fn given(aggregate: &Aggregate) -> Vec<Given> {
    aggregate.records().map(|r| (r.partition_key.to_string(), r.explicit_hash_key, r.data.to_vec())).collect()
}

fn corruption(data: &Bytes) -> Corruption {
    match decode(data) {
        Decoded::Corrupt(corruption) => corruption,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plain_record_is_not_aggregated() {
    let empty = sealed(b"");
    for data in [&b""[..], b"{\"n\":1}", &MAGIC, &[&MAGIC[..], &[0; 16]].concat(), &empty] {
        assert_eq!(decode(&Bytes::copy_from_slice(data)), Decoded::NotAggregated);
    }
}

#[test]
fn a_changed_or_cut_aggregate_is_corrupt() {
    let whole = packed(&[("k".into(), None, b"one".to_vec())]);
    let mut changed = whole.to_vec();
    changed[8] ^= 1;
    assert_eq!(corruption(&changed.into()), Corruption::WrongDigest);
    assert_eq!(corruption(&whole.slice(..whole.len() - 1)), Corruption::WrongDigest);
}

#[test]
fn a_right_digest_of_a_wrong_message_is_corrupt_and_says_where() {
    let key = b"\x0a\x01k".as_slice();
    for (message, wanted) in [
        (b"\x1a\x07\x08\x00\x1a\x03on".to_vec(), Corruption::Malformed { at: 6 }),
        ([key, b"\x1a\x05\x08\x01\x1a\x01x"].concat(), Corruption::OutOfRange { index: 0, field: "partition key" }),
        (
            [key, b"\x1a\x07\x08\x00\x10\x00\x1a\x01x"].concat(),
            Corruption::OutOfRange { index: 0, field: "explicit hash key" },
        ),
        ([key, b"\x12\x02+1\x1a\x07\x08\x00\x10\x00\x1a\x01x"].concat(), Corruption::InvalidHashKey { index: 0 }),
        ([key, b"\x1a\x05\x1a\x03one"].concat(), Corruption::Missing { index: 0, field: "partition key" }),
        ([key, b"\x1a\x04\x08\x00\x10\x00"].concat(), Corruption::Missing { index: 0, field: "data" }),
        ([key, b"\x1a\x02\x08\x00"].concat(), Corruption::Missing { index: 0, field: "partition key or data" }),
        (b"\x0a\x02\xff\xff".to_vec(), Corruption::KeyNotText { at: 6 }),
    ] {
        assert_eq!(corruption(&sealed(&message)), wanted, "{message:?}");
    }
}

#[test]
fn tags_and_unknown_fields_are_skipped_and_the_order_of_fields_is_free() {
    let record = [
        &b"\x1a\x03two"[..],           // data before the index
        b"\x22\x06\x0a\x01t\x12\x01v", // a tag
        b"\x2d\x01\x02\x03\x04",       // field 5, 32 bits
        b"\x0a\x01\x09",               // field 1 as bytes: not the index
        b"\x08\x05\x08\x01",           // the index twice: the last counts
        b"\x10\x00",
    ]
    .concat();
    let record = [&[0x1a, u8::try_from(record.len()).unwrap()][..], &record].concat();
    let message =
        [&record[..], b"\x12\x0242", b"\x12\x05never", b"\x0a\x01a", b"\x23\x08\x01\x24", b"\x0a\x01b"].concat();
    assert_eq!(given(&aggregate(&sealed(&message))), [("b".to_owned(), Some(42), b"two".to_vec())]);
}

#[test]
fn user_records_are_slices_of_the_aggregate() {
    let whole = packed(&[("key".into(), None, b"payload".to_vec())]);
    let within = whole.as_ptr_range();
    let record = aggregate(&whole).records().next().unwrap();
    assert!(within.contains(&record.data.as_ptr()));
    assert!(within.contains(&record.partition_key.as_bytes().as_ptr()));
}

#[test]
fn the_limit_is_kept_to_the_byte() {
    let mut aggregator = Aggregator::new(51_200);
    let mut added = 0;
    while aggregator.try_add(&format!("key-{added}"), Some(added), b"{\"n\":1}") {
        added += 1;
    }
    let (count, size) = (aggregator.len(), aggregator.size_bytes());
    let whole = aggregator.finish().unwrap();
    assert_eq!((u128::from(count), whole.len()), (added, size));
    assert!((51_100..=51_200).contains(&size), "{size}");
    assert!(aggregator.is_empty() && aggregator.finish().is_none());
    assert!(!Aggregator::new(30).try_add("a", None, &[0; 10]), "31 bytes do not fit");
}

fn records() -> impl Strategy<Value = Vec<Given>> {
    let key = prop_oneof!["[a-d]", "\\PC{1,12}"];
    let hash = prop_oneof![Just(None), Just(Some(7)), any::<u128>().prop_map(Some)];
    prop::collection::vec((key, hash, prop::collection::vec(any::<u8>(), 0..200)), 1..40)
}

proptest! {
    #[test]
    fn what_is_packed_comes_out_again(records in records()) {
        let whole = packed(&records);
        prop_assert_eq!(given(&aggregate(&whole)), records);
    }

    #[test]
    fn the_size_is_known_before_and_never_above_the_limit(records in records(), limit in 20_usize..3_000) {
        let mut aggregator = Aggregator::new(limit);
        let mut out = Vec::new();
        for (key, hash, data) in &records {
            if !aggregator.try_add(key, *hash, data) {
                let size = aggregator.size_bytes();
                if let Some(whole) = aggregator.finish() {
                    prop_assert_eq!(whole.len(), size);
                    out.push(whole);
                }
                if !aggregator.try_add(key, *hash, data) {
                    out.push(packed(&[(key.clone(), *hash, data.clone())]));
                    prop_assert!(out.last().is_some_and(|alone| alone.len() > limit));
                }
            }
        }
        out.extend(aggregator.finish());
        let all: Vec<Given> = out.iter().flat_map(|whole| given(&aggregate(whole))).collect();
        prop_assert_eq!(all, records);
    }

    /// Every byte string, and every one that passes the MD5.
    #[test]
    fn no_bytes_are_a_panic_and_none_allocate_more_than_they_justify(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        decode(&noise.clone().into());
        decode(&[&MAGIC[..], &noise].concat().into());
        bounded(&noise)?;
    }

    /// Messages that are almost right.
    #[test]
    fn no_damage_is_a_panic(records in records(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let whole = packed(&records);
        let mut message = whole[MAGIC.len()..whole.len() - DIGEST_BYTES].to_vec();
        let at = at.index(message.len());
        message[at] = byte;
        bounded(&message)?;
        message.truncate(cut.index(message.len()));
        bounded(&message)?;
    }

    /// After a split each user record belongs to exactly one child, whatever became of the aggregate itself.
    #[test]
    fn children_share_the_user_records_without_gap_or_overlap(
        records in records(),
        cuts in prop::collection::btree_set(1..=u128::MAX, 0..4),
    ) {
        let aggregate = aggregate(&packed(&records));
        let starts: Vec<u128> = std::iter::once(0).chain(cuts).collect();
        let ends = starts.iter().skip(1).map(|start| start - 1).chain([u128::MAX]);
        let mut all: Vec<UserRecord> = starts
            .iter()
            .zip(ends)
            .flat_map(|(start, end)| aggregate.records_within(HashKeyRange { start: *start, end }).collect::<Vec<_>>())
            .collect();
        all.sort_by_key(|record| record.index);
        prop_assert_eq!(all, aggregate.records().collect::<Vec<_>>());
    }
}

/// What a message of so many bytes may allocate: a key takes two of them at least, and a record six.
fn bounded(message: &[u8]) -> Result<(), TestCaseError> {
    if let Decoded::Aggregate(aggregate) = decode(&sealed(message)) {
        prop_assert!(aggregate.partition_keys.capacity() <= message.len().max(4));
        prop_assert!(aggregate.explicit_hash_keys.capacity() <= message.len().max(4));
        prop_assert!(aggregate.entries.capacity() <= (message.len() / 3).max(4));
        prop_assert_eq!(aggregate.records().count(), aggregate.len());
    }
    Ok(())
}

#[test]
fn the_hash_key_of_a_partition_key_is_its_md5_and_an_explicit_one_takes_its_place() {
    let whole = aggregate(&packed(&[("a".into(), None, vec![]), ("a".into(), Some(5), vec![])]));
    // MD5 of "a", by RFC 1321, appendix A.5.
    let hash = 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661;
    let within = |start, end| whole.records_within(HashKeyRange { start, end }).map(|r| r.index).collect::<Vec<_>>();
    assert_eq!(within(hash, hash), [0]);
    assert_eq!(within(5, 5), [1]);
    assert_eq!(within(0, hash), [0, 1]);
    assert_eq!(within(6, hash - 1), [0; 0]);
}
