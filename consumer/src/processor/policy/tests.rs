use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const RULES: Rules = Rules { retries: 2, bisect: true, last: Last::DeadLetter };

/// What became of each record, in the order in which it was settled.
#[derive(Debug, Default, PartialEq, Eq)]
struct Settled {
    processed: Vec<usize>,
    dead: Vec<usize>,
    skipped: Vec<usize>,
    /// Ranges, as they are acknowledged.
    acknowledged: Vec<Range<usize>>,
    halted_at: Option<Range<usize>>,
    calls: usize,
    waits: usize,
}

/// Drives a batch to its end with a processor that answers as `process` says.
fn drive(rules: Rules, records: usize, mut process: impl FnMut(Range<usize>) -> Outcome) -> Settled {
    let (mut course, mut settled) = (Course::new(rules, records), Settled::default());
    let mut step = course.first();
    loop {
        settled.waits += usize::from(matches!(step, Step::ProcessLater { .. }));
        step = match step {
            Step::Process { range, .. } | Step::ProcessLater { range, .. } => {
                settled.calls += 1;
                assert!(settled.calls < 100_000, "it never ends");
                let outcome = process(range.clone());
                let done = match outcome {
                    Outcome::Done => range.end,
                    Outcome::Failed { done, .. } => range.start + done.min(range.len() - 1),
                };
                settled.processed.extend(range.start..done);
                if done > range.start {
                    settled.acknowledged.push(range.start..done);
                }
                course.attempted(outcome)
            }
            Step::DeadLetter { range, .. } => {
                settled.dead.extend(range.clone());
                settled.acknowledged.push(range);
                course.settled()
            }
            Step::Skip { range, .. } => {
                settled.skipped.extend(range.clone());
                settled.acknowledged.push(range);
                course.settled()
            }
            Step::Halt { range, .. } => {
                settled.halted_at = Some(range);
                return settled;
            }
            Step::Finished => return settled,
        };
    }
}

fn whole_batch(poison: &[usize], range: &Range<usize>) -> Outcome {
    if poison.iter().any(|record| range.contains(record)) {
        Outcome::Failed { done: 0, permanent: false }
    } else {
        Outcome::Done
    }
}

#[test]
fn a_failure_that_passes_is_tried_again_whole_after_a_wait() {
    let mut left = 2;
    let settled = drive(RULES, 10, |_| {
        if left == 0 {
            return Outcome::Done;
        }
        left -= 1;
        Outcome::Failed { done: 0, permanent: false }
    });
    assert_eq!((settled.calls, settled.waits), (3, 2));
    assert_eq!((settled.acknowledged.len(), &settled.acknowledged[0]), (1, &(0..10)));
}

#[test]
fn one_bad_record_is_found_in_logarithmic_time_and_tried_as_often_as_the_batch() {
    let mut tried: BTreeMap<usize, u32> = BTreeMap::new();
    let settled = drive(RULES, 1024, |range| {
        *tried.entry(range.len()).or_default() += u32::from(range.contains(&700));
        whole_batch(&[700], &range)
    });
    assert_eq!(settled.dead, [700]);
    assert_eq!((tried[&1024], tried[&512], tried[&2], tried[&1]), (3, 1, 1, 3));
    assert!(settled.calls <= 2 * 10 + 3 + 3, "{}", settled.calls);
}

#[test]
fn what_can_never_succeed_is_not_tried_again() {
    let settled = drive(RULES, 4, |range| match whole_batch(&[2], &range) {
        Outcome::Done => Outcome::Done,
        Outcome::Failed { done, .. } => Outcome::Failed { done, permanent: true },
    });
    assert_eq!((settled.dead, settled.waits), (vec![2], 0));
}

