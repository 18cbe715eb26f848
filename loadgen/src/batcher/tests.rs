use super::*;
use crate::entry::fixture::entry;
use fastrand::Rng;
use proptest::prelude::*;
use std::collections::HashMap;

const SMALL: Limits = Limits { records: 4, bytes: 100 };

fn batcher(limits: Limits) -> Batcher {
    Batcher::new(limits, Duration::from_millis(20))
}

fn accepted() -> Verdict {
    Verdict::Accepted { shard: "shardId-000000000000".into(), sequence_number: "1".into() }
}

fn numbers(batch: &[Entry]) -> Vec<u64> {
    batch.iter().map(|entry| entry.number).collect()
}

#[test]
fn a_call_closes_by_count_by_size_or_by_age() {
    let now = Instant::now();
    let mut lane = batcher(SMALL);
    assert_eq!(lane.readiness(now), Readiness::Empty);
    lane.extend(vec![entry(0, "a", 10, now)]);
    assert_eq!(lane.readiness(now), Readiness::At(now + Duration::from_millis(20)));
    assert_eq!(lane.readiness(now + Duration::from_millis(20)), Readiness::Ready);
    lane.extend((1..4).map(|number| entry(number, "a", 1, now)).collect());
    assert_eq!(lane.readiness(now), Readiness::Ready, "four records");
    let mut lane = batcher(SMALL);
    lane.extend(vec![entry(0, "a", 60, now), entry(1, "a", 60, now)]);
    assert_eq!(lane.readiness(now), Readiness::Ready, "more than 100 bytes");
}

#[test]
fn the_key_counts_as_bytes_and_a_large_record_travels_alone() {
    let now = Instant::now();
    let mut lane = batcher(SMALL);
    lane.extend(vec![entry(0, "key", 47, now), entry(1, "key", 48, now), entry(2, "key", 400, now)]);
    assert_eq!(numbers(&lane.take()), [0]);
    assert_eq!(numbers(&lane.take()), [1]);
    assert_eq!(numbers(&lane.take()), [2]);
    assert!(lane.take().is_empty());
}

#[test]
fn a_refused_record_goes_first_and_holds_back_only_its_key() {
    let now = Instant::now();
    let mut lane = batcher(SMALL);
    lane.extend(vec![entry(0, "a", 1, now), entry(1, "b", 1, now)]);
    let batch = lane.take();
    lane.extend(vec![entry(2, "a", 1, now), entry(3, "c", 1, now), entry(4, "a", 1, now), entry(5, "b", 1, now)]);
    let settled = lane.settle(batch, vec![Verdict::Throttled, accepted()], 20);
    assert_eq!((settled.retried, settled.throttled, settled.reordered), (1, 1, 0));
    assert_eq!(lane.readiness(now), Readiness::Ready);
    let batch = lane.take();
    assert_eq!(numbers(&batch), [0, 3, 5]);
    lane.settle(batch, vec![accepted(), accepted(), accepted()], 20);
    assert_eq!(numbers(&lane.take()), [2, 4]);
}

#[test]
fn an_overtaken_record_is_counted_once_for_each_that_overtook_it() {
    let now = Instant::now();
    let mut lane = batcher(SMALL);
    lane.extend(vec![entry(0, "a", 1, now), entry(1, "b", 1, now), entry(2, "a", 1, now), entry(3, "a", 1, now)]);
    let batch = lane.take();
    let settled = lane.settle(batch, vec![Verdict::Failed, accepted(), accepted(), accepted()], 20);
    assert_eq!(settled.reordered, 2);
}

#[test]
fn a_record_is_given_up_after_its_attempts_and_counted_as_lost() {
    let now = Instant::now();
    let mut lane = batcher(SMALL);
    lane.extend(vec![entry(0, "a", 1, now)]);
    for _ in 0..2 {
        let batch = lane.take();
        let settled = lane.settle(batch, vec![Verdict::Unknown], 3);
        assert_eq!((settled.retried, settled.unknown, settled.lost.len()), (1, 1, 0));
    }
    let batch = lane.take();
    let settled = lane.settle(batch, vec![Verdict::Unknown], 3);
    assert_eq!((settled.retried, settled.unknown, numbers(&settled.lost)), (0, 0, vec![0]));
    assert_eq!(lane.readiness(now), Readiness::Empty);
}

