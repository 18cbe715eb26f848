//! Each check passes a history in good order, and finds the one fault that is planted in it.

use super::*;
use crate::history::{Exit, Fired, LeaseWrite, Number};

const BOUNDS: Bounds = Bounds { checkpoint: 100, failover: 1_000, answer: 50 };
const PARENT: &str = "shard-0";
const CHILD: &str = "shard-1";

fn name(shard: &str, number: u64) -> Name {
    (shard.into(), Number::of(&number.to_string()))
}

fn row(at: u64, member: usize, shard: &str, n: u64) -> Row {
    Row { at, member, name: name(shard, n), key: "k".into(), n, whole: true }
}

fn lease(owner: &str, mark: &str) -> Lease {
    Lease { owner: Some(owner.into()), handing_over: None, mark: Mark::of(mark) }
}

fn write(at: u64, shard: &str, before: Option<Lease>, after: Lease) -> LeaseWrite {
    LeaseWrite { at, shard: shard.into(), before, after: Some(after) }
}

/// Twenty records of one key, ten in a parent and ten in its child: put every 10 ms, accepted 5 ms later in members of two, each
/// member checkpointed at once; all by worker `a`.
fn in_order() -> History {
    let mut history = History { parents: [(CHILD.to_owned(), vec![PARENT.to_owned()])].into(), ..History::default() };
    for shard in [PARENT, CHILD] {
        let start = write(0, shard, None, lease("a", "TRIM_HORIZON"));
        history.lease_writes.push(start);
    }
    for n in 1..=20_u64 {
        let shard = if n <= 10 { PARENT } else { CHILD };
        let at = n * 10;
        history.puts.push(Put { at, name: name(shard, n), key: "k".into(), n });
        history.rows.push(row(at + 5, usize::try_from(n / 2).unwrap(), shard, n));
        history.stored.insert(name(shard, n));
        let mark = if n == 10 { "SHARD_END".into() } else { n.to_string() };
        let before = history.leases_at(at).get(shard).map(|lease| (*lease).clone());
        history.lease_writes.push(write(at + 6, shard, before, lease("a", &mark)));
    }
    history
}

fn the_rule(found: &[Violation]) -> &'static str {
    let rules: BTreeSet<&str> = found.iter().map(|violation| violation.rule).collect();
    assert_eq!(rules.len(), 1, "{found:?}");
    found[0].rule
}

#[test]
fn a_history_in_good_order_breaks_no_rule() {
    assert_eq!(all(&in_order(), BOUNDS), []);
}

#[test]
fn a_lost_record_is_found_and_a_dead_letter_is_not_lost() {
    let mut history = in_order();
    history.rows.remove(6);
    history.stored.remove(&name(PARENT, 7));
    let found = lost(&history);
    assert_eq!((found.len(), found[0].rule, found[0].shard.as_str()), (1, "nothing is lost", PARENT));
    assert!(found[0].record.starts_with("7 (key k"), "{found:?}");
    history.dead.insert(name(PARENT, 7));
    assert_eq!(all(&history, BOUNDS), []);
}

#[test]
fn a_record_that_firehose_accepted_and_s3_has_not_is_lost() {
    let mut history = in_order();
    history.stored.remove(&name(CHILD, 15));
    let found = all(&history, BOUNDS);
    assert_eq!(the_rule(&found), "nothing is lost");
    assert!(found[0].detail.contains("accepted"));
}

#[test]
fn rows_that_nobody_put_or_that_changed_on_their_way_are_found() {
    for change in [
        (|row: &mut Row| row.name.1 = Number::of("99")) as fn(&mut Row),
        |row| row.n = 99,
        |row| row.key = "other".into(),
        |row| row.whole = false,
    ] {
        let mut history = in_order();
        change(&mut history.rows[19]);
        assert_eq!(the_rule(&altered(&history)), "rows are what was put");
    }
}

