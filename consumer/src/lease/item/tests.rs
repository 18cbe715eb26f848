use super::*;
use alluvial_record::Position;
use std::collections::BTreeMap;

fn lease() -> Lease {
    Lease {
        shard: "shardId-000000000002".into(),
        owner: Some("worker-1".into()),
        checkpoint_owner: None,
        counter: 41,
        checkpoint: Checkpoint::from_attributes("49590338271490256608559692538361571095921575989136588898", 2).unwrap(),
        switches: 1,
        parents: vec!["shardId-000000000000".into(), "shardId-000000000001".into()],
        children: vec![],
        hash_keys: Some(HashKeyRange { start: 0, end: u128::MAX }),
        bytes_per_second: Some(1_500_001),
        stream_created_millis: Some(1_795_000_000_123),
    }
}

fn read(item: &Item) -> Lease {
    match from_item(item).unwrap() {
        Row::Lease(lease) => *lease,
        other => panic!("{other:?} is no lease"),
    }
}

#[test]
fn a_lease_survives_the_table() {
    assert_eq!(read(&to_item(&lease(), &LeaseKeys::default())), lease());
    let free = Lease { owner: None, parents: vec![], hash_keys: None, bytes_per_second: None, ..lease() };
    assert_eq!(read(&to_item(&free, &LeaseKeys::default())), free);
    let handed = Lease { owner: Some("two".into()), checkpoint_owner: Some("one".into()), ..lease() };
    assert_eq!(read(&to_item(&handed, &LeaseKeys::default())), handed);
}

#[test]
fn rows_of_other_kinds_are_skipped_and_a_heartbeat_is_heard() {
    let mut item = to_item(&lease(), &LeaseKeys::default());
    item.insert(ENTITY.into(), string("WORKER_METRIC_STATS"));
    assert_eq!(from_item(&item).unwrap(), Row::Other);
    item.remove(ENTITY);
    assert_eq!(read(&item), lease(), "releases before 3.5 write no kind");
    let beat = HashMap::from([
        (KEY.to_owned(), heartbeat_key("one")),
        (ENTITY.to_owned(), string(HEARTBEAT_ENTITY)),
        (WORKER.to_owned(), string("one")),
        (HEARTBEAT.to_owned(), number(7)),
    ]);
    assert_eq!(from_item(&beat).unwrap(), Row::Heartbeat(Heartbeat { worker: "one".into(), counter: 7 }));
}

#[test]
fn a_garbled_row_is_an_error_that_names_row_and_attribute() {
    let garbled = |attribute: &str, value: Option<AttributeValue>| {
        let mut item = to_item(&lease(), &LeaseKeys::default());
        item.remove(attribute);
        item.extend(value.map(|value| (attribute.to_owned(), value)));
        let error = alluvial_runtime::exit::chain(&from_item(&item).unwrap_err());
        assert!(error.contains("shardId-000000000002"), "{error}");
        error
    };
    assert!(garbled(CHECKPOINT, Some(string("half"))).contains("half"));
    assert!(garbled(CHECKPOINT, None).contains("checkpoint"));
    assert!(garbled(CHECKPOINT_SUB, Some(string("x"))).contains("checkpointSubSequenceNumber"));
    assert!(garbled(COUNTER, Some(string("41"))).contains("leaseCounter"));
    assert!(garbled(OWNER, Some(number(1))).contains("leaseOwner"));
    assert!(garbled(CHECKPOINT_OWNER, Some(number(1))).contains("checkpointOwner"));
    assert!(garbled(ENTITY, Some(number(1))).contains("entityType"));
}

#[test]
fn a_renewal_writes_its_counter_and_rate_and_a_checkpoint_ends_a_pending_one() {
    let renewed = Lease { counter: 42, bytes_per_second: Some(2_048), ..lease() };
    let wanted = Changes {
        set: vec![(COUNTER, number(42)), (THROUGHPUT, AttributeValue::N("2.000000".into()))],
        remove: vec![],
    };
    assert_eq!(changes(&lease(), &renewed), wanted);
    let at = Checkpoint::At(Position::of("7".parse().unwrap()));
    let written = changes(&lease(), &Lease { counter: 42, checkpoint: at, ..lease() });
    assert_eq!(written.remove, PENDING);
    assert_eq!(written.set, [(COUNTER, number(42)), (CHECKPOINT, string("7")), (CHECKPOINT_SUB, number(0))]);
    let handed = Lease { owner: Some("two".into()), checkpoint_owner: lease().owner, ..lease() };
    assert_eq!(changes(&handed, &Lease { checkpoint_owner: None, ..handed.clone() }).remove, [CHECKPOINT_OWNER]);
}