#[test]
fn a_missing_verdict_is_an_unknown_outcome() {
    let now = Instant::now();
    let mut lane = batcher(SMALL);
    lane.extend(vec![entry(0, "a", 1, now), entry(1, "a", 1, now)]);
    let batch = lane.take();
    let settled = lane.settle(batch, vec![accepted()], 20);
    assert_eq!((settled.accepted.len(), settled.unknown), (1, 1));
}

/// Checks a call against the limits and against the order of attempts for each key.
fn check_call(batch: &[Entry], limits: Limits, settled_keys: &HashMap<u64, u64>) -> Result<(), TestCaseError> {
    prop_assert!(!batch.is_empty() && batch.len() <= limits.records);
    let bytes: usize = batch.iter().map(Entry::wire_bytes).sum();
    prop_assert!(batch.len() == 1 || bytes <= limits.bytes, "{bytes}");
    let mut last: HashMap<u64, u64> = HashMap::new();
    for entry in batch {
        let before = last.insert(entry.key_hash, entry.number);
        prop_assert!(before.is_none_or(|before| before < entry.number), "order within a call");
        if entry.attempts == 0 {
            let settled = settled_keys.get(&entry.key_hash);
            prop_assert!(settled.is_none_or(|settled| *settled < entry.number), "a new record after newer ones");
        }
    }
    Ok(())
}

proptest! {
    /// Records of a few keys are offered while calls fail at random: no call breaks a limit, nothing is lost or
    /// repeated once accepted, and each key's records are accepted in order but for those counted as reordered.
    #[test]
    fn nothing_is_lost_and_order_is_kept_or_counted(seed: u64, count in 1_u64..200, keys in 1_u64..6) {
        let mut random = Rng::with_seed(seed);
        let limits = Limits { records: random.usize(1..9), bytes: random.usize(20..200) };
        let mut lane = batcher(limits);
        let now = Instant::now();
        let mut offered = 0;
        let mut order: HashMap<u64, u64> = HashMap::new();
        let (mut seen, mut out_of_order, mut reordered) = (HashSet::new(), 0_u64, 0_u64);
        while offered < count || lane.readiness(now) != Readiness::Empty {
            let more = random.u64(0..12).min(count - offered);
            lane.extend((offered..offered + more).map(|number| {
                entry(number, &random.u64(0..keys).to_string(), random.usize(0..120), now)
            }).collect());
            offered += more;
            let batch = lane.take();
            if batch.is_empty() { continue; }
            check_call(&batch, limits, &order)?;
            let verdicts = batch.iter().map(|_| if random.u8(0..3) > 0 { accepted() } else { Verdict::Throttled });
            let verdicts = verdicts.collect();
            let settled = lane.settle(batch, verdicts, u32::MAX);
            reordered += settled.reordered;
            for Placed { entry, .. } in settled.accepted {
                prop_assert!(seen.insert(entry.number), "accepted twice");
                let newest = order.entry(entry.key_hash).or_insert(entry.number);
                out_of_order += u64::from(entry.number < *newest);
                *newest = entry.number.max(*newest);
            }
        }
        prop_assert_eq!(seen.len() as u64, count);
        prop_assert_eq!(out_of_order == 0, reordered == 0, "{} against {}", out_of_order, reordered);
        prop_assert_eq!(lane.queued_bytes, 0);
    }

    /// Calls that fail as a whole (no partial failure) never break the order of a key.
    #[test]
    fn whole_failures_keep_every_order(seed: u64, count in 1_u64..100) {
        let mut random = Rng::with_seed(seed);
        let mut lane = batcher(Limits { records: 5, bytes: 1_000 });
        let now = Instant::now();
        lane.extend((0..count).map(|number| entry(number, &random.u64(0..3).to_string(), 1, now)).collect());
        let mut order: HashMap<u64, u64> = HashMap::new();
        while lane.readiness(now) != Readiness::Empty {
            let batch = lane.take();
            let verdict = if random.bool() { accepted() } else { Verdict::Unknown };
            let verdicts = vec![verdict; batch.len()];
            for Placed { entry, .. } in lane.settle(batch, verdicts, u32::MAX).accepted {
                let before = order.insert(entry.key_hash, entry.number);
                prop_assert!(before.is_none_or(|before| before < entry.number));
            }
        }
    }
}