#[test]
fn a_reordering_is_found_within_a_shard_and_across_a_split_and_a_repetition_is_none() {
    for (first, second) in [(3, 4), (9, 10)] {
        let mut history = in_order();
        let later = history.rows[second].name.clone();
        let n = history.rows[second].n;
        history.rows[second].name = std::mem::replace(&mut history.rows[first].name, later);
        history.rows[second].n = std::mem::replace(&mut history.rows[first].n, n);
        let found = out_of_order(&history);
        assert_eq!((found.len(), the_rule(&found)), (1, "order of a key"));
    }
    let mut history = in_order();
    history.rows.insert(12, row(130, 50, PARENT, 3));
    assert_eq!(out_of_order(&history), []);
}

#[test]
fn duplicates_that_nothing_explains_are_found() {
    let mut history = in_order();
    history.rows.push(row(300, 50, CHILD, 20));
    let found = all(&history, BOUNDS);
    assert_eq!(the_rule(&found), "duplicates within their bound");
    assert!(found[0].detail.contains("1 delivered again, at most 0"), "{found:?}");
}

/// Worker `a` is killed at 205, `b` takes the child over, and delivers `again` records of it again.
fn killed(again: std::ops::RangeInclusive<u64>) -> History {
    let mut history = in_order();
    history.stops.push(Stop { worker: "a".into(), from: 205, until: None });
    let before = Some(lease("a", "20"));
    history.lease_writes.push(write(2_000, CHILD, before, lease("b", "20")));
    history.rows.extend(again.map(|n| row(2_100, 60, CHILD, n)));
    history
}

#[test]
fn duplicates_after_a_kill_are_counted_from_the_time_of_the_last_checkpoint() {
    assert_eq!(all(&killed(11..=20), BOUNDS), [], "all were accepted within the 100 ms before the kill");
    // Each in a member of its own: one row was on its way.
    let mut history = killed(13..=20);
    history.rows.iter_mut().enumerate().for_each(|(index, row)| row.member = index);
    let bound = |history: &History, checkpoint| {
        let rows: Vec<&Row> = history.rows.iter().filter(|row| row.name.0 == CHILD).collect();
        super::bound(history, Bounds { checkpoint, ..BOUNDS }, CHILD, &rows)
    };
    assert_eq!(bound(&history, 20), 3 + 1, "accepted at 185, 195 and 205");
    let short = Bounds { checkpoint: 20, ..BOUNDS };
    let found = repeated(&history, short);
    assert_eq!(the_rule(&found), "duplicates within their bound");
    assert!(found[0].detail.starts_with("8 delivered again, at most 4"), "{found:?}");
    // No checkpoint could be written while DynamoDB failed.
    for (at, wanted) in [(160, 4), (190, 4 + 1), (172, 4 + 4), (153, 4 + 5)] {
        history.fired.push(Fired { at, fault: "step 3: throttled".into() });
        history.fired.sort_by_key(|fired| fired.at);
        assert_eq!(bound(&history, 20), wanted, "after the fault at {at}");
    }
    assert_eq!(repeated(&history, short), []);
}

#[test]
fn a_kill_explains_duplicates_of_the_shards_that_the_worker_read_and_of_no_other() {
    let mut history = killed(11..=20);
    history.stops[0].worker = "c".into();
    assert!(!repeated(&history, BOUNDS).is_empty());
}

#[test]
fn an_answer_of_firehose_that_was_lost_explains_the_rows_of_its_call() {
    let mut history = in_order();
    history.fired.push(Fired { at: 215, fault: "step 1: put-answer-lost".into() });
    history.rows.push(row(230, 50, CHILD, 20));
    assert_eq!(all(&history, BOUNDS), []);
    history.rows.push(row(240, 51, CHILD, 19));
    assert_eq!(the_rule(&all(&history, BOUNDS)), "duplicates within their bound");
}

#[test]
fn a_checkpoint_that_moves_back_is_found_and_numbers_are_compared_as_numbers() {
    let mut history = in_order();
    history.lease_writes.push(write(300, CHILD, Some(lease("a", "20")), lease("a", "9")));
    assert_eq!(the_rule(&all(&history, BOUNDS)), "checkpoints are monotonic");
    history.lease_writes.last_mut().unwrap().after = Some(lease("a", "100"));
    assert_eq!(all(&history, BOUNDS), []);
    history.lease_writes.push(write(400, PARENT, None, lease("a", "TRIM_HORIZON")));
    assert_eq!(the_rule(&all(&history, BOUNDS)), "checkpoints are monotonic", "a shard that is done begins anew");
}

