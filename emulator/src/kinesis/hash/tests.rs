use super::*;
use proptest::prelude::*;

#[test]
fn three_shards_have_the_ranges_that_aws_gives_them() {
    let ranges: Vec<_> = even_ranges(3).iter().map(|range| (range.start.to_string(), range.end.to_string())).collect();
    let expected = [
        ("0", "113427455640312821154458202477256070484"),
        ("113427455640312821154458202477256070485", "226854911280625642308916404954512140969"),
        ("226854911280625642308916404954512140970", "340282366920938463463374607431768211455"),
    ];
    assert_eq!(ranges, expected.map(|(start, end)| (start.to_owned(), end.to_owned())));
}

#[test]
fn one_shard_and_two_shards_cover_everything() {
    assert_eq!(even_ranges(1), [HashRange { start: 0, end: u128::MAX }]);
    assert_eq!(even_ranges(2).last(), Some(&HashRange { start: 1 << 127, end: u128::MAX }));
    assert_eq!(even_ranges(0), even_ranges(1));
}

#[test]
fn a_partition_key_hashes_to_its_md5() {
    assert_eq!(of_partition_key("a"), 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661);
}

#[test]
fn hash_keys_are_plain_decimals_below_2_to_the_128() {
    assert_eq!(parse("0"), Some(0));
    assert_eq!(parse("340282366920938463463374607431768211455"), Some(u128::MAX));
    for bad in ["", "01", "-1", "+1", "1e3", "340282366920938463463374607431768211456"] {
        assert_eq!(parse(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn even_ranges_partition_the_key_space(count in 1u32..3_000) {
        let ranges = even_ranges(count);
        prop_assert_eq!(ranges.len(), count as usize);
        prop_assert_eq!(ranges[0].start, 0);
        prop_assert_eq!(ranges[ranges.len() - 1].end, u128::MAX);
        for pair in ranges.windows(2) {
            prop_assert_eq!(pair[0].end + 1, pair[1].start);
        }
        let widths: Vec<_> = ranges.iter().map(|range| range.end - range.start).collect();
        let spread = widths.iter().max().unwrap() - widths.iter().min().unwrap();
        prop_assert!(spread < u128::from(count));
    }

    #[test]
    fn a_split_and_a_join_undo_each_other(start: u128, end: u128, at: u128) {
        let range = HashRange { start: start.min(end), end: start.max(end) };
        match range.split(at) {
            Some((low, high)) => {
                prop_assert!(low.end < at && high.start == at);
                prop_assert_eq!(low.join(&high), Some(range));
                prop_assert_eq!(high.join(&low), Some(range));
            }
            None => prop_assert!(at <= range.start || at > range.end),
        }
    }
}