/// Rows as the Kinesis Client Library 3.5.1 wrote them, from a scan of its table: two workers, a shard that was split, and
/// handoffs under way (`handoff`); and after both workers were stopped (`stopped`).
fn kcl(state: &str) -> Vec<Item> {
    let text = include_str!("../fixtures/kcl-3.json");
    let states: BTreeMap<String, Vec<serde_json::Map<String, serde_json::Value>>> = serde_json::from_str(text).unwrap();
    let item = |row: &serde_json::Map<String, serde_json::Value>| {
        row.iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
    };
    states[state].iter().map(item).collect()
}

/// An attribute of DynamoDB's JSON.
fn attribute(value: &serde_json::Value) -> AttributeValue {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    match kind.as_str() {
        "S" => AttributeValue::S(text(value)),
        "N" => AttributeValue::N(text(value)),
        "SS" => AttributeValue::Ss(value.as_array().unwrap().iter().map(text).collect()),
        "L" => AttributeValue::L(value.as_array().unwrap().iter().map(attribute).collect()),
        "M" => AttributeValue::M(
            value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), attribute(value))).collect(),
        ),
        other => panic!("an attribute of type {other}"),
    }
}

#[test]
fn rows_of_the_kinesis_client_library_are_read_and_its_other_rows_skipped() {
    for (state, others) in [("handoff", 4), ("stopped", 3)] {
        let rows: Vec<Row> = kcl(state).iter().map(|item| from_item(item).unwrap()).collect();
        assert_eq!(rows.iter().filter(|row| **row == Row::Other).count(), others, "{state}");
        assert_eq!(rows.iter().filter(|row| matches!(row, Row::Lease(_))).count(), 6, "{state}");
    }
    let leases: Vec<Lease> = kcl("handoff").iter().filter(|item| key(item).starts_with("shardId-")).map(read).collect();
    let parent = &leases[0];
    assert_eq!(parent.checkpoint, Checkpoint::ShardEnd);
    assert_eq!(parent.children, ["shardId-000000000004".into(), "shardId-000000000005".into()]);
    assert_eq!(parent.hash_keys.unwrap().start, 0);
    let handed: Vec<&Lease> = leases.iter().filter(|lease| lease.checkpoint_owner.is_some()).collect();
    assert_eq!(handed.len(), 3);
    for lease in handed {
        assert_eq!((lease.owner.as_deref(), lease.actual_owner()), (Some("kcl-2"), Some("kcl-1")));
        assert!(matches!(lease.checkpoint, Checkpoint::At(_)) && lease.counter > 20);
    }
    assert_eq!(leases[1].bytes_per_second, Some(69), "0.067729 KB/s");
    assert_eq!(leases[4].parents, ["shardId-000000000000".into()]);
}

#[test]
fn what_is_written_to_rows_of_the_kinesis_client_library_is_what_it_would_write() {
    let rows = kcl("stopped");
    let lease = rows.iter().filter(|item| key(item) == "shardId-000000000003").map(read).next().unwrap();
    let taken = lease.taken_by("ours");
    assert_eq!((taken.counter, taken.switches), (lease.counter + 1, lease.switches + 1));
    let wanted = [(COUNTER, number(taken.counter)), (SWITCHES, number(taken.switches)), (OWNER, string("ours"))];
    assert_eq!(changes(&lease, &taken).set, wanted);
    let renewed = taken.renewed();
    assert_eq!(changes(&taken, &renewed), Changes { set: vec![(COUNTER, number(renewed.counter))], remove: vec![] });
    let at = Checkpoint::from_attributes("49680569834662041579518408109169208233338644116864499763", 0).unwrap();
    let done = renewed.checkpointed(at, &[]);
    let names: Vec<&str> = changes(&renewed, &done).set.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, [COUNTER, SWITCHES, CHECKPOINT, CHECKPOINT_SUB]);
    // The handoff: asked for without counting, given by taking `checkpointOwner` away, as `evictLease` does.
    let asked = done.asked_for_by("kcl-9");
    let wanted = vec![(OWNER, string("kcl-9")), (CHECKPOINT_OWNER, string("ours"))];
    assert_eq!(changes(&done, &asked), Changes { set: wanted, remove: vec![] });
    let given = asked.released();
    assert_eq!(given.owner.as_deref(), Some("kcl-9"));
    let wanted = Changes { set: vec![(COUNTER, number(given.counter))], remove: vec![CHECKPOINT_OWNER] };
    assert_eq!(changes(&asked, &given), wanted);
}
