use super::*;

/// Shard 0 opened at 100 and split at 200 into 1 and 2; 2 split at 300 into 3 and 4.
const HISTORY: [Lifetime; 5] = [
    Lifetime { shard: 0, opened: 100, closed: Some(200) },
    Lifetime { shard: 1, opened: 200, closed: None },
    Lifetime { shard: 2, opened: 200, closed: Some(300) },
    Lifetime { shard: 3, opened: 300, closed: None },
    Lifetime { shard: 4, opened: 300, closed: None },
];

fn selected(filter: ShardFilter, horizon: u64) -> Vec<u32> {
    HISTORY.iter().filter(|lifetime| filter.selects(lifetime, horizon)).map(|lifetime| lifetime.shard).collect()
}

#[test]
fn filters_without_a_time_look_at_horizon_and_tip() {
    assert_eq!(selected(ShardFilter::AfterShardId(2), 100), [3, 4]);
    assert_eq!(selected(ShardFilter::AtLatest, 100), [1, 3, 4]);
    assert_eq!(selected(ShardFilter::FromTrimHorizon, 100), [0, 1, 2, 3, 4]);
    assert_eq!(selected(ShardFilter::FromTrimHorizon, 250), [1, 2, 3, 4]);
    assert_eq!(selected(ShardFilter::AtTrimHorizon, 100), [0]);
    assert_eq!(selected(ShardFilter::AtTrimHorizon, 200), [1, 2]);
    assert_eq!(selected(ShardFilter::AtTrimHorizon, 299), [1, 2]);
    assert_eq!(selected(ShardFilter::AtTrimHorizon, 300), [1, 3, 4]);
}

#[test]
fn filters_with_a_time_are_held_to_the_horizon() {
    assert_eq!(selected(ShardFilter::AtTimestamp(150), 100), [0]);
    assert_eq!(selected(ShardFilter::AtTimestamp(250), 100), [1, 2]);
    assert_eq!(selected(ShardFilter::AtTimestamp(200), 100), [0, 1, 2]);
    assert_eq!(selected(ShardFilter::AtTimestamp(1), 250), [1, 2]);
    assert_eq!(selected(ShardFilter::FromTimestamp(201), 100), [1, 2, 3, 4]);
    assert_eq!(selected(ShardFilter::FromTimestamp(1), 301), [1, 3, 4]);
}