#[test]
fn without_bisecting_the_batch_fails_as_one() {
    let rules = Rules { bisect: false, ..RULES };
    assert_eq!(drive(rules, 4, |range| whole_batch(&[2], &range)).dead, [0, 1, 2, 3]);
    let told = drive(rules, 4, |range| match range.contains(&2) {
        true => Outcome::Failed { done: 2 - range.start, permanent: true },
        false => Outcome::Done,
    });
    assert_eq!((told.processed, told.dead), (vec![0, 1], vec![2, 3]), "what was done before the failure stays done");
}

#[test]
fn a_halt_settles_all_before_the_failing_record_and_nothing_after_it() {
    let settled = drive(Rules { last: Last::Halt, ..RULES }, 8, |range| whole_batch(&[5], &range));
    assert_eq!((settled.processed, settled.halted_at), (vec![0, 1, 2, 3, 4], Some(5..6)));
    assert!(settled.dead.is_empty() && settled.skipped.is_empty());
}

#[test]
fn a_processor_that_claims_more_than_it_got_loses_nothing() {
    let settled = drive(RULES, 3, |_| Outcome::Failed { done: usize::MAX, permanent: true });
    assert_eq!((settled.processed, settled.dead), (vec![0, 1], vec![2]));
}

#[test]
fn an_empty_batch_is_finished() {
    assert_eq!(Course::new(RULES, 0).first(), Step::Finished);
}

proptest! {
    /// Whichever records fail, however the processor tells: exactly those are dead letters, every record is settled once,
    /// and in order.
    #[test]
    fn exactly_the_failing_records_are_set_aside_and_order_is_kept(
        poison in proptest::collection::vec(any::<bool>(), 1..200),
        retries in 0_u32..4,
        permanent in any::<bool>(),
        tells_place in any::<bool>(),
        last in prop_oneof![Just(Last::DeadLetter), Just(Last::Skip)],
    ) {
        let rules = Rules { retries, bisect: true, last };
        let settled = drive(rules, poison.len(), |range| {
            match poison[range.clone()].iter().position(|bad| *bad) {
                None => Outcome::Done,
                Some(place) => Outcome::Failed { done: if tells_place { place } else { 0 }, permanent },
            }
        });
        let bad: Vec<usize> = (0..poison.len()).filter(|record| poison[*record]).collect();
        let good: Vec<usize> = (0..poison.len()).filter(|record| !poison[*record]).collect();
        let (aside, other) = match last {
            Last::Skip => (&settled.skipped, &settled.dead),
            _ => (&settled.dead, &settled.skipped),
        };
        prop_assert_eq!(&settled.processed, &good);
        prop_assert_eq!(aside, &bad);
        prop_assert!(other.is_empty());
        let in_order: Vec<usize> = settled.acknowledged.iter().cloned().flatten().collect();
        prop_assert_eq!(in_order, (0..poison.len()).collect::<Vec<_>>(), "acknowledged in order, each once");
    }

    /// A processor that fails by chance: still each record once, in order, and a halt is followed by nothing.
    #[test]
    fn failures_that_come_and_go_never_lose_or_repeat_a_settled_record(
        answers in proptest::collection::vec((any::<bool>(), 0_usize..6, any::<bool>()), 1..400),
        records in 1_usize..80,
        last in prop_oneof![Just(Last::DeadLetter), Just(Last::Skip), Just(Last::Halt)],
        bisect in any::<bool>(),
    ) {
        let mut answers = answers.into_iter();
        let settled = drive(Rules { retries: 1, bisect, last }, records, |_| match answers.next() {
            Some((true, done, permanent)) => Outcome::Failed { done, permanent },
            _ => Outcome::Done,
        });
        let in_order: Vec<usize> = settled.acknowledged.iter().cloned().flatten().collect();
        let end = settled.halted_at.as_ref().map_or(records, |range| range.start);
        prop_assert_eq!(in_order, (0..end).collect::<Vec<_>>());
        prop_assert_eq!(settled.processed.len() + settled.dead.len() + settled.skipped.len(), end);
    }
}