#[test]
fn a_checkpoint_before_the_acceptance_is_found() {
    let mut history = in_order();
    // The checkpoint of 15 is written at 156.
    history.rows[14].at = 157;
    let found = all(&history, BOUNDS);
    assert_eq!(the_rule(&found), "no early checkpoint");
    assert!(found[0].record.starts_with("15 (") && found[0].detail.contains("1 ms later"), "{found:?}");
}

#[test]
fn a_checkpoint_that_passes_a_record_that_is_never_delivered_is_found_too() {
    let mut history = in_order();
    history.rows.remove(14);
    assert!(checkpointed_too_early(&history)[0].detail.contains("accepted never"));
}

#[test]
fn a_child_that_is_read_before_the_end_of_its_parent_is_found() {
    let mut history = in_order();
    let end = history.lease_writes.iter_mut().find(|write| write.after.as_ref().unwrap().mark == Mark::End).unwrap();
    end.at = 116;
    let found = child_before_parent(&history);
    assert_eq!((the_rule(&found), found[0].shard.as_str()), ("parents before children", CHILD));
}

#[test]
fn a_merge_waits_for_both_parents() {
    let mut history = in_order();
    history.parents.get_mut(CHILD).unwrap().push("shard-9".into());
    assert!(child_before_parent(&history)[0].detail.contains("shard-9"));
}

#[test]
fn a_lease_that_is_taken_from_a_living_worker_is_found_and_one_that_is_handed_over_is_not() {
    let mut history = killed(20..=20);
    assert_eq!(stolen(&history, BOUNDS), []);
    history.stops[0].until = Some(900);
    assert_eq!(the_rule(&stolen(&history, BOUNDS)), "leases of the living", "it woke long before");
    let asked = Lease { handing_over: Some("a".into()), ..lease("b", "20") };
    let mut history = in_order();
    history.lease_writes.push(write(300, CHILD, Some(lease("a", "20")), asked.clone()));
    history.lease_writes.push(write(310, CHILD, Some(asked.clone()), lease("b", "20")));
    assert_eq!(stolen(&history, BOUNDS), []);
    history.lease_writes.last_mut().unwrap().after = Some(lease("c", "20"));
    assert_eq!(the_rule(&stolen(&history, BOUNDS)), "leases of the living");
}

#[test]
fn bad_ends_are_found() {
    let mut history = in_order();
    history.exits.push(Exit { worker: "a".into(), at: 300, code: Some(0) });
    assert_eq!(all(&history, BOUNDS), []);
    for code in [None, Some(1)] {
        history.exits[0].code = code;
        assert_eq!(the_rule(&all(&history, BOUNDS)), "exit 0 on SIGTERM");
    }
}

#[test]
fn shares_that_differ_by_two_and_leases_without_a_worker_are_found() {
    let (a, b, done) = (lease("a", "1"), lease("b", "1"), lease("a", "SHARD_END"));
    let free = Lease { owner: None, ..a.clone() };
    let moving = Lease { handing_over: Some("b".into()), ..a.clone() };
    let workers = ["a".to_owned(), "b".to_owned()];
    let found = |leases: &[&Lease]| {
        let names = ["0", "1", "2", "3"];
        let leases: BTreeMap<&str, &Lease> = names.into_iter().zip(leases.iter().copied()).collect();
        unfair(&leases, &workers, 0).iter().map(|violation| violation.rule).collect::<Vec<_>>()
    };
    assert_eq!(found(&[&a, &a, &b, &done]), Vec::<&str>::new());
    assert_eq!(found(&[&a, &a, &a, &b]), ["fair shares"]);
    assert_eq!(found(&[&a, &a, &done]), ["fair shares"]);
    assert_eq!(found(&[&a, &free, &b]), ["every lease has a worker"]);
    assert_eq!(found(&[&a, &moving, &b]), ["every lease has a worker"]);
}
