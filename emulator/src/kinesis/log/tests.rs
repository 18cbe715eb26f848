use super::super::store::Store;
use super::*;
use proptest::prelude::*;

const ALL: Limits = Limits { records: usize::MAX, bytes: usize::MAX };

struct World {
    store: Store,
    log: Log,
}

impl World {
    fn new() -> Self {
        Self { store: Store::new(None), log: Log::new() }
    }

    fn append(&mut self, now: u64, lane: usize, records: &[(&str, &[u8])]) -> Appended {
        let bytes: Vec<u8> = records.iter().flat_map(|(key, data)| [key.as_bytes(), data].concat()).collect();
        let sizes: Vec<_> = records.iter().map(|(key, data)| Size::of(key.len(), data.len()).unwrap()).collect();
        let extent = self.store.append(lane, &bytes).unwrap();
        self.log.append(now, &extent, &sizes)
    }

    fn read(&self, cursor: u64, limits: Limits) -> Vec<(u64, String, Vec<u8>)> {
        let Some(plan) = self.log.plan(cursor, limits) else { return Vec::new() };
        let batch = plan.read().unwrap();
        let own =
            |record: Record<'_>| (record.index, String::from_utf8(record.key.to_vec()).unwrap(), record.data.to_vec());
        batch.records().map(own).collect()
    }

    fn read_to_the_tip(&self, mut cursor: u64, limits: Limits) -> Vec<(u64, String, Vec<u8>)> {
        let mut all = Vec::new();
        loop {
            let some = self.read(cursor, limits);
            let Some((last, ..)) = some.last() else { return all };
            cursor = last + 1;
            all.extend(some);
        }
    }
}

#[test]
fn a_read_stops_at_its_limits_but_never_below_one_record() {
    let mut world = World::new();
    world.append(5, 0, &[("a", b"12345678"), ("b", b"1"), ("c", b"2")]);
    let indices = |limits| world.read(1, limits).into_iter().map(|(index, ..)| index).collect::<Vec<_>>();
    assert_eq!(indices(ALL), [1, 2, 3]);
    assert_eq!(indices(Limits { records: 2, ..ALL }), [1, 2]);
    assert_eq!(indices(Limits { bytes: 1, ..ALL }), [1]);
    assert_eq!(indices(Limits { bytes: 11, ..ALL }), [1, 2]);
    assert!(world.log.plan(4, ALL).is_none());
}

#[test]
fn arrival_never_goes_back_and_a_time_finds_its_record() {
    let mut world = World::new();
    assert_eq!(world.append(10, 0, &[("a", b"")]), Appended { first: 1, arrival_millis: 10 });
    assert_eq!(world.append(7, 0, &[("b", b"")]), Appended { first: 2, arrival_millis: 10 });
    world.append(20, 0, &[("c", b"")]);
    assert_eq!([0, 10, 11, 20, 21].map(|millis| world.log.at_time(millis)), [1, 1, 3, 3, 4]);
}

#[test]
fn lag_is_counted_from_the_last_record_read() {
    let mut world = World::new();
    world.append(10, 0, &[("a", b"")]);
    world.append(30, 0, &[("b", b"")]);
    let batch = world.log.plan(1, Limits { records: 1, ..ALL }).unwrap().read().unwrap();
    assert_eq!((batch.millis_behind(100), batch.at_tip(), batch.next()), (90, false, 2));
    let batch = world.log.plan(2, ALL).unwrap().read().unwrap();
    assert_eq!((batch.millis_behind(100), batch.at_tip(), batch.next()), (0, true, 3));
}

#[test]
fn trimming_frees_the_segments_of_what_it_forgets() {
    let mut world = World::new();
    world.append(10, 0, &[("a", b"1"), ("b", b"2")]);
    world.append(20, 1, &[("c", b"3")]);
    world.log.trim(10);
    assert_eq!((world.log.first(), world.log.segments.len()), (1, 2));
    world.log.trim(11);
    assert_eq!((world.log.first(), world.log.segments.len()), (3, 1));
    assert_eq!(world.read(1, ALL), [(3, "c".to_owned(), b"3".to_vec())]);
    world.log.trim(99);
    assert_eq!((world.log.first(), world.log.next(), world.log.segments.len()), (4, 4, 0));
    world.append(100, 1, &[("d", b"4")]);
    assert_eq!(world.read(0, ALL), [(4, "d".to_owned(), b"4".to_vec())]);
}

#[derive(Debug, Clone)]
enum Act {
    Append { lane: usize, records: Vec<(String, Vec<u8>)> },
    Trim { ago: u64 },
    Read { cursor: u64, records: usize, bytes: usize },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let record = ("[a-zé]{1,4}", proptest::collection::vec(any::<u8>(), 0..40));
    let append =
        (0usize..3, proptest::collection::vec(record, 1..6)).prop_map(|(lane, records)| Act::Append { lane, records });
    let trim = (0u64..8).prop_map(|ago| Act::Trim { ago });
    let read =
        (0u64..60, 1usize..10, 0usize..120).prop_map(|(cursor, records, bytes)| Act::Read { cursor, records, bytes });
    proptest::collection::vec(prop_oneof![4 => append, 1 => trim, 3 => read], 1..40)
}

proptest! {
    #[test]
    fn a_log_is_a_list_that_forgets_from_the_front(acts in acts()) {
        let mut world = World::new();
        let mut model: Vec<(u64, u64, String, Vec<u8>)> = Vec::new();
        let mut next = 1;
        for (now, act) in (100u64..).zip(acts) {
            match act {
                Act::Append { lane, records } => {
                    let borrowed: Vec<_> = records.iter().map(|(key, data)| (key.as_str(), data.as_slice())).collect();
                    prop_assert_eq!(world.append(now, lane, &borrowed).first, next);
                    for (key, data) in records {
                        model.push((now, next, key, data));
                        next += 1;
                    }
                }
                Act::Trim { ago } => {
                    world.log.trim(now - ago);
                    model.retain(|(arrival, ..)| *arrival >= now - ago);
                }
                Act::Read { cursor, records, bytes } => {
                    let expected: Vec<_> =
                        model.iter().filter(|(_, index, ..)| *index >= cursor).map(|(_, index, key, data)| (*index, key.clone(), data.clone())).collect();
                    prop_assert_eq!(world.read_to_the_tip(cursor, Limits { records, bytes }), expected);
                }
            }
            prop_assert_eq!(world.log.next(), next);
        }
    }
}
