use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const RATE: u32 = 1_000;

#[test]
fn a_second_of_burst_passes_at_once_and_then_the_rate() {
    let mut bucket = Bucket::full(RATE, 5_000);
    assert_eq!(bucket.take(5_000, 600), Ok(()));
    assert_eq!(bucket.take(5_000, 400), Ok(()));
    assert_eq!(bucket.take(5_000, 250), Err(Duration::from_millis(250)));
    assert_eq!(bucket.take(5_249, 250), Err(Duration::from_millis(1)));
    assert_eq!(bucket.take(5_250, 250), Ok(()));
    assert!(!bucket.has(5_250, 1) && bucket.has(5_251, 1));
}

#[test]
fn nothing_is_saved_beyond_the_burst_and_a_clock_that_goes_back_gives_nothing() {
    let mut bucket = Bucket::full(RATE, 5_000);
    assert_eq!(bucket.take(u64::MAX, 1_000), Ok(()));
    assert_eq!(bucket.take(0, 1), Err(Duration::from_millis(1)));
}

#[test]
fn more_than_the_burst_passes_a_full_bucket_and_is_paid_back() {
    let mut bucket = Bucket::full(RATE, 0);
    assert_eq!(bucket.take(0, 1), Ok(()));
    assert_eq!(bucket.take(0, 10_000), Err(Duration::from_millis(1)));
    assert_eq!(bucket.take(1, 10_000), Ok(()));
    assert_eq!(bucket.take(9_001, 1), Err(Duration::from_millis(1)));
    assert_eq!(bucket.take(9_002, 1), Ok(()));
}

#[test]
fn an_overdraft_is_paid_back_until_the_bucket_is_full() {
    let mut overdraft = Overdraft::full(2 * RATE, 0);
    overdraft.charge(0, 1_000);
    assert!(overdraft.is_open(0), "something is left");
    overdraft.charge(1_000, 10_000);
    assert!(!overdraft.is_open(5_999) && overdraft.is_open(6_000));
    overdraft.charge(6_000, 2_000);
    assert!(!overdraft.is_open(6_999) && overdraft.is_open(7_000));
}

proptest! {
    #[test]
    fn no_window_sees_more_than_its_time_and_one_burst(
        rate in 1_u32..3_000,
        requests in vec((0_u64..700, 1_u64..4_000), 1..60),
    ) {
        let (mut bucket, mut now) = (Bucket::full(rate, 0), 0);
        let mut passed = Vec::new();
        for (gap, amount) in requests {
            now += gap;
            match bucket.take(now, amount) {
                Ok(()) => passed.push((now, amount)),
                Err(wait) => {
                    let wait = u64::try_from(wait.as_millis()).unwrap();
                    prop_assert!(!bucket.has(now + wait - 1, amount) && bucket.has(now + wait, amount));
                }
            }
        }
        for (start, &(from, _)) in passed.iter().enumerate() {
            let mut sum = 0;
            for &(to, amount) in &passed[start..] {
                sum += amount;
                // The last one of a window may be larger than the burst; it is paid back behind the window.
                let allowed = u64::from(rate) * (to - from) + 1_000 * amount.max(u64::from(rate));
                prop_assert!(sum * 1_000 <= allowed, "{sum} from {from} to {to}");
            }
        }
    }

    #[test]
    fn whoever_keeps_asking_gets_the_rate(rate in 1_u32..3_000, amount in 1_u64..6_000, rounds in 1_u64..50) {
        let (mut bucket, mut now) = (Bucket::full(rate, 0), 0);
        for _ in 0..rounds {
            while let Err(wait) = bucket.take(now, amount) {
                now += u64::try_from(wait.as_millis()).unwrap();
            }
        }
        // Each wait is rounded up by less than a millisecond.
        prop_assert!(now <= rounds * amount * 1_000 / u64::from(rate) + rounds);
    }
}
